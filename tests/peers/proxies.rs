//! Proxies, in this process. HTTP is hudsucker's, SOCKS5 fast-socks5's; no maintained crate serves SOCKS4, so that is
//! spoken here.

mod http;
mod socks4;
mod socks5;

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use ::http::StatusCode;
use rustls::ServerConfig;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// A name that only proxies know: it is this machine's.
pub(crate) const NAME: &str = "origin.test";

/// The user and the password that a proxy may want, as they stand in a URL.
pub(crate) const USER: &str = "us%3Aer:p%40ss%20word";

/// A proxy that notes what it is asked for.
///
/// Dropping it ends its listener. Connections through it end with either side.
pub(crate) struct ProxyServer {
    port: u16,
    state: Arc<State>,
    tasks: Vec<JoinHandle<()>>,
}

/// What a proxy wants and does.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rules {
    /// Nobody but [`USER`] is let through.
    pub(crate) wants_user: bool,
    /// The answer to every `CONNECT`, in the place of a tunnel.
    pub(crate) refuses_tunnels: Option<StatusCode>,
}

struct State {
    rules: Rules,
    asked: Mutex<Vec<String>>,
}

impl State {
    fn note(&self, asked: String) {
        self.asked.lock().expect("nobody panicked").push(asked);
    }
}

impl ProxyServer {
    pub(crate) async fn http(rules: Rules) -> Self {
        let (listener, port) = listen().await;
        let state = Arc::new(State { rules, asked: Mutex::default() });
        let task = tokio::spawn(http::serve(listener, Arc::clone(&state)));
        Self { port, state, tasks: vec![task] }
    }

    /// HTTP, with TLS in front of it.
    pub(crate) async fn https(rules: Rules, tls: ServerConfig) -> Self {
        let mut proxy = Self::http(rules).await;
        let plain = proxy.port;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let terminate = move |stream| {
            let acceptor = acceptor.clone();
            async move {
                // Clients that don't trust this are what some tests are about.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut inner = connect(plain).await;
                let _ = copy_bidirectional(&mut stream, &mut inner).await;
            }
        };
        let (listener, port) = listen().await;
        proxy.port = port;
        proxy.tasks.push(tokio::spawn(accept(listener, terminate)));
        proxy
    }

    pub(crate) async fn socks5(rules: Rules) -> Self {
        Self::socks(rules, socks5::serve).await
    }

    pub(crate) async fn socks4() -> Self {
        Self::socks(Rules::default(), socks4::serve).await
    }

    async fn socks<F>(rules: Rules, serve: fn(TcpStream, Arc<State>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (listener, port) = listen().await;
        let state = Arc::new(State { rules, asked: Mutex::default() });
        let served = Arc::clone(&state);
        let task = tokio::spawn(accept(listener, move |stream| serve(stream, Arc::clone(&served))));
        Self { port, state, tasks: vec![task] }
    }

    /// Its URL, for someone who has leave.
    pub(crate) fn url(&self, scheme: &str) -> String {
        let user = if self.state.rules.wants_user { format!("{USER}@") } else { String::new() };
        format!("{scheme}://{user}127.0.0.1:{}", self.port)
    }

    /// Its URL, with another password.
    pub(crate) fn wrong_url(&self, scheme: &str) -> String {
        format!("{scheme}://user:wrong-secret@127.0.0.1:{}", self.port)
    }

    /// What it has been asked for since the last time: `GET` and the like with the target as it was sent, `CONNECT`,
    /// `SOCKS5` and `SOCKS4` with host and port.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.asked.lock().expect("nobody panicked"))
    }
}

impl Drop for ProxyServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new(); // ends them with this task
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream));
    }
}

/// Connects to a server on this machine: there are no others.
async fn connect(port: u16) -> TcpStream {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect(address).await.expect("the server listens")
}
