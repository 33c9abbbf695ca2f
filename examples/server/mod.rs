//! The server that the examples talk to, if they are given no other. It echoes.

#![allow(dead_code, reason = "no example uses all of it")]

use std::{env, sync::Arc};

use bytes::Bytes;
use engineio_client::BoxError;
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler, service::EngineIoService};
use futures::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};

/// What is said to a request.
pub(crate) type Answer = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Answered> + Send + Sync>;
pub(crate) type Answered = Result<Response<Bytes>, BoxError>;

/// The URL that the example was given, or that of an echo which starts here.
pub(crate) async fn url() -> Result<Uri, BoxError> {
    match env::args().nth(1) {
        Some(url) => Ok(url.parse()?),
        None => start(echo()).await,
    }
}

/// Starts a server at a free port, and tells its URL.
pub(crate) async fn start(answer: Answer) -> Result<Uri, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(accept(listener, answer));
    Ok(url)
}

/// Serves whoever connects. When it is dropped, no request is answered any more.
pub(crate) async fn accept(listener: TcpListener, answer: Answer) {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => connections.push(serve(stream, answer.clone())),
            Some(()) = connections.next() => {}
            else => return,
        }
    }
}

/// Serves one connection.
pub(crate) fn serve<S>(stream: S, answer: Answer) -> BoxFuture<'static, ()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = Arc::clone(&answer);
        async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, body.collect().await?.to_bytes());
            Ok::<_, BoxError>(answer(request).await?.map(Full::new))
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.with_upgrades().map(drop).boxed() // if it breaks, the client says why
}

pub(crate) fn echo() -> Answer {
    let echo = EngineIoService::new(Arc::new(Echo));
    Arc::new(move |request| {
        let answered = echo.call(request.map(Full::new));
        let collected = async {
            let (head, body) = answered.await?.into_parts();
            Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
        };
        collected.boxed()
    })
}

/// The echo, for requests that are allowed; the others get a 401.
pub(crate) fn guarded(is_allowed: impl Fn(&Request<Bytes>) -> bool + Send + Sync + 'static) -> Answer {
    let echo = echo();
    Arc::new(move |request| {
        if is_allowed(&request) {
            return echo(request);
        }
        async { Ok(Response::builder().status(StatusCode::UNAUTHORIZED).body(Bytes::new())?) }.boxed()
    })
}

#[derive(Debug)]
struct Echo;

impl EngineIoHandler for Echo {
    type Data = ();

    fn on_connect(self: Arc<Self>, _: Arc<Socket<()>>) {}

    fn on_disconnect(&self, _: Arc<Socket<()>>, _: DisconnectReason) {}

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<()>>) {
        let _ = socket.emit(text); // fails only if the session is gone
    }

    fn on_binary(self: &Arc<Self>, bytes: Bytes, socket: Arc<Socket<()>>) {
        let _ = socket.emit_binary(bytes);
    }
}
