//! Makes every URL unique.

use std::{
    borrow::Cow,
    collections::hash_map::RandomState,
    fmt::Write,
    hash::BuildHasher,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::query::set_query;

/// Layer that applies [`Timestamp`], which makes every URL unique, so that no cache answers.
///
/// # Example
///
/// ```
/// use engineio_layers::TimestampLayer;
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = ServiceBuilder::new()
///     .layer(TimestampLayer::new().param("cb"))
///     .service_fn(|req: Request<()>| async move {
///         let query = req.uri().query().unwrap_or_default();
///         Ok::<_, Infallible>(Response::new(query.to_owned()))
///     });
///
/// let request = Request::get("http://example.com/?a=b").body(())?;
/// let response = client.oneshot(request).await?;
/// assert!(response.body().starts_with("a=b&cb="));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TimestampLayer {
    param: Cow<'static, str>,
}

impl TimestampLayer {
    /// Creates a layer that stamps the query parameter `t`.
    pub const fn new() -> Self {
        Self { param: Cow::Borrowed("t") }
    }

    /// Sets the name of the query parameter.
    #[must_use]
    pub fn param(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { param: name.into() }
    }
}

impl Default for TimestampLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for TimestampLayer {
    type Service = Timestamp<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Timestamp::new(inner, self.param.clone())
    }
}

/// Middleware that adds a unique query parameter to each request, or replaces the one of that name.
///
/// See [`TimestampLayer`] for an example.
#[derive(Clone, Debug)]
pub struct Timestamp<S> {
    inner: S,
    param: Cow<'static, str>,
}

impl<S> Timestamp<S> {
    /// Creates a service that stamps the query parameter `param`.
    pub const fn new(inner: S, param: Cow<'static, str>) -> Self {
        Self { inner, param }
    }
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Timestamp<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        set_query(req.uri_mut(), &self.param, &stamp());
        self.inner.call(req)
    }
}

/// A random number for this process and a count within it. A clock would repeat itself within a tick.
fn stamp() -> String {
    let mut stamp = String::with_capacity(2 * HEX_DIGITS + 1);
    stamp.push_str(&PROCESS);
    write!(stamp, "-{:x}", NEXT.fetch_add(1, Ordering::Relaxed)).expect("a string takes all");
    stamp
}

static PROCESS: LazyLock<String> = LazyLock::new(|| format!("{:x}", RandomState::new().hash_one(())));
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Of a number of 64 bits, at most.
const HEX_DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, convert::Infallible, thread};

    use http::Response;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::BoxError;

    async fn query(req: Request<()>) -> Result<Response<String>, Infallible> {
        Ok(Response::new(req.uri().query().unwrap_or_default().to_owned()))
    }

    #[tokio::test]
    async fn the_parameter_is_called_t_unless_told() -> Result<(), BoxError> {
        for (layer, start) in [
            (TimestampLayer::new(), "a=b&t="),
            (TimestampLayer::default(), "a=b&t="),
            (TimestampLayer::new().param("cb"), "a=b&cb="),
            (TimestampLayer::new().param(String::from("cb")), "a=b&cb="),
        ] {
            let client = ServiceBuilder::new().layer(layer).service(service_fn(query));
            let response = client.oneshot(Request::get("/?a=b").body(())?).await?;
            assert!(response.body().starts_with(start), "{response:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_old_stamp_is_replaced() -> Result<(), BoxError> {
        let client = TimestampLayer::new().layer(service_fn(query));
        let response = client.oneshot(Request::get("/?t=old&a=b").body(())?).await?;
        assert!(response.body().starts_with("t=") && response.body().ends_with("&a=b"));
        assert!(!response.body().contains("old"));
        Ok(())
    }

    #[test]
    fn no_stamp_comes_twice() {
        let threads: Vec<_> =
            (0..4).map(|_| thread::spawn(|| (0..1_000).map(|_| stamp()).collect::<Vec<_>>())).collect();
        let stamps: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
        assert_eq!(stamps.iter().collect::<HashSet<_>>().len(), stamps.len());
    }

    #[test]
    fn a_stamp_is_short_and_needs_no_escape() {
        let stamp = stamp();
        assert!(stamp.len() <= 33);
        assert!(stamp.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}
