//! A client is a service from URL to socket, and tower's middleware does to it what it does to any service.

mod peers;

use std::{
    future::{self, Ready},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use engineio_client::{Client, Data, Error, Event, Packet, Sender, Socket};
use futures::{
    FutureExt, SinkExt, StreamExt,
    channel::mpsc,
    future::{join, join_all},
};
use http::{StatusCode, Uri};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt,
    balance::p2c::Balance,
    discover::ServiceList,
    load::{CompleteOnResponse, PendingRequests},
    load_shed::error::Overloaded,
    reconnect::Reconnect,
    retry::Policy,
    timeout::error::Elapsed,
    util::BoxCloneSyncService,
};

use self::peers::{
    reference::Reference,
    scripted::Scripted,
    session::{Session, uri, within},
};

async fn server() -> Reference {
    Reference::start(6, json!({})).await
}

async fn echo(name: &str, socket: Socket) {
    Session::new(name, socket).echo("hi").await;
}

/// Another attempt at once, up to a number of them, where a server may yet come to itself.
#[derive(Clone)]
struct Again {
    left: u32,
}

impl Policy<Uri, Socket, Error> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Uri, result: &mut Result<Socket, Error>) -> Option<Ready<()>> {
        let error = result.as_ref().err()?;
        let may_pass = match error.status() {
            Some(status) => status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
            None => matches!(error, Error::Transport { .. } | Error::Ended { .. } | Error::Timeout { .. }),
        };
        self.left = self.left.checked_sub(1).filter(|_| may_pass)?;
        Some(future::ready(()))
    }

    fn clone_request(&mut self, uri: &Uri) -> Option<Uri> {
        Some(uri.clone())
    }
}

#[tokio::test]
async fn retries_outlast_a_server_that_is_not_up_yet() {
    let server = server().await;
    let front = Front::start(&server, ["503 Service Unavailable", "", "429 Too Many Requests"]).await;
    let client = ServiceBuilder::new().retry(Again { left: 3 }).service(Client::default());
    let socket = within("a session", client.oneshot(uri(&front.url))).await.expect("the fourth attempt gets through");
    assert_eq!(front.connections(), 4);
    echo("after retries", socket).await;
}

#[tokio::test]
async fn retries_end_where_they_are_of_no_use_or_used_up() {
    let server = server().await;
    let client = ServiceBuilder::new().retry(Again { left: 1 }).service(Client::default());

    let front = Front::start(&server, ["403 Forbidden"]).await;
    let error = within("no session", client.clone().oneshot(uri(&front.url))).await.expect_err("it is forbidden");
    assert_eq!((error.status(), front.connections()), (Some(StatusCode::FORBIDDEN), 1));

    let front = Front::start(&server, ["502 Bad Gateway"; 3]).await;
    let error = within("no session", client.oneshot(uri(&front.url))).await.expect_err("twice is not enough");
    assert_eq!((error.status(), front.connections()), (Some(StatusCode::BAD_GATEWAY), 2));
}

#[tokio::test]
async fn a_timeout_gives_the_attempt_up() {
    let mut server = Scripted::start().await;
    let client = ServiceBuilder::new().timeout(BRIEF).service(Client::default());
    let (error, ()) = tokio::join!(within("no session", client.oneshot(server.url())), async {
        server.handshake().await.ended().await;
    });
    assert!(error.expect_err("nobody answers").is::<Elapsed>());
}

#[tokio::test]
async fn a_limit_to_concurrency_counts_attempts_and_not_sessions() {
    let (server, mute) = (server().await, Scripted::start().await);
    let mut client = ServiceBuilder::new().concurrency_limit(1).service(Client::default());
    let attempt = client.ready().await.unwrap().call(mute.url());
    assert!(client.ready().now_or_never().is_none(), "one is under way");
    drop(attempt);

    let mut sessions = Vec::new();
    for _ in 0..2 {
        let client = within("room", client.ready()).await.unwrap();
        sessions.push(within("a session", client.call(uri(&server.url()))).await.unwrap());
    }
    assert_ne!(sessions[0].id(), sessions[1].id());
}

#[tokio::test]
async fn a_limit_to_the_rate_spreads_attempts() {
    let server = server().await;
    let mut client = ServiceBuilder::new().rate_limit(1, BRIEF).service(Client::default());
    let began = Instant::now();
    for _ in 0..3 {
        let client = within("a turn", client.ready()).await.unwrap();
        within("a session", client.call(uri(&server.url()))).await.unwrap();
    }
    assert!(began.elapsed() >= 2 * BRIEF);
}

#[tokio::test]
async fn what_is_too_much_is_shed() {
    let (server, mute) = (server().await, Scripted::start().await);
    let mut client = ServiceBuilder::new().load_shed().concurrency_limit(1).service(Client::default());
    let attempt = client.ready().await.unwrap().call(mute.url());
    let error = client.ready().await.unwrap().call(uri(&server.url())).await.expect_err("one is under way");
    assert!(error.is::<Overloaded>(), "{error:?}");
    drop(attempt);
    let socket = client.ready().await.unwrap().call(uri(&server.url()));
    echo("after shedding", within("a session", socket).await.unwrap()).await;
}

#[tokio::test]
async fn many_tasks_share_a_client_behind_a_buffer() {
    let server = server().await;
    let client = ServiceBuilder::new().buffer(2).concurrency_limit(2).service(Client::default());
    let tasks = (0..5).map(|_| tokio::spawn(client.clone().oneshot(uri(&server.url()))));
    for socket in within("sessions", join_all(tasks)).await {
        echo("by a buffer", socket.unwrap().unwrap()).await;
    }
}

#[tokio::test]
async fn a_whole_stack_hides_behind_one_type() {
    let server = server().await;
    let front = Front::start(&server, ["503 Service Unavailable"]).await;
    let client = ServiceBuilder::new()
        .buffer(8)
        .load_shed()
        .timeout(Duration::from_secs(15))
        .concurrency_limit(4)
        .rate_limit(100, Duration::from_secs(1))
        .retry(Again { left: 1 })
        .service(Client::default());
    let client: BoxCloneSyncService<Uri, Socket, BoxError> = BoxCloneSyncService::new(client);
    let socket = within("a session", client.oneshot(uri(&front.url))).await.unwrap();
    echo("through all of it", socket).await;
}

#[tokio::test]
async fn a_balance_spreads_sessions_over_servers() {
    let servers = [server().await, server().await];
    let clients = servers.each_ref().map(|server| {
        let url = uri(&server.url());
        let client = Client::default().map_request(move |()| url.clone());
        PendingRequests::new(client, CompleteOnResponse::default())
    });
    let mut balance = Balance::new(ServiceList::new(clients));
    let first = balance.ready().await.unwrap().call(());
    let second = balance.ready().await.unwrap().call(()); // goes where nothing is under way
    let (first, second) = within("sessions", join(first, second)).await;
    let ids = [first.unwrap(), second.unwrap()].map(|socket| socket.id().unwrap().to_owned());
    let mut begun = Vec::new();
    for mut server in servers {
        begun.push(server.event("connection").await["sid"].as_str().unwrap().to_owned());
    }
    begun.sort();
    let mut ids = Vec::from(ids);
    ids.sort();
    assert_eq!(begun, ids);
}

#[tokio::test]
async fn a_service_over_a_session_connects_again_once_it_has_ended() {
    let mut server = server().await;
    let (sessions, mut begun) = mpsc::unbounded();
    let connect = Client::default().map_response(move |socket: Socket| {
        let (sender, receiver) = socket.spawn();
        sessions.unbounded_send(receiver).expect("the test takes them");
        Sending(sender)
    });
    let mut sending = Reconnect::new(connect, uri(&server.url()));
    for text in ["first", "second"] {
        let ready = within("a session", sending.ready()).await.unwrap();
        ready.call(text.into()).await.unwrap();
        let mut events = begun.next().await.expect("it was begun for this");
        let mut echoes = 0;
        while let Some(event) = within("the end", events.next()).await {
            if let Event::Message(echo) = event {
                assert_eq!(echo, Data::from(text));
                echoes += 1;
                server.command(json!({ "do": "close" })).await;
            }
        }
        assert_eq!(echoes, 1);
    }
}

/// The sending half of a session, as a service.
struct Sending(Sender);

impl Service<Packet> for Sending {
    type Response = ();
    type Error = Error;
    type Future = Ready<Result<(), Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_ready_unpin(cx)
    }

    fn call(&mut self, packet: Packet) -> Self::Future {
        future::ready(self.0.start_send_unpin(packet))
    }
}

/// Stands in front of a server: has an answer of its own to the first connections, or hangs up where that is empty,
/// and lets those after them through.
///
/// Dropping it ends them all.
struct Front {
    url: String,
    connections: Arc<AtomicU32>,
    _tasks: JoinSet<()>,
}

impl Front {
    async fn start(server: &Reference, answers: impl IntoIterator<Item = &'static str>) -> Self {
        let mut answers = Vec::from_iter(answers).into_iter();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let server = server.url().trim_start_matches("http://").to_owned();
        let connections = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                match answers.next() {
                    Some(answer) => drop(connections.spawn(refuse(stream, answer))),
                    None => drop(connections.spawn(pass(stream, server.clone()))),
                }
            }
        });
        Self { url, connections, _tasks: tasks }
    }

    fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn refuse(mut stream: TcpStream, status: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    if !status.is_empty() {
        let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes()).await; // to a client that may be gone by now
    }
}

async fn pass(mut stream: TcpStream, server: String) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        let _ = copy_bidirectional(&mut stream, &mut server).await; // until either side has gone
    }
}

/// A limit that a test waits for.
const BRIEF: Duration = Duration::from_millis(100);
