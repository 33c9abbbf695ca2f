//! How a session is opened, and which dialect the server speaks.

use std::time::Duration;

use tower::{Service, ServiceExt};
use tracing::debug;

use super::call::{Call, Polling, Session, decode};
use crate::{
    Error, Handshake, Packet, Protocol, Transport,
    codec::{Codec, Payload},
    http::HttpClient,
};

/// Opens a session: the payload of its first reply, and the polling that belongs to it.
///
/// `plain` is the same service without JSONP.
pub(super) async fn open<S: HttpClient>(
    mut polling: Polling<S>,
    plain: Polling<S>,
) -> Result<(Polling<S>, Payload), Error> {
    let wanted = polling.protocol;
    let first = match ask(&mut polling).await {
        Err(error) if wanted == Protocol::Auto && error.refuses_version() => {
            debug!(transport = %Transport::Polling, "version refused, asking for the other");
            polling.protocol = Protocol::V3;
            ask(&mut polling).await
        }
        first => first,
    };
    let payload = match first {
        Err(error) if error.refuses_version() => return Err(Error::UnsupportedProtocol),
        first => first?,
    };
    let mut codec = payload.codec();
    if codec == Codec::v3() && polling.base64 && is_engine_io_1(plain).await {
        codec = Codec::v3_engine_io_1();
    }
    let codec = codec.base64(polling.base64).jsonp(polling.jsonp);
    let payload = payload.with_codec(codec);
    polling.session = session(&payload)?;
    if wanted != Protocol::Auto && wanted != codec.protocol() {
        close(polling).await;
        return Err(Error::UnsupportedProtocol);
    }
    polling.protocol = codec.protocol();
    Ok((polling, payload))
}

/// Takes over a session that was opened elsewhere, as if the reply to its handshake had just come.
pub(super) async fn resume<S: HttpClient>(
    mut polling: Polling<S>,
    handshake: Handshake,
) -> Result<(Polling<S>, Payload), Error> {
    let mut codec = Codec::of(handshake.protocol);
    if codec == Codec::v3() && is_engine_io_1(polling.clone()).await {
        codec = Codec::v3_engine_io_1();
    }
    let codec = codec.base64(polling.base64);
    let payload = codec.decode_payload(codec.encode_payload(&[Packet::Open(handshake.into())]));
    polling.session = session(&payload)?;
    polling.protocol = codec.protocol();
    Ok((polling, payload))
}

/// Finds out which protocol a server speaks by a handshake that is thrown away.
pub(crate) async fn ask_protocol<S: HttpClient>(mut polling: Polling<S>) -> Result<Protocol, Error> {
    match ask(&mut polling).await {
        Err(error) if error.refuses_version() => Err(Error::UnsupportedProtocol),
        Err(error) => Err(error),
        Ok(payload) => {
            polling.session = session(&payload)?;
            close(polling).await;
            Ok(payload.codec().protocol())
        }
    }
}

/// Engine.io 1 shows itself only in a handshake without base64: that one it answers in binary. Where such a handshake
/// can't be had, a later version is the better guess.
async fn is_engine_io_1<S: HttpClient>(mut plain: Polling<S>) -> bool {
    plain.base64 = false;
    plain.protocol = Protocol::V3;
    let Ok(payload) = ask(&mut plain).await else { return false };
    plain.session = session(&payload).unwrap_or_default();
    close(plain).await;
    payload.codec() == Codec::v3_engine_io_1()
}

/// Asks for a session.
async fn ask<S: HttpClient>(polling: &mut Polling<S>) -> Result<Payload, Error> {
    polling.ready().await?.call(Call::Poll).await
}

/// The session that a first payload opens. One that begins with another packet opens none.
fn session(payload: &Payload) -> Result<Option<Session>, Error> {
    match payload.clone().next() {
        Some(Ok(Packet::Open(handshake))) => Ok(Some(Session { sid: handshake.sid.into(), codec: payload.codec() })),
        Some(Err(error)) => Err(decode(error)),
        _ => Ok(None),
    }
}

/// Ends a session that nobody wants. Whether the server hears it changes nothing here.
async fn close<S: HttpClient>(polling: Polling<S>) {
    if polling.session.is_none() {
        return;
    }
    let goodbye = Call::Post(polling.codec().encode_payload(&[Packet::Close]));
    let goodbye = polling.oneshot(goodbye);
    if !matches!(tokio::time::timeout(GOODBYE, goodbye).await, Ok(Ok(_))) {
        debug!(transport = %Transport::Polling, "a spare session was not closed");
    }
}

/// How long a session that nobody wants may take to end.
const GOODBYE: Duration = Duration::from_secs(1);
