//! `Location`, from servers that try to lead requests and what is secret in them elsewhere.

#![no_main]

use std::{cell::RefCell, convert::Infallible, rc::Rc};

use engineio_client::layers::RedirectLayer;
use futures::FutureExt;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, COOKIE, LOCATION, UPGRADE},
};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, ServiceExt, service_fn};

// Each line is a `Location`.
fuzz_target!(|locations: &[u8]| {
    for tls in [false, true] {
        lead(tls, locations);
    }
});

fn lead(tls: bool, locations: &[u8]) {
    let begin = if tls { "https://a.example/p/?sid=1&token=s3cret" } else { "http://a.example/p/?sid=1&token=s3cret" };
    let begin = Uri::from_static(begin);
    let locations = locations.split(|&byte| byte == b'\n');
    let mut locations: Vec<_> = locations.filter_map(|value| HeaderValue::from_bytes(value).ok()).collect();
    locations.reverse();
    let locations = Rc::new(RefCell::new(locations));
    let layer = RedirectLayer::new(5).params(["sid"]);

    let first = begin.clone();
    let was_abroad = Rc::new(RefCell::new(false)); // which a request remembers when it is led home again
    let abroad = Rc::clone(&was_abroad);
    let server = service_fn(move |request: Request<()>| {
        let uri = request.uri();
        let is_at_home = (uri.scheme(), uri.authority()) == (first.scheme(), first.authority());
        *abroad.borrow_mut() |= !is_at_home;
        assert!(matches!(uri.scheme_str(), Some("https")) || !tls, "TLS was given up: {uri}");
        assert!(!uri.authority().expect("a host").as_str().contains('@'), "{uri}");
        assert_eq!(
            uri.query().into_iter().flat_map(|query| query.split('&')).filter(|&pair| pair == "sid=1").count(),
            1
        );
        if *abroad.borrow() {
            assert!(!request.headers().contains_key(AUTHORIZATION) && !request.headers().contains_key(COOKIE));
            assert_eq!(request.headers()[UPGRADE], "websocket");
        }
        let location = locations.borrow_mut().pop();
        let mut response = Response::new(());
        if let Some(location) = location {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(LOCATION, location);
        }
        async { Ok::<_, Infallible>(response) }
    });
    let client = layer.layer(server);
    for _ in 0..2 {
        *was_abroad.borrow_mut() = false;
        let request = Request::get(begin.clone()).header(AUTHORIZATION, "Basic dTpw").header(COOKIE, "a=b");
        let request = request.header(UPGRADE, "websocket").body(()).expect("it is a request");
        let _ = client.clone().oneshot(request).now_or_never().expect("nothing waits");
    }
}
