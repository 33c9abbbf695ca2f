//! Transports of the user's own.

mod duplex;
mod link;
mod request;

use std::{fmt, pin::Pin};

use futures::{Sink, Stream};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use self::duplex::Duplex;
pub(crate) use self::link::Custom;
pub use self::request::TransportRequest;
use crate::{BoxError, Packet, Transport};

/// A transport of one's own: a tower [`Service`] from a [`TransportRequest`] to a [`Stream`] and [`Sink`] of packets.
///
/// [`ClientBuilder::custom_transport`](crate::ClientBuilder::custom_transport) adds it to a client, and
/// [`ClientBuilder::transports`](crate::ClientBuilder::transports) puts it in its place among the others, as
/// [`Transport::Custom`]. As the first it opens sessions: the first packet that it brings is the server's
/// [`Packet::Open`]. After [`Transport::Polling`] it is tried by sessions that poll, if the server offers to upgrade to
/// its name; the packets of the probe go through it like all others. Sessions move away from polling alone.
///
/// The name is the one on the wire, and may be that of a transport of this crate: `websocket`, say, for another
/// WebSocket library. [`TransportRequest::codec`] turns packets into what is sent, and back.
///
/// * It has the time that any other transport has: to open, to be probed, to write, to close. As far as the write
///   timeout is concerned, a sink gets on when it is flushed, or becomes ready again.
/// * An error ends the session with [`Error::Transport`](crate::Error::Transport), which has it as its source, or with
///   [`Error::Decode`](crate::Error::Decode) if it is a [`DecodeError`](crate::codec::DecodeError). On trial it ends no
///   more than that. The end of the stream is the server's end of the session. After either, the transport is dropped.
/// * To close the session is to close the sink, which says goodbye in its own way.
/// * It has to keep to [`TransportRequest::max_message_size`] by itself.
///
/// ```
/// use engineio_client::{BoxError, Client, CustomTransport, Data, Packet, Text, Transport, TransportRequest};
/// use futures::{Sink, SinkExt, Stream, TryStreamExt, future::ready};
/// use tokio::net::TcpStream;
/// use tokio_tungstenite::{client_async, tungstenite::Message};
/// use tower::service_fn;
///
/// async fn open(
///     request: TransportRequest,
/// ) -> Result<impl Stream<Item = Result<Packet, BoxError>> + Sink<Packet, Error = BoxError>, BoxError> {
///     let uri = request.uri();
///     let tcp = TcpStream::connect((uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80))).await?;
///     let (socket, _) = client_async(uri.to_string().replacen("http", "ws", 1), tcp).await?;
///     let codec = request.codec();
///     Ok(socket
///         .with(move |packet| {
///             ready(Ok(match codec.encode_frame(&packet) {
///                 Data::Text(text) => Message::text(text.as_str()),
///                 Data::Binary(bytes) => Message::Binary(bytes),
///             }))
///         })
///         .err_into()
///         .try_filter_map(move |message| {
///             ready(match message {
///                 Message::Text(text) => codec.decode_frame(Data::from(text.as_str())).map(Some),
///                 Message::Binary(bytes) => codec.decode_frame(bytes.into()).map(Some),
///                 _ => Ok(None), // the WebSocket's own
///             }.map_err(BoxError::from))
///         }))
/// }
///
/// let client = Client::builder()
///     .custom_transport(CustomTransport::new("websocket", service_fn(open)))
///     .transports([Transport::Polling, Transport::Custom("websocket")])
///     .build()?;
/// # let _ = client;
/// # Ok::<_, engineio_client::Error>(())
/// ```
#[derive(Clone)]
pub struct CustomTransport {
    name: &'static str,
    service: CustomService,
    carries_binary: bool,
}

/// Opens a transport of the user's.
pub(crate) type CustomService = BoxCloneSyncService<TransportRequest, Pin<Box<dyn Duplex>>, BoxError>;

impl CustomTransport {
    /// Makes a transport of that name, opened by `service`.
    pub fn new<S>(name: &'static str, service: S) -> Self
    where
        S: Service<TransportRequest> + Clone + Send + Sync + 'static,
        S::Response: Stream<Item = Result<Packet, BoxError>> + Sink<Packet, Error: Into<BoxError>> + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        let service = service.map_response(|opened| Box::pin(opened) as Pin<Box<dyn Duplex>>).map_err(Into::into);
        Self { name, service: BoxCloneSyncService::new(service), carries_binary: true }
    }

    /// Sets whether it can carry binary as binary; `true` by default. It matters for
    /// [`ClientBuilder::only_binary_upgrades`](crate::ClientBuilder::only_binary_upgrades).
    #[must_use]
    pub fn carries_binary(self, carries_binary: bool) -> Self {
        Self { carries_binary, ..self }
    }

    /// What it is among the transports of a client.
    pub fn transport(&self) -> Transport {
        Transport::Custom(self.name)
    }

    pub(crate) fn service(&self) -> CustomService {
        self.service.clone()
    }

    pub(crate) fn is_text_only(&self) -> bool {
        !self.carries_binary
    }
}

impl fmt::Debug for CustomTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomTransport").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
