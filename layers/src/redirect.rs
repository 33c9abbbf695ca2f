//! Goes where redirects lead, and stays there.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::LOCATION, uri::Scheme};
use pin_project_lite::pin_project;
use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    BoxError,
    location::{origin, resolve},
    moved::Moved,
};

/// Layer that applies [`Redirect`], which follows redirects until the first success, and then stays where they led.
///
/// All services of one layer, and of its clones, stay at the same place.
///
/// # Example
///
/// ```
/// use engineio_layers::RedirectLayer;
/// use http::{Request, Response, StatusCode, Uri, header::LOCATION};
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// async fn server(req: Request<()>) -> Result<Response<Uri>, Infallible> {
///     let mut response = Response::new(req.uri().clone());
///     if req.uri().host() == Some("a.example") {
///         *response.status_mut() = StatusCode::FOUND;
///         response.headers_mut().insert(LOCATION, "https://b.example/there?x=1".parse().unwrap());
///     }
///     Ok(response)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), engineio_layers::BoxError> {
/// let client = ServiceBuilder::new().layer(RedirectLayer::new(5).params(["id"])).service_fn(server);
///
/// let response = client.clone().oneshot(Request::get("http://a.example/here?id=1").body(())?).await?;
/// assert_eq!(*response.body(), "https://b.example/there?x=1&id=1");
/// let response = client.oneshot(Request::post("http://a.example/here?id=2").body(())?).await?;
/// assert_eq!(*response.body(), "https://b.example/there?x=1&id=2");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedirectLayer {
    limit: usize,
    params: Arc<[Cow<'static, str>]>,
    place: Arc<OnceLock<Option<Moved>>>,
}

impl RedirectLayer {
    /// Creates a layer that follows up to `limit` redirects in a row.
    pub fn new(limit: usize) -> Self {
        Self { limit, params: Arc::default(), place: Arc::default() }
    }

    /// Names the parameters that are each request's own: they go with it, and replace those of a `Location`. Others of
    /// the query stay behind, as with redirects everywhere.
    #[must_use]
    pub fn params(self, names: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        Self { params: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sends a request where the redirects have led, as a service of this layer does, for one that goes another way.
    ///
    /// # Errors
    ///
    /// [`RedirectError::Location`] if that makes no URL with what the request has of its own.
    pub fn lead<B>(&self, req: &mut Request<B>) -> Result<(), RedirectError> {
        let moved = self.place.get().and_then(Option::as_ref);
        moved.map_or(Ok(()), |moved| moved.lead(req, &self.params)).map_err(|_| RedirectError::Location)
    }
}

impl<S> Layer<S> for RedirectLayer {
    type Service = Redirect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Redirect { inner, layer: self.clone() }
    }
}

/// Middleware that follows the redirects of GETs until one succeeds, and then sends all requests where that has led.
///
/// A redirect is a 301, 302, 303, 307 or 308 with a `Location`. Those after the first success are handed on, and so are
/// those of requests other than GETs.
///
/// Once a redirect has led to another origin (scheme, host or port), only headers that say nothing of the user go with
/// the requests: `Accept`, `Accept-Encoding`, `Connection`, `Content-Length`, `Content-Type`, `User-Agent`, `Upgrade` and
/// those of a WebSocket's handshake, and of these none whose value is marked as [sensitive](http::HeaderValue). So layers above may give headers to the first origin; those below, a cookie jar say,
/// see where the request goes and add what they like.
///
/// It fails with a [`RedirectError`] where a redirect can't be followed. See [`RedirectLayer`] for an example and for how
/// to create one.
#[derive(Clone, Debug)]
pub struct Redirect<S> {
    inner: S,
    layer: RedirectLayer,
}

impl<S, B, C> Service<Request<B>> for Redirect<S>
where
    S: Service<Request<B>, Response = Response<C>> + Clone,
    S::Error: Into<BoxError>,
    B: Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = RedirectFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let search = match self.layer.place.get() {
            None if req.method() == Method::GET => Some(Search::new(req.clone(), self.layer.clone())),
            _ => None,
        };
        let led = self.layer.lead(&mut req);
        RedirectFuture { service: ready, next: Some(led.map(|()| req)), reply: None, search }
    }
}

pin_project! {
    /// Response future of [`Redirect`]. Dropping it drops the request that is under way.
    pub struct RedirectFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        service: S,
        next: Option<Result<Request<B>, RedirectError>>, // to be sent once the service is ready
        #[pin]
        reply: Option<S::Future>,
        search: Option<Search<B>>,
    }
}

impl<S, B, C> Future for RedirectFuture<S, B>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Error: Into<BoxError>,
    B: Clone,
{
    type Output = Result<Response<C>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Some(reply) = this.reply.as_mut().as_pin_mut() {
                let response = ready!(reply.poll(cx)).map_err(Into::into)?;
                let next = match this.search {
                    Some(search) => search.next(response.status(), response.headers())?,
                    None => None,
                };
                match next {
                    Some(request) => *this.next = Some(Ok(request)),
                    None => return Poll::Ready(Ok(response)),
                }
                this.reply.set(None);
            }
            ready!(this.service.poll_ready(cx)).map_err(Into::into)?;
            let request = this.next.take().expect("a future that is done is not polled")?;
            this.reply.set(Some(this.service.call(request)));
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for RedirectFuture<S, B> {
    /// Leaves out the request, whose headers may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectFuture").finish_non_exhaustive()
    }
}

/// Why a redirect was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were more in a row than allowed; in a circle, maybe.
    #[error("there are more than {limit} redirects")]
    TooMany {
        /// How many were allowed.
        limit: usize,
    },
    /// It would give up TLS.
    #[error("a redirect leads from https to http")]
    Insecure,
    /// Its `Location` is no URL that such a request can go to.
    #[error("a redirect leads to what is no http URL")]
    Location,
}

/// One request on its way through redirects.
struct Search<B> {
    request: Request<B>, // as it came
    at: Uri,             // where it is now
    moved: Option<Moved>,
    followed: usize,
    layer: RedirectLayer,
}

impl<B: Clone> Search<B> {
    fn new(request: Request<B>, layer: RedirectLayer) -> Self {
        Self { at: request.uri().clone(), request, moved: None, followed: 0, layer }
    }

    /// The request that a reply leads to. A success ends the search, for all requests to come.
    fn next(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<Option<Request<B>>, RedirectError> {
        let location = headers.get(LOCATION).filter(|_| REDIRECTS.contains(&status));
        let Some(location) = location else {
            if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
                let _ = self.layer.place.set(self.moved.take()); // or another request was quicker
            }
            return Ok(None);
        };
        if self.followed == self.layer.limit {
            return Err(RedirectError::TooMany { limit: self.layer.limit });
        }
        self.followed += 1;
        let to = resolve(&self.at, location).ok_or(RedirectError::Location)?;
        if self.at.scheme() == Some(&Scheme::HTTPS) && to.scheme() == Some(&Scheme::HTTP) {
            return Err(RedirectError::Insecure);
        }
        let was_abroad = self.moved.as_ref().is_some_and(|moved| moved.abroad);
        let abroad = was_abroad || origin(&to) != origin(&self.at);
        let moved = self.moved.insert(Moved { from: self.request.uri().path().to_owned(), to, abroad });
        let mut request = self.request.clone();
        moved.lead(&mut request, &self.layer.params).map_err(|_| RedirectError::Location)?;
        self.at = request.uri().clone();
        Ok(Some(request))
    }
}

const REDIRECTS: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Mutex};

    use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderName, SEC_WEBSOCKET_PROTOCOL};
    use tower::{ServiceExt, service_fn};
    use tower_test::mock;

    use super::*;

    /// Servers that answer by URL, and what they were asked.
    #[derive(Clone, Default)]
    struct Servers {
        redirects: Arc<Vec<(&'static str, StatusCode, &'static str)>>,
        seen: Arc<Mutex<Vec<Request<&'static str>>>>,
    }

    impl Servers {
        fn new(redirects: &[(&'static str, &'static str)]) -> Self {
            Self::with_status(StatusCode::FOUND, redirects)
        }

        /// Servers that redirect from the one URL, without its query, to the other.
        fn with_status(status: StatusCode, redirects: &[(&'static str, &'static str)]) -> Self {
            let redirects = redirects.iter().map(|&(from, to)| (from, status, to)).collect();
            Self { redirects: Arc::new(redirects), ..Self::default() }
        }

        fn reply(&self, req: Request<&'static str>) -> Response<()> {
            let url = req.uri().to_string();
            let url = url.split_once('?').map_or(&*url, |(url, _)| url);
            let mut response = Response::default();
            if url.ends_with("/missing") {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            if let Some((_, status, to)) = self.redirects.iter().find(|(from, ..)| *from == url) {
                *response.status_mut() = *status;
                response.headers_mut().insert(LOCATION, to.parse().unwrap());
            }
            self.seen.lock().unwrap().push(req);
            response
        }

        fn client(
            &self,
            layer: &RedirectLayer,
        ) -> impl Service<Request<&'static str>, Response = Response<()>, Error = BoxError> + Clone + use<> {
            let servers = self.clone();
            layer.layer(service_fn(move |req| std::future::ready(Ok::<_, Infallible>(servers.reply(req)))))
        }

        async fn send(&self, layer: &RedirectLayer, req: Request<&'static str>) -> Result<StatusCode, BoxError> {
            Ok(self.client(layer).oneshot(req).await?.status())
        }

        async fn get(&self, layer: &RedirectLayer, url: &str) -> Result<StatusCode, BoxError> {
            self.send(layer, Request::get(url).body("").unwrap()).await
        }

        fn urls(&self) -> Vec<String> {
            mem::take(&mut *self.seen.lock().unwrap()).iter().map(|req| req.uri().to_string()).collect()
        }
    }

    fn layer() -> RedirectLayer {
        RedirectLayer::new(3).params(["sid", "t"])
    }

    #[tokio::test]
    async fn a_request_that_goes_another_way_is_led_alike() {
        let servers = Servers::new(&[("http://a/", "https://b/c?x=1")]);
        let layer = RedirectLayer::new(1).params(["id"]);
        let lead = || {
            let mut req = Request::get("http://a/?id=1").header(COOKIE, "secret").body("").unwrap();
            layer.lead(&mut req).map(|()| req)
        };
        let req = lead().unwrap();
        assert_eq!((req.uri().to_string().as_str(), req.headers().len()), ("http://a/?id=1", 1));
        servers.get(&layer, "http://a/").await.unwrap();
        let req = lead().unwrap();
        assert_eq!((req.uri().to_string().as_str(), req.headers().len()), ("https://b/c?x=1&id=1", 0));
    }

    #[tokio::test]
    async fn requests_after_a_redirected_one_go_straight_to_where_it_led() -> Result<(), BoxError> {
        for status in REDIRECTS {
            let servers = Servers::with_status(status, &[("http://a/e/", "http://b/x?y=1"), ("http://b/x", "/z/")]);
            let layer = layer();
            assert_eq!(servers.get(&layer, "http://a/e/").await?, 200);
            assert_eq!(servers.urls(), ["http://a/e/", "http://b/x?y=1", "http://b/z/"]);
            let post = Request::post("http://a/e/?sid=1").body("posted")?;
            assert_eq!(servers.send(&layer, post).await?, 200);
            let seen = mem::take(&mut *servers.seen.lock().unwrap());
            assert_eq!((seen[0].uri().to_string(), *seen[0].body()), ("http://b/z/?sid=1".into(), "posted"));
        }
        Ok(())
    }

    #[tokio::test]
    async fn own_parameters_go_along_and_others_are_those_of_the_location() -> Result<(), BoxError> {
        let servers = Servers::new(&[("http://a/", "/x?y=1&t=old&s%69d=old&&z")]);
        let layer = layer();
        servers.get(&layer, "http://a/?token=secret&t=1&sid=").await?;
        servers.get(&layer, "http://a/?token=secret&sid=2&t=2").await?;
        let expected = ["http://a/?token=secret&t=1&sid=", "http://a/x?y=1&z&t=1&sid=", "http://a/x?y=1&z&sid=2&t=2"];
        assert_eq!(servers.urls(), expected);
        Ok(())
    }

    fn with_headers(url: &str) -> Request<&'static str> {
        let request = Request::get(url).header(COOKIE, "a=b").header(AUTHORIZATION, "secret").header("x-own", "1");
        let request = request.header(ACCEPT, "*/*").header(SEC_WEBSOCKET_PROTOCOL, "one");
        request.header(SEC_WEBSOCKET_PROTOCOL, "two").header("x-own", "2").body("").unwrap()
    }

    #[tokio::test]
    async fn headers_of_ones_own_are_not_told_to_another_origin() -> Result<(), BoxError> {
        for other in ["http://b/", "http://a:81/", "https://a/"] {
            let servers = Servers::new(&[("http://a/", other)]);
            let layer = layer();
            for _ in 0..2 {
                servers.send(&layer, with_headers("http://a/")).await?;
            }
            let seen = mem::take(&mut *servers.seen.lock().unwrap());
            assert_eq!(seen[0].headers(), with_headers("/").headers());
            for request in &seen[1..] {
                assert_eq!(*request.uri(), other);
                let mut expected = with_headers("/").headers().clone();
                for name in [COOKIE, AUTHORIZATION, HeaderName::from_static("x-own")] {
                    expected.remove(name);
                }
                assert_eq!(*request.headers(), expected, "{other}");
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_is_marked_as_sensitive_is_not_told_whatever_its_name() -> Result<(), BoxError> {
        let servers = Servers::new(&[("http://a/", "http://b/")]);
        let mut request = with_headers("http://a/");
        request.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        servers.send(&layer(), request).await?;
        let seen = servers.seen.lock().unwrap();
        assert_eq!((seen[0].headers().is_empty(), seen[1].headers().is_empty()), (false, true));
        Ok(())
    }

    #[tokio::test]
    async fn headers_stay_with_the_origin_and_do_not_come_back_to_it() -> Result<(), BoxError> {
        let servers = Servers::new(&[("http://a/", "/x"), ("http://a/x", "http://a:80/y")]);
        let layer = RedirectLayer::new(2);
        servers.send(&layer, with_headers("http://a/")).await?;
        servers.send(&layer, with_headers("http://a/")).await?;
        let seen = mem::take(&mut *servers.seen.lock().unwrap());
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|request| request.headers() == with_headers("/").headers()));

        let servers = Servers::new(&[("http://a/", "http://b/"), ("http://b/", "http://a/back")]);
        servers.send(&RedirectLayer::new(2), with_headers("http://a/")).await?;
        let seen = servers.seen.lock().unwrap();
        assert_eq!(*seen[2].uri(), "http://a/back");
        assert!(!seen[2].headers().contains_key(AUTHORIZATION), "another origin chose what is asked there");
        Ok(())
    }

    #[tokio::test]
    async fn a_path_of_its_own_is_kept() -> Result<(), BoxError> {
        let servers = Servers::new(&[("http://a/p", "/x?y"), ("http://b/p", "http://c/x?y")]);
        for (from, other, expected) in [
            ("http://a/p", "http://a/w?own&sid=1", "http://a/w?own&sid=1"),
            ("http://b/p", "http://b/w?own&sid=1", "http://c/w?sid=1"),
        ] {
            let layer = layer();
            servers.get(&layer, from).await?;
            servers.get(&layer, other).await?;
            assert_eq!(servers.urls().pop().as_deref(), Some(expected));
        }
        Ok(())
    }

    #[tokio::test]
    async fn circles_and_what_cannot_be_followed_are_errors() {
        let limit = 3;
        for (from, to, error) in [
            ("http://a/", "/", RedirectError::TooMany { limit }),
            ("https://a/", "http://a/", RedirectError::Insecure),
            ("https://a/", "ws://b/", RedirectError::Insecure),
            ("http://a/", "ftp://b/", RedirectError::Location),
            ("http://a/", "http://", RedirectError::Location),
        ] {
            let servers = Servers::new(&[(from, to)]);
            let failed = servers.get(&RedirectLayer::new(limit), from).await.expect_err("it cannot be followed");
            assert_eq!(failed.downcast_ref(), Some(&error), "{from} to {to}");
            let asked = if error == (RedirectError::TooMany { limit }) { limit + 1 } else { 1 };
            assert_eq!(servers.urls().len(), asked);
        }
    }

    #[tokio::test]
    async fn a_url_that_becomes_too_long_is_an_error() -> Result<(), BoxError> {
        let servers = Servers::new(&[("http://a/", "http://b/a-longer-one")]);
        let layer = layer();
        servers.get(&layer, "http://a/").await?;
        let long = format!("http://a/?sid={}", "x".repeat(65_520));
        let failed = servers.get(&layer, &long).await.expect_err("too long");
        assert_eq!(failed.downcast_ref(), Some(&RedirectError::Location));
        assert_eq!(servers.urls().len(), 2, "nothing is sent to where it should not go");
        Ok(())
    }

    #[tokio::test]
    async fn only_gets_are_followed_and_only_up_to_the_first_success() -> Result<(), BoxError> {
        let servers = Servers::new(&[("http://a/", "/x")]);
        let layer = layer();
        assert_eq!(servers.send(&layer, Request::post("http://a/").body("")?).await?, 302);
        assert_eq!(servers.get(&layer, "http://a/missing").await?, 404);
        assert_eq!(servers.get(&layer, "http://a/fine").await?, 200);
        assert_eq!(servers.get(&layer, "http://a/").await?, 302);
        Ok(())
    }

    #[tokio::test]
    async fn a_refusal_is_no_place_to_stay() -> Result<(), BoxError> {
        let servers = Servers::new(&[("http://a/", "/missing"), ("http://a/again", "/x")]);
        let layer = layer();
        assert_eq!(servers.get(&layer, "http://a/").await?, 404);
        assert_eq!(servers.get(&layer, "http://a/again").await?, 200);
        assert_eq!(servers.urls(), ["http://a/", "http://a/missing", "http://a/again", "http://a/x"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_switch_of_protocols_is_a_success_and_no_location_no_redirect() -> Result<(), BoxError> {
        for (status, settles) in [(101, true), (204, true), (302, false), (304, false), (500, false)] {
            let layer = layer();
            let server =
                service_fn(move |_: Request<()>| std::future::ready(Response::builder().status(status).body(())));
            let response = layer.layer(server).oneshot(Request::default()).await?;
            assert_eq!((response.status().as_u16(), layer.place.get().is_some()), (status, settles));
        }
        Ok(())
    }

    #[tokio::test]
    async fn each_request_waits_until_the_service_is_ready() -> Result<(), BoxError> {
        let (mut client, mut server) = mock::spawn_layer(layer());
        server.allow(1);
        assert!(client.poll_ready().is_ready());
        let mut reply = tokio_test::task::spawn(client.call(Request::get("http://a/").body(())?));
        assert!(reply.poll().is_pending());
        let redirect = Response::builder().status(307).header(LOCATION, "/x").body(())?;
        server.next_request().await.expect("a request").1.send_response(redirect);
        assert!(reply.poll().is_pending());
        server.allow(1);
        assert!(reply.is_woken());
        assert!(reply.poll().is_pending());
        let (request, answer) = server.next_request().await.expect("a request");
        assert_eq!(*request.uri(), "http://a/x");
        answer.send_error("broken");
        assert_eq!(reply.await.expect_err("it broke").to_string(), "broken");
        Ok(())
    }
}
