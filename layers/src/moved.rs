//! Sends requests to where others were redirected.

use std::{borrow::Cow, fmt, mem};

use http::{
    Request, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
    },
};

use crate::query::is_called;

/// Where requests to a path go instead.
pub(crate) struct Moved {
    pub(crate) from: String,
    pub(crate) to: Uri,
    pub(crate) abroad: bool, // once at another origin
}

impl Moved {
    /// Sends a request there. One to a path of its own keeps that, and changes the origin alone. An error means that this
    /// makes no URL.
    pub(crate) fn lead<B>(&self, req: &mut Request<B>, params: &[Cow<'static, str>]) -> Result<(), http::Error> {
        let uri = req.uri();
        let (path, query) = match uri.path() == self.from {
            true => (self.to.path(), self.to.query()),
            false if self.abroad => (uri.path(), None),
            false => return Ok(()),
        };
        let is_own = |pair: &&str| params.iter().any(|name| is_called(pair.as_bytes(), name));
        let theirs = query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !is_own(pair));
        let ours = uri.query().into_iter().flat_map(|query| query.split('&')).filter(is_own);
        let pairs: Vec<&str> = theirs.chain(ours).filter(|pair| !pair.is_empty()).collect();
        let target = if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) };

        let mut parts = self.to.clone().into_parts();
        parts.path_and_query = Some(target.try_into()?); // it may be too long
        *req.uri_mut() = Uri::from_parts(parts)?;
        if self.abroad {
            let headers = mem::take(req.headers_mut());
            for name in HARMLESS {
                for value in headers.get_all(&name).iter().filter(|value| !value.is_sensitive()) {
                    req.headers_mut().append(&name, value.clone());
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Moved {
    /// Leaves out the URL, whose query may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moved").field("host", &self.to.host()).finish_non_exhaustive()
    }
}

/// What may be told to any origin.
const HARMLESS: [HeaderName; 11] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
    UPGRADE,
    USER_AGENT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secrets() {
        let moved = Moved { from: "/".into(), to: "http://a/?token=secret".parse().unwrap(), abroad: false };
        assert_eq!(format!("{moved:?}"), "Moved { host: Some(\"a\"), .. }");
    }
}
