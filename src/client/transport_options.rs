use std::{borrow::Cow, fmt, time::Duration};

use http::{HeaderMap, HeaderValue};

use super::{builder::bounded, options::Options};
use crate::Transport;

/// Settings of one transport, in the place of those that a [`ClientBuilder`](super::ClientBuilder) has for all.
///
/// What is not set here stays as it is there.
///
/// ```
/// use engineio_client::{Client, Transport, TransportOptions};
///
/// let options = TransportOptions::new().path("/websockets").query("pool", "long-lived");
/// let client = Client::builder().path("/realtime").transport_options(Transport::WebSocket, options).build()?;
/// # let _ = client;
/// # Ok::<_, engineio_client::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "options do nothing until a client is built with them"]
pub struct TransportOptions {
    path: Option<String>,
    trailing_slash: Option<bool>,
    query: Option<Vec<(String, String)>>,
    extra_headers: Option<HeaderMap>,
    timestamps: Option<bool>,
    timestamp_param: Option<Cow<'static, str>>,
    force_base64: Option<bool>,
    request_timeout: Option<Duration>,
    subprotocols: Option<Vec<HeaderValue>>,
}

impl TransportOptions {
    /// Creates options that change nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the path, as [`ClientBuilder::path`](super::ClientBuilder::path).
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets whether the path gets a slash at its end.
    pub fn add_trailing_slash(mut self, add: bool) -> Self {
        self.trailing_slash = Some(add);
        self
    }

    /// Adds a pair to the query. One is enough to leave out those that are set for all; the URL's own remain.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.get_or_insert_default().push((name.into(), value.into()));
        self
    }

    /// Sets the extra headers, all of them.
    pub fn extra_headers(mut self, headers: HeaderMap) -> Self {
        self.extra_headers = Some(headers);
        self
    }

    /// Sets whether requests carry a parameter that is different each time, against caches.
    pub fn timestamp_requests(mut self, timestamp: bool) -> Self {
        self.timestamps = Some(timestamp);
        self
    }

    /// Sets the name of that parameter.
    pub fn timestamp_param(mut self, name: impl Into<String>) -> Self {
        self.timestamp_param = Some(Cow::Owned(name.into()));
        self
    }

    /// Sets whether binary always goes as base64, both ways.
    pub fn force_base64(mut self, force: bool) -> Self {
        self.force_base64 = Some(force);
        self
    }

    /// Sets how long each GET and POST may take, as [`ClientBuilder::request_timeout`]. Only polling has them.
    ///
    /// [`ClientBuilder::request_timeout`]: super::ClientBuilder::request_timeout
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(bounded(timeout));
        self
    }

    /// Sets the sub-protocols to offer. Only the WebSocket has them.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.subprotocols = Some(names.into_iter().collect());
        self
    }

    pub(super) fn is_base64(&self) -> Option<bool> {
        self.force_base64
    }

    /// What holds for `transport`: what is set here, and else what is set for all.
    pub(super) fn over(&self, all: &Options, transport: Transport) -> Options {
        let mut options = all.clone();
        set(&mut options.path, self.path.clone().map(Some));
        set(&mut options.trailing_slash, self.trailing_slash);
        set(&mut options.query, self.query.clone());
        set(&mut options.extra_headers, self.extra_headers.clone());
        if let Some(on) = self.timestamps {
            options.timestamps.set(transport, on);
        }
        set(&mut options.timestamps.param, self.timestamp_param.clone());
        set(&mut options.base64, self.force_base64);
        set(&mut options.request_timeout, self.request_timeout.map(Some));
        set(&mut options.subprotocols, self.subprotocols.clone());
        options
    }
}

impl fmt::Debug for TransportOptions {
    /// Leaves out headers and query, where credentials are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportOptions").field("path", &self.path).finish_non_exhaustive()
    }
}

fn set<T>(all: &mut T, own: Option<T>) {
    if let Some(own) = own {
        *all = own;
    }
}

#[cfg(test)]
mod tests {
    use http::header::{HOST, ORIGIN};

    use super::*;

    fn header(name: http::HeaderName) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static("x"))])
    }

    fn pair(name: &str) -> (String, String) {
        (name.to_owned(), "x".to_owned())
    }

    /// Everything set, to other values than the defaults.
    fn all() -> Options {
        let mut all = Options {
            path: Some("/all".into()),
            query: vec![pair("a"), pair("b")],
            extra_headers: header(HOST),
            base64: true,
            request_timeout: Some(Duration::from_secs(1)),
            subprotocols: vec![HeaderValue::from_static("all")],
            ..Options::default()
        };
        all.timestamps.param = "all".into();
        all
    }

    #[test]
    fn what_is_not_set_stays_as_it_is_for_all() {
        let options = TransportOptions::new().over(&all(), Transport::Polling);
        let all = all();
        assert_eq!((options.path, options.trailing_slash, options.query), (all.path, true, all.query));
        assert_eq!((options.extra_headers, options.base64), (all.extra_headers, true));
        assert_eq!((options.request_timeout, options.subprotocols), (all.request_timeout, all.subprotocols));
        let timestamps = (options.timestamps.polling, options.timestamps.websocket, &*options.timestamps.param);
        assert_eq!(timestamps, (true, false, "all"));
    }

    #[test]
    fn what_is_set_takes_the_place_field_by_field() {
        let own = TransportOptions::new()
            .path("own")
            .add_trailing_slash(false)
            .query("c", "x")
            .query("d", "x")
            .extra_headers(header(ORIGIN))
            .timestamp_requests(true)
            .timestamp_param("own")
            .force_base64(false)
            .request_timeout(Duration::MAX)
            .subprotocols([HeaderValue::from_static("own")]);
        let options = own.over(&all(), Transport::WebSocket);
        assert_eq!((options.path.as_deref(), options.trailing_slash), (Some("own"), false));
        assert_eq!((options.query, options.extra_headers), (vec![pair("c"), pair("d")], header(ORIGIN)));
        assert!(options.request_timeout.is_some_and(|timeout| timeout > Duration::from_secs(1)));
        assert_eq!((options.base64, options.subprotocols), (false, vec![HeaderValue::from_static("own")]));
        let timestamps = (options.timestamps.polling, options.timestamps.websocket, &*options.timestamps.param);
        assert_eq!(timestamps, (true, true, "own"));
    }

    #[test]
    fn debug_shows_no_secrets() {
        let options = TransportOptions::new().path("/p").query("token", "secret").extra_headers(header(ORIGIN));
        assert_eq!(format!("{options:?}"), r#"TransportOptions { path: Some("/p"), .. }"#);
    }
}
