//! A connection of HTTP/1.1 that whoever waits for a reply moves on: there is no task to be woken in between.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::{TrySendError, http1},
    rt::{Read, Write},
};
use tokio::task::unconstrained;

use super::{KeepAlive, RequestBody};

/// A connection to a server.
pub(super) struct Connection {
    server: Uri, // its scheme and authority count
    sender: http1::SendRequest<RequestBody>,
    driver: Driver,
}

impl Connection {
    pub(super) async fn new<I>(io: I, server: Uri) -> hyper::Result<Self>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(io).await?;
        let driver = Driver(Some(Box::pin(connection.with_upgrades())));
        Ok(Self { server, sender, driver })
    }

    /// Whether a request to this server may go out here.
    pub(super) fn is_ready_for(&mut self, server: &Uri) -> bool {
        self.server.scheme() == server.scheme()
            && self.server.authority() == server.authority()
            && self.driver.drive(&mut unheard())
            && self.is_idle()
    }

    /// Whether it goes on, and has no request under way.
    pub(super) fn is_idle(&self) -> bool {
        self.sender.is_ready()
    }

    /// Closes it; over TLS, the server is told.
    pub(super) fn close(self) {
        let Self { sender, mut driver, .. } = self;
        drop(sender);
        driver.drive(&mut unheard());
    }

    /// Sends a request. When the reply has been read, the connection goes to `keep_alive`.
    pub(super) async fn send(
        self,
        request: Request<RequestBody>,
        keep_alive: KeepAlive,
    ) -> Result<Response<Reply>, TrySendError<Request<RequestBody>>> {
        let Self { server, mut sender, mut driver } = self;
        let method = request.method().clone();
        let mut response = pin!(unconstrained(sender.try_send_request(request))); // it waits for nothing but the driver
        let response = poll_fn(|cx| {
            driver.drive(cx);
            response.as_mut().poll(&mut unheard())
        });
        let response = response.await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            poll_fn(|cx| if driver.drive(cx) { Poll::Pending } else { Poll::Ready(()) }).await; // it hands the stream over
        }
        let connection = Self { server, sender, driver };
        Ok(response.map(|body| Reply { body, driven: Some((connection, method, keep_alive)) }.kept_if_read()))
    }
}

/// Moves a connection on, up to its end.
struct Driver(Option<BoxFuture<'static, hyper::Result<()>>>);

impl Driver {
    /// Tells whether the connection goes on. How it has ended, those hear who wait for something of it.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if self.0.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
            self.0 = None;
        }
        self.0.is_some()
    }
}

/// For what is polled again, and in earnest, after the driver.
fn unheard() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The body of a reply, which moves its connection on.
pub(super) struct Reply {
    body: Incoming,
    driven: Option<(Connection, Method, KeepAlive)>, // until all has come; hyper's pools have tasks for theirs
}

impl Reply {
    /// Lets go of the connection when all has come.
    fn kept_if_read(mut self) -> Self {
        self.keep_if(self.body.is_end_stream());
        self
    }

    fn keep_if(&mut self, is_read: bool) {
        if let Some((connection, after, keep_alive)) = self.driven.take_if(|_| is_read) {
            keep_alive.keep(connection, &after);
        }
    }
}

impl From<Incoming> for Reply {
    fn from(body: Incoming) -> Self {
        Self { body, driven: None }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { body, driven } = &mut *self;
        let mut body = Pin::new(body);
        let Some((connection, ..)) = driven else { return body.poll_frame(cx) };
        let mut frame = body.as_mut().poll_frame(&mut unheard()); // asks for it, if it is not here
        if frame.is_pending() {
            connection.driver.drive(cx);
            frame = body.as_mut().poll_frame(&mut unheard());
        }
        let is_read = matches!(frame, Poll::Ready(None)) || body.is_end_stream();
        self.keep_if(is_read);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
