use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use crate::engine::Settings;

/// What a client was told of its requests and transports, and for the core of its sessions.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) path: Option<String>,
    pub(super) trailing_slash: bool,
    pub(super) query: Vec<(String, String)>,
    pub(super) extra_headers: HeaderMap,
    pub(super) remember_upgrade: bool,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<engineio_layers::CookieJar>,
    pub(super) jsonp: bool, // if an ordinary handshake can't be read
    pub(super) force_jsonp: bool,
    pub(super) timestamps: Timestamps,
    pub(super) subprotocols: Vec<HeaderValue>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) engine: Settings,
}

/// Which requests get a cache-busting parameter, and its name.
#[derive(Clone, Debug)]
pub(super) struct Timestamps {
    pub(super) polling: bool,
    pub(super) websocket: bool,
    pub(super) param: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: None,
            trailing_slash: true,
            query: Vec::new(),
            extra_headers: HeaderMap::new(),
            remember_upgrade: false,
            #[cfg(feature = "cookies")]
            cookies: None,
            jsonp: false,
            force_jsonp: false,
            timestamps: Timestamps { polling: true, websocket: false, param: "t".to_owned() },
            subprotocols: Vec::new(),
            request_timeout: None,
            engine: Settings::default(),
        }
    }
}
