//! The server that the examples talk to, if they are given no other. It echoes.

#![allow(dead_code, reason = "no example uses all of it")]

use std::{env, sync::Arc};

use bytes::Bytes;
use engineio_client::BoxError;
use engineioxide::{DisconnectReason, Socket, Str, handler::EngineIoHandler, service::EngineIoService};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::{HttpService, Service as _, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};

/// The URL that the example was given, or that of a server which starts here.
pub(crate) async fn url() -> Result<Uri, BoxError> {
    match env::args().nth(1) {
        Some(url) => Ok(url.parse()?),
        None => start(echo()).await,
    }
}

/// Starts a server at a free port, and tells its URL.
pub(crate) async fn start(service: impl Service) -> Result<Uri, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(accept(listener, service));
    Ok(url)
}

/// Answers whoever connects. Dropping it ends the connections, too.
pub(crate) async fn accept(listener: TcpListener, service: impl Service) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, service.clone()));
    }
}

/// Answers what comes by one connection.
pub(crate) async fn serve<S>(stream: S, service: impl Service)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // If it breaks, the client says why.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

pub(crate) fn echo() -> EngineIoService<Echo> {
    EngineIoService::new(Arc::new(Echo))
}

/// The echo, for requests that are allowed; the others get a 401.
pub(crate) fn guarded(is_allowed: impl Fn(&Request<Bytes>) -> bool + Clone + Send + Sync + 'static) -> impl Service {
    let echo = echo();
    service_fn(move |request: Request<Incoming>| {
        let (echo, is_allowed) = (echo.clone(), is_allowed.clone());
        async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, body.collect().await?.to_bytes());
            if is_allowed(&request) {
                return Ok::<_, BoxError>(echo.call(request.map(Full::new)).await?);
            }
            let mut refusal = Response::default();
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            Ok(refusal)
        }
    })
}

/// What hyper's servers take, and can be shared by connections.
pub(crate) trait Service:
    HttpService<Incoming, ResBody: Body<Data: Send, Error: Into<BoxError>> + Send, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Service for S where
    S: HttpService<
            Incoming,
            ResBody: Body<Data: Send, Error: Into<BoxError>> + Send,
            Error: Into<BoxError>,
            Future: Send,
        > + Clone
        + Send
        + 'static
{
}

#[derive(Debug)]
pub(crate) struct Echo;

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
