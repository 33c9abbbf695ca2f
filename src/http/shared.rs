use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::Uri;
use tower::{Service, ServiceExt, util::Oneshot};

/// A connector that is cloned once for each connection: hyper's clients clone theirs several times for each request.
pub(super) struct Shared<C>(Arc<C>);

impl<C> Shared<C> {
    pub(super) fn new(connector: C) -> Self {
        Self(Arc::new(connector))
    }
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Service<Uri> + Clone> Service<Uri> for Shared<C> {
    type Response = C::Response;
    type Error = C::Error;
    type Future = Oneshot<C, Uri>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        C::clone(&self.0).oneshot(uri)
    }
}
