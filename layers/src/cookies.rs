//! Keeps cookies from one request to the next.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{
    Request, Response,
    header::{COOKIE, SET_COOKIE},
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use crate::cookie_jar::{CookieJar, cookie_url};

/// Layer that applies [`Cookies`], which sends the cookies of a [`CookieJar`] and keeps those that come.
///
/// # Example
///
/// ```
/// use engineio_layers::{CookieJar, CookiesLayer};
/// use http::{Request, Response, header::{COOKIE, SET_COOKIE}};
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let jar = CookieJar::new();
/// let client = ServiceBuilder::new()
///     .layer(CookiesLayer::new(jar.clone()))
///     .service_fn(|req: Request<()>| async move {
///         let mut response = Response::new(req.headers().get(COOKIE).cloned());
///         response.headers_mut().insert(SET_COOKIE, "server=3; Path=/".parse().unwrap());
///         Ok::<_, Infallible>(response)
///     });
///
/// let request = || Request::get("http://example.com/").body(());
/// assert_eq!(client.clone().oneshot(request()?).await?.into_body(), None);
/// assert_eq!(client.oneshot(request()?).await?.into_body().unwrap(), "server=3");
/// assert_eq!(jar.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CookiesLayer {
    jar: CookieJar,
}

impl CookiesLayer {
    /// Creates a layer that takes cookies from `jar` and puts them there.
    pub const fn new(jar: CookieJar) -> Self {
        Self { jar }
    }
}

impl<S> Layer<S> for CookiesLayer {
    type Service = Cookies<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Cookies::new(inner, self.jar.clone())
    }
}

/// Middleware that sends the cookies of a [`CookieJar`], and keeps there those of every reply.
///
/// A request that has a `Cookie` header already goes out with that one alone. A cookie that cannot be taken is ignored.
/// See [`CookiesLayer`] for an example.
#[derive(Clone, Debug)]
pub struct Cookies<S> {
    inner: S,
    jar: CookieJar,
}

impl<S> Cookies<S> {
    /// Creates a service that takes cookies from `jar` and puts them there.
    pub const fn new(inner: S, jar: CookieJar) -> Self {
        Self { inner, jar }
    }
}

impl<S, B, C> Service<Request<B>> for Cookies<S>
where
    S: Service<Request<B>, Response = Response<C>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CookiesFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        let url = cookie_url(req.uri());
        if !req.headers().contains_key(COOKIE) {
            if let Some(cookies) = url.as_ref().and_then(|url| self.jar.header(url)) {
                req.headers_mut().insert(COOKIE, cookies);
            }
        }
        CookiesFuture { inner: self.inner.call(req), jar: self.jar.clone(), url }
    }
}

pin_project! {
    /// Response future of [`Cookies`]. Dropping it drops the request, and the cookies that its reply would bring.
    #[derive(Debug)]
    pub struct CookiesFuture<F> {
        #[pin]
        inner: F,
        jar: CookieJar,
        url: Option<Url>,
    }
}

impl<F, C, E> Future for CookiesFuture<F>
where
    F: Future<Output = Result<Response<C>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        if let Some(url) = this.url {
            for set_cookie in response.headers().get_all(SET_COOKIE) {
                let _ = this.jar.take(set_cookie.as_bytes(), url); // nobody is there to be told
            }
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future};

    use http::StatusCode;
    use tower::{ServiceExt, service_fn};
    use tower_test::mock;

    use super::*;
    use crate::BoxError;

    const HERE: &str = "http://a.example.com/engine.io/";

    #[tokio::test]
    async fn what_any_reply_sets_goes_with_the_next_request() -> Result<(), BoxError> {
        let server = service_fn(|req: Request<StatusCode>| async {
            let mut response = Response::new(req.headers().get_all(COOKIE).iter().cloned().collect::<Vec<_>>());
            for name in ["one", "two"] {
                let cookie = format!("{name}={}; Path=/; HttpOnly", req.body().as_u16());
                response.headers_mut().append(SET_COOKIE, cookie.parse().expect("a header"));
            }
            *response.status_mut() = req.into_body();
            Ok::<_, Infallible>(response)
        });
        let client = CookiesLayer::new(CookieJar::new()).layer(server);
        let mut expected = vec![];
        for status in [StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS, StatusCode::BAD_REQUEST, StatusCode::OK] {
            let response = client.clone().oneshot(Request::get(HERE).body(status)?).await?;
            assert_eq!(response.status(), status);
            assert_eq!(response.into_body(), expected);
            expected = vec![format!("one={0}; two={0}", status.as_u16())];
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_request_with_cookies_of_its_own_is_left_alone() -> Result<(), BoxError> {
        let echo = service_fn(|req: Request<()>| future::ready(Ok::<_, Infallible>(Response::new(req))));
        let jar = CookieJar::new();
        jar.add("a=jar", &HERE.parse()?)?;
        let client = Cookies::new(echo, jar);
        let request = Request::get(HERE).header(COOKIE, "a=mine").header(COOKIE, "b=mine").body(())?;
        let seen = client.clone().oneshot(request).await?.into_body();
        assert_eq!(seen.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=mine", "b=mine"]);

        let seen = client.clone().oneshot(Request::get("/engine.io/").body(())?).await?.into_body();
        assert_eq!(seen.headers().len(), 0, "a URI without a host has no cookies");
        let seen = client.oneshot(Request::get(HERE).body(())?).await?.into_body();
        assert!(seen.headers()[COOKIE].is_sensitive());
        Ok(())
    }

    #[tokio::test]
    async fn errors_and_readiness_are_those_from_within() {
        let (mut client, mut server): MockOf<Request<()>, Response<()>> =
            mock::spawn_layer(CookiesLayer::new(CookieJar::new()));
        server.allow(0);
        assert!(client.poll_ready().is_pending());
        server.allow(1);
        assert!(client.poll_ready().is_ready());
        let reply = client.call(Request::default());
        server.next_request().await.expect("a request").1.send_error("broken");
        assert_eq!(reply.await.expect_err("it broke").to_string(), "broken");
    }

    type MockOf<T, U> = (mock::Spawn<Cookies<mock::Mock<T, U>>>, mock::Handle<T, U>);
}
