//! Frames by hand on a TCP socket: what no WebSocket client can beat.

use std::error::Error;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{FLOOD, Message, Meter, Outcome, Terms};

pub(super) async fn run(scenario: &str, terms: &Terms) -> Result<Option<Outcome>, Box<dyn Error>> {
    match scenario {
        "connect-websocket" => {
            let mut meter = Meter::new(terms.duration);
            loop {
                let mut stream = connect(terms).await?;
                stream.write_all(&frame(0x88, &1000_u16.to_be_bytes())).await?;
                while stream.read(&mut [0; 1024]).await? > 0 {}
                if let Some(outcome) = meter.count(1) {
                    return Ok(Some(outcome));
                }
            }
        }
        "websocket-round-trip" | "websocket-echo" | "websocket-echo-binary" | "websocket-receive" => {
            let mut stream = connect(terms).await?;
            exchange(&mut stream, scenario, terms).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn exchange(stream: &mut TcpStream, scenario: &str, terms: &Terms) -> Result<Outcome, Box<dyn Error>> {
    let sent = match Message::new(scenario, terms.size) {
        Message::Text(text) => frame(0x81, format!("4{text}").as_bytes()),
        Message::Binary(bytes) => frame(0x82, &bytes),
    };
    let received = sent.len() - 4; // without the mask
    let mut meter = Meter::new(terms.duration);
    let mut buffer = vec![0; 1 << 20];
    // In flight, then sent again, and received, at once.
    let (window, batch) = match scenario {
        "websocket-round-trip" => (1, 1),
        "websocket-receive" => (0, FLOOD),
        _ => (terms.window, (terms.window / 2).max(1)),
    };
    let again = match scenario {
        "websocket-receive" => frame(0x81, format!("4flood {FLOOD} {}", terms.size).as_bytes()),
        _ => sent.repeat(batch),
    };
    stream.write_all(&if window == 0 { again.clone() } else { sent.repeat(window) }).await?;
    let mut left = 0;
    loop {
        while left < batch * received {
            left += match stream.read(&mut buffer).await? {
                0 => return Err("the server has closed".into()),
                read => read,
            };
        }
        left -= batch * received;
        if let Some(outcome) = meter.count(batch) {
            return Ok(outcome);
        }
        let (mut reader, mut writer) = stream.split();
        let mut written = 0;
        while written < again.len() {
            tokio::select! {
                write = writer.write(&again[written..]) => written += write?,
                read = reader.read(&mut buffer) => left += read?,
            }
        }
    }
}

/// A session that has been opened.
async fn connect(terms: &Terms) -> Result<TcpStream, Box<dyn Error>> {
    let authority = terms.url.authority().ok_or("no host")?;
    let mut stream = TcpStream::connect(authority.as_str()).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET {}?EIO=4&transport=websocket HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        terms.url.path()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    while !reply.ends_with(b"}") {
        if stream.read_buf(&mut reply).await? == 0 {
            return Err("no session was opened".into());
        }
    }
    Ok(stream)
}

/// A masked frame, whose mask changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
