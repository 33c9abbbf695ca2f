//! How do I talk to a server that only speaks JSONP? Its replies are calls of a function, and what it is sent are forms.
//!
//! ```sh
//! cargo run --example jsonp                          # with a server of its own
//! cargo run --example jsonp -- http://localhost:3000 # with yours, which should echo
//! ```
#![allow(clippy::print_stdout)] // what happens is what it shows

mod server;

use std::{env, str, time::Duration};

use bytes::Bytes;
use engineio_client::{BoxError, Client, CloseReason, Data, Event, Packet, Transport};
use engineioxide::service::EngineIoService;
use futures::{SinkExt, StreamExt};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    timeout(Duration::from_secs(10), run()).await?
}

async fn run() -> Result<(), BoxError> {
    let url = match env::args().nth(1) {
        Some(url) => url.parse()?,
        None => {
            let echo = server::echo();
            server::start(service_fn(move |request| answer(request, echo.clone()))).await?
        }
    };
    // `jsonp` in the place of `force_jsonp` tries ordinary polling first.
    let client = Client::builder().force_jsonp(true).transports([Transport::Polling]).build()?;
    let mut socket = client.connect(url).await?;
    socket.send(TEXT.into()).await?;
    while let Some(event) = socket.next().await {
        match event {
            Event::Message(Data::Text(text)) => {
                println!("text: {text:?}");
                assert_eq!(text, TEXT);
                socket.send(Packet::from(vec![1, 2, 3])).await?;
            }
            Event::Message(Data::Binary(bytes)) => {
                println!("binary: {:?}", &bytes[..]); // it went as base64
                assert_eq!(bytes[..], [1, 2, 3]);
                socket.close().await?;
            }
            Event::Close(close) => assert_eq!(close.reason(), CloseReason::ForcedClose, "{close}"),
            _ => {}
        }
    }
    Ok(())
}

/// Two lines, a quotation mark, and a backslash before an n: what JSONP has to take care of.
const TEXT: &str = "one\n\"two\" \\n";

/// Takes the payload out of its form, and puts what the echo says to it into a call.
async fn answer(
    request: Request<Incoming>,
    echo: EngineIoService<server::Echo>,
) -> Result<Response<Full<Bytes>>, BoxError> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let Some((_, index)) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "j") else {
        let refusal = Response::builder().status(StatusCode::BAD_REQUEST);
        return Ok(refusal.body("nothing but JSONP here".into())?);
    };
    let index: u32 = index.parse()?;
    let is_post = head.method == Method::POST;
    let form = body.collect().await?.to_bytes();
    let payload = form_urlencoded::parse(&form).find(|(name, _)| name == "d").map(|(_, payload)| {
        let payload = payload.replace("\\\\n", "\0").replace("\\n", "\n").replace('\0', "\\n");
        Bytes::from(payload)
    });

    let request = Request::from_parts(head, Full::new(payload.unwrap_or_default()));
    let (head, body) = echo.call(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    if is_post || !head.status.is_success() {
        return Ok(Response::from_parts(head, body.into()));
    }
    let literal = serde_json::to_string(str::from_utf8(&body)?)?;
    println!("server: ___eio[{index}]({literal});");
    Ok(Response::new(format!("___eio[{index}]({literal});").into()))
}
