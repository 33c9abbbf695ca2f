use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Sink, Stream, future::BoxFuture};
use pin_project_lite::pin_project;

use super::{
    call::{Call, Polling, decode},
    discovery::{self, Opened},
    exchange::Exchange,
};
use crate::{
    Error, Handshake, Packet,
    codec::{Batch, Codec, Payload},
    http::HttpClient,
    link::{Link, Traffic},
};

pin_project! {
    /// Packets over HTTP: one GET at a time waits for them, one POST at a time carries them.
    pub(crate) struct LongPolling<S: HttpClient> {
        opening: Option<BoxFuture<'static, Result<Opened<S>, Error>>>,
        polling: Option<Polling<S>>, // once it is open
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

impl<S: HttpClient> LongPolling<S> {
    /// Begins a session. `jsonp` is the same polling by JSONP, which is what to try when the reply to the first handshake
    /// can't be read, or from the beginning.
    pub(crate) fn open(plain: Polling<S>, jsonp: Option<Polling<S>>, force_jsonp: bool) -> Self {
        Self::new(async move {
            let Some(jsonp) = jsonp else { return discovery::open(plain, None).await };
            if !force_jsonp {
                match discovery::open(plain.clone(), None).await {
                    Err(Error::Decode { .. }) => {}
                    opened => return opened,
                }
            }
            discovery::open(jsonp, Some(plain)).await
        })
    }

    /// Takes over a session that was opened elsewhere.
    pub(crate) fn resume(polling: Polling<S>, handshake: Handshake) -> Self {
        Self::new(discovery::resume(polling, handshake))
    }

    fn new(opening: impl Future<Output = Result<Opened<S>, Error>> + Send + 'static) -> Self {
        Self {
            opening: Some(Box::pin(opening)),
            polling: None,
            get: Exchange::new(),
            payload: Payload::empty(),
            batch: Batch::new(Codec::v4()),
            max_batch: DEFAULT_MAX_BATCH,
            post: Exchange::new(),
            paused: false,
            close_sent: false,
            polls: (0, 0),
            traffic: Traffic::default(),
        }
    }

    /// Ready when the session is open, at first with the packet that has opened it.
    fn poll_opening(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<Packet>, Error>> {
        let this = self.project();
        let Some(opening) = this.opening else { return Poll::Ready(Ok(None)) };
        let opened = ready!(opening.as_mut().poll(cx));
        *this.opening = None;
        let Opened { polling, bytes, mut first, rest } = opened?;
        if let Some(Packet::Open(handshake)) = &mut first {
            handshake.protocol = polling.codec().protocol();
            *this.max_batch = handshake.max_payload.unwrap_or(DEFAULT_MAX_BATCH);
        }
        *this.batch = Batch::new(polling.codec());
        *this.polling = Some(polling);
        *this.payload = rest;
        this.traffic.received += bytes as u64;
        Poll::Ready(Ok(first))
    }

    /// Ready when the GET under way has brought its packets, or none is.
    fn poll_get(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.project();
        let Some(polling) = this.polling else { return Poll::Ready(Ok(())) };
        if let Some(reply) = ready!(this.get.poll(polling, cx)) {
            this.polls.1 += 1;
            *this.payload = reply?;
            this.traffic.received += this.payload.len() as u64;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when no POST is under way.
    fn poll_post(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.project();
        let Some(polling) = this.polling else { return Poll::Ready(Ok(())) };
        if let Some(reply) = ready!(this.post.poll(polling, cx)) {
            reply?;
        }
        Poll::Ready(Ok(()))
    }

    /// Begins the next GET, if there may be one.
    fn ask(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let is_open = this.polling.as_ref().is_some_and(|polling| polling.session.is_some());
        let may = is_open && !*this.paused && !*this.close_sent;
        if may {
            this.polls.0 += 1;
            this.get.begin(Call::Poll);
        }
        may
    }
}

impl<S: HttpClient> Stream for LongPolling<S> {
    type Item = Result<Packet, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.opening.is_some() {
            if let Some(first) = ready!(self.as_mut().poll_opening(cx))? {
                return Poll::Ready(Some(Ok(first)));
            }
        }
        loop {
            if let Some(packet) = self.as_mut().project().payload.next() {
                return Poll::Ready(Some(packet.map_err(decode)));
            }
            match ready!(self.as_mut().poll_get(cx)) {
                // A close may overtake the GET, which then asks for a session that is gone.
                Err(_) if self.close_sent => return Poll::Pending,
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(()) => {}
            }
            if self.payload.is_ended() {
                if !self.as_mut().ask() {
                    return Poll::Pending; // whoever lifts the pause polls again
                }
            } else if self.payload.len() >= LONG && !self.payload.ends_in_control() && self.as_mut().ask() {
                self.as_mut().poll_ahead(cx); // the server is at work while this reply is read
            }
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

    fn poll_ahead(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        if let Some(polling) = this.polling {
            let _ = this.get.poll_answered(polling, cx); // an answer is kept
        }
    }

    fn take_polls(self: Pin<&mut Self>) -> (u32, u32) {
        if self.payload.is_ended() { mem::take(self.project().polls) } else { (0, 0) }
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

/// From how many bytes on a reply takes so long to be read that the next GET goes out before: the server is at work
/// meanwhile.
const LONG: usize = 4 << 10;
/// How many bytes go into one POST when the server does not say what it takes: what the reference takes by default. A
/// larger packet goes alone.
const DEFAULT_MAX_BATCH: usize = 1_000_000;
