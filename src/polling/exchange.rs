use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::future::MaybeDone;
use pin_project_lite::pin_project;
use tower::Service;

pin_project! {
    /// One call after another to a service, each with its response.
    pub(super) struct Exchange<S: Service<C>, C> {
        call: Option<C>, // until the service is ready for it
        #[pin]
        response: Option<MaybeDone<S::Future>>,
    }
}

impl<S: Service<C>, C> Exchange<S, C> {
    pub(super) const fn new() -> Self {
        Self { call: None, response: None }
    }

    /// Whether nothing is under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.call.is_none() && self.response.is_none()
    }

    /// Begins a call; none may be under way. What is done happens as it is polled.
    pub(super) fn begin(self: Pin<&mut Self>, call: C) {
        *self.project().call = Some(call);
    }

    /// Ready with the response to the call under way, and with nothing if there is none.
    pub(super) fn poll(
        mut self: Pin<&mut Self>,
        service: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<S::Response, S::Error>>> {
        if self.is_idle() {
            return Poll::Ready(None); // as for each packet of a batch
        }
        ready!(self.as_mut().poll_answered(service, cx));
        let mut response = self.project().response;
        let answer = response.as_mut().as_pin_mut().and_then(MaybeDone::take_output);
        response.set(None);
        Poll::Ready(answer)
    }

    /// Ready when no answer is to be waited for; one that is there is kept.
    pub(super) fn poll_answered(self: Pin<&mut Self>, service: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.call.is_some() {
            let ready = ready!(service.poll_ready(cx));
            let response = this.call.take().map(|call| match ready {
                Ok(()) => MaybeDone::Future(service.call(call)),
                Err(error) => MaybeDone::Done(Err(error)),
            });
            this.response.set(response);
        }
        this.response.as_pin_mut().map_or(Poll::Ready(()), |response| response.poll(cx))
    }
}
