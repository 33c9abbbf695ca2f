//! Requests, one after another on a connection, and what answers them.

use std::{io, str};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{sessions::Sessions, websocket};

pub(super) async fn serve(mut stream: TcpStream, sessions: Sessions) -> io::Result<()> {
    let mut input = Vec::with_capacity(4 << 10);
    let mut output = Vec::new();
    while let Some(request) = read(&mut stream, &mut input).await? {
        if let Some(key) = request.websocket_key {
            let accept = derive_accept_key(key.as_bytes());
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            return websocket::serve(stream, head.into_bytes(), input, &sessions, request.sid).await;
        }
        let (status, body) = match (request.sid.as_deref().map(|sid| sessions.get(sid)), request.body) {
            (None, _) => {
                let (id, packet) = sessions.open(r#""websocket""#, 1_000_000);
                sessions.insert(id);
                ("200 OK", packet.into_bytes())
            }
            (Some(None), _) => ("400 Bad Request", br#"{"code":1,"message":"Session ID unknown"}"#.to_vec()),
            (Some(Some(session)), Some(body)) => {
                if session.receive(&body) {
                    sessions.remove(request.sid.as_deref().unwrap_or_default());
                }
                ("200 OK", b"ok".to_vec())
            }
            (Some(Some(session)), None) => loop {
                if let Some(payload) = session.take_payload() {
                    break ("200 OK", payload);
                }
                if timeout(sessions.heartbeat.interval, session.changed.notified()).await.is_err() {
                    break ("200 OK", b"2".to_vec());
                }
            },
        };
        output.clear();
        output.extend_from_slice(b"HTTP/1.1 ");
        output.extend_from_slice(status.as_bytes());
        output.extend_from_slice(b"\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: ");
        output.extend_from_slice(body.len().to_string().as_bytes());
        output.extend_from_slice(b"\r\n\r\n");
        output.extend_from_slice(&body);
        stream.write_all(&output).await?;
    }
    Ok(())
}

struct Request {
    sid: Option<String>,
    websocket_key: Option<String>,
    body: Option<Vec<u8>>, // of a POST
}

/// Reads a request and takes it from the input; none at the end of the stream.
async fn read(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(end) = head.parse(input).map_err(io::Error::other)? {
            let header = |name: &str| {
                let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
                str::from_utf8(header.value).ok()
            };
            let query = head.path.and_then(|path| path.split_once('?')).map_or("", |(_, query)| query);
            let sid = query.split('&').find_map(|pair| pair.strip_prefix("sid=")).map(str::to_owned);
            let websocket_key = header("sec-websocket-key").map(str::to_owned);
            let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            let is_post = head.method == Some("POST");
            while input.len() < end + length {
                if stream.read_buf(input).await? == 0 {
                    return Ok(None);
                }
            }
            let body = is_post.then(|| input[end..end + length].to_vec());
            input.drain(..end + length);
            return Ok(Some(Request { sid, websocket_key, body }));
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}
