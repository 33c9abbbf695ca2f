//! Gives up on a reply that takes too long.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use thiserror::Error;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;
use tower_service::Service;

use crate::BoxError;

/// Layer that applies [`RequestTimeout`], which gives up on a reply that takes too long.
///
/// # Example
///
/// ```
/// use engineio_layers::{RequestTimedOut, RequestTimeoutLayer};
/// use http::{Request, Response};
/// use std::{convert::Infallible, future::pending, time::Duration};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = ServiceBuilder::new()
///     .layer(RequestTimeoutLayer::new(Duration::from_millis(1)))
///     .service_fn(|_: Request<()>| pending::<Result<Response<()>, Infallible>>());
///
/// let request = Request::get("http://example.com/").body(())?;
/// let error = client.oneshot(request).await.unwrap_err();
/// assert!(error.is::<RequestTimedOut>());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RequestTimeoutLayer {
    timeout: Duration,
}

impl RequestTimeoutLayer {
    /// Creates a layer that waits for `timeout`, counted from the call.
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl<S> Layer<S> for RequestTimeoutLayer {
    type Service = RequestTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestTimeout::new(inner, self.timeout)
    }
}

/// Middleware that fails with [`RequestTimedOut`] when a reply takes too long.
///
/// Calls have to be made within a tokio runtime that has its timer enabled.
/// See [`RequestTimeoutLayer`] for an example.
#[derive(Clone, Debug)]
pub struct RequestTimeout<S> {
    inner: S,
    timeout: Duration,
}

impl<S> RequestTimeout<S> {
    /// Creates a service that waits for `timeout`, counted from the call.
    pub const fn new(inner: S, timeout: Duration) -> Self {
        Self { inner, timeout }
    }
}

impl<S, R> Service<R> for RequestTimeout<S>
where
    S: Service<R>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = RequestTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, req: R) -> Self::Future {
        RequestTimeoutFuture { inner: self.inner.call(req), sleep: sleep(self.timeout), timeout: self.timeout }
    }
}

pin_project! {
    /// Response future of [`RequestTimeout`]. Dropping it drops the request.
    #[derive(Debug)]
    pub struct RequestTimeoutFuture<F> {
        #[pin]
        inner: F,
        #[pin]
        sleep: Sleep,
        timeout: Duration,
    }
}

impl<F, T, E> Future for RequestTimeoutFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // The reply first: one that is here beats a deadline that has just passed.
        if let Poll::Ready(result) = this.inner.poll(cx) {
            return Poll::Ready(result.map_err(Into::into));
        }
        ready!(this.sleep.poll(cx));
        Poll::Ready(Err(RequestTimedOut { timeout: *this.timeout }.into()))
    }
}

/// No reply came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no reply within {timeout:?}")]
pub struct RequestTimedOut {
    /// How long the request was allowed to take.
    pub timeout: Duration,
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future};

    use tokio::time::Instant;
    use tower::{ServiceExt, service_fn};
    use tower_test::{assert_request_eq, mock};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_late_reply_is_an_error() {
        let timeout = Duration::from_secs(20);
        let client =
            RequestTimeoutLayer::new(timeout).layer(service_fn(|()| future::pending::<Result<(), Infallible>>()));
        let start = Instant::now();
        let error = client.oneshot(()).await.expect_err("nobody replies");
        assert!(start.elapsed() >= timeout);
        assert_eq!(error.downcast_ref(), Some(&RequestTimedOut { timeout }));
        assert_eq!(error.to_string(), "no reply within 20s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_is_there_beats_the_deadline() -> Result<(), BoxError> {
        let second = Duration::from_secs(1);
        for timeout in [Duration::ZERO, second, Duration::MAX] {
            let replying = service_fn(|()| future::ready(Ok::<_, Infallible>("here")));
            assert_eq!(RequestTimeout::new(replying, timeout).oneshot(()).await?, "here");
        }

        let (mut client, mut server) = mock::spawn_layer(RequestTimeoutLayer::new(second));
        assert!(client.poll_ready().is_ready());
        let reply = client.call(());
        assert_request_eq!(server, ()).send_response("here");
        tokio::time::advance(2 * second).await;
        assert_eq!(reply.await?, "here");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_from_the_call_not_from_readiness() -> Result<(), BoxError> {
        let second = Duration::from_secs(1);
        let (mut client, mut server) = mock::spawn_layer(RequestTimeoutLayer::new(second));
        server.allow(0);
        assert!(client.poll_ready().is_pending());
        tokio::time::advance(2 * second).await;
        server.allow(1);
        assert!(client.poll_ready().is_ready());

        let reply = client.call(());
        tokio::time::advance(second / 2).await;
        assert_request_eq!(server, ()).send_response("here");
        assert_eq!(reply.await?, "here");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_at_all_is_a_timeout_and_endless_time_none() {
        let never = service_fn(|()| future::pending::<Result<(), Infallible>>());
        let error = RequestTimeout::new(never, Duration::ZERO).oneshot(()).await;
        assert!(error.is_err_and(|error| error.is::<RequestTimedOut>()));

        let patient = RequestTimeout::new(never, Duration::MAX).oneshot(());
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        assert!(tokio::time::timeout(year, patient).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_from_within_is_passed_on() {
        let broken = service_fn(|()| future::ready(Err::<(), _>(std::fmt::Error)));
        let error = RequestTimeout::new(broken, Duration::ZERO).oneshot(()).await;
        assert!(error.is_err_and(|error| error.is::<std::fmt::Error>()));
    }
}
