//! Connections that are counted for as long as they are open.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use engineio_client::BoxError;
use futures::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::{net::TcpStream, sync::watch};
use tower::Service;

/// Connects as hyper does.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    inner: HttpConnector,
    count: watch::Sender<Count>,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// That are open, or being made.
    pub(crate) open: usize,
    /// That there ever were.
    pub(crate) ever: usize,
}

impl Counting {
    pub(crate) fn new() -> Self {
        let mut inner = HttpConnector::new();
        inner.enforce_http(false);
        inner.set_nodelay(true);
        Self { inner, count: watch::Sender::default() }
    }

    pub(crate) fn count(&self) -> Count {
        *self.count.borrow()
    }

    /// Waits until no more than that are open.
    pub(crate) async fn at_most(&self, open: usize) {
        let mut count = self.count.subscribe();
        count.wait_for(|count| count.open <= open).await.expect("the connector is still there");
    }
}

impl Service<Uri> for Counting {
    type Response = Counted;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Counted, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let one = One::new(self.count.clone());
        let connecting = self.inner.call(uri);
        async { Ok(Counted { io: connecting.await?, _one: one }) }.boxed()
    }
}

/// One of those that are counted.
#[derive(Debug)]
struct One(watch::Sender<Count>);

impl One {
    fn new(count: watch::Sender<Count>) -> Self {
        count.send_modify(|count| {
            count.open += 1;
            count.ever += 1;
        });
        Self(count)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.send_modify(|count| count.open -= 1);
    }
}

#[derive(Debug)]
pub(crate) struct Counted {
    io: TokioIo<TcpStream>,
    _one: One, // is dropped after the connection
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl Read for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
