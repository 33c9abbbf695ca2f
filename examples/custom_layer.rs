//! How do I add a layer of my own? This one signs each request, the WebSocket's too, and the server checks that.
//!
//! ```sh
//! cargo run --example custom_layer # with a server of its own
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::{
    task::{Context, Poll},
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use engineio_client::{BoxError, Client, CloseReason, Event, RequestBody};
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use ring::hmac::{self, Key};
use tokio::time::timeout;
use tower::{Service, layer::layer_fn};

/// Puts a signature on every request.
#[derive(Clone)]
struct Signed<S> {
    inner: S,
    key: Key,
}

impl<S: Service<Request<RequestBody>>> Service<Request<RequestBody>> for Signed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future; // all is done before the call

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> S::Future {
        let body = request.body().clone().into_inner().unwrap_or_default();
        let tag = hmac::sign(&self.key, &signed_part(request.method(), request.uri(), &body));
        let value = HeaderValue::try_from(BASE64_STANDARD.encode(tag)).expect("base64 is good for a header");
        request.headers_mut().insert(SIGNATURE, value);
        self.inner.call(request)
    }
}

/// What a server sees as well: of the URL it is told the path and the query alone.
fn signed_part(method: &Method, uri: &Uri, body: &Bytes) -> Vec<u8> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    [method.as_str().as_bytes(), path.as_bytes(), body].join(&b'\n')
}

const SIGNATURE: &str = "x-signature";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let key = Key::new(hmac::HMAC_SHA256, b"known to both sides");
    let known = key.clone();
    let is_signed = move |request: &Request<Bytes>| {
        let signature = request.headers().get(SIGNATURE).and_then(|value| BASE64_STANDARD.decode(value).ok());
        let signed = signed_part(request.method(), request.uri(), request.body());
        let is_right = signature.is_some_and(|tag| hmac::verify(&known, &signed, &tag).is_ok());
        println!("server: {} {}, signed: {is_right}", request.method(), request.uri());
        is_right
    };
    let url = server::start(server::guarded(is_signed)).await?;

    let refused = Client::default().connect(url.clone()).await.expect_err("its requests are not signed");
    assert_eq!(refused.status(), Some(StatusCode::UNAUTHORIZED));

    let layer = layer_fn(move |inner| Signed { inner, key: key.clone() });
    let mut socket = Client::builder().layer(layer).build()?.connect(url).await?;
    socket.send("hello".into()).await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Upgrade(_) => socket.send("goodbye".into()).await?,
            Event::Message(data) if data == "goodbye".into() => socket.close().await?,
            Event::Message(data) => assert_eq!(data, "hello".into()),
            Event::UpgradeError(error) => return Err(error.into()),
            Event::Close(close) => assert_eq!(close.reason(), CloseReason::ForcedClose, "{close}"),
            _ => {}
        }
    }
    Ok(())
}
