//! Tower middleware for HTTP clients.
//!
//! Each layer does one thing to a request or to its reply, and stacks with those of [`tower`] and
//! [`tower-http`](https://docs.rs/tower-http). They were written for long-polling, as an Engine.IO
//! client does it, but know nothing of it: whoever has an HTTP client can use them.
//!
//! | layer | what it does |
//! |---|---|
//! | [`ExtraHeadersLayer`] | puts the same, or freshly made, headers on every request |
//! | [`AsyncExtraHeadersLayer`] | the same, with headers that have to be waited for |
//! | [`RedirectLayer`] | follows redirects, and sends later requests where they led |
//! | `CookiesLayer` | keeps cookies from one request to the next; needs the feature `cookies` |
//! | [`TimestampLayer`] | makes every URL unique, so that no cache answers |
//! | [`JsonpLayer`] | sends a body as a form and takes the reply out of a script |
//! | [`RequestTimeoutLayer`] | gives up on a reply that takes too long |
//! | [`CollectLayer`] | reads bodies whole, up to a limit |
//!
//! `Jsonp` needs bodies that are whole on both sides, so it stands above `Collect`. A timeout above
//! `Collect` covers the body, one below it only the wait for the head.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use engineio_layers::{BoxError, CollectLayer, JsonpLayer, RequestTimeoutLayer, TimestampLayer};
//! use http::{HeaderValue, Request, Response, header::USER_AGENT};
//! use http_body_util::Full;
//! use std::time::Duration;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_http::set_header::SetRequestHeaderLayer;
//!
//! // Stands in for an HTTP client, such as hyper's.
//! async fn server(req: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
//!     assert_eq!(req.headers()[USER_AGENT], "example");
//!     Ok(Response::new(Full::from(r#"___eio[0]("hello");"#)))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let client = ServiceBuilder::new()
//!     .layer(TimestampLayer::new())
//!     .layer(JsonpLayer::new(0))
//!     .layer(RequestTimeoutLayer::new(Duration::from_secs(20)))
//!     .layer(CollectLayer::new(16 * 1024 * 1024))
//!     .layer(SetRequestHeaderLayer::overriding(USER_AGENT, HeaderValue::from_static("example")))
//!     .service_fn(server);
//!
//! let request = Request::get("http://example.com/engine.io/").body(Bytes::new())?;
//! let response = client.oneshot(request).await?;
//! assert_eq!(response.body(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `cookies` | no | `CookiesLayer` and its `CookieJar`; needs Rust 1.88 |
//!
//! [`tower`]: https://docs.rs/tower

#![cfg_attr(docsrs, feature(doc_cfg))]

mod async_extra_headers;
mod collect;
#[cfg(feature = "cookies")]
mod cookie_jar;
#[cfg(feature = "cookies")]
mod cookies;
mod extra_headers;
mod jsonp;
mod location;
mod moved;
mod query;
mod reading;
mod redirect;
mod request_timeout;
mod timestamp;

pub use async_extra_headers::{AsyncExtraHeaders, AsyncExtraHeadersFuture, AsyncExtraHeadersLayer, ExtraHeadersError};
pub use collect::{Collect, CollectFuture, CollectLayer};
#[cfg(feature = "cookies")]
pub use cookie_jar::{CookieError, CookieJar};
#[cfg(feature = "cookies")]
pub use cookies::{Cookies, CookiesFuture, CookiesLayer};
pub use extra_headers::{ExtraHeaders, ExtraHeadersLayer};
pub use jsonp::{Jsonp, JsonpError, JsonpFuture, JsonpLayer, jsonp_form_len};
pub use reading::BodyTooLarge;
pub use redirect::{Redirect, RedirectError, RedirectFuture, RedirectLayer};
pub use request_timeout::{RequestTimedOut, RequestTimeout, RequestTimeoutFuture, RequestTimeoutLayer};
pub use timestamp::{Timestamp, TimestampLayer};

/// Any error, for layers that can fail by themselves.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
