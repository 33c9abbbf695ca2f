use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use tower::Service;

use super::resolver::{Resolver, boxed, overriding, system};
use crate::BoxError;

/// How TCP connections are made, for [`ClientBuilder::tcp`](crate::ClientBuilder::tcp).
///
/// ```
/// use std::{net::Ipv4Addr, time::Duration};
///
/// use engineio_client::{Client, Tcp};
///
/// let tcp = Tcp::new().resolve("example.com", [Ipv4Addr::LOCALHOST]).keepalive(Duration::from_secs(60));
/// let client = Client::builder().tcp(tcp).build()?;
/// # let _ = client;
/// # Ok::<_, engineio_client::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "settings do nothing until a client has them"]
pub struct Tcp {
    overrides: HashMap<String, Vec<IpAddr>>, // by names in lower case
    resolver: Resolver,
    happy_eyeballs_timeout: Duration,
    local_ipv4: Option<Ipv4Addr>,
    local_ipv6: Option<Ipv6Addr>,
    interface: Option<String>,
    nodelay: bool,
    keepalive: Keepalive,
}

#[derive(Clone, Debug, Default)]
struct Keepalive {
    idle: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl Tcp {
    /// TCP with the defaults.
    pub fn new() -> Self {
        Self {
            overrides: HashMap::new(),
            resolver: system(),
            happy_eyeballs_timeout: Duration::from_millis(300),
            local_ipv4: None,
            local_ipv6: None,
            interface: None,
            nodelay: true,
            keepalive: Keepalive::default(),
        }
    }
}

/// Where connections go.
impl Tcp {
    /// Sets the addresses of a host, which is then not looked up. They are tried one after the other, at the URL's port,
    /// each with its share of the connect timeout; the request still names the host, and so does TLS. The last call for
    /// a host counts.
    ///
    /// Case does not matter in `host`, and it is no pattern. A URL with an IP address has no host to look up.
    pub fn resolve(mut self, host: impl Into<String>, addresses: impl IntoIterator<Item = impl Into<IpAddr>>) -> Self {
        let addresses = addresses.into_iter().map(Into::into).collect();
        self.overrides.insert(host.into().to_ascii_lowercase(), addresses);
        self
    }

    /// Looks hosts up by a service of one's own, as hyper's connectors have them, in the place of the system's
    /// `getaddrinfo`. Of the addresses that it gives, the ports do not count.
    ///
    /// It has as long as what it is asked for: opening a session, say, or a POST.
    ///
    /// ```
    /// use std::{io, net::SocketAddr};
    ///
    /// use engineio_client::Tcp;
    /// use hyper_util::client::legacy::connect::dns::Name;
    /// use tower::service_fn;
    ///
    /// let tcp = Tcp::new().resolver(service_fn(|name: Name| async move {
    ///     match name.as_str() {
    ///         "engine.internal" => Ok([SocketAddr::from(([10, 0, 0, 7], 0))].into_iter()),
    ///         _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    ///     }
    /// }));
    /// # let _ = tcp;
    /// ```
    pub fn resolver<R>(mut self, resolver: R) -> Self
    where
        R: Service<Name> + Clone + Send + Sync + 'static,
        R::Response: IntoIterator<Item = SocketAddr>,
        R::Error: Into<BoxError>,
        R::Future: Send + 'static,
    {
        self.resolver = boxed(resolver);
        self
    }

    /// Sets how long IPv6 is tried before IPv4 is tried too, or the other way round, where a host has addresses of both;
    /// 300 ms by default. The kind of its first address goes first.
    pub fn happy_eyeballs_timeout(mut self, timeout: Duration) -> Self {
        self.happy_eyeballs_timeout = timeout;
        self
    }
}

/// Where connections come from.
impl Tcp {
    /// Sets the local address that connections come from; the system's choice by default. It can be called once for IPv4
    /// and once for IPv6. With the one alone, the other is not spoken.
    pub fn local_address(mut self, address: impl Into<IpAddr>) -> Self {
        match address.into() {
            IpAddr::V4(address) => self.local_ipv4 = Some(address),
            IpAddr::V6(address) => self.local_ipv6 = Some(address),
        }
        self
    }

    /// Sets the network interface that connections use, by its name (`SO_BINDTODEVICE`); any by default.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }
}

/// What becomes of them.
impl Tcp {
    /// Sets whether small pieces are sent at once (`TCP_NODELAY`), and do not wait for more; `true` by default.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Sets how long a connection may be silent before TCP asks whether the peer is still there (`SO_KEEPALIVE`); it
    /// never does by default. The session's own heartbeat notices a peer that is gone without this; routers that forget
    /// silent connections are what it is for.
    ///
    /// Systems count whole seconds. What one does not take is logged, and the connection goes on without.
    pub fn keepalive(mut self, idle: Duration) -> Self {
        self.keepalive.idle = Some(whole_seconds(idle));
        self
    }

    /// Sets how long TCP waits between one such question and the next, in whole seconds; the system's choice by default.
    pub fn keepalive_interval(mut self, interval: Duration) -> Self {
        self.keepalive.interval = Some(whole_seconds(interval));
        self
    }

    /// Sets how many such questions may go unanswered; the system's choice by default.
    pub fn keepalive_retries(mut self, retries: u32) -> Self {
        self.keepalive.retries = Some(retries);
        self
    }
}

impl Tcp {
    /// Looks hosts up, whoever connects to them.
    pub(super) fn lookup(&self) -> Resolver {
        overriding(self.overrides.clone(), self.resolver.clone())
    }

    pub(super) fn connector(self, connect_timeout: Duration) -> HttpConnector<Resolver> {
        let mut tcp = HttpConnector::new_with_resolver(self.lookup());
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(connect_timeout));
        tcp.set_happy_eyeballs_timeout(Some(self.happy_eyeballs_timeout));
        match (self.local_ipv4, self.local_ipv6) {
            (Some(ipv4), Some(ipv6)) => tcp.set_local_addresses(ipv4, ipv6),
            (ipv4, ipv6) => tcp.set_local_address(ipv4.map(IpAddr::from).or(ipv6.map(IpAddr::from))),
        }
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        if let Some(interface) = self.interface {
            tcp.set_interface(interface);
        }
        tcp.set_nodelay(self.nodelay);
        tcp.set_keepalive(self.keepalive.idle);
        tcp.set_keepalive_interval(self.keepalive.interval);
        tcp.set_keepalive_retries(self.keepalive.retries);
        tcp
    }
}

impl Default for Tcp {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp")
            .field("overrides", &self.overrides)
            .field("happy_eyeballs_timeout", &self.happy_eyeballs_timeout)
            .field("local_ipv4", &self.local_ipv4)
            .field("local_ipv6", &self.local_ipv6)
            .field("interface", &self.interface)
            .field("nodelay", &self.nodelay)
            .field("keepalive", &self.keepalive)
            .finish_non_exhaustive()
    }
}

/// Less than a second would be none, which systems refuse.
fn whole_seconds(time: Duration) -> Duration {
    time.max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::net::TcpListener;
    use tower::ServiceExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(15);

    /// Connects, and shows the socket.
    async fn socket<T>(tcp: Tcp, show: impl FnOnce(SockRef<'_>) -> T) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound")).parse().expect("it is a URL");
        let stream = tcp.connector(LIMIT).oneshot(url).await.expect("somebody listens");
        show(SockRef::from(stream.inner()))
    }

    #[tokio::test]
    async fn small_pieces_wait_only_if_they_are_told_to() {
        for (tcp, expected) in [(Tcp::new(), true), (Tcp::new().nodelay(false), false)] {
            assert_eq!(socket(tcp, |socket| socket.tcp_nodelay().unwrap()).await, expected);
        }
    }

    #[tokio::test]
    #[cfg(target_os = "linux")] // not every system tells
    async fn silent_connections_are_kept_alive_if_they_are_told_to() {
        assert!(!socket(Tcp::new(), |socket| socket.keepalive().unwrap()).await);
        for idle in [Duration::from_secs(60), Duration::from_millis(1)] {
            let tcp = Tcp::new().keepalive(idle).keepalive_interval(idle * 2).keepalive_retries(3);
            socket(tcp, |socket| {
                assert!(socket.keepalive().unwrap());
                assert_eq!(socket.tcp_keepalive_time().unwrap(), idle.max(Duration::from_secs(1)));
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), (idle * 2).max(Duration::from_secs(1)));
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
            })
            .await;
        }
    }
}
