//! The layers between the protocol and the HTTP service, put together once for each session.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use engineio_layers::{CollectLayer, ExtraHeadersLayer, JsonpLayer, RequestTimeoutLayer, TimestampLayer};
use http::{HeaderMap, Method};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use super::options::Options;
use crate::{
    Error, Handshake, Transport, TransportRequest,
    carrier::Carrier,
    custom::Custom,
    endpoint::Endpoint,
    http::{Collected, HttpService},
    link::Open,
    polling::{LongPolling, Polling},
    websocket::{self, Upgrade, WebSocket},
};

/// What the transports of one session send their requests through.
pub(super) struct Stack {
    pub(super) options: Arc<Options>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) headers: HeaderMap,         // the user's own
    pub(super) resumed: Option<Handshake>, // of the session to take over
    pub(super) http: HttpService,
    pub(super) jsonp_index: Arc<AtomicU32>, // JSONP's `j` counts the sessions
}

impl Open<Carrier> for Stack {
    fn open(&mut self, transport: Transport, session: Option<&Handshake>) -> Carrier {
        match transport {
            Transport::Polling => Carrier::Polling(Box::pin(self.polling())),
            Transport::WebSocket => Carrier::WebSocket(Box::pin(self.websocket(session))),
            Transport::Custom(_) => Carrier::Custom(Box::pin(self.custom(transport, session))),
        }
    }
}

impl Stack {
    fn polling(&mut self) -> LongPolling<Collected> {
        let plain = self.plain_polling();
        let polling = if self.options.force_jsonp { self.jsonp_polling() } else { plain.clone() };
        if let Some(handshake) = self.resumed.take() {
            return LongPolling::resume(polling, plain, handshake);
        }
        let may_fall_back = self.options.jsonp && !self.options.force_jsonp;
        LongPolling::open(polling, plain, may_fall_back.then(|| self.jsonp_polling()))
    }

    fn websocket(&self, session: Option<&Handshake>) -> WebSocket<websocket::Io> {
        if let Some(handshake) = session {
            return WebSocket::new(websocket::open_trial(self.upgrade(), handshake.clone()));
        }
        let settings = &self.options.engine;
        let patience = settings.handshake_timeout / 2;
        WebSocket::new(websocket::open_session(self.upgrade(), self.plain_polling(), settings.protocol, patience))
    }

    fn custom(&self, transport: Transport, session: Option<&Handshake>) -> Custom {
        let custom = self.options.customs.iter().find(|custom| custom.transport() == transport);
        let custom = custom.expect("every transport of the list was added");
        Custom::open(custom.service(), self.transport_request(transport, session), transport)
    }

    fn transport_request(&self, transport: Transport, session: Option<&Handshake>) -> Result<TransportRequest, Error> {
        let settings = &self.options.engine;
        let protocol = session.map_or(settings.protocol, |handshake| handshake.protocol);
        let sid = session.map(|handshake| handshake.sid.as_str());
        let request = self.endpoint.request(Method::GET, transport, protocol, sid, settings.base64)?;
        let (head, ()) = request.body(()).map_err(Error::invalid_request)?.into_parts();
        let mut headers = head.headers;
        #[cfg(feature = "cookies")]
        if let Some(cookies) = self.options.cookies.as_ref().and_then(|jar| jar.cookies_for(&head.uri)) {
            headers.insert(http::header::COOKIE, cookies);
        }
        headers.extend(self.headers.clone()); // replaces what there is of the same names
        Ok(TransportRequest {
            transport,
            uri: head.uri,
            headers,
            session: session.cloned(),
            protocol,
            base64: settings.base64,
            max_message_size: settings.max_message_size,
        })
    }

    fn plain_polling(&self) -> Polling<Collected> {
        let settings = &self.options.engine;
        let service = self.service(None, self.options.timestamps.polling, true);
        Polling::new(service, Arc::clone(&self.endpoint), settings.protocol, settings.base64)
    }

    fn jsonp_polling(&self) -> Polling<Collected> {
        let jsonp = JsonpLayer::new(self.jsonp_index.fetch_add(1, Ordering::Relaxed));
        let service = self.service(Some(jsonp), self.options.timestamps.polling, true);
        Polling::new(service, Arc::clone(&self.endpoint), self.options.engine.protocol, true).jsonp()
    }

    fn upgrade(&self) -> Upgrade<Collected> {
        Upgrade {
            http: self.service(None, self.options.timestamps.websocket, false),
            endpoint: Arc::clone(&self.endpoint),
            base64: self.options.engine.base64,
            subprotocols: self.options.subprotocols.clone(),
            max_message_size: self.options.engine.max_message_size,
        }
    }

    fn service(&self, jsonp: Option<JsonpLayer>, timestamps: bool, timeout: bool) -> Collected {
        let options = &self.options;
        let timestamp = timestamps.then(|| TimestampLayer::new().param(options.timestamps.param.clone()));
        let timeout = options.request_timeout.filter(|_| timeout).map(RequestTimeoutLayer::new);
        let layers = ServiceBuilder::new().layer(ExtraHeadersLayer::new(self.headers.clone()));
        #[cfg(feature = "cookies")]
        let layers = layers.option_layer(options.cookies.clone().map(engineio_layers::CookiesLayer::new));
        let service = layers
            .option_layer(timestamp)
            .option_layer(jsonp)
            .option_layer(timeout)
            .layer(CollectLayer::new(options.engine.max_message_size))
            .service(self.http.clone());
        BoxCloneSyncService::new(service)
    }
}
