//! How a WebSocket comes to be a transport: on trial for a running session, or as the first of one.

use std::{io, time::Duration};

use futures::StreamExt;
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use tracing::debug;

use super::{Io, messages::Messages, upgrade::Upgrade};
use crate::{
    BoxError, Data, Error, Handshake, Packet, Protocol, Stage, Transport,
    codec::{Codec, DecodeError},
    http::HttpClient,
    polling::{Polling, ask_protocol},
};

/// A WebSocket that is open, and what was read from it in the process.
pub(crate) struct Opened<T> {
    pub(super) socket: Messages<T>,
    pub(super) codec: Codec,
    pub(super) first: Option<Packet>,
    pub(super) ended: bool, // the server has closed it again
}

/// Opens a WebSocket beside polling.
pub(crate) async fn open_trial<S: HttpClient>(
    mut upgrade: Upgrade<S>,
    handshake: Handshake,
) -> Result<Opened<Io>, Error> {
    let codec = Codec::of(handshake.protocol).base64(upgrade.base64);
    let socket = upgrade.connect(handshake.protocol, Some(&handshake.sid)).await?;
    Ok(Opened { socket, codec, first: None, ended: false })
}

/// Opens a session on a WebSocket alone.
///
/// Both protocols open alike there, so `polling` finds out which it is where the handshake does not say: an answer to a
/// version that the server refuses looks like a WebSocket, too, and then stays silent or turns into garbage. `patience`
/// is how long silence is taken for slowness.
pub(crate) async fn open_session<S: HttpClient>(
    upgrade: Upgrade<S>,
    polling: impl Fn() -> Polling<S>,
    wanted: Protocol,
    patience: Duration,
) -> Result<Opened<Io>, Error> {
    let base64 = upgrade.base64;
    let (mut socket, wanted) = connect(upgrade, wanted).await?;
    let first = match tokio::time::timeout(patience, socket.next()).await {
        Ok(first) if !is_garbage(&first) => first,
        odd => {
            if let Some(Err(error @ Error::UnsupportedProtocol)) = ask(polling(), patience).await {
                return Err(error);
            }
            match odd {
                Ok(garbage) => garbage,
                Err(_) => socket.next().await,
            }
        }
    };
    let codec = Codec::of(wanted).base64(base64);
    let mut opened = Opened { socket, codec, first: None, ended: false };
    match first {
        Some(Ok(text @ Data::Text(_))) => {
            let packet = opened.codec.decode_frame(text);
            opened.first = Some(packet.map_err(|error| Error::decode(Transport::WebSocket, error))?);
        }
        Some(Ok(Data::Binary(bytes))) => opened.first = Some(bytes.into()),
        Some(Err(error)) if !is_end(&error) => return Err(failed(Stage::Opening, error)),
        Some(Err(_)) | None => opened.ended = true,
    }
    if let Some(Packet::Open(handshake)) = &mut opened.first {
        handshake.protocol = match wanted {
            // Only servers of protocol 4 tell their limit to who asks for it.
            Protocol::Auto if handshake.max_payload.is_some() => Protocol::V4,
            Protocol::Auto => ask(polling(), patience).await.and_then(Result::ok).unwrap_or(Protocol::Auto),
            wanted => wanted,
        };
        opened.codec = Codec::of(handshake.protocol).base64(base64);
    }
    Ok(opened)
}

/// Asks for a WebSocket, once more if the server refuses the version and there is another; gives which is asked for.
async fn connect<S: HttpClient>(mut upgrade: Upgrade<S>, wanted: Protocol) -> Result<(Messages<Io>, Protocol), Error> {
    let (connected, asked) = match upgrade.connect(wanted, None).await {
        Err(error) if wanted == Protocol::Auto && error.refuses_version() => {
            debug!(transport = %Transport::WebSocket, "version refused, asking for the other");
            (upgrade.connect(Protocol::V3, None).await, Protocol::V3)
        }
        connected => (connected, wanted),
    };
    match connected {
        Err(error) if error.refuses_version() => Err(Error::UnsupportedProtocol),
        connected => Ok((connected?, asked)),
    }
}

/// Asks by polling which protocol it is, unless there is no answer for a while: the WebSocket may work all the same.
async fn ask<S: HttpClient>(polling: Polling<S>, patience: Duration) -> Option<Result<Protocol, Error>> {
    tokio::time::timeout(patience / 2, ask_protocol(polling)).await.ok()
}

fn is_garbage(first: &Option<Result<Data, tungstenite::Error>>) -> bool {
    matches!(first, Some(Err(error @ tungstenite::Error::Protocol(_))) if !is_end(error))
}

/// Many servers just drop the connection; browsers call that an abnormal close, not an error.
pub(super) fn is_end(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))
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
