//! A load balancer with sticky sessions, in this process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use engineio_client::BoxError;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{COOKIE, SET_COOKIE, UPGRADE},
};
use hyper::{body::Incoming, client, server, service::service_fn, upgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

/// Sends a request to the server that its cookie `lb` names. One without goes to the next server in turn, and its
/// reply sets the cookie. WebSockets wait until they are let through.
///
/// Dropping it ends its listener and HTTP connections. A WebSocket ends with either side.
pub(crate) struct Balancer {
    pub(crate) url: String,
    task: JoinHandle<()>,
    state: Arc<State>,
}

impl Balancer {
    /// Starts it in front of servers with these URLs.
    pub(crate) async fn start(servers: [String; 2]) -> Self {
        let state = Arc::new(State {
            servers: servers.map(|url| url.trim_start_matches("http://").to_owned()),
            requests: Default::default(),
            turn: AtomicUsize::new(0),
            websockets: Semaphore::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { url, task, state }
    }

    pub(crate) fn let_websockets_through(&self) {
        self.state.websockets.add_permits(Semaphore::MAX_PERMITS);
    }

    /// How many requests each server was sent.
    pub(crate) fn requests(&self) -> [usize; 2] {
        self.state.requests.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct State {
    servers: [String; 2],
    requests: [AtomicUsize; 2],
    turn: AtomicUsize,
    websockets: Semaphore,
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new(); // ends them with this task
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let balance = service_fn(move |request| balance(request, Arc::clone(&state)));
        let connection = server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), balance);
        connections.spawn(connection.with_upgrades());
    }
}

async fn balance(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Incoming>, BoxError> {
    if request.headers().contains_key(UPGRADE) {
        let _ = state.websockets.acquire().await?;
    }
    let named = named_server(&request);
    let server = named.unwrap_or_else(|| state.turn.fetch_add(1, Ordering::Relaxed) % 2);
    state.requests[server].fetch_add(1, Ordering::Relaxed);
    let mut response = forward(request, &state.servers[server]).await?;
    if named.is_none() {
        let cookie = HeaderValue::try_from(format!("lb={server}; Path=/; HttpOnly"))?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn named_server(request: &Request<Incoming>) -> Option<usize> {
    let cookies = request.headers().get(COOKIE)?.to_str().ok()?;
    let server = cookies.split("; ").find_map(|pair| pair.strip_prefix("lb="))?.parse().ok()?;
    (server < 2).then_some(server)
}

/// Sends a request over a connection of its own, which becomes a tunnel if the reply says so.
pub(crate) async fn forward(mut request: Request<Incoming>, server: &str) -> Result<Response<Incoming>, BoxError> {
    let downstream = upgrade::on(&mut request);
    let stream = TcpStream::connect(server).await?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = sender.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upstream = upgrade::on(&mut response);
        tokio::spawn(async move {
            let (downstream, upstream) = tokio::try_join!(downstream, upstream)?;
            copy_bidirectional(&mut TokioIo::new(downstream), &mut TokioIo::new(upstream)).await?;
            Ok::<_, BoxError>(())
        });
    }
    Ok(response)
}
