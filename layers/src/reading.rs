//! Reads the body of one response.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use thiserror::Error;
use tokio::time::{Sleep, sleep};

use crate::BoxError;

pin_project! {
    /// Future of a response whose body has been read.
    pub(crate) struct Reading<B> {
        head: Response<()>,
        #[pin]
        body: B,
        collected: Collected,
        limit: usize,
        #[pin]
        patience: Option<Sleep>, // with an error page
    }
}

impl<B: Body> Reading<B> {
    pub(crate) fn new(response: Response<B>, limit: usize) -> Result<Self, BodyTooLarge> {
        let (parts, body) = response.into_parts();
        let head = Response::from_parts(parts, ());
        let success = head.status().is_success();
        if success && body.size_hint().lower() > limit as u64 {
            return Err(BodyTooLarge { limit });
        }
        let limit = if success { limit } else { limit.min(ERROR_PAGE) };
        let patience = (!success).then(|| sleep(ERROR_PAGE_PATIENCE));
        Ok(Self { head, body, collected: Collected::default(), limit, patience })
    }
}

impl<B> fmt::Debug for Reading<B> {
    /// Leaves out headers and body, where secrets are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("status", &self.head.status())
            .field("read", &self.collected.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<B> Future for Reading<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Bytes>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.as_mut().poll_body(cx);
        let this = self.project();
        // An error page that is slow or endless or breaks off must not hide the status.
        match this.patience.as_pin_mut() {
            None => ready!(result)?,
            Some(patience) if result.is_pending() => ready!(patience.poll(cx)),
            Some(_) => {}
        }
        let body = mem::take(this.collected).into_bytes();
        Poll::Ready(Ok(mem::take(this.head).map(|()| body)))
    }
}

impl<B> Reading<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Collects what comes, up to the limit, until the body ends or is too large or breaks off.
    fn poll_body(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut this = self.project();
        for _ in 0..FRAMES_PER_POLL {
            let room = *this.limit - this.collected.len();
            if room == 0 && !this.head.status().is_success() {
                return Poll::Ready(Ok(())); // the next frame may never come
            }
            let Some(frame) = ready!(this.body.as_mut().poll_frame(cx)) else {
                return Poll::Ready(Ok(()));
            };
            let Ok(mut data) = frame.map_err(Into::into)?.into_data() else {
                continue; // trailers
            };
            let too_large = data.len() > room;
            data.truncate(room);
            this.collected.push(data);
            if too_large {
                return Poll::Ready(Err(BodyTooLarge { limit: *this.limit }.into()));
            }
        }
        // A peer that is faster than us would otherwise keep the executor to itself.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A body was longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the body is larger than {limit} bytes")]
pub struct BodyTooLarge {
    /// How many bytes were allowed.
    pub limit: usize,
}

/// The chunks so far. A single one stays as it came; only a second one makes us copy.
#[derive(Default)]
struct Collected {
    first: Bytes,
    joined: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
        } else if !data.is_empty() {
            self.joined.extend_from_slice(&mem::take(&mut self.first));
            self.joined.extend_from_slice(&data);
        }
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

const ERROR_PAGE: usize = 16 * 1024;
const ERROR_PAGE_PATIENCE: Duration = Duration::from_secs(1);
const FRAMES_PER_POLL: usize = 32;
