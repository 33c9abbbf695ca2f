//! A whole client, polling a server that answers anything.

#![no_main]

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use engineio_client::{BoxError, Client, Event, EventSet, Protocol, RequestBody, Transport};
use futures::{SinkExt, StreamExt};
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower::service_fn;

// Options, a letter each, up to a newline; then replies, with a line that is empty between them: their kind in the first
// letter, then what their header says, a newline, and the body.
fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return };
    let (options, replies) = input.split_at(end);
    RUNTIME.with(|runtime| runtime.block_on(live(options, &replies[1..])));
});

/// Opens a session, sends to it, and reads until it ends: when nobody answers any more, it has to.
async fn live(options: &[u8], replies: &[u8]) {
    let has = |option: u8| options.contains(&option);
    let replies: VecDeque<_> = split(replies, b"\n\n").into_iter().filter_map(answer).collect();
    let replies = Arc::new(Mutex::new(replies));
    let server = service_fn(move |request: Request<RequestBody>| {
        check(&request);
        let reply = replies.lock().expect("nobody panicked").pop_front();
        async {
            match reply {
                Some(Ok(response)) => Ok(response),
                Some(Err(error)) => Err(error),
                None => pending().await,
            }
        }
    });
    let client = Client::builder()
        .http_service(server)
        .transports([Transport::Polling])
        .protocol(match () {
            () if has(b'3') => Protocol::V3,
            () if has(b'4') => Protocol::V4,
            () => Protocol::Auto,
        })
        .force_base64(has(b'b'))
        .jsonp(has(b'j'))
        .force_jsonp(has(b'J'))
        .redirects(2)
        .cookies(Default::default())
        .events(EventSet::ALL)
        .build()
        .expect("the settings are sound");
    let mut socket = client.open("http://user:password@example.com/?own=1");
    let _ = socket.feed("text".into()).await;
    let _ = socket.feed(vec![1, 2, 3].into()).await;
    let mut last = None;
    while let Some(event) = socket.next().await {
        assert!(!matches!(last, Some(Event::Close(_))), "{event:?} after the end");
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Close(_))), "{last:?} is the last");
}

fn split<'a>(mut data: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = data.windows(separator.len()).position(|window| window == separator) {
        pieces.push(&data[..at]);
        data = &data[at + separator.len()..];
    }
    pieces.push(data);
    pieces
}

fn answer(reply: &[u8]) -> Option<Result<Response<Full<Bytes>>, BoxError>> {
    let (kind, rest) = reply.split_first()?;
    let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let (value, body) = rest.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let mut response = Response::new(Full::from(body.to_vec()));
    let (status, header) = match kind {
        b't' => (StatusCode::OK, None),
        b'b' => (StatusCode::OK, Some((CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")))),
        b'r' => (StatusCode::FOUND, Some((LOCATION, HeaderValue::from_bytes(value).ok()?))),
        b'c' => (StatusCode::OK, Some((SET_COOKIE, HeaderValue::from_bytes(value).ok()?))),
        b'e' => (StatusCode::BAD_REQUEST, None),
        _ => return Some(Err("broken".into())),
    };
    *response.status_mut() = status;
    response.headers_mut().extend(header);
    Some(Ok(response))
}

/// What holds for every request, whatever the server makes us send.
fn check(request: &Request<RequestBody>) {
    let uri = request.uri();
    let is_at_home = uri.scheme_str() == Some("http") && uri.authority().is_some_and(|host| host == "example.com");
    assert!(is_at_home || !request.headers().contains_key(AUTHORIZATION), "{uri}");
    let pairs: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
    for name in ["EIO", "transport", "sid", "b64", "j", "t"] {
        assert!(pairs.iter().filter(|(other, _)| other == name).count() <= 1, "{name} is there twice: {uri}");
    }
    assert!(pairs.iter().any(|(name, value)| name == "transport" && value == "polling"), "{uri}");
}

thread_local! {
    static RUNTIME: Runtime = {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime needs nothing")
    };
}
