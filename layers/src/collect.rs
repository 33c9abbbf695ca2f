//! Reads bodies whole.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{BoxError, reading::Reading};

/// Layer that applies [`Collect`], which reads bodies whole, up to a limit.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use engineio_layers::{BodyTooLarge, CollectLayer};
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let echo = |req: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(req.into_body())) };
/// let client = ServiceBuilder::new().layer(CollectLayer::new(5)).service_fn(echo);
///
/// let response = client.clone().oneshot(Request::new(Bytes::from("hello"))).await?;
/// assert_eq!(response.body(), "hello");
///
/// let error = client.oneshot(Request::new(Bytes::from("too long"))).await.unwrap_err();
/// assert!(error.is::<BodyTooLarge>());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CollectLayer {
    limit: usize,
}

impl CollectLayer {
    /// Creates a layer that takes bodies of up to `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for CollectLayer {
    type Service = Collect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Collect::new(inner, self.limit)
    }
}

/// Middleware that takes and gives whole bodies, over a service whose bodies are streams.
///
/// A longer body than the limit is an error, [`BodyTooLarge`](crate::BodyTooLarge), and one that
/// breaks off gives the error that it broke with. In a reply whose status is not a success, though,
/// the status is what matters: of its body there is what could be read, 16 KiB and one second at
/// most, for which there has to be a tokio runtime with its timer enabled.
/// Trailers are ignored. See [`CollectLayer`] for an example.
#[derive(Clone, Debug)]
pub struct Collect<S> {
    inner: S,
    limit: usize,
}

impl<S> Collect<S> {
    /// Creates a service that takes bodies of up to `limit` bytes.
    pub const fn new(inner: S, limit: usize) -> Self {
        Self { inner, limit }
    }
}

impl<S, B> Service<Request<Bytes>> for Collect<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<Bytes>;
    type Error = BoxError;
    type Future = CollectFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, req: Request<Bytes>) -> Self::Future {
        CollectFuture { inner: self.inner.call(req.map(Full::new)), reading: None, limit: self.limit }
    }
}

pin_project! {
    /// Response future of [`Collect`]. Dropping it drops the request and what was read so far.
    #[derive(Debug)]
    pub struct CollectFuture<F, B> {
        #[pin]
        inner: F,
        #[pin]
        reading: Option<Reading<B>>, // once the head is here
        limit: usize,
    }
}

impl<F, B, E> Future for CollectFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Bytes>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Some(reading) = this.reading.as_mut().as_pin_mut() {
                return reading.poll(cx);
            }
            let response = ready!(this.inner.as_mut().poll(cx)).map_err(Into::into)?;
            this.reading.set(Some(Reading::new(response, *this.limit)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        convert::Infallible,
        fmt, iter,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use http::{HeaderMap, StatusCode};
    use http_body::{Frame, SizeHint};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::BodyTooLarge;

    type Step = Result<Frame<Bytes>, fmt::Error>;

    /// A body that follows a script, and then ends or stalls.
    #[derive(Debug, Default)]
    struct Script {
        steps: VecDeque<Step>,
        stalls: bool,
        at_least: u64,
    }

    impl Body for Script {
        type Data = Bytes;
        type Error = fmt::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Step>> {
            match self.steps.pop_front() {
                None if self.stalls => Poll::Pending,
                step => Poll::Ready(step),
            }
        }

        fn size_hint(&self) -> SizeHint {
            let mut hint = SizeHint::new();
            hint.set_lower(self.at_least);
            hint
        }
    }

    fn script(steps: impl IntoIterator<Item = Step>) -> Script {
        Script { steps: steps.into_iter().collect(), ..Script::default() }
    }

    fn data(bytes: impl Into<Bytes>) -> Step {
        Ok(Frame::data(bytes.into()))
    }

    async fn collect(status: StatusCode, body: Script, limit: usize) -> Result<Bytes, BoxError> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let mut response = Some(response);
        let server = service_fn(move |_: Request<Full<Bytes>>| {
            let reply = response.take().ok_or("called twice");
            std::future::ready(reply)
        });
        let response = Collect::new(server, limit).oneshot(Request::default()).await?;
        assert_eq!(response.status(), status);
        Ok(response.into_body())
    }

    #[tokio::test]
    async fn the_request_and_the_head_of_the_reply_pass_through() -> Result<(), BoxError> {
        let echo = service_fn(|req: Request<Full<Bytes>>| async {
            let (parts, body) = req.into_parts();
            let mut response = Response::new(body);
            *response.headers_mut() = parts.headers;
            *response.extensions_mut() = parts.extensions;
            Ok::<_, Infallible>(response)
        });
        let request = Request::get("/").header("x-kept", "1").extension(7).body("hi".into())?;
        let response = CollectLayer::new(2).layer(echo).oneshot(request).await?;
        assert_eq!(response.headers()["x-kept"], "1");
        assert_eq!(response.extensions().get(), Some(&7));
        assert_eq!(response.body(), "hi");
        Ok(())
    }

    #[tokio::test]
    async fn chunks_are_joined_and_trailers_ignored() -> Result<(), BoxError> {
        let trailers = || Ok(Frame::trailers(HeaderMap::new()));
        let body = script([data("a"), data(""), data("bc"), data("d"), trailers()]);
        assert_eq!(collect(StatusCode::OK, body, 4).await?, "abcd");
        assert_eq!(collect(StatusCode::OK, script([trailers()]), 0).await?, "");
        Ok(())
    }

    #[tokio::test]
    async fn a_single_chunk_is_not_copied() -> Result<(), BoxError> {
        let chunk = Bytes::from(vec![b'x'; 100]);
        let body = script([data(""), data(chunk.clone()), data("")]);
        let collected = collect(StatusCode::OK, body, 100).await?;
        assert_eq!(collected.as_ptr(), chunk.as_ptr());
        assert_eq!(collected, chunk);
        Ok(())
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_an_error() {
        let too_large = [
            script([data("12345")]),
            script([data("12"), data("345")]),
            script([data("1234"), data("5"), Err(fmt::Error)]),
            Script { stalls: true, at_least: 5, ..Script::default() },
        ];
        for body in too_large {
            let error = collect(StatusCode::OK, body, 4).await.expect_err("too large");
            assert_eq!(error.downcast_ref(), Some(&BodyTooLarge { limit: 4 }));
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let body = script([data("1"), Err(fmt::Error)]);
        let error = collect(StatusCode::OK, body, 4).await.expect_err("broken");
        assert!(error.is::<fmt::Error>());
    }

    #[tokio::test]
    async fn an_error_page_never_hides_the_status() -> Result<(), BoxError> {
        let status = StatusCode::BAD_GATEWAY;
        let broken = script([data("12"), Err(fmt::Error)]);
        assert_eq!(collect(status, broken, 4).await?, "12");

        let long = Script { at_least: 5, ..script([data("12"), data("345")]) };
        assert_eq!(collect(status, long, 4).await?, "1234");

        let full = Script { stalls: true, ..script([data("1234")]) };
        assert_eq!(collect(status, full, 4).await?, "1234");

        let endless = script(iter::repeat_with(|| data(vec![b'x'; 1_000])).take(100));
        assert_eq!(collect(status, endless, usize::MAX).await?.len(), 16 * 1024);
        Ok(())
    }

    #[tokio::test]
    async fn debug_shows_neither_headers_nor_bodies() {
        let reply = Response::builder().header("set-cookie", "secret");
        let mut reply = reply.body(Script { stalls: true, ..script([data("sec"), data("ret")]) }).ok();
        let server = service_fn(move |_: Request<Full<Bytes>>| {
            let reply = reply.take().ok_or("called twice");
            std::future::ready(reply)
        });
        let mut reading = Box::pin(Collect::new(server, 100).call(Request::default()));
        assert!(reading.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
        let shown = format!("{:?}", reading.reading);
        assert_eq!(shown, "Some(Reading { status: 200, read: 6, limit: 100, .. })");
    }

    #[test]
    fn a_fast_body_lets_others_have_their_turn() {
        let body = script(iter::repeat_with(|| data("x")).take(1_000));
        let mut reading = Box::pin(collect(StatusCode::OK, body, 1_000));
        let wakes = Arc::new(Wakes::default());
        let waker = wakes.clone().into();
        let mut cx = Context::from_waker(&waker);
        let mut pauses = 0;
        let collected = loop {
            match reading.as_mut().poll(&mut cx) {
                Poll::Ready(result) => break result,
                Poll::Pending => pauses += 1,
            }
            assert_eq!(wakes.0.load(Ordering::Relaxed), pauses, "a pause asks for the next poll");
        };
        assert!(collected.is_ok_and(|body| body.len() == 1_000));
        assert!(pauses > 10, "{pauses}");
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
