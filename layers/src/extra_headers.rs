//! Puts headers on every request.

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request};
use tower_layer::Layer;
use tower_service::Service;

/// Layer that applies [`ExtraHeaders`], which puts headers on every request.
///
/// Headers that have to be waited for are a matter of [`AsyncExtraHeadersLayer`](crate::AsyncExtraHeadersLayer).
///
/// # Example
///
/// ```
/// use engineio_layers::ExtraHeadersLayer;
/// use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = ServiceBuilder::new()
///     .layer(ExtraHeadersLayer::from_fn(|| {
///         // Runs for each request, so the token can be a fresh one.
///         HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer fresh"))])
///     }))
///     .service_fn(|req: Request<()>| async move {
///         assert_eq!(req.headers()[AUTHORIZATION], "Bearer fresh");
///         Ok::<_, Infallible>(Response::new(()))
///     });
///
/// client.oneshot(Request::get("http://example.com/").body(())?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ExtraHeadersLayer {
    headers: Source,
}

impl ExtraHeadersLayer {
    /// Creates a layer that puts `headers` on every request.
    pub fn new(headers: HeaderMap) -> Self {
        Self { headers: Source::Fixed(Arc::new(headers)) }
    }

    /// Creates a layer that asks `f` for the headers of each request.
    ///
    /// ```
    /// use engineio_layers::ExtraHeadersLayer;
    /// use http::{HeaderMap, HeaderName, HeaderValue};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let count = AtomicU32::new(0);
    /// let numbered = ExtraHeadersLayer::from_fn(move || {
    ///     let number = HeaderValue::from(count.fetch_add(1, Ordering::Relaxed));
    ///     HeaderMap::from_iter([(HeaderName::from_static("x-request-number"), number)])
    /// });
    /// # let _ = numbered;
    /// ```
    pub fn from_fn(f: impl Fn() -> HeaderMap + Send + Sync + 'static) -> Self {
        Self { headers: Source::Fresh(Arc::new(f)) }
    }
}

impl<S> Layer<S> for ExtraHeadersLayer {
    type Service = ExtraHeaders<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ExtraHeaders { inner, headers: self.headers.clone() }
    }
}

/// Middleware that puts headers on every request.
///
/// A name that is given replaces whatever the request had under it; several values under one name
/// are all sent, in their order. `Debug` shows names only, since values are often secrets.
///
/// See [`ExtraHeadersLayer`] for an example and for how to create one.
#[derive(Clone, Debug)]
pub struct ExtraHeaders<S> {
    inner: S,
    headers: Source,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for ExtraHeaders<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        override_with(req.headers_mut(), &self.headers.get());
        self.inner.call(req)
    }
}

pub(crate) fn override_with(headers: &mut HeaderMap, extra: &HeaderMap) {
    for name in extra.keys() {
        headers.remove(name);
        for value in extra.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

/// Where the headers come from. Both forms are shared, since services are cloned for each request.
#[derive(Clone)]
enum Source {
    Fixed(Arc<HeaderMap>),
    Fresh(Arc<dyn Fn() -> HeaderMap + Send + Sync>),
}

impl Source {
    fn get(&self) -> Cow<'_, HeaderMap> {
        match self {
            Self::Fixed(headers) => Cow::Borrowed(headers),
            Self::Fresh(f) => Cow::Owned(f()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(headers) => f.debug_list().entries(headers.keys()).finish(),
            Self::Fresh(_) => f.write_str("from_fn"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU32, Ordering},
    };

    use http::{HeaderValue, Response};
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::BoxError;

    async fn headers(req: Request<()>) -> Result<Response<HeaderMap>, Infallible> {
        Ok(Response::new(req.headers().clone()))
    }

    fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a HeaderValue> {
        headers.get_all(name).iter().collect()
    }

    #[tokio::test]
    async fn a_given_name_replaces_and_keeps_all_its_values() -> Result<(), BoxError> {
        let mut extra = HeaderMap::new();
        extra.append("x-many", "1".parse()?);
        extra.append("x-other", "new".parse()?);
        extra.append("x-many", "2".parse()?);
        let client = ExtraHeadersLayer::new(extra).layer(service_fn(headers));

        let request =
            Request::get("/").header("x-many", "old").header("x-many", "older").header("x-kept", "here").body(())?;
        let sent = client.oneshot(request).await?.into_body();

        assert_eq!(values(&sent, "x-many"), ["1", "2"]);
        assert_eq!(values(&sent, "x-other"), ["new"]);
        assert_eq!(values(&sent, "x-kept"), ["here"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_closure_runs_for_each_request() -> Result<(), BoxError> {
        let count = AtomicU32::new(0);
        let layer = ExtraHeadersLayer::from_fn(move || {
            let value = HeaderValue::from(count.fetch_add(1, Ordering::Relaxed));
            HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
        });
        let client = layer.layer(service_fn(headers));
        for token in ["0", "1", "2"] {
            let sent = client.clone().oneshot(Request::get("/").body(())?).await?.into_body();
            assert_eq!(values(&sent, "authorization"), [token]);
        }
        Ok(())
    }

    #[test]
    fn debug_shows_names_only() {
        let secret = || {
            let value = HeaderValue::from_static("secret");
            HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
        };
        let fixed = format!("{:?}", ExtraHeadersLayer::new(secret()).layer(()));
        assert!(fixed.contains("authorization") && !fixed.contains("secret"), "{fixed}");
        let fresh = format!("{:?}", ExtraHeadersLayer::from_fn(secret).layer(()));
        assert!(!fresh.contains("secret"), "{fresh}");
    }
}
