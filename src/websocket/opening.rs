//! How a WebSocket comes to be a transport: on trial for a running session, or as the first of one.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message},
};
use tower::Service;

use super::{Io, upgrade::Upgrade};
use crate::{
    BoxError, Error, Handshake, Packet, Protocol, Stage, Transport,
    codec::{Codec, DecodeError},
    polling::{Polling, ask_protocol},
};

/// A WebSocket that is open, and what was read from it in the process.
pub(crate) struct Opened<T> {
    pub(super) socket: WebSocketStream<T>,
    pub(super) codec: Codec,
    pub(super) first: Option<Packet>,
}

/// Opens a WebSocket beside polling.
pub(crate) async fn open_trial<S>(upgrade: Upgrade<S>, handshake: Handshake) -> Result<Opened<Io>, Error>
where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error = BoxError>,
{
    let codec = codec(handshake.protocol, upgrade.base64);
    let socket = upgrade.connect(handshake.protocol, Some(&handshake.sid)).await?;
    Ok(Opened { socket, codec, first: None })
}

/// Opens a session on a WebSocket alone.
///
/// Both protocols open alike there, so `polling` finds out which it is where the handshake does not say: an answer to a
/// version that the server refuses looks like a WebSocket, too, and then stays silent or turns into garbage. `patience`
/// is how long silence is taken for slowness.
pub(crate) async fn open_session<S>(
    upgrade: Upgrade<S>,
    polling: Polling<S>,
    wanted: Protocol,
    patience: Duration,
) -> Result<Opened<Io>, Error>
where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error = BoxError> + Clone,
{
    let base64 = upgrade.base64;
    let mut socket = upgrade.connect(wanted, None).await?;
    let first = match tokio::time::timeout(patience, socket.next()).await {
        Ok(Some(Err(tungstenite::Error::Protocol(_)))) | Err(_) => {
            if let Err(error @ Error::UnsupportedProtocol) = ask_protocol(polling.clone()).await {
                return Err(error);
            }
            socket.next().await
        }
        Ok(first) => first,
    };
    let mut first = match first {
        Some(Ok(Message::Text(text))) => codec(wanted, base64)
            .decode_frame(crate::Text::from(text).into())
            .map_err(|error| Error::decode(Transport::WebSocket, error))?,
        Some(Ok(Message::Binary(bytes))) => bytes.into(),
        Some(Err(error)) => return Err(failed(Stage::Opening, error)),
        _ => return Err(Error::Ended { transport: Transport::WebSocket, stage: Stage::Opening }),
    };
    let mut protocol = wanted;
    if let Packet::Open(handshake) = &mut first {
        protocol = match wanted {
            // Only servers of protocol 4 tell their limit to who asks for it.
            Protocol::Auto if handshake.max_payload.is_some() => Protocol::V4,
            Protocol::Auto => ask_protocol(polling).await.unwrap_or(Protocol::Auto),
            wanted => wanted,
        };
        handshake.protocol = protocol;
    }
    Ok(Opened { socket, codec: codec(protocol, base64), first: Some(first) })
}

/// Protocol 4 hands on binary as it is, which is what to do while the protocol is not known.
pub(super) fn codec(protocol: Protocol, base64: bool) -> Codec {
    match protocol {
        Protocol::V3 => Codec::v3().base64(base64),
        Protocol::V4 | Protocol::Auto => Codec::v4().base64(base64),
    }
}

/// Puts an error of the WebSocket into our terms.
pub(super) fn failed(stage: Stage, error: tungstenite::Error) -> Error {
    let source: BoxError = match error {
        tungstenite::Error::Utf8(_) => return Error::decode(Transport::WebSocket, DecodeError::Utf8),
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            io::Error::from(io::ErrorKind::NotConnected).into()
        }
        tungstenite::Error::Io(error) => error.into(),
        error => error.into(),
    };
    Error::transport_failed(Transport::WebSocket, stage, source)
}
