use http::HeaderValue;

use super::ClientBuilder;
use crate::{CustomTransport, EventSet, Protocol, Transport, TransportOptions};

/// Transports and the protocol.
impl ClientBuilder {
    /// Sets the transports. The first opens the session; if that is polling, it moves to the first of the others that
    /// the server offers and that works. By default these are polling and WebSocket.
    ///
    /// ```
    /// use engineio_client::{Client, Transport};
    ///
    /// let client = Client::builder().transports([Transport::WebSocket]).build()?; // no polling first
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.options.engine.transports = transports.into_iter().collect();
        self
    }

    /// Adds a transport of one's own, to be put in its place by [`transports`](Self::transports).
    pub fn custom_transport(mut self, transport: CustomTransport) -> Self {
        self.options.customs.push(transport);
        self
    }

    /// Sets whether the next transport of the list is tried when one fails to open the session; `false` by default. Each
    /// has the whole handshake timeout, and only the last failure is told.
    pub fn try_all_transports(mut self, try_all: bool) -> Self {
        self.options.engine.try_all_transports = try_all;
        self
    }

    /// Sets whether a session begins with the transport that the last one of this client, or of a clone, has moved to;
    /// `false` by default. One that fails is forgotten.
    pub fn remember_upgrade(mut self, remember: bool) -> Self {
        self.options.remember_upgrade = remember;
        self
    }

    /// Sets whether a session may move from polling to another transport; `true` by default.
    pub fn upgrade(mut self, upgrade: bool) -> Self {
        self.options.engine.upgrade = upgrade;
        self
    }

    /// Sets whether a session stays on polling rather than to move to a transport that [carries no
    /// binary](CustomTransport::carries_binary); `false` by default. Where base64 is forced, no transport does, and all
    /// are the same.
    pub fn only_binary_upgrades(mut self, only: bool) -> Self {
        self.options.only_binary_upgrades = only;
        self
    }

    /// Sets the version of the protocol; by default it is the one that the server speaks. Another one is
    /// [`Error::UnsupportedProtocol`](crate::Error::UnsupportedProtocol) as far as the server shows it: on a WebSocket
    /// alone it does so only by refusing, and otherwise such a session ends with its first heartbeat, by
    /// [`PingTimeout`](crate::CloseReason::PingTimeout) say.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.options.engine.protocol = protocol;
        self
    }

    /// Sets whether binary always goes as base64, both ways.
    pub fn force_base64(mut self, force: bool) -> Self {
        self.options.base64 = force;
        self
    }

    /// Sets whether polling goes by JSONP if the reply to an ordinary handshake can't be read.
    pub fn jsonp(mut self, jsonp: bool) -> Self {
        self.options.jsonp = jsonp;
        self
    }

    /// Sets whether polling always goes by JSONP.
    pub fn force_jsonp(mut self, force: bool) -> Self {
        self.options.force_jsonp = force;
        self
    }

    /// Offers the server to compress WebSocket messages; by default nothing is.
    ///
    /// ```
    /// use engineio_client::{Client, PerMessageDeflate};
    ///
    /// let client = Client::builder().per_message_deflate(PerMessageDeflate::new().threshold(512)).build()?;
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    #[cfg(feature = "deflate")]
    pub fn per_message_deflate(mut self, deflate: crate::PerMessageDeflate) -> Self {
        self.options.deflate = Some(deflate);
        self
    }

    /// Sets the WebSocket sub-protocols to offer. Which of them the server takes, if any, is in its reply, where a
    /// [`layer`](Self::layer) sees it; a reply with one that was not offered is refused. A token among them has to be
    /// marked as [sensitive](HeaderValue::set_sensitive), so that [redirects](Self::redirects) do not take the list to
    /// another origin.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.options.subprotocols = names.into_iter().collect();
        self
    }

    /// Sets what holds for one transport instead of for all, field by field: another path, say, or other headers. What
    /// was set for that transport before is replaced.
    pub fn transport_options(mut self, transport: Transport, options: TransportOptions) -> Self {
        self.options.each.insert(transport, options);
        self
    }

    /// Sets which events come beyond those that always do; none by default.
    pub fn events(mut self, events: EventSet) -> Self {
        self.options.engine.events = events;
        self
    }
}
