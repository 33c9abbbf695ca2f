use std::{
    convert::Infallible,
    error::Error,
    future::{poll_fn, ready},
    io, iter,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    task::{JoinHandle, coop::consume_budget, yield_now},
    time::{advance, sleep},
};
use tower::service_fn;

use super::*;
use crate::http::ResponseBody;

/// A server, whatever it is called, which counts its connections.
#[derive(Clone, Default)]
struct Server {
    connections: Arc<AtomicUsize>,
    latest: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Server {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes the connection that was opened last.
    async fn close(&self) {
        let latest = self.latest.lock().expect("nobody panics").take().expect("there is one");
        latest.abort();
        assert!(latest.await.is_err_and(|error| error.is_cancelled()), "it was open");
    }

    async fn send(&self, keep_alive: &KeepAlive, request: Request<RequestBody>) -> Result<Response<Reply>, BoxError> {
        let server = self.clone();
        let connector = service_fn(move |_: Uri| {
            let (ours, theirs) = tokio::io::duplex(1 << 10);
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(theirs), hyper::service::service_fn(answer));
            let task = tokio::spawn(async { connection.await.unwrap_or_default() });
            server.connections.fetch_add(1, Ordering::Relaxed);
            *server.latest.lock().expect("nobody panics") = Some(task);
            ready(Ok::<_, Infallible>(TokioIo::new(ours)))
        });
        keep_alive.clone().send(connector, request).await
    }

    /// Sends a request and reads its reply; gives its length.
    async fn ask(&self, keep_alive: &KeepAlive, request: Request<RequestBody>) -> usize {
        let response = self.send(keep_alive, request).await.expect("it is answered");
        read(response).await
    }

    /// Waits until the connection that was opened last is closed.
    async fn closed(&self) {
        let latest = self.latest.lock().expect("nobody panics").take().expect("there is one");
        latest.await.expect("it ends");
    }
}

async fn read(response: Response<Reply>) -> usize {
    response.into_body().collect().await.expect("it comes whole").to_bytes().len()
}

fn get(uri: &'static str) -> Request<RequestBody> {
    Request::get(uri).body(Full::default()).expect("it is valid")
}

fn post(uri: &'static str, body: usize) -> Request<RequestBody> {
    Request::post(uri).body(Full::from(vec![7; body])).expect("it is valid")
}

/// A connection whose end is seen after so many looks at it.
#[derive(Default)]
struct Ending {
    looks: usize,
    is_shut: Arc<AtomicBool>,
}

impl Ending {
    async fn open(self) -> Connection {
        let uri = Uri::from_static("http://a/");
        let mut connection = Connection::new(TokioIo::new(self), uri.clone()).await.expect("it seems to be open");
        assert!(connection.is_ready_for(&uri));
        connection
    }
}

impl AsyncRead for Ending {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.looks.checked_sub(1) {
            None => Poll::Ready(Ok(())),
            Some(left) => {
                self.looks = left;
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Ending {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

/// Answers as much as it is asked: in one piece, in many, or with nothing, and then it may close.
async fn answer(request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("it comes whole").to_bytes();
    let response = Response::builder();
    let (response, body) = match path.as_str() {
        "/nothing" => (response.status(StatusCode::NO_CONTENT), Full::default().boxed_unsync()),
        "/pieces" => {
            let pieces: Vec<_> = body.chunks(100).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
            (response, StreamBody::new(stream::iter(pieces)).boxed_unsync())
        }
        "/last" => (response.header("Connection", "close"), Full::from(body).boxed_unsync()),
        _ => (response, Full::from(body).boxed_unsync()),
    };
    Ok(response.body(body.map_err(|error: Infallible| match error {}).boxed_unsync()).expect("it is valid"))
}

#[tokio::test]
async fn requests_take_turns_on_one_connection() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    for (request, expected) in [
        (post("http://a/", 10), 10),
        (post("http://a/", 10_000), 10_000),
        (post("http://a/pieces", 5_000), 5_000),
        (post("http://a/nothing", 10), 0),
        (get("http://a/"), 0),
        (get("http://a"), 0),
    ] {
        assert_eq!(server.ask(&keep_alive, request).await, expected);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn as_many_are_kept_as_polling_needs() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    for _ in 0..3 {
        let first = server.send(&keep_alive, post("http://a/", 10)).await.expect("it is answered");
        server.ask(&keep_alive, post("http://a/", 10)).await;
        read(first).await;
    }
    assert_eq!(server.connections(), 2);

    let mut replies = Vec::new();
    for _ in 0..3 {
        replies.push(server.send(&keep_alive, post("http://a/", 10)).await.expect("it is answered"));
    }
    for reply in replies {
        read(reply).await;
    }
    assert_eq!(server.connections(), 3);
    server.closed().await;
    assert_eq!(keep_alive.kept().idle.len(), 2);
}

#[tokio::test]
async fn a_reply_that_nobody_reads_takes_its_connection_along() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    drop(server.send(&keep_alive, post("http://a/", 10_000)).await.expect("it is answered"));
    server.closed().await;
    server.ask(&keep_alive, get("http://a/")).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn another_server_has_another_connection() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    let uris = ["http://a/", "http://b/", "http://b:81/", "https://b:81/"];
    for (before, uri) in uris.into_iter().enumerate() {
        server.ask(&keep_alive, get(uri)).await;
        assert_eq!(server.connections(), before + 1, "{uri}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_replaced() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    server.ask(&keep_alive, get("http://a/last")).await;
    server.closed().await;
    server.ask(&keep_alive, get("http://a/")).await;
    server.close().await;
    server.ask(&keep_alive, get("http://a/")).await;
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_request_that_meets_the_end_of_its_connection_goes_over_another() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    let ending = Ending { looks: 2, ..Ending::default() };
    keep_alive.keep(ending.open().await, &Method::GET);
    assert_eq!(server.ask(&keep_alive, post("http://a/", 123)).await, 123);
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_for_long_is_not_trusted() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    for (idle, connections) in [(0, 1), (3_999, 1), (4_000, 2)] {
        advance(Duration::from_millis(idle)).await;
        server.ask(&keep_alive, get("http://a/")).await;
        assert_eq!(server.connections(), connections, "after {idle} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_post_a_connection_is_closed_once_it_was_idle_for_long() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    let begun = Instant::now();
    server.ask(&keep_alive, post("http://a/", 10)).await;
    sleep(Duration::from_secs(3)).await;
    server.ask(&keep_alive, post("http://a/", 10)).await;
    server.closed().await;
    assert_eq!((begun.elapsed(), server.connections()), (Duration::from_secs(7), 1));

    server.ask(&keep_alive, post("http://a/", 10)).await;
    server.closed().await;
    assert_eq!((begun.elapsed(), server.connections()), (Duration::from_secs(11), 2));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_shut_down_however_it_is_closed() {
    for after in [Method::POST, Method::GET] {
        let keep_alive = KeepAlive::default();
        let ending = Ending { looks: 9, ..Ending::default() };
        let is_shut = Arc::clone(&ending.is_shut);
        keep_alive.keep(ending.open().await, &after);
        sleep(IDLE_TIMEOUT * 2).await;
        assert_eq!(is_shut.load(Ordering::Relaxed), after == Method::POST);
        drop(keep_alive);
        assert!(is_shut.load(Ordering::Relaxed));
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_session() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    server.ask(&keep_alive, post("http://a/", 10)).await;
    drop(keep_alive);
    server.closed().await;
    while Handle::current().metrics().num_alive_tasks() > 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn requests_go_on_wherever_the_budget_of_the_task_ends() {
    let (server, keep_alive) = (Server::default(), KeepAlive::default());
    for used in 0..=128 {
        let mut asked = pin!(server.ask(&keep_alive, post("http://a/pieces", 500)));
        let mut is_short = false;
        let length = poll_fn(|cx| {
            is_short = !is_short; // every other time
            for _ in 0..if is_short { used } else { 0 } {
                let _ = pin!(consume_budget()).poll(cx);
            }
            asked.as_mut().poll(cx)
        });
        assert_eq!(length.await, 500);
    }
    assert_eq!(server.connections(), 1);
}

/// Servers of TLS 1.3 say so, for one, when they want a certificate: the handshake is over by then.
#[tokio::test]
async fn what_has_broken_a_new_connection_is_told() {
    let connector = service_fn(|_: Uri| {
        let io = tokio_test::io::Builder::new().read_error(io::Error::other("alert")).build();
        ready(Ok::<_, Infallible>(TokioIo::new(io)))
    });
    let error = KeepAlive::default().send(connector, post("https://a/", 10)).await.err().expect("it fails");
    let mut sources = iter::successors(Some(&*error as &(dyn Error + 'static)), |&error| error.source());
    assert!(sources.any(|source| source.to_string() == "alert"), "{error:?}");
}

#[test]
fn the_host_has_no_user_and_no_default_port() {
    let cases = [
        ("http://a/path", "a"),
        ("http://user:secret@a:80", "a"),
        ("https://a:443", "a"),
        ("https://a:80", "a:80"),
        ("http://[::1]:3000", "[::1]:3000"),
        ("http://user@[::1]:3000", "[::1]:3000"),
    ];
    for (uri, expected) in cases {
        assert_eq!(host(&Uri::from_static(uri)), Some(expected), "{uri}");
    }
}
