use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use engineio_layers::RedirectLayer;
use http::{HeaderMap, HeaderValue, Uri};

use super::{TransportOptions, attempt::Prepare};
use crate::{
    CustomTransport, Error, Handshake, Protocol, Transport, endpoint::Endpoint, engine::Settings,
    websocket::PerMessageDeflate,
};

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
    pub(super) deflate: Option<PerMessageDeflate>,
    pub(super) request_timeout: Option<Duration>,
    pub(super) prepare: Option<Prepare>,
    pub(super) customs: Vec<CustomTransport>,
    pub(super) only_binary_upgrades: bool,
    pub(super) engine: Settings,
    pub(super) each: HashMap<Transport, TransportOptions>, // in the place of all this
}

impl Options {
    /// Checks that every transport of the list is there once, and that those of the user's are there at all.
    pub(super) fn check_transports(&self) -> Result<(), Error> {
        let transports = &self.engine.transports;
        let customs: Vec<Transport> = self.customs.iter().map(CustomTransport::transport).collect();
        if transports.is_empty() {
            return Err(Error::NoTransports);
        }
        for list in [transports, &customs] {
            if let Some((_, &twice)) = list.iter().enumerate().find(|&(at, transport)| list[..at].contains(transport)) {
                return Err(Error::DuplicateTransport(twice));
            }
        }
        let is_unknown = |&transport: &_| matches!(transport, Transport::Custom(_)) && !customs.contains(&transport);
        match transports.iter().copied().find(is_unknown) {
            Some(unknown) => Err(Error::UnknownTransport(unknown)),
            None => Ok(()),
        }
    }

    /// Checks that a session of this handshake can be taken over.
    pub(super) fn check_resumed(&self, handshake: &Handshake) -> Result<(), Error> {
        handshake.check().map_err(Error::invalid_request)?;
        if handshake.protocol == Protocol::Auto {
            return Err(Error::invalid_request("the handshake does not say which protocol it is"));
        }
        if self.engine.transports.first() != Some(&Transport::Polling) {
            return Err(Error::invalid_request("only polling can take a session over"));
        }
        if self.force_jsonp {
            // Its replies bear the number that the handshake was asked for with.
            return Err(Error::invalid_request("polling by JSONP cannot take a session over"));
        }
        if ![Protocol::Auto, handshake.protocol].contains(&self.engine.protocol) {
            return Err(Error::UnsupportedProtocol);
        }
        Ok(())
    }

    /// The transports on which binary always goes as base64.
    pub(super) fn base64_ones(&self) -> Vec<Transport> {
        self.engine.transports.iter().copied().filter(|&transport| self.is_base64(transport)).collect()
    }

    fn is_base64(&self, transport: Transport) -> bool {
        let own = self.each.get(&transport).and_then(TransportOptions::is_base64);
        own.unwrap_or(self.base64) || self.force_jsonp && transport == Transport::Polling
    }

    /// What a session that polls does not move to.
    pub(super) fn unfit(&self) -> Vec<Transport> {
        let loses_binary = self.only_binary_upgrades && !self.is_base64(Transport::Polling);
        let customs = self.customs.iter().filter(|custom| loses_binary && custom.is_text_only());
        customs.map(CustomTransport::transport).collect()
    }
}

/// Which requests get a cache-busting parameter, and its name.
#[derive(Clone, Debug)]
pub(super) struct Timestamps {
    pub(super) polling: bool,
    pub(super) websocket: bool,
    pub(super) param: Cow<'static, str>,
}

impl Timestamps {
    pub(super) fn set(&mut self, transport: Transport, on: bool) {
        match transport {
            Transport::Polling => self.polling = on,
            Transport::WebSocket => self.websocket = on,
            Transport::Custom(_) => {} // makes its own requests
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
            timestamps: Timestamps { polling: true, websocket: false, param: Cow::Borrowed("t") },
            subprotocols: Vec::new(),
            deflate: None,
            request_timeout: None,
            prepare: None,
            customs: Vec::new(),
            only_binary_upgrades: false,
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

    /// Where requests go.
    pub(super) fn endpoint(&self, uri: &Uri) -> Result<Endpoint, Error> {
        Endpoint::new(uri, self.path.as_deref(), self.trailing_slash, &self.query)
    }

    /// What follows the redirects of one handshake, if any are to be followed.
    pub(super) fn redirect(&self) -> Option<RedirectLayer> {
        (self.redirects > 0).then(|| {
            let own = ["EIO", "transport", "sid", "b64", "j", &self.timestamps.param];
            RedirectLayer::new(self.redirects).params(own.map(str::to_owned))
        })
    }
}
