//! The connection that a session keeps between its requests.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{
    HeaderValue, Request, Response, Uri, Version,
    header::{Entry, HOST},
    uri::PathAndQuery,
};
use hyper::{
    client::conn::TrySendError,
    rt::{Read, Write},
};
use tower::{Service, ServiceExt};

use super::{
    RequestBody,
    connection::{Connection, Reply},
};
use crate::BoxError;

/// Among a request's extensions: the connection that the session's first request has opened, which those that follow take
/// in turn, and a WebSocket for good. What goes on beside them is the pool's, which would be a fifth of what opening a
/// session costs.
#[derive(Clone, Default)]
pub(crate) struct KeepAlive(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    #[default]
    Unopened,
    Idle(Connection),
    Busy, // or closed
}

impl KeepAlive {
    /// Claims the connection for a request, unless another has it.
    pub(super) fn claim(&self, server: &Uri) -> Option<Claim> {
        let connection = match mem::replace(&mut *self.state(), State::Busy) {
            State::Unopened => None,
            State::Idle(mut connection) => connection.is_ready_for(server).then_some(connection),
            State::Busy => return None,
        };
        Some(Claim { connection, keep_alive: self.clone() })
    }

    /// Has a connection of its own opened, whatever there is.
    pub(super) fn open(&self) -> Claim {
        Claim { connection: None, keep_alive: self.clone() }
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, connection: Connection) {
        *self.state() = State::Idle(connection);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").finish_non_exhaustive()
    }
}

/// What one request has of a session's connection.
pub(super) struct Claim {
    connection: Option<Connection>, // otherwise it is to be opened
    keep_alive: KeepAlive,
}

impl Claim {
    /// Sends a request to a server itself, and moves its connection on.
    pub(super) async fn send<C>(
        self,
        connector: C,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Reply>, BoxError>
    where
        C: Service<Uri, Response: Read + Write + Unpin + Send + 'static, Error: Into<BoxError>>,
    {
        let Self { connection, keep_alive } = self;
        let server = request.uri().clone();
        if let (Entry::Vacant(header), Some(host)) = (request.headers_mut().entry(HOST), host(&server)) {
            header.insert(HeaderValue::try_from(host)?);
        }
        *request.version_mut() = Version::HTTP_11; // whatever a layer has made of it
        *request.uri_mut() = server.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        if let Some(connection) = connection {
            match connection.send(request, keep_alive.clone()).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent, // it was closed just then
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let io = connector.oneshot(server.clone()).await.map_err(Into::into)?;
        let connection = Connection::new(io, server).await?;
        Ok(connection.send(request, keep_alive).await.map_err(TrySendError::into_error)?)
    }
}

/// What the `Host` header says: no user, and no port that goes without saying.
fn host(uri: &Uri) -> Option<String> {
    let host = uri.host()?;
    Some(match (uri.scheme_str(), uri.port_u16()) {
        (_, None) | (Some("http"), Some(80)) | (Some("https"), Some(443)) => host.to_owned(),
        (_, Some(port)) => format!("{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        error::Error,
        future::{poll_fn, ready},
        io, iter,
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
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
        task::{JoinHandle, coop::consume_budget},
        time::advance,
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

        async fn send(&self, claim: Claim, request: Request<RequestBody>) -> Result<Response<Reply>, BoxError> {
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
            claim.send(connector, request).await
        }

        /// Sends a request and reads its reply, and gives that with its body's length.
        async fn ask(&self, keep_alive: &KeepAlive, uri: &'static str, body: usize) -> (Response<()>, usize) {
            let request = request(uri, body);
            let claim = keep_alive.claim(request.uri()).expect("nothing else is under way");
            let response = self.send(claim, request).await.expect("it is answered");
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("it comes whole").to_bytes();
            (Response::from_parts(head, ()), body.len())
        }
    }

    fn request(uri: &'static str, body: usize) -> Request<RequestBody> {
        Request::post(uri).body(Full::from(vec![7; body])).expect("it is valid")
    }

    /// Answers as much as it is asked: in one piece, in many, or with nothing, and then it may close.
    async fn answer(request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.expect("it comes whole").to_bytes();
        let response = Response::builder();
        let (response, body) = match path.as_str() {
            "/nothing" => (response.status(StatusCode::NO_CONTENT), Full::default().boxed_unsync()),
            "/pieces" => {
                let pieces: Vec<_> =
                    body.chunks(100).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
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
        for (uri, sent, received) in [
            ("http://a/", 10, 10),
            ("http://a/", 10_000, 10_000),
            ("http://a/pieces", 5_000, 5_000),
            ("http://a/nothing", 10, 0),
            ("http://a/", 0, 0),
        ] {
            let (_, length) = server.ask(&keep_alive, uri, sent).await;
            assert_eq!(length, received, "{uri}");
        }
        assert_eq!(server.connections(), 1);
    }

    #[tokio::test]
    async fn what_goes_on_beside_a_request_has_no_claim() {
        let (server, keep_alive) = (Server::default(), KeepAlive::default());
        let uri = Uri::from_static("http://a/");
        let claim = keep_alive.claim(&uri).expect("there is nothing yet");
        assert!(keep_alive.claim(&uri).is_none());
        let response = server.send(claim, request("http://a/", 10)).await.expect("it is answered");
        assert!(keep_alive.claim(&uri).is_none(), "its reply is still to be read");
        response.into_body().collect().await.expect("it comes whole");
        assert!(keep_alive.claim(&uri).is_some());
    }

    #[tokio::test]
    async fn a_reply_that_nobody_reads_takes_its_connection_along() {
        let (server, keep_alive) = (Server::default(), KeepAlive::default());
        let claim = keep_alive.claim(&Uri::from_static("http://a/")).expect("there is nothing yet");
        drop(server.send(claim, request("http://a/", 10_000)).await.expect("it is answered"));
        assert!(keep_alive.claim(&Uri::from_static("http://a/")).is_none());
    }

    #[tokio::test]
    async fn another_server_has_another_connection() {
        let (server, keep_alive) = (Server::default(), KeepAlive::default());
        for (uri, connections) in [("http://a/", 1), ("http://b/", 2), ("http://b:81/", 3), ("https://b:81/", 4)] {
            server.ask(&keep_alive, uri, 10).await;
            assert_eq!(server.connections(), connections, "{uri}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_the_server_has_closed_is_replaced() {
        let (server, keep_alive) = (Server::default(), KeepAlive::default());
        server.ask(&keep_alive, "http://a/", 10).await;
        server.close().await;
        server.ask(&keep_alive, "http://a/last", 10).await;
        assert_eq!(server.connections(), 2);
        let claim = keep_alive.claim(&Uri::from_static("http://a/"));
        assert!(claim.is_none_or(|claim| claim.connection.is_none()), "it was the last");
    }

    #[tokio::test]
    async fn a_request_that_finds_its_connection_closed_goes_over_another() {
        let (server, keep_alive) = (Server::default(), KeepAlive::default());
        server.ask(&keep_alive, "http://a/", 10).await;
        let claim = keep_alive.claim(&Uri::from_static("http://a/")).expect("nothing is under way");
        assert!(claim.connection.is_some(), "it seems to be open");
        server.close().await;
        let response = server.send(claim, request("http://a/", 123)).await.expect("it is answered");
        assert_eq!(response.into_body().collect().await.expect("it comes whole").to_bytes().len(), 123);
        assert_eq!(server.connections(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_idle_for_long_is_not_trusted() {
        let (server, keep_alive) = (Server::default(), KeepAlive::default());
        server.ask(&keep_alive, "http://a/", 10).await;
        advance(Duration::from_millis(3_999)).await;
        server.ask(&keep_alive, "http://a/", 10).await;
        assert_eq!(server.connections(), 1);
        advance(Duration::from_secs(4)).await;
        server.ask(&keep_alive, "http://a/", 10).await;
        assert_eq!(server.connections(), 2);
    }

    #[tokio::test]
    async fn requests_go_on_wherever_the_budget_of_the_task_ends() {
        let (server, keep_alive) = (Server::default(), KeepAlive::default());
        for used in 0..=128 {
            let mut asked = pin!(server.ask(&keep_alive, "http://a/pieces", 500));
            let mut is_short = false;
            let (_, length) = poll_fn(|cx| {
                is_short = !is_short; // every other time
                for _ in 0..if is_short { used } else { 0 } {
                    let _ = pin!(consume_budget()).poll(cx);
                }
                asked.as_mut().poll(cx)
            })
            .await;
            assert_eq!(length, 500);
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
        let claim = KeepAlive::default().claim(&Uri::from_static("https://a/")).expect("there is nothing yet");
        let error = claim.send(connector, request("https://a/", 10)).await.err().expect("it fails");
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
        ];
        for (uri, expected) in cases {
            assert_eq!(host(&Uri::from_static(uri)).as_deref(), Some(expected), "{uri}");
        }
    }
}
