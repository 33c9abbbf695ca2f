//! `CONNECT`. It is spoken by hyper's own client, as hyper-util's `Tunnel` tells no status and takes none but 200.

use bytes::Bytes;
use futures::future::try_join;
use http::{
    HeaderValue, Request,
    header::{HOST, PROXY_AUTHORIZATION},
};
use http_body_util::Empty;
use hyper::{
    client::conn::http1,
    rt::{Read, Write},
    upgrade::OnUpgrade,
};

use super::ProxyError;

/// Has an HTTP proxy connect `io` with `target`, a host and its port.
pub(super) async fn open<S>(io: S, target: &str, credentials: Option<&HeaderValue>) -> Result<S, ProxyError>
where
    S: Read + Write + Unpin + Send,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = builder.handshake(io).await.map_err(no_answer)?;
    let mut request = Request::connect(target).header(HOST, target);
    if let Some(credentials) = credentials {
        request = request.header(PROXY_AUTHORIZATION, credentials);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(no_answer)?;

    let answered = async {
        let response = sender.send_request(request).await.map_err(no_answer)?;
        let (status, switches) = (response.status(), response.extensions().get::<OnUpgrade>().is_some());
        if status.is_success() && switches { Ok(()) } else { Err(ProxyError::Refused(status)) }
    };
    let opened = async { connection.without_shutdown().await.map_err(no_answer) };
    let ((), parts) = try_join(answered, opened).await?;
    if parts.read_buf.is_empty() { Ok(parts.io) } else { Err(no_answer("there is more than an answer")) }
}

fn no_answer(error: impl Into<crate::BoxError>) -> ProxyError {
    ProxyError::NoAnswer(error.into())
}

/// How large an answer's head may be, in bytes: the least that hyper takes for a limit.
const MAX_HEAD: usize = 8192;

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// Answers the request for a tunnel; gives that, what became of it, and the proxy's end.
    async fn answered(answer: &str) -> (String, Result<DuplexStream, ProxyError>, DuplexStream) {
        let (ours, mut proxys) = duplex(64 << 10);
        let credentials = HeaderValue::from_static("Basic dTpw");
        let served = async {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(proxys.read_u8().await.unwrap());
            }
            proxys.write_all(answer.as_bytes()).await.unwrap();
            if !answer.ends_with("\r\n\r\n") {
                proxys.shutdown().await.unwrap();
            }
            String::from_utf8(request).unwrap()
        };
        let (opened, request) = tokio::join!(open(TokioIo::new(ours), "[::1]:80", Some(&credentials)), served);
        (request, opened.map(TokioIo::into_inner), proxys)
    }

    #[tokio::test]
    async fn any_success_opens_a_tunnel() {
        for head in ["HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 Connection established\r\n", "HTTP/1.1 201 A\r\nB: c\r\n"] {
            for more in ["", "Content-Length: 5\r\n", "Connection: close\r\n", "Transfer-Encoding: chunked\r\n"] {
                let (request, opened, mut proxys) = answered(&format!("{head}{more}\r\n")).await;
                assert!(request.starts_with("CONNECT [::1]:80 HTTP/1.1\r\n"), "{request}");
                assert!(request.contains("host: [::1]:80\r\n"), "{request}");
                assert!(request.contains("proxy-authorization: Basic dTpw\r\n"), "{request}");
                let mut ours = opened.unwrap_or_else(|error| panic!("{head}{more}: {error:?}"));
                ours.write_all(b"ping").await.unwrap();
                proxys.write_all(b"pong").await.unwrap();
                let mut read = [[0; 4]; 2];
                proxys.read_exact(&mut read[0]).await.unwrap();
                ours.read_exact(&mut read[1]).await.unwrap();
                assert_eq!(read, [*b"ping", *b"pong"]);
            }
        }
    }

    #[tokio::test]
    async fn a_refusal_tells_its_status() {
        for (head, expected) in [
            (
                "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic",
                StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            ),
            ("403 Forbidden\r\nContent-Length: 9", StatusCode::FORBIDDEN),
            ("502 Bad Gateway\r\nConnection: close", StatusCode::BAD_GATEWAY),
            ("302 Found\r\nLocation: http://elsewhere", StatusCode::FOUND),
            ("101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x", StatusCode::SWITCHING_PROTOCOLS),
            ("204 No Content", StatusCode::NO_CONTENT), // which hyper does not take for a tunnel
        ] {
            let (_, opened, _) = answered(&format!("HTTP/1.1 {head}\r\n\r\n")).await;
            assert!(matches!(opened, Err(ProxyError::Refused(status)) if status == expected), "{opened:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(16 << 10));
        for answer in ["", "HTTP/1.1 200", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\n\r\nSSH-2.0", &endless] {
            let (_, opened, _) = answered(answer).await;
            assert!(matches!(opened, Err(ProxyError::NoAnswer(_))), "{answer:.20}: {opened:?}");
        }
    }
}
