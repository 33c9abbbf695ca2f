//! Puts headers on every request that have to be waited for.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{BoxError, extra_headers::override_with};

/// Layer that applies [`AsyncExtraHeaders`], which asks for the headers of every request.
///
/// # Example
///
/// ```
/// use engineio_layers::{AsyncExtraHeadersLayer, BoxError};
/// use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// // Asks whoever issues tokens, or remembers the last one until it is about to expire.
/// async fn token() -> Result<String, BoxError> {
///     Ok("fresh".to_owned())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let client = ServiceBuilder::new()
///     .layer(AsyncExtraHeadersLayer::new(|| async {
///         let bearer = format!("Bearer {}", token().await?);
///         Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer.parse()?)]))
///     }))
///     .service_fn(|req: Request<()>| async move {
///         assert_eq!(req.headers()[AUTHORIZATION], "Bearer fresh");
///         Ok::<_, BoxError>(Response::new(()))
///     });
///
/// client.oneshot(Request::get("http://example.com/").body(())?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AsyncExtraHeadersLayer<F> {
    headers: F,
}

impl<F> AsyncExtraHeadersLayer<F> {
    /// Creates a layer that asks `headers` for the headers of each request.
    pub const fn new<Fut>(headers: F) -> Self
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<HeaderMap, BoxError>>,
    {
        Self { headers }
    }
}

impl<S, F: Clone> Layer<S> for AsyncExtraHeadersLayer<F> {
    type Service = AsyncExtraHeaders<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        AsyncExtraHeaders { inner, headers: self.headers.clone() }
    }
}

impl<F> fmt::Debug for AsyncExtraHeadersLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncExtraHeadersLayer").finish_non_exhaustive()
    }
}

/// Middleware that asks for the headers of every request, and sends it once they are there.
///
/// A name that is given replaces whatever the request had under it, as with [`ExtraHeaders`](crate::ExtraHeaders). A
/// request whose headers can't be had is not sent, and fails with an [`ExtraHeadersError`]. There is no limit to how
/// long the headers may take but that of a timeout above.
///
/// See [`AsyncExtraHeadersLayer`] for an example and for how to create one.
#[derive(Clone)]
pub struct AsyncExtraHeaders<S, F> {
    inner: S,
    headers: F,
}

impl<S, B, F, Fut> Service<Request<B>> for AsyncExtraHeaders<S, F>
where
    S: Service<Request<B>, Error: Into<BoxError>> + Clone,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<HeaderMap, BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = AsyncExtraHeadersFuture<S, B, Fut>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone); // the clone may not be
        AsyncExtraHeadersFuture {
            step: Step::Asking { headers: (self.headers)(), inner: ready, request: Some(request) },
        }
    }
}

impl<S: fmt::Debug, F> fmt::Debug for AsyncExtraHeaders<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncExtraHeaders").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The headers of a request could not be had, for the reason that is the [source](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[error("the headers of the request could not be had")]
pub struct ExtraHeadersError(#[source] BoxError);

pin_project! {
    /// Response future of [`AsyncExtraHeaders`]. Dropping it drops whichever is under way: the question for headers, or
    /// the request.
    pub struct AsyncExtraHeadersFuture<S, B, Fut>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        step: Step<S, B, Fut>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<S, B, Fut>
    where
        S: Service<Request<B>>,
    {
        Asking {
            #[pin]
            headers: Fut,
            inner: S,
            request: Option<Request<B>>,
        },
        Calling {
            #[pin]
            response: S::Future,
        },
    }
}

impl<S, B, Fut> Future for AsyncExtraHeadersFuture<S, B, Fut>
where
    S: Service<Request<B>, Error: Into<BoxError>>,
    Fut: Future<Output = Result<HeaderMap, BoxError>>,
{
    type Output = Result<S::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let response = match step.as_mut().project() {
                StepProjection::Asking { headers, inner, request } => {
                    let headers = ready!(headers.poll(cx)).map_err(ExtraHeadersError)?;
                    let mut request = request.take().expect("a future that is done is not polled");
                    override_with(request.headers_mut(), &headers);
                    inner.call(request)
                }
                StepProjection::Calling { response } => return response.poll(cx).map_err(Into::into),
            };
            step.set(Step::Calling { response });
        }
    }
}

impl<S: Service<Request<B>>, B, Fut> fmt::Debug for AsyncExtraHeadersFuture<S, B, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::Asking { .. } => "asking for headers",
            Step::Calling { .. } => "calling",
        };
        f.debug_struct("AsyncExtraHeadersFuture").field("step", &step).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error,
        future,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use http::{HeaderValue, Response, header::AUTHORIZATION};
    use tokio::sync::Semaphore;
    use tokio_test::{assert_pending, assert_ready_ok, task};
    use tower::{ServiceExt, service_fn};
    use tower_test::mock;

    use super::*;

    fn token(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))])
    }

    fn request() -> Request<()> {
        Request::new(())
    }

    #[tokio::test]
    async fn each_request_asks_and_what_it_had_under_that_name_is_replaced() -> Result<(), BoxError> {
        let asked = Arc::new(AtomicU32::new(0));
        let layer = AsyncExtraHeadersLayer::new(move || {
            let nth = asked.fetch_add(1, Ordering::Relaxed);
            async move { Ok(HeaderMap::from_iter([(AUTHORIZATION, nth.into())])) }
        });
        let client = layer.layer(service_fn(|req: Request<()>| async move {
            Ok::<_, BoxError>(Response::new(req.headers().get_all(AUTHORIZATION).iter().cloned().collect::<Vec<_>>()))
        }));
        for nth in ["0", "1", "2"] {
            let request = Request::get("/").header(AUTHORIZATION, "old").body(())?;
            assert_eq!(client.clone().oneshot(request).await?.into_body(), [nth]);
        }
        Ok(())
    }

    #[tokio::test]
    async fn the_request_waits_for_its_headers_and_goes_to_the_service_that_was_ready() -> Result<(), BoxError> {
        let issued = Arc::new(Semaphore::new(0));
        let layer = AsyncExtraHeadersLayer::new(|| {
            let issued = Arc::clone(&issued);
            async move {
                let _permit = issued.acquire().await?;
                Ok(token("fresh"))
            }
        });
        let (mut client, mut server) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer);
        server.allow(0);
        assert_pending!(client.poll_ready());
        server.allow(1);
        assert_ready_ok!(client.poll_ready());

        let mut response = task::spawn(client.call(request()));
        assert_pending!(response.poll());
        assert_pending!(server.poll_request());

        issued.add_permits(1);
        assert!(response.is_woken());
        assert_pending!(response.poll()); // a mock panics when it is called and was not ready
        let (sent, reply) = server.next_request().await.expect("it was sent");
        assert_eq!(sent.headers()[AUTHORIZATION], "fresh");
        reply.send_response(Response::new(()));
        assert!(response.is_woken());
        assert_ready_ok!(response.poll());
        Ok(())
    }

    #[tokio::test]
    async fn without_headers_nothing_is_sent_and_the_error_says_why() {
        let layer = AsyncExtraHeadersLayer::new(|| future::ready(Err("no token".into())));
        let client = layer.layer(service_fn(|_: Request<()>| async {
            panic!("it was sent");
            #[allow(unreachable_code, reason = "it gives the type")]
            Ok::<_, BoxError>(Response::new(()))
        }));
        let error = client.oneshot(request()).await.unwrap_err();
        let error = error.downcast::<ExtraHeadersError>().unwrap();
        assert_eq!(error.source().unwrap().to_string(), "no token");
        assert_eq!(error.to_string(), "the headers of the request could not be had");
    }

    #[tokio::test]
    async fn the_service_s_own_error_stays_what_it_is() {
        let layer = AsyncExtraHeadersLayer::new(|| future::ready(Ok(HeaderMap::new())));
        let broken = service_fn(|_: Request<()>| async { Err::<Response<()>, _>(fmt::Error) });
        let error = layer.layer(broken).oneshot(request()).await.unwrap_err();
        assert!(error.is::<fmt::Error>());
    }

    #[tokio::test]
    async fn dropping_the_response_drops_the_question_and_sends_nothing() {
        let alive = Arc::new(());
        let layer = AsyncExtraHeadersLayer::new(|| {
            let alive = Arc::clone(&alive);
            async move {
                let _alive = alive;
                future::pending().await
            }
        });
        let (mut client, mut server) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer);
        assert_ready_ok!(client.poll_ready());
        let mut response = task::spawn(client.call(request()));
        assert_pending!(response.poll());
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(response);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_pending!(server.poll_request());
    }

    #[tokio::test]
    async fn debug_shows_no_values() {
        let secret = token("secret");
        let layer = AsyncExtraHeadersLayer::new(move || future::ready(Ok(secret.clone())));
        let (mut client, _server) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer.clone());
        assert_ready_ok!(client.poll_ready());
        let mut response = client.call(request());
        let asking = format!("{layer:?} {:?} {response:?}", client.get_ref());
        assert_pending!(task::spawn(&mut response).poll());
        let calling = format!("{response:?}");
        for shown in [asking, calling] {
            assert!(shown.contains("AsyncExtraHeadersFuture") && !shown.contains("secret"), "{shown}");
        }
    }
}
