//! `eio serve`: a server to try with.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use bytes::Bytes;
use clap::Args;
use engineioxide::{
    DisconnectReason, Socket, Str, config::EngineIoConfig, handler::EngineIoHandler, service::EngineIoService,
};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    console,
    exit::{Exit, Failure},
    signals,
};

/// Serves sessions that echo what they are sent, until Ctrl-C
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The port; with 0 a free one is found
    #[arg(default_value_t = 3000)]
    port: u16,
    /// The address; 0.0.0.0 lets other machines in
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
}

/// Serves until it is asked to end. The URL goes to standard output.
pub(crate) async fn run(args: ServeArgs) -> Result<Exit, Failure> {
    let mut signals = signals::requests_to_end().map_err(Failure::new)?;
    let listener = TcpListener::bind((args.host, args.port)).await;
    let listener = listener.map_err(|error| Failure::new(error).hint("another port may be free: eio serve PORT"))?;
    let address = listener.local_addr().map_err(Failure::new)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "http://{address}").and_then(|()| stdout.flush()).map_err(Failure::new)?;
    console::remark("echoing at /engine.io/, until Ctrl-C");

    let config = EngineIoConfig::builder().max_payload(MAX_PAYLOAD).max_buffer_size(MAX_QUEUED).build();
    let service = EngineIoService::with_config(Arc::new(Echo), config);
    let mut connections = JoinSet::new(); // ends them with this function
    loop {
        tokio::select! {
            _ = signals.recv() => return Ok(Exit::Done),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, service.clone()));
                }
                Err(error) => {
                    console::warning(format_args!("a connection was not accepted: {error}"));
                    tokio::task::yield_now().await;
                }
            },
        }
    }
}

/// What goes wrong with a connection is for its client to tell.
async fn serve(stream: TcpStream, service: EngineIoService<Echo>) {
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

#[derive(Debug)]
struct Echo;

impl EngineIoHandler for Echo {
    type Data = ();

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<()>>) {
        console::remark(format_args!("{} is open", socket.id));
    }

    fn on_disconnect(&self, socket: Arc<Socket<()>>, reason: DisconnectReason) {
        let why = match reason {
            DisconnectReason::TransportClose => "transport close",
            DisconnectReason::TransportError => "transport error",
            DisconnectReason::HeartbeatTimeout => "ping timeout",
            DisconnectReason::PacketParsingError => "parse error",
            DisconnectReason::MultipleHttpPollingError => "more than one GET, or POST, at a time",
            DisconnectReason::ClosingServer => "the server ends",
        };
        console::remark(format_args!("{} is closed: {why}", socket.id));
    }

    fn on_message(self: &Arc<Self>, text: Str, socket: Arc<Socket<()>>) {
        if socket.emit(text).is_err() {
            too_slow(&socket);
        }
    }

    fn on_binary(self: &Arc<Self>, data: Bytes, socket: Arc<Socket<()>>) {
        if socket.emit_binary(data).is_err() {
            too_slow(&socket);
        }
    }
}

/// An echo that nobody takes would otherwise be lost in silence.
fn too_slow(socket: &Socket<()>) {
    socket.close(DisconnectReason::ClosingServer);
}

const MAX_PAYLOAD: u64 = 16 << 20;
/// Packets for one client.
const MAX_QUEUED: usize = 4096;
