use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::Service;

pin_project! {
    /// One call after another, each with its response, once there is a service. That is its own: it need not be cloned
    /// for each.
    pub(super) struct Exchange<S: Service<C>, C> {
        service: Option<S>,
        call: Option<C>, // until the service is ready for it
        #[pin]
        response: Option<S::Future>,
    }
}

impl<S: Service<C>, C> Exchange<S, C> {
    pub(super) const fn new(service: Option<S>) -> Self {
        Self { service, call: None, response: None }
    }

    pub(super) const fn service(&self) -> Option<&S> {
        self.service.as_ref()
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
    pub(super) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<S::Response, S::Error>>> {
        let mut this = self.project();
        if let (Some(service), true) = (this.service, this.call.is_some()) {
            let ready = ready!(service.poll_ready(cx));
            let call = this.call.take();
            if let Err(error) = ready {
                return Poll::Ready(Some(Err(error)));
            }
            let response = call.map(|call| service.call(call));
            this.response.set(response);
        }
        let Some(response) = this.response.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let response = ready!(response.poll(cx));
        this.response.set(None);
        Poll::Ready(Some(response))
    }
}
