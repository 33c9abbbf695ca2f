use std::{io, net::Ipv4Addr, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::TcpStream,
};

use super::{NAME, State, connect};

pub(super) async fn serve(stream: TcpStream, state: Arc<State>) {
    let _ = negotiate(BufReader::new(stream), &state).await; // a client that goes away is no failure
}

/// <https://www.openssh.com/txt/socks4.protocol>, <https://www.openssh.com/txt/socks4a.protocol>
async fn negotiate(mut stream: BufReader<TcpStream>, state: &State) -> io::Result<()> {
    let (version, command, port) = (stream.read_u8().await?, stream.read_u8().await?, stream.read_u16().await?);
    assert_eq!((version, command), (4, 1), "SOCKS4 and CONNECT");
    let address = Ipv4Addr::from(stream.read_u32().await?);
    let _user = read_text(&mut stream).await?;
    let host = match address.octets() {
        [0, 0, 0, 1..=255] => read_text(&mut stream).await?,
        _ => address.to_string(),
    };
    state.note(format!("SOCKS4 {host}:{port}"));
    if host != NAME && host != "127.0.0.1" {
        return stream.write_all(&[0, REJECTED, 0, 0, 0, 0, 0, 0]).await;
    }
    let mut server = connect(port).await;
    stream.write_all(&[0, GRANTED, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

async fn read_text(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.read_until(0, &mut bytes).await?;
    assert_eq!(bytes.pop(), Some(0), "it ends with a zero");
    Ok(String::from_utf8(bytes).expect("UTF-8"))
}

const GRANTED: u8 = 90;
const REJECTED: u8 = 91;
