//! `Set-Cookie`, from servers that try to fill the jar and to reach others.

#![no_main]

use std::convert::Infallible;

use engineio_client::layers::{CookieJar, CookiesLayer};
use futures::FutureExt;
use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{COOKIE, SET_COOKIE},
};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, ServiceExt, service_fn};

// Each line is a reply: who sends it, and its cookies with tabs between them.
fuzz_target!(|replies: &[u8]| {
    let jar = CookieJar::new();
    for reply in replies.split(|&byte| byte == b'\n') {
        let Some((from, cookies)) = reply.split_first() else { continue };
        let cookies = cookies.split(|&byte| byte == b'\t').filter_map(|value| HeaderValue::from_bytes(value).ok());
        let cookies = HeaderMap::from_iter(cookies.map(|value| (SET_COOKIE, value)));
        let server = service_fn(|_: Request<()>| {
            let mut response = Response::new(());
            *response.headers_mut() = cookies.clone();
            async { Ok::<_, Infallible>(response) }
        });
        send(&jar, server, host(*from));
    }
    assert!(jar.len() <= 1_000);
    let _ = format!("{jar:?}");

    // Whoever has set nothing gets nothing.
    let stranger = service_fn(|request: Request<()>| async move {
        assert!(!request.headers().contains_key(COOKIE), "{:?}", request.headers());
        Ok::<_, Infallible>(Response::new(()))
    });
    send(&jar, stranger, Uri::from_static("https://example.org/engine.io/"));
});

fn host(name: u8) -> Uri {
    Uri::from_static(match name {
        b'a' => "http://a.example.com/engine.io/?x=y",
        b'b' => "wss://b.example.com:3000/engine.io/",
        b'c' => "http://[::1]:3000/engine.io/",
        b'd' => "http://localhost/",
        _ => "http://example.com/",
    })
}

fn send<S>(jar: &CookieJar, server: S, uri: Uri)
where
    S: tower::Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let request = Request::get(uri).body(()).expect("it is a request");
    let reply = CookiesLayer::new(jar.clone()).layer(server).oneshot(request);
    reply.now_or_never().expect("nothing waits").expect("it is answered");
}
