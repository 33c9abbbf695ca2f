use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{Error, Socket};

/// Future of a session that is open. See [`Client::connect`](crate::Client::connect). Dropping it gives the attempt up.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Connect {
    begun: Option<Result<Socket, Error>>,
}

impl Connect {
    pub(super) fn new(begun: Result<Socket, Error>) -> Self {
        Self { begun: Some(begun) }
    }
}

impl Future for Connect {
    type Output = Result<Socket, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let opened = match &mut self.begun {
            Some(Ok(socket)) => ready!(socket.poll_open(cx)),
            Some(Err(_)) | None => Ok(()),
        };
        let begun = self.begun.take().expect("a future that is done is not polled");
        Poll::Ready(opened.and(begun))
    }
}
