//! The least that can be written on tokio-tungstenite: a loop by hand that knows just enough Engine.IO.

use std::{error::Error, sync::Arc};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
    time::sleep,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message as Frame};

use super::{
    Message, Meter, Outcome, Session, Terms, exchange,
    meter::{cpu_time, resident},
};

type Socket = WebSocketStream<TcpStream>;

pub(super) async fn run(scenario: &str, terms: &Terms) -> Result<Option<Outcome>, Box<dyn Error>> {
    match scenario {
        "connect-websocket" | "drop-websocket" => {
            let mut meter = Meter::new(terms.duration);
            loop {
                let mut socket = connect(terms, "").await?;
                socket.next().await.ok_or("no open packet")??;
                if scenario.starts_with("connect") {
                    close(socket).await?;
                }
                if let Some(outcome) = meter.count(1) {
                    return Ok(Some(outcome));
                }
            }
        }
        "connect-upgrade" | "drop-upgrade" => {
            let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
            let mut meter = Meter::new(terms.duration);
            loop {
                let poll = format!("{}?EIO=4&transport=polling", terms.url).parse()?;
                let open = client.get(poll).await?.into_body().collect().await?.to_bytes();
                let open: serde_json::Value = serde_json::from_slice(open.get(1..).ok_or("no open packet")?)?;
                let sid = open["sid"].as_str().ok_or("no session ID")?;
                let mut socket = connect(terms, &format!("&sid={sid}")).await?;
                socket.send(Frame::text("2probe")).await?;
                socket.next().await.ok_or("no answer to the probe")??;
                socket.send(Frame::text("5")).await?;
                if scenario.starts_with("connect") {
                    close(socket).await?;
                }
                if let Some(outcome) = meter.count(1) {
                    return Ok(Some(outcome));
                }
            }
        }
        "idle-websocket" => idle(terms, false, async || connect(terms, "").await).await.map(Some),
        "idle-tls" => {
            let tls = tls(terms)?;
            idle(terms, false, async || connect_tls(&tls, terms).await).await.map(Some)
        }
        _ if scenario.starts_with("websocket") => {
            let mut socket = connect(terms, "").await?;
            socket.next().await.ok_or("no open packet")??;
            exchange(&mut socket, scenario, terms).await
        }
        _ => Ok(None),
    }
}

pub(super) async fn run_in_tasks(scenario: &str, terms: &Terms) -> Result<Option<Outcome>, Box<dyn Error>> {
    match scenario {
        "connect-websocket" => {
            let mut meter = Meter::new(terms.duration);
            loop {
                let mut session = spawn(connect(terms, "").await?);
                session.events.recv().await.ok_or("no open packet")?;
                drop(session.to_task);
                while session.events.recv().await.is_some() {}
                if let Some(outcome) = meter.count(1) {
                    return Ok(Some(outcome));
                }
            }
        }
        "idle-websocket" => idle(terms, true, async || connect(terms, "").await).await.map(Some),
        "idle-tls" => {
            let tls = tls(terms)?;
            idle(terms, true, async || connect_tls(&tls, terms).await).await.map(Some)
        }
        _ if scenario.starts_with("websocket") => {
            let mut session = spawn(connect(terms, "").await?);
            session.events.recv().await.ok_or("no open packet")?;
            exchange(&mut session, scenario, terms).await
        }
        _ => Ok(None),
    }
}

async fn connect(terms: &Terms, query: &str) -> Result<Socket, Box<dyn Error>> {
    handshake(connect_tcp(terms).await?, terms, query).await
}

/// What all connections share.
fn tls(terms: &Terms) -> Result<TlsConnector, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(terms.authority.as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn connect_tls(
    tls: &TlsConnector,
    terms: &Terms,
) -> Result<WebSocketStream<TlsStream<TcpStream>>, Box<dyn Error>> {
    let host = terms.url.host().ok_or("no host")?.to_owned();
    let stream = tls.connect(host.try_into()?, connect_tcp(terms).await?).await?;
    handshake(stream, terms, "").await
}

async fn connect_tcp(terms: &Terms) -> Result<TcpStream, Box<dyn Error>> {
    let stream = TcpStream::connect(terms.url.authority().ok_or("no host")?.as_str()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    terms: &Terms,
    query: &str,
) -> Result<WebSocketStream<T>, Box<dyn Error>> {
    let authority = terms.url.authority().ok_or("no host")?;
    let url = format!("ws://{authority}{}?EIO=4&transport=websocket{query}", terms.url.path());
    Ok(client_async(url, stream).await?.0)
}

async fn close<T: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<T>) -> Result<(), Box<dyn Error>> {
    socket.close(None).await?;
    while socket.next().await.is_some() {}
    Ok(())
}

impl Session for Socket {
    async fn feed(&mut self, message: Message) -> Result<(), Box<dyn Error>> {
        Ok(SinkExt::feed(self, encode(message)).await?)
    }

    async fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(SinkExt::flush(self).await?)
    }

    async fn receive(&mut self) -> Result<usize, Box<dyn Error>> {
        loop {
            let frame = self.next().await.ok_or("the server has closed")??;
            if is_ping(&frame) {
                self.send(Frame::text("3")).await?;
            } else if let Some(length) = decode(&frame) {
                return Ok(length);
            }
        }
    }
}

/// A session whose socket has a task of its own.
struct Spawned {
    to_task: mpsc::Sender<Message>,
    events: mpsc::Receiver<Frame>,
}

fn spawn<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut socket: WebSocketStream<T>) -> Spawned {
    let (to_task, mut messages) = mpsc::channel(CAPACITY);
    let (events_of, events) = mpsc::channel(CAPACITY);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                message = messages.recv() => {
                    let Some(mut message) = message else { break };
                    loop {
                        SinkExt::feed(&mut socket, encode(message)).await?;
                        match messages.try_recv() {
                            Ok(next) => message = next,
                            Err(_) => break,
                        }
                    }
                    SinkExt::flush(&mut socket).await?;
                }
                Some(frame) = socket.next() => {
                    let frame = frame?;
                    if is_ping(&frame) {
                        socket.send(Frame::text("3")).await?;
                    } else if events_of.send(frame).await.is_err() {
                        break;
                    }
                }
                else => break,
            }
        }
        socket.close(None).await?;
        while socket.next().await.is_some() {}
        Ok::<_, tokio_tungstenite::tungstenite::Error>(())
    });
    Spawned { to_task, events }
}

impl Session for Spawned {
    async fn feed(&mut self, message: Message) -> Result<(), Box<dyn Error>> {
        self.to_task.send(message).await.map_err(|_| "the task has ended".into())
    }

    async fn flush(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(()) // the task does so
    }

    async fn receive(&mut self) -> Result<usize, Box<dyn Error>> {
        loop {
            if let Some(length) = decode(&self.events.recv().await.ok_or("the task has ended")?) {
                return Ok(length);
            }
        }
    }
}

async fn idle<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    terms: &Terms,
    in_tasks: bool,
    connect: impl AsyncFn() -> Result<WebSocketStream<T>, Box<dyn Error>>,
) -> Result<Outcome, Box<dyn Error>> {
    let mut warm = connect().await?;
    warm.next().await.ok_or("no open packet")??;
    close(warm).await?;
    let before = resident()?;
    let mut ends = Vec::new();
    for _ in 0..terms.sessions {
        let mut socket = connect().await?;
        socket.next().await.ok_or("no open packet")??;
        if in_tasks {
            ends.push(spawn(socket));
        } else {
            tokio::spawn(async move {
                while let Some(Ok(_ping)) = socket.next().await {
                    socket.send(Frame::text("3")).await?;
                }
                Ok::<_, tokio_tungstenite::tungstenite::Error>(())
            });
        }
    }
    let cpu_before = cpu_time();
    sleep(terms.duration).await;
    let cpu = cpu_time() - cpu_before;
    Ok(Outcome::Idle { sessions: terms.sessions, resident: resident()?.saturating_sub(before), cpu })
}

fn encode(message: Message) -> Frame {
    match message {
        Message::Text(text) => Frame::text(["4", text].concat()),
        Message::Binary(bytes) => Frame::Binary(bytes),
    }
}

fn decode(frame: &Frame) -> Option<usize> {
    match frame {
        Frame::Text(text) => text.strip_prefix('4').map(str::len),
        Frame::Binary(bytes) => Some(bytes.len()),
        _ => None,
    }
}

fn is_ping(frame: &Frame) -> bool {
    matches!(frame, Frame::Text(text) if text.as_str() == "2")
}

const CAPACITY: usize = 1024;
