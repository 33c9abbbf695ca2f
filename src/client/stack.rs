//! The layers between the protocol and the HTTP service, put together once for each session.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use engineio_layers::{CollectLayer, ExtraHeadersLayer, JsonpLayer, RequestTimeoutLayer, TimestampLayer};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use super::options::Options;
use crate::{
    endpoint::Endpoint,
    http::{Collected, HttpService},
    polling::{LongPolling, Polling},
    socket::Session,
    upgrading::{OpenTrial, Upgrading},
    websocket::{self, Upgrade, WebSocket},
};

/// What the transports of one session send their requests through.
pub(super) struct Stack<'a> {
    pub(super) options: &'a Options,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) http: HttpService,
    pub(super) jsonp_index: &'a AtomicU32, // JSONP's `j` counts the sessions
}

impl Stack<'_> {
    pub(super) fn begin_with_polling(&self) -> Session {
        let plain = self.polling();
        let polling = if self.options.force_jsonp {
            LongPolling::open(self.jsonp_polling(), plain, None)
        } else {
            LongPolling::open(plain.clone(), plain, self.options.jsonp.then(|| self.jsonp_polling()))
        };
        Upgrading::begin_with_polling(self.options.engine.clone(), polling, self.open_trial())
    }

    pub(super) fn begin_with_websocket(&self) -> Session {
        let settings = self.options.engine.clone();
        let patience = settings.handshake_timeout / 2;
        let opening = websocket::open_session(self.upgrade(), self.polling(), settings.protocol, patience);
        Upgrading::begin_with_websocket(settings, WebSocket::new(opening))
    }

    fn open_trial(&self) -> OpenTrial<WebSocket<websocket::Io>> {
        let upgrade = self.upgrade();
        Box::new(move |handshake| WebSocket::new(websocket::open_trial(upgrade, handshake.clone())))
    }

    fn polling(&self) -> Polling<Collected> {
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
        let options = self.options;
        let timestamp = timestamps.then(|| TimestampLayer::new().param(options.timestamps.param.clone()));
        let timeout = options.request_timeout.filter(|_| timeout).map(RequestTimeoutLayer::new);
        let service = ServiceBuilder::new()
            .layer(ExtraHeadersLayer::new(options.extra_headers.clone()))
            .option_layer(timestamp)
            .option_layer(jsonp)
            .option_layer(timeout)
            .layer(CollectLayer::new(options.engine.max_message_size))
            .service(self.http.clone());
        BoxCloneSyncService::new(service)
    }
}
