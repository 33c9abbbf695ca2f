//! Requests through all layers are polled any number of times and dropped; what is under way goes with them, and the next
//! request is answered as ever.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use engineio_layers::{
    AsyncExtraHeadersLayer, BoxError, CollectLayer, CookieJar, CookiesLayer, ExtraHeadersLayer, JsonpLayer,
    RedirectLayer, RequestTimeoutLayer, TimestampLayer,
};
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, COOKIE, LOCATION, SET_COOKIE},
};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio_test::task;
use tower::{Service, ServiceBuilder, ServiceExt};

/// Is woken once before it goes on.
async fn wait() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A body that has to be waited for, piece by piece.
struct Slow {
    pieces: VecDeque<&'static str>,
    waited: bool,
    _under_way: Arc<()>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.waited = !self.waited;
        if self.waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece.into()))))
    }
}

/// Redirects, sets a cookie, and answers with a script.
async fn serve(request: Request<Full<Bytes>>, under_way: Arc<()>) -> Result<Response<Slow>, Infallible> {
    wait().await;
    assert_eq!(request.headers()[AUTHORIZATION], "token");
    let pieces = VecDeque::from(["___eio[0]", "(\"he", "llo\");"]);
    let mut response = Response::new(Slow { pieces, waited: false, _under_way: under_way });
    let headers = response.headers_mut();
    headers.insert(SET_COOKIE, HeaderValue::from_static("server=3; Path=/"));
    if request.uri().path() != "/there" {
        headers.insert(LOCATION, HeaderValue::from_static("/there"));
        *response.status_mut() = StatusCode::FOUND;
    } else {
        assert_eq!(request.headers()[COOKIE], "server=3");
    }
    wait().await;
    Ok(response)
}

/// Every layer there is, over that server; each request has a share of `under_way` for as long as it lives.
fn client(
    under_way: &Arc<()>,
) -> impl Service<Request<Bytes>, Response = Response<Bytes>, Error = BoxError, Future: Send> + Clone + use<> {
    let under_way = Arc::clone(under_way);
    let token = || async {
        wait().await;
        Ok(HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("token"))]))
    };
    ServiceBuilder::new()
        .layer(RequestTimeoutLayer::new(Duration::from_secs(1)))
        .layer(ExtraHeadersLayer::new(HeaderMap::new()))
        .layer(AsyncExtraHeadersLayer::new(token))
        .layer(RedirectLayer::new(5))
        .layer(CookiesLayer::new(CookieJar::new()))
        .layer(TimestampLayer::new())
        .layer(JsonpLayer::new(0))
        .layer(CollectLayer::new(1000))
        .service_fn(move |request| serve(request, Arc::clone(&under_way)))
}

#[tokio::test(start_paused = true)]
async fn a_request_through_all_layers() {
    let request = || Request::get("http://a.example/here").body(Bytes::new()).unwrap();
    for polls in 0.. {
        let under_way = Arc::new(());
        let mut client = client(&under_way); // that has not been led anywhere
        let idle = Arc::strong_count(&under_way);
        let mut future = task::spawn(client.ready().await.unwrap().call(request()));
        let mut reply = None;
        for poll in 0..polls {
            assert!(poll == 0 || future.is_woken(), "{polls} polls");
            if let Poll::Ready(ready) = future.poll() {
                reply = Some(ready.unwrap());
                break;
            }
        }
        drop(future);
        assert_eq!(Arc::strong_count(&under_way), idle, "{polls} polls: the request is gone");
        let fresh = client.clone().oneshot(request()).await.unwrap();
        assert_eq!(fresh.body(), "hello", "{polls} polls");
        if let Some(reply) = reply {
            assert_eq!(reply.body(), "hello");
            assert!(polls > 8, "{polls} polls: it waits for headers, for two replies and for the pieces of a body");
            return;
        }
    }
}
