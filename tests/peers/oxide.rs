//! A server that is not the reference: engineioxide, in this process.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use engineioxide::{
    DisconnectReason, Socket, Str, TransportType, config::EngineIoConfig, handler::EngineIoHandler,
    service::EngineIoService,
};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::{
    net::TcpListener,
    sync::mpsc::error::TrySendError,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// Echoes, and obeys the commands `!burst`, `!burst-binary`, `!collect`, `!close` and `!transport`.
///
/// Dropping it ends the listener and its HTTP connections. An open WebSocket ends with its client.
pub(crate) struct Oxide {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Oxide {
    pub(crate) async fn start<const N: usize>(
        ping_interval: Duration,
        ping_timeout: Duration,
        max_payload: u64,
        transports: [TransportType; N],
    ) -> Self {
        Self::start_with(ping_interval, ping_timeout, max_payload, transports, None).await
    }

    /// The default server, over TLS.
    pub(crate) async fn start_tls(config: ServerConfig) -> Self {
        let transports = [TransportType::Polling, TransportType::Websocket];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start_with(Duration::from_secs(25), Duration::from_secs(20), 1_000_000, transports, Some(acceptor)).await
    }

    async fn start_with<const N: usize>(
        ping_interval: Duration,
        ping_timeout: Duration,
        max_payload: u64,
        transports: [TransportType; N],
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let config = EngineIoConfig::builder()
            .ping_interval(ping_interval)
            .ping_timeout(ping_timeout)
            .max_payload(max_payload)
            .max_buffer_size(4096) // packets; a burst has to fit in
            .transports(transports)
            .build();
        let service = EngineIoService::with_config(Arc::new(Echo), config);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(serve(listener, service, tls));
        Self { url, task }
    }
}

impl Drop for Oxide {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The default server, as a service.
pub(crate) fn echo() -> EngineIoService<Echo> {
    EngineIoService::new(Arc::new(Echo))
}

async fn serve(listener: TcpListener, service: EngineIoService<Echo>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new(); // ends them with this task
    while let Ok((stream, _)) = listener.accept().await {
        let (service, tls) = (service.clone(), tls.clone());
        connections.spawn(async move {
            let http = http1::Builder::new();
            let Some(tls) = tls else {
                return http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            };
            // Clients that are refused are what some tests are about.
            let Ok(stream) = tls.accept(stream).await else { return Ok(()) };
            http.serve_connection(TokioIo::new(stream), service).with_upgrades().await
        });
    }
}

#[derive(Debug)]
pub(crate) struct Echo;

/// What `!collect` still waits for: the next number, and how many there are in all.
pub(crate) type Collecting = Mutex<Option<(u32, u32)>>;

impl EngineIoHandler for Echo {
    type Data = Collecting;

    fn on_connect(self: Arc<Self>, _socket: Arc<Socket<Collecting>>) {}

    fn on_disconnect(&self, _socket: Arc<Socket<Collecting>>, _reason: DisconnectReason) {}

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<Collecting>>) {
        if collect(&socket, &text) {
            return;
        }
        let (command, count) = text.split_once(' ').unwrap_or((&text, "0"));
        let count: u32 = count.parse().unwrap_or(0);
        match command {
            "!burst" => (0..count).for_each(|i| send(&socket, i.to_string())),
            "!burst-binary" => (0..count).for_each(|i| queued(socket.emit_binary(i.to_be_bytes().to_vec()))),
            "!collect" if count == 0 => send(&socket, "collected 0 ok"),
            "!collect" => *socket.data.lock().expect("nobody panicked") = Some((0, count)),
            "!close" => socket.close(DisconnectReason::ClosingServer),
            "!transport" => send(&socket, <&str>::from(socket.transport_type())),
            _ => send(&socket, text),
        }
    }

    fn on_binary(self: &Arc<Self>, data: Bytes, socket: Arc<Socket<Collecting>>) {
        if !collect(&socket, &format!("{} bytes", data.len())) {
            queued(socket.emit_binary(data));
        }
    }
}

/// Whether the message went to a collection, and not to the echo.
fn collect(socket: &Socket<Collecting>, text: &str) -> bool {
    let mut collecting = socket.data.lock().expect("nobody panicked");
    let Some((next, end)) = *collecting else {
        return false;
    };
    *collecting = None;
    if text != next.to_string() {
        send(socket, format!("collected wrong at {next}: {text}"));
    } else if next + 1 == end {
        send(socket, format!("collected {end} ok"));
    } else {
        *collecting = Some((next + 1, end));
    }
    true
}

fn send(socket: &Socket<Collecting>, text: impl Into<Str>) {
    queued(socket.emit(text));
}

/// A closed session takes nothing more, and that is fine.
fn queued<T>(result: Result<(), TrySendError<T>>) {
    assert!(!matches!(result, Err(TrySendError::Full(_))), "engineioxide's queue is full");
}
