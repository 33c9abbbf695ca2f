//! SOCKS, as hyper-util speaks it.

use std::{
    convert::Infallible,
    future::ready,
    net::{IpAddr, SocketAddr},
};

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::client::{
    legacy::connect::proxy::{SocksV4, SocksV5},
    proxy::matcher::Intercept,
};
use tower::{ServiceExt, service_fn};

use super::ProxyError;
use crate::{BoxError, http::resolver::Resolver};

/// Has a SOCKS proxy connect `io` with `target`, whose host and port are all that counts.
pub(super) async fn open<S>(io: S, target: Uri, proxy: &Intercept, resolver: Resolver) -> Result<S, ProxyError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let scheme = proxy.uri().scheme_str();
    let is_v4 = matches!(scheme, Some("socks4" | "socks4a"));
    let target = match scheme {
        // hyper-util would block this thread
        Some("socks4" | "socks5") => resolved(&target, resolver, is_v4).await.map_err(ProxyError::Unresolved)?,
        _ => target,
    };
    let mut io = Some(io);
    let connected = service_fn(move |_: Uri| ready(Ok::<_, Infallible>(io.take().expect("it is called once"))));
    if is_v4 {
        let socks = SocksV4::new(proxy.uri().clone(), connected);
        return socks.oneshot(target).await.map_err(|error| ProxyError::Socks(error.into()));
    }
    let mut socks = SocksV5::new(proxy.uri().clone(), connected);
    if let Some((user, password)) = proxy.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    socks.oneshot(target).await.map_err(|error| ProxyError::Socks(error.into()))
}

/// Puts an address in the place of the name, if it is one.
async fn resolved(target: &Uri, resolver: Resolver, only_v4: bool) -> Result<Uri, BoxError> {
    let host = target.host().unwrap_or_default().trim_matches(['[', ']']);
    let found: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => resolver.oneshot(host.parse()?).await?.map(|found| found.ip()).collect(),
    };
    let address =
        found.into_iter().find(|found| found.is_ipv4() || !only_v4).ok_or("it has no address that the proxy takes")?;
    let address = SocketAddr::new(address, target.port_u16().unwrap_or_default());
    Ok(format!("http://{address}/").parse()?)
}
