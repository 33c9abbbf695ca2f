//! Where the server is, and what every request to it has in common.

use std::fmt::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, USER_AGENT},
    request,
    uri::{Authority, PathAndQuery, Scheme},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{Error, Protocol, Transport};

/// A server's address, taken apart once and put together for each request.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    path: String,
    query: String, // the user's own pairs
    headers: HeaderMap,
}

impl Endpoint {
    /// Reads `http`, `https`, `ws` and `wss` URLs. `path` stands for the URL's own, if given; a URL without a path
    /// means `/engine.io/`. `slash` says whether the path gets one at its end.
    pub(crate) fn new(uri: &Uri, path: Option<&str>, slash: bool, pairs: &[(String, String)]) -> Result<Self, Error> {
        let scheme = match uri.scheme_str() {
            Some("http" | "ws") => Scheme::HTTP,
            Some("https" | "wss") => Scheme::HTTPS,
            _ => return Err(Error::invalid_request("the URL's scheme is none of http, https, ws and wss")),
        };
        let given = uri.authority().ok_or_else(|| Error::invalid_request("the URL has no host"))?;
        let (userinfo, host) = given.as_str().rsplit_once('@').map_or((None, given.as_str()), |(u, h)| (Some(u), h));
        let default_port = if scheme == Scheme::HTTP { ":80" } else { ":443" };
        let host = host.strip_suffix(default_port).unwrap_or(host);
        let authority: Authority = host.parse().map_err(Error::invalid_request)?;
        // A `Uri` may have a port that is none, and then acts as if there were none.
        let port = host[authority.host().len()..].trim_start_matches(':');
        let is_port = authority.port_u16().is_some() && port.bytes().all(|byte| byte.is_ascii_digit());
        if !port.is_empty() && !is_port {
            return Err(Error::invalid_request("the URL's port is no number from 0 to 65535"));
        }

        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(userinfo) = userinfo {
            headers.insert(AUTHORIZATION, basic(userinfo)?);
        }
        let own_path = Some(uri.path()).filter(|path| !matches!(*path, "" | "/"));
        Ok(Self {
            authority,
            path: with_slashes(path.or(own_path).unwrap_or(DEFAULT_PATH), slash),
            query: query(uri.query().unwrap_or_default(), pairs),
            scheme,
            headers,
        })
    }

    /// Begins a request of a session, or of a session to be opened.
    pub(crate) fn request(
        &self,
        method: Method,
        transport: Transport,
        protocol: Protocol,
        sid: Option<&str>,
        base64: bool,
    ) -> Result<request::Builder, Error> {
        let target = self.target(transport, protocol, sid, base64)?;
        Ok(self.request_to(method, target, MANY_HEADERS))
    }

    /// Begins a request of polling to a [`target`](Self::target).
    pub(crate) fn polling_request(&self, method: Method, target: Uri) -> request::Builder {
        self.request_to(method, target, FEW_HEADERS)
    }

    fn request_to(&self, method: Method, target: Uri, room: usize) -> request::Builder {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(headers) = request.headers_mut() {
            headers.reserve(room);
            headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        request
    }

    /// Where the requests of a session go, or those that open one.
    pub(crate) fn target(
        &self,
        transport: Transport,
        protocol: Protocol,
        sid: Option<&str>,
        base64: bool,
    ) -> Result<Uri, Error> {
        let Self { path, query, .. } = self;
        let (version, transport_name) = (protocol.number(), encode(transport.name()));
        let mut target = String::with_capacity(path.len() + query.len() + ROOM);
        let mut put = |part: fmt::Arguments<'_>| target.write_fmt(part).expect("a string takes all");
        put(format_args!("{path}?{query}EIO={version}&transport={transport_name}"));
        if let Some(sid) = sid {
            put(format_args!("&sid={}", encode(sid)));
        }
        if base64 && (sid.is_none() || transport != Transport::Polling) {
            target.push_str("&b64=1");
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::try_from(target).map_err(Error::invalid_request)?)
            .build()
            .map_err(Error::invalid_request)
    }
}

fn with_slashes(path: &str, at_the_end: bool) -> String {
    match path.trim_matches('/') {
        "" => "/".to_owned(),
        path => format!("/{path}{}", if at_the_end { "/" } else { "" }),
    }
}

fn query(own: &str, pairs: &[(String, String)]) -> String {
    let mut query = String::new();
    if !own.is_empty() {
        query.push_str(own);
        query.push('&');
    }
    for (name, value) in pairs {
        query.push_str(&format!("{}={}&", encode(name), encode(value)));
    }
    query
}

fn encode(part: &str) -> impl fmt::Display {
    utf8_percent_encode(part, URI_COMPONENT)
}

/// `user:password`, as it stands in a URL, as a header that is kept out of logs.
fn basic(userinfo: &str) -> Result<HeaderValue, Error> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let header = format!("Basic {}", BASE64.encode(plain));
    let mut header = HeaderValue::try_from(header).map_err(Error::invalid_request)?;
    header.set_sensitive(true);
    Ok(header)
}

/// For the pairs that we put into a query.
const ROOM: usize = 96;
/// As many headers as a WebSocket's request has, so that none makes the map grow, and as one of polling has.
const MANY_HEADERS: usize = 10;
const FEW_HEADERS: usize = 4;
const DEFAULT_PATH: &str = "/engine.io/";
const AGENT: &str = concat!("engineio-client/", env!("CARGO_PKG_VERSION"));
/// What JavaScript's `encodeURIComponent` leaves as it is.
const URI_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

#[cfg(test)]
mod tests {
    use super::*;

    fn polling(uri: &str, path: Option<&str>, pairs: &[(&str, &str)]) -> Request<()> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let endpoint = Endpoint::new(&uri.parse().unwrap(), path, true, &pairs).unwrap();
        let request = endpoint.request(Method::GET, Transport::Polling, Protocol::Auto, Some("a/b"), false);
        request.unwrap().body(()).unwrap()
    }

    #[test]
    fn urls_become_requests() {
        let cases = [
            ("http://localhost:3000", None, "http://localhost:3000/engine.io/"),
            ("ws://example.com:80/", None, "http://example.com/engine.io/"),
            ("wss://example.com:443", None, "https://example.com/engine.io/"),
            ("https://example.com:80", None, "https://example.com:80/engine.io/"),
            ("http://[::1]:3000", None, "http://[::1]:3000/engine.io/"),
            ("http://[::1]:80", None, "http://[::1]/engine.io/"),
            ("http://a/own/path", None, "http://a/own/path/"),
            ("http://a/own/path", Some("/given"), "http://a/given/"),
            ("http://a", Some("given/"), "http://a/given/"),
            ("http://a", Some("/"), "http://a/"),
            ("http://user:secret@a:1", None, "http://a:1/engine.io/"),
        ];
        for (uri, path, expected) in cases {
            let uri = polling(uri, path, &[]).uri().to_string();
            assert_eq!(uri, format!("{expected}?EIO=4&transport=polling&sid=a%2Fb"));
        }
    }

    #[test]
    fn the_slash_at_the_end_may_be_left_out() {
        for (path, expected) in [("/given/", "/given"), ("given", "/given"), ("/", "/")] {
            let endpoint = Endpoint::new(&Uri::from_static("http://a"), Some(path), false, &[]).unwrap();
            let request = endpoint.request(Method::GET, Transport::Polling, Protocol::V4, None, false).unwrap();
            assert_eq!(request.body(()).unwrap().uri().path(), expected);
        }
    }

    #[test]
    fn the_users_own_pairs_come_first() {
        let request = polling("http://a/?x=1&y", None, &[("token", "a b&c"), ("ü", "")]);
        assert_eq!(request.uri().query(), Some("x=1&y&token=a%20b%26c&%C3%BC=&EIO=4&transport=polling&sid=a%2Fb"));
    }

    #[test]
    fn userinfo_becomes_a_sensitive_header() {
        let request = polling("http://us%3Aer:p%40ss@a", None, &[]);
        let header = &request.headers()[AUTHORIZATION];
        assert_eq!(header, "Basic dXM6ZXI6cEBzcw==");
        assert!(header.is_sensitive());
    }

    #[test]
    fn other_urls_are_refused() {
        for uri in [
            "ftp://a",
            "/path",
            "localhost:3000",
            "file:///a",
            "http://a:99999",
            "http://a:b",
            "http://a:+80",
            "ws://[::1]:x",
        ] {
            let Ok(uri) = uri.parse() else { continue };
            assert!(matches!(Endpoint::new(&uri, None, true, &[]), Err(Error::InvalidRequest(_))), "{uri}");
        }
    }
}
