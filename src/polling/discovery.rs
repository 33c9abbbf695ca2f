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

/// A session, and what its first reply has brought.
pub(super) struct Opened<S> {
    pub(super) polling: Polling<S>,
    pub(super) bytes: usize, // of the reply
    pub(super) first: Option<Packet>,
    pub(super) rest: Payload,
}

/// Opens a session.
///
/// `plain` is the same without JSONP, if it has that.
pub(super) async fn open<S: HttpClient>(
    mut polling: Polling<S>,
    plain: Option<Polling<S>>,
) -> Result<Opened<S>, Error> {
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
    if codec == Codec::v3() && polling.base64 {
        let plain = plain.unwrap_or_else(|| polling.clone());
        if is_engine_io_1(plain).await {
            codec = Codec::v3_engine_io_1();
        }
    }
    let codec = codec.base64(polling.base64).jsonp(polling.jsonp);
    let bytes = payload.len();
    let mut rest = payload.with_codec(codec);
    let first = rest.next().transpose().map_err(decode)?;
    polling.session = session(first.as_ref(), codec);
    if wanted != Protocol::Auto && wanted != codec.protocol() {
        close(polling).await;
        return Err(Error::UnsupportedProtocol);
    }
    polling.protocol = codec.protocol();
    Ok(Opened { polling, bytes, first, rest })
}

/// Takes over a session that was opened elsewhere, as if the reply to its handshake had just come.
pub(super) async fn resume<S: HttpClient>(mut polling: Polling<S>, handshake: Handshake) -> Result<Opened<S>, Error> {
    let mut codec = Codec::of(handshake.protocol);
    if codec == Codec::v3() && is_engine_io_1(polling.clone()).await {
        codec = Codec::v3_engine_io_1();
    }
    let codec = codec.base64(polling.base64);
    let first = Packet::Open(handshake.into());
    polling.session = session(Some(&first), codec);
    polling.protocol = codec.protocol();
    Ok(Opened { polling, bytes: 0, first: Some(first), rest: Payload::empty() })
}

/// Finds out which protocol a server speaks by a handshake that is thrown away.
pub(crate) async fn ask_protocol<S: HttpClient>(mut polling: Polling<S>) -> Result<Protocol, Error> {
    match ask(&mut polling).await {
        Err(error) if error.refuses_version() => Err(Error::UnsupportedProtocol),
        Err(error) => Err(error),
        Ok(mut payload) => {
            let codec = payload.codec();
            let first = payload.next().transpose().map_err(decode)?;
            polling.session = session(first.as_ref(), codec);
            close(polling).await;
            Ok(codec.protocol())
        }
    }
}

/// Engine.io 1 shows itself only in a handshake without base64: that one it answers in binary. Where such a handshake
/// can't be had, a later version is the better guess.
async fn is_engine_io_1<S: HttpClient>(mut plain: Polling<S>) -> bool {
    plain.base64 = false;
    plain.protocol = Protocol::V3;
    let Ok(mut payload) = ask(&mut plain).await else { return false };
    let codec = payload.codec();
    let first = payload.next().and_then(Result::ok);
    plain.session = session(first.as_ref(), codec);
    close(plain).await;
    codec == Codec::v3_engine_io_1()
}

/// Asks for a session.
async fn ask<S: HttpClient>(polling: &mut Polling<S>) -> Result<Payload, Error> {
    polling.ready().await?.call(Call::Poll).await
}

/// The session that a first packet opens. Another packet opens none.
fn session(first: Option<&Packet>, codec: Codec) -> Option<Session> {
    let Some(Packet::Open(handshake)) = first else { return None };
    Some(Session { sid: handshake.sid.as_str().into(), codec })
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
