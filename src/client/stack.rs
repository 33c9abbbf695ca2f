//! The layers between the protocol and the HTTP service, put together once for each session.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use engineio_layers::{
    CollectLayer, ExtraHeadersLayer, JsonpLayer, RedirectLayer, RequestTimeoutLayer, TimestampLayer,
};
use http::{Method, Uri};
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
    pub(super) uri: Uri,
    pub(super) polling: Route,
    pub(super) websocket: Route,
    pub(super) resumed: Option<Handshake>, // of the session to take over
    pub(super) http: HttpService,
    pub(super) jsonp_index: Arc<AtomicU32>,     // JSONP's `j` counts the sessions
    pub(super) redirect: Option<RedirectLayer>, // where the handshake was led, all other requests go
}

/// Where the requests of one transport go, and what is in them.
pub(super) struct Route {
    options: Arc<Options>,
    endpoint: Arc<Endpoint>,
}

impl Route {
    pub(super) fn new(uri: &Uri, options: Arc<Options>) -> Result<Self, Error> {
        let endpoint = Endpoint::new(uri, options.path.as_deref(), options.trailing_slash, &options.query)?;
        Ok(Self { options, endpoint: Arc::new(endpoint) })
    }
}

impl Open<Carrier> for Stack {
    fn open(&mut self, transport: Transport, session: Option<&Handshake>) -> Carrier {
        if session.is_none() && self.resumed.is_none() {
            self.redirect = self.options.redirect();
        }
        match transport {
            Transport::Polling => Carrier::Polling(Box::pin(self.long_polling())),
            Transport::WebSocket => Carrier::WebSocket(Box::pin(self.websocket(session))),
            Transport::Custom(_) => Carrier::Custom(Box::pin(self.custom(transport, session))),
        }
    }
}

impl Stack {
    fn long_polling(&mut self) -> LongPolling<Collected> {
        let Options { jsonp, force_jsonp, .. } = *self.options;
        let plain = self.plain_polling();
        if let Some(handshake) = self.resumed.take() {
            return LongPolling::resume(plain, handshake);
        }
        let polling = if force_jsonp { self.jsonp_polling() } else { plain.clone() };
        let may_fall_back = jsonp && !force_jsonp;
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
        let Route { options, endpoint } = Route::new(&self.uri, self.options.of(transport))?;
        let protocol = session.map_or(options.engine.protocol, |handshake| handshake.protocol);
        let sid = session.map(|handshake| handshake.sid.as_str());
        let request = endpoint.request(Method::GET, transport, protocol, sid, options.base64)?;
        let mut request = request.body(()).map_err(Error::invalid_request)?;
        request.headers_mut().extend(options.extra_headers.clone()); // replaces what there is of the same names
        if let Some(redirect) = &self.redirect {
            redirect.lead(&mut request).map_err(Error::invalid_request)?;
        }
        #[cfg(feature = "cookies")]
        if let Some(cookies) = options.cookies.as_ref().and_then(|jar| jar.cookies_for(request.uri())) {
            request.headers_mut().entry(http::header::COOKIE).or_insert(cookies);
        }
        let (head, ()) = request.into_parts();
        Ok(TransportRequest {
            transport,
            uri: head.uri,
            headers: head.headers,
            session: session.cloned(),
            protocol,
            base64: options.base64,
            max_message_size: options.engine.max_message_size,
        })
    }

    fn plain_polling(&self) -> Polling<Collected> {
        let Route { options, endpoint } = &self.polling;
        let service = self.polling_service(None);
        Polling::new(service, Arc::clone(endpoint), options.engine.protocol, options.base64)
    }

    fn jsonp_polling(&self) -> Polling<Collected> {
        let Route { options, endpoint } = &self.polling;
        let service = self.polling_service(Some(JsonpLayer::new(self.jsonp_index.fetch_add(1, Ordering::Relaxed))));
        Polling::new(service, Arc::clone(endpoint), options.engine.protocol, true).jsonp()
    }

    fn polling_service(&self, jsonp: Option<JsonpLayer>) -> Collected {
        let options = &self.polling.options;
        self.service(options, jsonp, options.timestamps.polling, options.request_timeout)
    }

    fn upgrade(&self) -> Upgrade<Collected> {
        let Route { options, endpoint } = &self.websocket;
        Upgrade {
            http: self.service(options, None, options.timestamps.websocket, None),
            endpoint: Arc::clone(endpoint),
            base64: options.base64,
            subprotocols: options.subprotocols.clone(),
            max_message_size: options.engine.max_message_size,
            deflate: options.deflate,
        }
    }

    fn service(
        &self,
        options: &Options,
        jsonp: Option<JsonpLayer>,
        timestamps: bool,
        timeout: Option<Duration>,
    ) -> Collected {
        let timestamp = timestamps.then(|| TimestampLayer::new().param(options.timestamps.param.clone()));
        let layers = ServiceBuilder::new().layer(ExtraHeadersLayer::new(options.extra_headers.clone()));
        let layers = layers.option_layer(self.redirect.clone());
        #[cfg(feature = "cookies")]
        let layers = layers.option_layer(options.cookies.clone().map(engineio_layers::CookiesLayer::new));
        let service = layers
            .option_layer(timestamp)
            .option_layer(jsonp)
            .option_layer(timeout.map(RequestTimeoutLayer::new))
            .layer(CollectLayer::new(options.engine.max_message_size))
            .service(self.http.clone());
        BoxCloneSyncService::new(service)
    }
}
