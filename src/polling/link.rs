use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Sink, Stream, future::BoxFuture};
use pin_project_lite::pin_project;

use super::{
    call::{Call, Polling, decode},
    discovery,
    exchange::Exchange,
};
use crate::{
    Error, Handshake, Packet, Protocol,
    codec::{Batch, Codec, Payload},
    http::HttpClient,
    link::{Link, Traffic},
};

pin_project! {
    /// Packets over HTTP: one GET at a time waits for them, one POST at a time carries them.
    pub(crate) struct LongPolling<S: HttpClient> {
        opening: Option<Opening<S>>,
        #[pin]
        get: Exchange<Polling<S>, Call>,
        payload: Payload, // what came and is not read yet
        batch: Batch,     // what goes into the next POST
        max_batch: usize,
        #[pin]
        post: Exchange<Polling<S>, Call>,
        paused: bool,
        close_sent: bool,
        polls: (u32, u32),
        traffic: Traffic,
    }
}

type Opening<S> = BoxFuture<'static, Result<(Polling<S>, Payload), Error>>;

impl<S: HttpClient> LongPolling<S> {
    /// Begins a session. `plain` is the same polling without JSONP; `fallback` is what to try when the reply to the
    /// first handshake can't be read.
    pub(crate) fn open(polling: Polling<S>, plain: Polling<S>, fallback: Option<Polling<S>>) -> Self {
        Self::new(async {
            match (discovery::open(polling, plain.clone()).await, fallback) {
                (Err(Error::Decode { .. }), Some(fallback)) => discovery::open(fallback, plain).await,
                (opened, _) => opened,
            }
        })
    }

    /// Takes over a session that was opened elsewhere.
    pub(crate) fn resume(polling: Polling<S>, handshake: Handshake) -> Self {
        Self::new(discovery::resume(polling, handshake))
    }

    fn new(opening: impl Future<Output = Result<(Polling<S>, Payload), Error>> + Send + 'static) -> Self {
        Self {
            opening: Some(Box::pin(opening)),
            get: Exchange::new(None),
            batch: Batch::new(Codec::v4()),
            payload: Payload::empty(),
            max_batch: DEFAULT_MAX_BATCH,
            post: Exchange::new(None),
            paused: false,
            close_sent: false,
            polls: (0, 0),
            traffic: Traffic::default(),
        }
    }

    /// Ready when the GET under way has brought its packets, or none is.
    fn poll_get(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut this = self.project();
        if let Some(opening) = this.opening {
            let opened = ready!(opening.as_mut().poll(cx));
            *this.opening = None;
            let (polling, payload) = opened?;
            *this.batch = Batch::new(polling.codec());
            this.get.set(Exchange::new(Some(polling.clone())));
            this.post.set(Exchange::new(Some(polling)));
            *this.payload = payload;
            this.traffic.received += this.payload.len() as u64;
        }
        if let Some(reply) = ready!(this.get.poll(cx)) {
            this.polls.1 += 1;
            *this.payload = reply?;
            this.traffic.received += this.payload.len() as u64;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when no POST is under way.
    fn poll_post(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(reply) = ready!(self.project().post.poll(cx)) {
            reply?;
        }
        Poll::Ready(Ok(()))
    }

    /// Learns from the handshake what the requests to come need.
    fn see(self: Pin<&mut Self>, packet: &mut Packet) {
        if let Packet::Open(handshake) = packet {
            let this = self.project();
            handshake.protocol = this.get.service().map_or(Protocol::Auto, |polling| polling.codec().protocol());
            *this.max_batch = handshake.max_payload.unwrap_or(DEFAULT_MAX_BATCH);
        }
    }
}

impl<S: HttpClient> Stream for LongPolling<S> {
    type Item = Result<Packet, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.as_mut().project().payload.next() {
                None => {}
                Some(Ok(mut packet)) => {
                    self.see(&mut packet);
                    return Poll::Ready(Some(Ok(packet)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(decode(error)))),
            }
            match ready!(self.as_mut().poll_get(cx)) {
                // A close may overtake the GET, which then asks for a session that is gone.
                Err(_) if self.close_sent => return Poll::Pending,
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(()) => {}
            }
            let this = self.as_mut().project();
            if !this.payload.is_ended() {
                continue;
            }
            if *this.paused || *this.close_sent || this.get.service().is_none_or(|polling| polling.session.is_none()) {
                return Poll::Pending; // whoever lifts the pause polls again
            }
            this.polls.0 += 1;
            this.get.begin(Call::Poll);
        }
    }
}

impl<S: HttpClient> Sink<Packet> for LongPolling<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_post(cx)
    }

    fn start_send(self: Pin<&mut Self>, packet: Packet) -> Result<(), Error> {
        self.start_send_kept(&packet)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            ready!(self.as_mut().poll_post(cx))?;
            let this = self.as_mut().project();
            if this.batch.is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.traffic.sent += this.batch.len() as u64;
            let call = Call::Post(this.batch.take());
            this.traffic.posts += 1;
            this.post.begin(call);
        }
    }

    /// Posts the close packet first; the server then ends the GET. A GET that is dropped before counts as a failure
    /// of the transport at every server.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.as_mut().poll_flush(cx))?;
        if !mem::replace(self.as_mut().project().close_sent, true) {
            self.as_mut().start_send(Packet::Close)?;
            ready!(self.as_mut().poll_flush(cx))?;
        }
        let _ = ready!(self.poll_get(cx)); // what it brings, or that it fails, no longer matters
        Poll::Ready(Ok(()))
    }
}

impl<S: HttpClient> Link for LongPolling<S> {
    fn has_room(&self, packet: &Packet) -> bool {
        self.batch.is_empty() || self.batch.len_with(packet) <= self.max_batch
    }

    /// As many as one POST may have: each takes a whole round trip.
    fn gathers(&self) -> usize {
        self.max_batch
    }

    fn start_send_kept(self: Pin<&mut Self>, packet: &Packet) -> Result<(), Error> {
        self.project().batch.push(packet);
        Ok(())
    }

    fn set_paused(self: Pin<&mut Self>, paused: bool) {
        *self.project().paused = paused;
    }

    fn is_silent(&self) -> bool {
        self.get.is_idle() && self.post.is_idle() && self.payload.is_ended() && self.batch.is_empty()
    }

    fn take_polls(self: Pin<&mut Self>) -> (u32, u32) {
        mem::take(self.project().polls)
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn received(&self) -> u64 {
        self.traffic.received
    }
}

impl<S: HttpClient> fmt::Debug for LongPolling<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongPolling")
            .field("get", &!self.get.is_idle())
            .field("post", &!self.post.is_idle())
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}

/// How many bytes go into one POST when the server does not say what it takes: what the reference takes by default. A
/// larger packet goes alone.
const DEFAULT_MAX_BATCH: usize = 1_000_000;
