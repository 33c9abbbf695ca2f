use http::StatusCode;
use thiserror::Error;

use crate::BoxError;

/// Why there is no [`Proxy`](super::Proxy), or no way through it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// What is no URL of a proxy, or has a longer user or password than SOCKS5 takes (255 bytes). It is not shown here,
    /// for there may be credentials in it.
    #[error("`{0}` is no proxy's URL")]
    InvalidUrl(&'static str),
    /// The proxy can't be connected to, or its TLS is not trusted.
    #[error("the proxy cannot be reached")]
    Unreachable(#[source] BoxError),
    /// The answer to `CONNECT` is no success: 407 if the proxy wants other credentials, 403 if it forbids the target,
    /// 502 if it can't reach that.
    #[error("the proxy refuses a tunnel: {0}")]
    Refused(StatusCode),
    /// What comes instead of an answer to `CONNECT`.
    #[error("the proxy does not answer CONNECT")]
    NoAnswer(#[source] BoxError),
    /// SOCKS failed, or the proxy refused: the [source](std::error::Error::source) tells it in words alone.
    #[error("the SOCKS proxy opens no way")]
    Socks(#[source] BoxError),
    /// The target's name, which this machine is to resolve, has no address that the proxy takes.
    #[error("the target's name cannot be resolved")]
    Unresolved(#[source] BoxError),
    /// The way through did not open in time.
    #[error("the proxy took too long")]
    Timeout,
}
