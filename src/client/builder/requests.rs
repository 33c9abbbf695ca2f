use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::ClientBuilder;
use crate::{Attempt, BoxError, Error};

/// Where requests go, and what is in them.
impl ClientBuilder {
    /// Sets the path, which gets a slash at either end where it has none, as far as
    /// [`add_trailing_slash`](Self::add_trailing_slash) allows. Otherwise it is the URL's own, and
    /// `/engine.io/` if the URL has none.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.options.path = Some(path.into());
        self
    }

    /// Sets whether the path gets a slash at its end; `true` by default.
    pub fn add_trailing_slash(mut self, add: bool) -> Self {
        self.options.trailing_slash = add;
        self
    }

    /// Adds a pair to the query of every request, before the protocol's own.
    ///
    /// ```
    /// use engineio_client::Client;
    ///
    /// let client = Client::builder().query("room", "kitchen & hall").build()?; // escaped as needed
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.query.push((name.into(), value.into()));
        self
    }

    /// Sets a header of every request, polls and upgrades alike. It overrides what the client would say itself. What
    /// can't be a header is an error of [`build`](Self::build).
    ///
    /// ```
    /// use engineio_client::Client;
    ///
    /// let client = Client::builder().header("x-room", "kitchen").build()?;
    /// assert!(Client::builder().header("no name", "kitchen").build().is_err());
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<BoxError>>,
        V: TryInto<HeaderValue, Error: Into<BoxError>>,
    {
        let header =
            || Ok::<_, BoxError>((name.try_into().map_err(Into::into)?, value.try_into().map_err(Into::into)?));
        match header() {
            Ok((name, value)) => drop(self.options.extra_headers.insert(name, value)),
            Err(error) => drop(self.invalid.get_or_insert_with(|| Error::invalid_request(error))),
        }
        self
    }

    /// Sets all headers of every request, in the place of those that were set before. They, too, override what the client
    /// would say itself.
    ///
    /// For values that change, a token say, there is [`prepare`](Self::prepare), once per session, and
    /// [`ExtraHeadersLayer::from_fn`] as a [`layer`](Self::layer), for each request; or [`AsyncExtraHeadersLayer`] where
    /// they have to be waited for.
    ///
    /// [`ExtraHeadersLayer::from_fn`]: engineio_layers::ExtraHeadersLayer::from_fn
    /// [`AsyncExtraHeadersLayer`]: engineio_layers::AsyncExtraHeadersLayer
    ///
    /// ```
    /// use engineio_client::Client;
    /// use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
    ///
    /// let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer secret"))]);
    /// let client = Client::builder().extra_headers(headers).build()?;
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    pub fn extra_headers(mut self, headers: HeaderMap) -> Self {
        self.options.extra_headers = headers;
        self
    }

    /// Sets how many redirects in a row may be followed to open a session; none by default, which makes a redirect an
    /// [`Error::Status`].
    ///
    /// A session lives where its handshake was led, with all its requests. The query is that of the redirect, besides the
    /// protocol's own parameters. Once another scheme, host or port was reached, [`extra_headers`](Self::extra_headers)
    /// and the URL's user and password are sent no more; a cookie jar and a [`layer`](Self::layer) see where requests go
    /// and decide by themselves: what an [`ExtraHeadersLayer`](engineio_layers::ExtraHeadersLayer) there adds goes along. What can't be followed (a circle, the way from `https` to `http`, what is no URL) is an
    /// [`Error::Transport`] whose source is a [`RedirectError`](engineio_layers::RedirectError).
    pub fn redirects(mut self, limit: usize) -> Self {
        self.options.redirects = limit;
        self
    }

    /// Has each attempt to open a session prepared by `prepare`, before its first request: where credentials are fetched
    /// or renewed, or the URL is looked up. It gets the URL, and what
    /// [`query`](Self::query) and [`extra_headers`](Self::extra_headers) have set; what it gives back holds for all
    /// requests of that session. A query or headers among the [options of one transport](Self::transport_options) still
    /// take their place there.
    ///
    /// An error is [`Error::Prepare`]. The handshake timeout counts from the beginning of this;
    /// when the attempt is given up, the future is dropped. For headers that change from request to request within a
    /// session, add [`ExtraHeadersLayer::from_fn`] as a [`layer`](Self::layer).
    ///
    /// [`ExtraHeadersLayer::from_fn`]: engineio_layers::ExtraHeadersLayer::from_fn
    ///
    /// ```
    /// use engineio_client::{BoxError, Client};
    /// use http::header::AUTHORIZATION;
    ///
    /// async fn token() -> Result<String, BoxError> {
    ///     Ok("fresh".to_owned()) // from wherever it is
    /// }
    ///
    /// let client = Client::builder()
    ///     .prepare(|mut attempt| async move {
    ///         attempt.headers.insert(AUTHORIZATION, format!("Bearer {}", token().await?).parse()?);
    ///         Ok(attempt)
    ///     })
    ///     .build()?;
    /// # let _ = client;
    /// # Ok::<_, engineio_client::Error>(())
    /// ```
    pub fn prepare<F, R>(mut self, prepare: F) -> Self
    where
        F: Fn(Attempt) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Attempt, BoxError>> + Send + 'static,
    {
        self.options.prepare = Some(Arc::new(move |attempt| Box::pin(prepare(attempt))));
        self
    }

    /// Keeps cookies in `jar`, those of every reply, and sends them with every request, the WebSocket's too. By default
    /// none are kept. Clients that are given clones of one jar share its cookies.
    ///
    /// Load balancers that tell servers apart by a cookie need this. Where [`extra_headers`](Self::extra_headers) have a
    /// `Cookie`, that one is sent and none of the jar's.
    ///
    /// ```
    /// use engineio_client::{Client, layers::CookieJar};
    ///
    /// let jar = CookieJar::new();
    /// jar.add("token=secret; Secure", &"https://example.com".parse()?)?; // one to begin with, if need be
    /// let client = Client::builder().cookies(jar).build()?;
    /// # let _ = client;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "cookies")]
    pub fn cookies(mut self, jar: engineio_layers::CookieJar) -> Self {
        self.options.cookies = Some(jar);
        self
    }

    /// Sets whether requests carry a parameter that is different each time, against caches. By default polling does,
    /// the WebSocket does not; either value here is for both.
    pub fn timestamp_requests(mut self, timestamp: bool) -> Self {
        self.options.timestamps.polling = timestamp;
        self.options.timestamps.websocket = timestamp;
        self
    }

    /// Sets the name of that parameter; `t` by default.
    pub fn timestamp_param(mut self, name: impl Into<String>) -> Self {
        self.options.timestamps.param = Cow::Owned(name.into());
        self
    }
}
