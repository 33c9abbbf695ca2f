//! What each layer adds to a request: the time of one, its reply included, over a service that answers at once.

use std::{convert::Infallible, hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use engineio_layers::{
    AsyncExtraHeadersLayer, CollectLayer, ExtraHeadersLayer, JsonpLayer, RedirectLayer, RequestTimeoutLayer,
    TimestampLayer,
};
#[cfg(feature = "cookies")]
use engineio_layers::{CookieJar, CookiesLayer};
use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{AUTHORIZATION, USER_AGENT},
};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

fn requests(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let bare = service_fn(async |request: Request<Bytes>| {
        black_box(request);
        Ok::<_, Infallible>(Response::new(Bytes::from_static(REPLY)))
    });
    let streaming = service_fn(async |request: Request<Full<Bytes>>| {
        black_box(request);
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(REPLY))))
    });
    bench(criterion, &runtime, "no layer", bare);
    bench(criterion, &runtime, "extra headers", ExtraHeadersLayer::new(headers()).layer(bare));
    let fresh = AsyncExtraHeadersLayer::new(|| async { Ok(headers()) });
    bench(criterion, &runtime, "async extra headers", fresh.layer(bare));
    bench(criterion, &runtime, "redirect", RedirectLayer::new(10).layer(bare));
    #[cfg(feature = "cookies")]
    bench(criterion, &runtime, "cookies", CookiesLayer::new(jar()).layer(bare));
    bench(criterion, &runtime, "timestamp", TimestampLayer::new().layer(bare));
    bench(criterion, &runtime, "jsonp", JsonpLayer::new(0).layer(bare));
    bench(criterion, &runtime, "request timeout", RequestTimeoutLayer::new(TIMEOUT).layer(bare));
    bench(criterion, &runtime, "collect", CollectLayer::new(LIMIT).layer(streaming));

    let all = ServiceBuilder::new().layer(RedirectLayer::new(10)).layer(ExtraHeadersLayer::new(headers()));
    #[cfg(feature = "cookies")]
    let all = all.layer(CookiesLayer::new(jar()));
    let all = all
        .layer(TimestampLayer::new())
        .layer(JsonpLayer::new(0))
        .layer(RequestTimeoutLayer::new(TIMEOUT))
        .layer(CollectLayer::new(LIMIT));
    bench(criterion, &runtime, "all of them", all.service(streaming));
}

fn bench<S>(criterion: &mut Criterion, runtime: &Runtime, name: &str, mut service: S)
where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error: std::fmt::Debug>,
{
    let url = "http://example.com/engine.io/?EIO=4&transport=polling&sid=lv_VI97HAXpY6yYWAAAC";
    let request = Request::get(url).body(Bytes::new()).expect("a sound request");
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            let response = runtime.block_on(async {
                let ready = service.ready().await.expect("it is always ready");
                ready.call(request.clone()).await.expect("it answers")
            });
            black_box(response);
        });
    });
}

fn headers() -> HeaderMap {
    HeaderMap::from_iter([
        (USER_AGENT, HeaderValue::from_static("example")),
        (AUTHORIZATION, HeaderValue::from_static("Bearer lv_VI97HAXpY6yYWAAAC")),
    ])
}

#[cfg(feature = "cookies")]
fn jar() -> CookieJar {
    let jar = CookieJar::new();
    let url = "http://example.com/".parse().expect("a URL");
    jar.add("server=3; Path=/", &url).expect("a sound cookie");
    jar
}

const REPLY: &[u8] = br#"___eio[0]("4hello");"#;
const TIMEOUT: Duration = Duration::from_secs(20);
const LIMIT: usize = 1 << 20;

criterion_group!(benches, requests);
criterion_main!(benches);
