use std::{collections::HashMap, sync::Arc, time::Duration};

use engineio_layers::RedirectLayer;
use http::{HeaderMap, HeaderValue};

use super::TransportOptions;
use crate::{Transport, engine::Settings};

/// What a client was told of its requests and transports, and for the core of its sessions.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) path: Option<String>,
    pub(super) trailing_slash: bool,
    pub(super) query: Vec<(String, String)>,
    pub(super) extra_headers: HeaderMap,
    pub(super) redirects: usize, // that are followed to open a session
    pub(super) remember_upgrade: bool,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<engineio_layers::CookieJar>,
    pub(super) jsonp: bool, // if an ordinary handshake can't be read
    pub(super) force_jsonp: bool,
    pub(super) base64: bool,
    pub(super) timestamps: Timestamps,
    pub(super) subprotocols: Vec<HeaderValue>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) engine: Settings,
    pub(super) each: HashMap<Transport, TransportOptions>, // in the place of all this
}

/// Which requests get a cache-busting parameter, and its name.
#[derive(Clone, Debug)]
pub(super) struct Timestamps {
    pub(super) polling: bool,
    pub(super) websocket: bool,
    pub(super) param: String,
}

impl Timestamps {
    pub(super) fn on(&mut self, transport: Transport) -> &mut bool {
        match transport {
            Transport::Polling => &mut self.polling,
            Transport::WebSocket => &mut self.websocket,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: None,
            trailing_slash: true,
            query: Vec::new(),
            extra_headers: HeaderMap::new(),
            redirects: 0,
            remember_upgrade: false,
            #[cfg(feature = "cookies")]
            cookies: None,
            jsonp: false,
            force_jsonp: false,
            base64: false,
            timestamps: Timestamps { polling: true, websocket: false, param: "t".to_owned() },
            subprotocols: Vec::new(),
            request_timeout: None,
            engine: Settings::default(),
            each: HashMap::new(),
        }
    }
}

impl Options {
    /// What holds for one transport.
    pub(super) fn of(self: &Arc<Self>, transport: Transport) -> Arc<Self> {
        match self.each.get(&transport) {
            Some(own) => Arc::new(own.over(self, transport)),
            None => Arc::clone(self),
        }
    }

    /// What follows the redirects of one handshake, if any are to be followed.
    pub(super) fn redirect(&self) -> Option<RedirectLayer> {
        let own = ["EIO", "transport", "sid", "b64", "j"].map(str::to_owned);
        let own = own.into_iter().chain([self.timestamps.param.clone()]);
        (self.redirects > 0).then(|| RedirectLayer::new(self.redirects).params(own))
    }
}
