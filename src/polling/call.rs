use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use engineio_layers::RequestTimedOut;
use futures::future::{self, Either};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header::CONTENT_TYPE};
use pin_project_lite::pin_project;
use tower::Service;
use tracing::trace;

use crate::{
    BoxError, Data, Error, Protocol, Stage, Transport,
    codec::{Codec, DecodeError, Framing, Payload},
    endpoint::Endpoint,
    http::HttpClient,
};

/// Service from what goes out, a poll or packets, to what comes back, packets.
///
/// Without a session it asks for one: the first poll is the handshake, and its reply shows the codec.
#[derive(Clone, Debug)]
pub(crate) struct Polling<S> {
    http: S,
    endpoint: Arc<Endpoint>,
    pub(super) protocol: Protocol, // that is asked for
    pub(super) base64: bool,
    pub(super) jsonp: bool,
    pub(super) session: Option<Session>,
    target: Option<Uri>, // of the session's requests, once there was one
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) sid: Arc<str>,
    pub(super) codec: Codec,
}

/// What goes out.
pub(crate) enum Call {
    /// A GET, which waits for packets.
    Poll,
    /// A POST of a payload. It brings no packets back.
    Post(Data),
}

impl<S> Polling<S> {
    pub(crate) fn new(http: S, endpoint: Arc<Endpoint>, protocol: Protocol, base64: bool) -> Self {
        Self { http, endpoint, protocol, base64, jsonp: false, session: None, target: None }
    }

    /// Its requests go through JSONP, which is a layer of `http`.
    pub(crate) fn jsonp(self) -> Self {
        Self { base64: true, jsonp: true, ..self }
    }

    pub(super) fn codec(&self) -> Codec {
        self.session.as_ref().map_or(Codec::v4(), |session| session.codec)
    }

    fn request(&mut self, call: Call) -> Result<Request<Bytes>, Error> {
        let target = self.target()?;
        let request = match call {
            Call::Poll => self.endpoint.polling_request(Method::GET, target).body(Bytes::new()),
            Call::Post(payload) => {
                let kind = if matches!(payload, Data::Text(_)) { TEXT } else { BYTES };
                self.endpoint.polling_request(Method::POST, target).header(CONTENT_TYPE, kind).body(payload.into())
            }
        };
        request.map_err(Error::invalid_request)
    }

    /// Where to: put together for the first request of a session, and the same for all that follow.
    fn target(&mut self) -> Result<Uri, Error> {
        if let Some(target) = &self.target {
            return Ok(target.clone());
        }
        let sid = self.session.as_ref().map(|session| &*session.sid);
        let target = self.endpoint.target(Transport::Polling, self.protocol, sid, self.base64)?;
        self.target = self.session.is_some().then(|| target.clone());
        Ok(target)
    }
}

impl<S: HttpClient> Service<Call> for Polling<S> {
    type Response = Payload;
    type Error = Error;
    type Future = Either<ResponseFuture<S::Future>, future::Ready<Result<Payload, Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let stage = if self.session.is_some() { Stage::Reading } else { Stage::Opening };
        self.http.poll_ready(cx).map_err(|error| failed(stage, error))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let stage = match (&self.session, &call) {
            (None, _) => Stage::Opening,
            (Some(_), Call::Poll) => Stage::Reading,
            (Some(_), Call::Post(_)) => Stage::Writing,
        };
        let request = match self.request(call) {
            Ok(request) => request,
            Err(error) => return Either::Right(future::ready(Err(error))),
        };
        let codec = self.session.as_ref().map(|session| session.codec);
        trace!(transport = %Transport::Polling, method = %request.method(), bytes = request.body().len(), "request");
        Either::Left(ResponseFuture { inner: self.http.call(request), stage, codec })
    }
}

pin_project! {
    /// The reply to a [`Call`].
    #[derive(Debug)]
    pub(crate) struct ResponseFuture<F> {
        #[pin]
        inner: F,
        stage: Stage,
        codec: Option<Codec>,
    }
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Bytes>, BoxError>>,
{
    type Output = Result<Payload, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx)).map_err(|error| failed(*this.stage, error))?;
        let method = if *this.stage == Stage::Writing { Method::POST } else { Method::GET };
        let (status, bytes) = (response.status().as_u16(), response.body().len());
        trace!(transport = %Transport::Polling, %method, status, bytes, "response");
        if !response.status().is_success() {
            return Poll::Ready(Err(Error::refused(Transport::Polling, *this.stage, response)));
        }
        let (head, body) = response.into_parts();
        if *this.stage == Stage::Writing {
            return Poll::Ready(Ok(Payload::empty()));
        }
        let codec = this.codec.unwrap_or_else(|| recognize(&body, &head.headers));
        let is_binary = is_binary(&head.headers);
        Poll::Ready(Ok(if is_binary { codec.decode_payload(body.into()) } else { codec.decode_text(body) }))
    }
}

/// Tells the codec by a handshake's first bytes; what is no handshake at all fails as protocol 4.
fn recognize(body: &Bytes, headers: &HeaderMap) -> Codec {
    match Framing::of(body) {
        Some(Framing::V3Binary) if is_binary(headers) => Codec::v3_engine_io_1(),
        Some(Framing::V3Text) => Codec::v3(),
        _ => Codec::v4(),
    }
}

fn is_binary(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(BYTES.as_bytes()))
}

pub(super) fn decode(error: DecodeError) -> Error {
    Error::decode(Transport::Polling, error)
}

fn failed(stage: Stage, source: BoxError) -> Error {
    if source.is::<RequestTimedOut>() {
        return Error::Timeout { transport: Transport::Polling, stage };
    }
    Error::transport_failed(Transport::Polling, stage, source)
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
