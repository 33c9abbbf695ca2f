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
use http::{Method, Request, Uri};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use super::options::Options;
use crate::{
    Error, Handshake, Transport, TransportRequest,
    carrier::Carrier,
    custom::Custom,
    endpoint::Endpoint,
    http::{Collected, HttpService, KeepAlive, RequestBody},
    link::Open,
    polling::{LongPolling, Polling},
    websocket::{self, Upgrade, WebSocket},
};

/// What the transports of one session send their requests through.
pub(super) struct Stack {
    options: Arc<Options>,
    uri: Uri,
    polling: Arc<Route>,
    websocket: Arc<Route>,
    resumed: Option<Handshake>,  // of the session to take over
    jsonp_index: Arc<AtomicU32>, // JSONP's `j` counts the sessions
    shared: Shared,
}

/// What all requests of one session share.
#[derive(Clone, Default)]
struct Shared {
    redirect: Option<RedirectLayer>, // where the handshake was led, all others go
    keep_alive: KeepAlive,
}

/// Where the requests of one transport go, through what, and what is in them.
struct Route {
    options: Arc<Options>,
    endpoint: Arc<Endpoint>,
    extra_headers: ExtraHeadersLayer,
    http: HttpService,
}

impl Open<Carrier> for Stack {
    fn open(&mut self, transport: Transport, session: Option<&Handshake>) -> Carrier {
        if session.is_none() && self.resumed.is_none() {
            self.shared = Shared { redirect: self.options.redirect(), ..Shared::default() };
        }
        match transport {
            Transport::Polling => Carrier::Polling(Box::pin(self.long_polling())),
            Transport::WebSocket => Carrier::WebSocket(Box::pin(self.websocket(session))),
            Transport::Custom(_) => Carrier::Custom(Box::pin(self.custom(transport, session))),
        }
    }
}

impl Stack {
    pub(super) fn new(
        options: Arc<Options>,
        uri: Uri,
        http: &HttpService,
        jsonp_index: Arc<AtomicU32>,
        resumed: Option<Handshake>,
    ) -> Result<Self, Error> {
        let polling = Arc::new(Route::new(&uri, options.of(Transport::Polling), http.clone())?);
        let own = options.of(Transport::WebSocket);
        let is_same = Arc::ptr_eq(&own, &polling.options);
        let websocket = if is_same { Arc::clone(&polling) } else { Arc::new(Route::new(&uri, own, http.clone())?) };
        Ok(Self { options, uri, polling, websocket, resumed, jsonp_index, shared: Shared::default() })
    }

    fn long_polling(&mut self) -> LongPolling<Collected> {
        let Options { jsonp, force_jsonp, .. } = *self.options;
        let plain = self.polling.polling(&self.shared);
        if let Some(handshake) = self.resumed.take() {
            return LongPolling::resume(plain, handshake);
        }
        let jsonp = (jsonp || force_jsonp).then(|| {
            let index = self.jsonp_index.fetch_add(1, Ordering::Relaxed);
            self.polling.jsonp_polling(&self.shared, JsonpLayer::new(index))
        });
        LongPolling::open(plain, jsonp, force_jsonp)
    }

    fn websocket(&self, session: Option<&Handshake>) -> WebSocket<websocket::Io> {
        let upgrade = self.websocket.upgrade(&self.shared);
        if let Some(handshake) = session {
            return WebSocket::new(websocket::open_trial(upgrade, handshake.clone()));
        }
        let settings = &self.options.engine;
        let patience = settings.handshake_timeout / 2;
        let (route, shared) = (Arc::clone(&self.polling), self.shared.clone());
        let polling = move || route.polling(&shared); // which few servers make necessary
        WebSocket::new(websocket::open_session(upgrade, polling, settings.protocol, patience))
    }

    fn custom(&self, transport: Transport, session: Option<&Handshake>) -> Custom {
        let custom = self.options.customs.iter().find(|custom| custom.transport() == transport);
        let custom = custom.expect("every transport of the list was added");
        Custom::open(custom.service(), self.transport_request(transport, session), transport)
    }

    fn transport_request(&self, transport: Transport, session: Option<&Handshake>) -> Result<TransportRequest, Error> {
        let options = self.options.of(transport);
        let endpoint = options.endpoint(&self.uri)?;
        let protocol = session.map_or(options.engine.protocol, |handshake| handshake.protocol);
        let sid = session.map(|handshake| handshake.sid.as_str());
        let request = endpoint.request(Method::GET, transport, protocol, sid, options.base64)?;
        let mut request = request.body(()).map_err(Error::invalid_request)?;
        request.headers_mut().extend(options.extra_headers.clone()); // replaces what there is of the same names
        if let Some(redirect) = &self.shared.redirect {
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
}

impl Route {
    fn new(uri: &Uri, options: Arc<Options>, http: HttpService) -> Result<Self, Error> {
        let endpoint = Arc::new(options.endpoint(uri)?);
        let extra_headers = ExtraHeadersLayer::new(options.extra_headers.clone());
        Ok(Self { options, endpoint, extra_headers, http })
    }

    fn polling(&self, shared: &Shared) -> Polling<Collected> {
        let Options { engine, base64, .. } = &*self.options;
        Polling::new(self.polling_service(shared, None), Arc::clone(&self.endpoint), engine.protocol, *base64)
    }

    fn jsonp_polling(&self, shared: &Shared, jsonp: JsonpLayer) -> Polling<Collected> {
        let service = self.polling_service(shared, Some(jsonp));
        Polling::new(service, Arc::clone(&self.endpoint), self.options.engine.protocol, true).jsonp()
    }

    fn polling_service(&self, shared: &Shared, jsonp: Option<JsonpLayer>) -> Collected {
        let Options { timestamps, request_timeout, .. } = &*self.options;
        self.service(shared, jsonp, timestamps.polling, *request_timeout)
    }

    fn upgrade(&self, shared: &Shared) -> Upgrade<Collected> {
        let options = &*self.options;
        Upgrade {
            http: self.service(shared, None, options.timestamps.websocket, None),
            endpoint: Arc::clone(&self.endpoint),
            base64: options.base64,
            subprotocols: options.subprotocols.clone(),
            max_message_size: options.engine.max_message_size,
            deflate: options.deflate,
        }
    }

    fn service(
        &self,
        shared: &Shared,
        jsonp: Option<JsonpLayer>,
        timestamps: bool,
        timeout: Option<Duration>,
    ) -> Collected {
        let options = &*self.options;
        let timestamp = timestamps.then(|| TimestampLayer::new().param(options.timestamps.param.clone()));
        let Shared { redirect, keep_alive } = shared.clone();
        let layers = ServiceBuilder::new().layer(self.extra_headers.clone()).option_layer(redirect);
        #[cfg(feature = "cookies")]
        let layers = layers.option_layer(options.cookies.clone().map(engineio_layers::CookiesLayer::new));
        let service = layers
            .option_layer(timestamp)
            .option_layer(jsonp)
            .option_layer(timeout.map(RequestTimeoutLayer::new))
            .layer(CollectLayer::new(options.engine.max_message_size))
            .map_request(move |mut request: Request<RequestBody>| {
                request.extensions_mut().insert(keep_alive.clone());
                request
            })
            .service(self.http.clone());
        BoxCloneSyncService::new(service)
    }
}
