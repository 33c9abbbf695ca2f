//! Scripts that answer polls by JSONP, and forms that carry posts.

#![no_main]

use std::convert::Infallible;

use bytes::Bytes;
use engineio_client::layers::{JsonpLayer, jsonp_form_len};
use futures::FutureExt;
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, ServiceExt, service_fn};

fuzz_target!(|data: &[u8]| {
    let _ = answered(data.to_vec().into()); // whatever it is
    let Ok(payload) = std::str::from_utf8(data) else { return };

    let script = format!("___eio[3]({});", serde_json::to_string(payload).expect("text can be written"));
    assert_eq!(answered(script.into()).expect("that is the call"), payload);

    let form = posted(payload);
    assert_eq!(form.len(), jsonp_form_len(payload));
    let pairs: Vec<_> = form_urlencoded::parse(&form).collect();
    let [(name, value)] = &pairs[..] else { panic!("{pairs:?}") };
    assert_eq!(name, "d");
    if !payload.contains('\\') {
        assert_eq!(value.replace(r"\n", "\n"), payload);
    }
});

/// What a GET brings that is answered so.
fn answered(script: Bytes) -> Option<Bytes> {
    let server = service_fn(|_: Request<Bytes>| {
        let reply = Response::new(script.clone());
        async { Ok::<_, Infallible>(reply) }
    });
    let reply = JsonpLayer::new(3).layer(server).oneshot(Request::default());
    Some(reply.now_or_never().expect("nothing waits").ok()?.into_body())
}

/// What goes out as the body of a POST.
fn posted(payload: &str) -> Bytes {
    let echo = service_fn(|request: Request<Bytes>| async { Ok::<_, Infallible>(Response::new(request.into_body())) });
    let request = Request::post("/").body(payload.to_owned().into()).expect("it is a request");
    let reply = JsonpLayer::new(3).layer(echo).oneshot(request);
    reply.now_or_never().expect("nothing waits").expect("text can be posted").into_body()
}
