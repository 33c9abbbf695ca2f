//! Sends a body as a form and takes the reply out of a script.

use std::{
    future::Future,
    pin::Pin,
    str,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use pin_project_lite::pin_project;
use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;

use crate::{BoxError, query::set_query};

/// Layer that applies [`Jsonp`], which talks as a page's `<script>` and `<form>` elements do.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use engineio_layers::JsonpLayer;
/// use http::{Request, Response};
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let client = ServiceBuilder::new()
///     .layer(JsonpLayer::new(3))
///     .service_fn(|req: Request<Bytes>| async move {
///         assert_eq!(req.uri().query(), Some("j=3"));
///         Ok::<_, Infallible>(Response::new(Bytes::from(r#"___eio[3]("4hello");"#)))
///     });
///
/// let request = Request::get("http://example.com/").body(Bytes::new())?;
/// let response = client.oneshot(request).await?;
/// assert_eq!(response.body(), "4hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JsonpLayer {
    index: u32,
}

impl JsonpLayer {
    /// Creates a layer that asks for replies to be calls of `___eio[index]`.
    pub const fn new(index: u32) -> Self {
        Self { index }
    }
}

impl<S> Layer<S> for JsonpLayer {
    type Service = Jsonp<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Jsonp::new(inner, self.index)
    }
}

/// Middleware that sends a POST's body as a form and takes a GET's reply out of a script.
///
/// The script is never run: it has to be one call of the expected function with one string.
/// The reply to a POST and one whose status is not a success come as they are.
/// What is wrong with a request or a reply is a [`JsonpError`].
///
/// See [`JsonpLayer`] for an example.
#[derive(Clone, Debug)]
pub struct Jsonp<S> {
    inner: S,
    index: u32,
}

impl<S> Jsonp<S> {
    /// Creates a service that asks for replies to be calls of `___eio[index]`.
    pub const fn new(inner: S, index: u32) -> Self {
        Self { inner, index }
    }
}

impl<S> Service<Request<Bytes>> for Jsonp<S>
where
    S: Service<Request<Bytes>, Response = Response<Bytes>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<Bytes>;
    type Error = BoxError;
    type Future = JsonpFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut req: Request<Bytes>) -> Self::Future {
        let script = (req.method() == Method::GET).then_some(self.index);
        set_query(req.uri_mut(), "j", &self.index.to_string());
        if req.method() == Method::POST {
            let Ok(payload) = str::from_utf8(req.body()) else {
                return JsonpFuture { inner: None, script };
            };
            *req.body_mut() = form(payload);
            req.headers_mut().insert(CONTENT_TYPE, FORM);
            req.headers_mut().remove(CONTENT_LENGTH); // it counted the payload
        }
        JsonpFuture { inner: Some(self.inner.call(req)), script }
    }
}

pin_project! {
    /// Response future of [`Jsonp`]. Dropping it drops the request.
    #[derive(Debug)]
    pub struct JsonpFuture<F> {
        #[pin]
        inner: Option<F>, // none if the payload was refused
        script: Option<u32>, // the index, if the reply is to be a script
    }
}

impl<F, E> Future for JsonpFuture<F>
where
    F: Future<Output = Result<Response<Bytes>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<Bytes>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Ready(Err(JsonpError::Binary.into()));
        };
        let mut response = ready!(inner.poll(cx)).map_err(Into::into)?;
        if let (Some(index), true) = (*this.script, response.status().is_success()) {
            *response.body_mut() = unwrap_call(response.body(), index)?.into();
            response.headers_mut().insert(CONTENT_TYPE, TEXT);
            response.headers_mut().remove(CONTENT_LENGTH); // it counted the script
        }
        Poll::Ready(Ok(response))
    }
}

/// What [`Jsonp`] could not send or understand.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JsonpError {
    /// The payload to send is not UTF-8. It was not sent: encode it as text first.
    #[error("jsonp can't carry a binary payload")]
    Binary,
    /// The reply is something else than the one call expected; whoever replied doesn't speak JSONP.
    #[error("the reply is not a call of ___eio[{index}] with a string")]
    NotACall {
        /// The index that was asked for.
        index: u32,
    },
    /// The call is the right one, but its string is broken.
    #[error("the string in the reply is malformed")]
    MalformedString(#[source] BoxError),
}

fn form(payload: &str) -> Bytes {
    let body = form_urlencoded::Serializer::new(String::new()).append_pair("d", &escape_newlines(payload)).finish();
    body.into()
}

/// A newline becomes `\n`, and a `\n` that was there before becomes `\\n`: the server undoes both.
///
/// It would take an escaped newline after a backslash for the latter, so that one is left as it is.
fn escape_newlines(payload: &str) -> String {
    let pieces = payload.split("\\\n");
    let escaped = pieces.map(|piece| piece.replace(r"\n", r"\\n").replace('\n', r"\n"));
    escaped.collect::<Vec<_>>().join("\\\n")
}

/// Takes the string out of `___eio[index]("…");`.
fn unwrap_call(script: &[u8], index: u32) -> Result<String, JsonpError> {
    let script = script.trim_ascii();
    let script = script.strip_prefix(b"/**/").unwrap_or(script);
    let script = script.strip_suffix(b";").unwrap_or(script);
    let literal = script
        .strip_prefix(format!("___eio[{index}](").as_bytes())
        .and_then(|rest| rest.strip_suffix(b")"))
        .filter(|literal| literal.starts_with(b"\"") && literal.ends_with(b"\""))
        .ok_or(JsonpError::NotACall { index })?;
    // Servers write it with JSON.stringify, so reading it as JSON is enough.
    serde_json::from_slice(literal).map_err(|error| JsonpError::MalformedString(error.into()))
}

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");

/// How many bytes the body of a POST has once [`Jsonp`] has made a form of `payload`.
pub fn jsonp_form_len(payload: &str) -> usize {
    let escaped = escape_newlines(payload);
    "d=".len() + form_urlencoded::byte_serialize(escaped.as_bytes()).map(str::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{StatusCode, request};
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// What the server got, and what the client made of its reply.
    async fn exchange(
        request: Request<Bytes>,
        reply: Response<Bytes>,
    ) -> Result<(Request<Bytes>, Response<Bytes>), BoxError> {
        let mut seen = Request::default();
        let server = service_fn(|req: Request<Bytes>| {
            seen = req;
            std::future::ready(Ok::<_, Infallible>(reply.clone()))
        });
        let response = JsonpLayer::new(3).layer(server).oneshot(request).await?;
        Ok((seen, response))
    }

    fn post() -> request::Builder {
        Request::post("/?a=b&j=0")
    }

    /// `JSONP.onData` of engine.io 1.8 and 6.6, which undoes the client's escaping.
    fn server_reads(form: &[u8]) -> String {
        let data = form_urlencoded::parse(form).find(|(name, _)| name == "d");
        let data = data.map(|(_, value)| value).unwrap_or_default();

        // data.replace(/(\\)?\\n/g, (match, slashes) => slashes ? match : "\n")
        let mut undone = String::new();
        let mut rest = &*data;
        while let Some(next) = rest.chars().next() {
            let (piece, taken) = if rest.starts_with(r"\\n") {
                (r"\\n", 3)
            } else if rest.starts_with(r"\n") {
                ("\n", 2)
            } else {
                (&rest[..next.len_utf8()], next.len_utf8())
            };
            undone.push_str(piece);
            rest = &rest[taken..];
        }
        // .replace(/\\\\n/g, "\\n")
        undone.replace(r"\\n", r"\n")
    }

    #[tokio::test]
    async fn a_get_asks_for_the_call_and_takes_its_string() -> Result<(), BoxError> {
        let reply = Response::builder()
            .header(CONTENT_TYPE, "text/javascript")
            .header(CONTENT_LENGTH, "17")
            .header("x-kept", "1")
            .body(r#"___eio[3]("4hi");"#.into())?;
        let (seen, response) = exchange(Request::get("/p?a=b").body(Bytes::new())?, reply).await?;
        assert_eq!(seen.uri(), "/p?a=b&j=3");
        assert_eq!(response.body(), "4hi");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=UTF-8");
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(response.headers()["x-kept"], "1");
        Ok(())
    }

    #[tokio::test]
    async fn a_post_is_a_form_and_its_reply_is_left_alone() -> Result<(), BoxError> {
        let request = post()
            .header(CONTENT_TYPE, "text/plain;charset=UTF-8")
            .header(CONTENT_LENGTH, "11")
            .body("4a &=+é\\n\n".into())?;
        let reply = Response::builder().header(CONTENT_TYPE, "text/html").body("ok".into())?;
        let (seen, response) = exchange(request, reply).await?;
        assert_eq!(seen.uri(), "/?a=b&j=3");
        assert_eq!(seen.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert!(!seen.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(seen.body(), "d=4a+%26%3D%2B%C3%A9%5C%5Cn%5Cn");
        assert_eq!(response.body(), "ok");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html");
        Ok(())
    }

    #[tokio::test]
    async fn a_failure_is_left_alone() -> Result<(), BoxError> {
        let reply = Response::builder()
            .status(StatusCode::BAD_REQUEST)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, "10")
            .body(r#"{"code":1}"#.into())?;
        let (_, response) = exchange(Request::get("/").body(Bytes::new())?, reply).await?;
        assert_eq!(response.body(), r#"{"code":1}"#);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[CONTENT_LENGTH], "10");
        Ok(())
    }

    #[tokio::test]
    async fn a_binary_payload_is_refused_before_it_is_sent() -> Result<(), BoxError> {
        let server = service_fn(|_: Request<Bytes>| async { Err::<Response<Bytes>, BoxError>("called".into()) });
        let request = post().body(Bytes::from_static(&[0, 4, 255, b'4']))?;
        let error = Jsonp::new(server, 3).oneshot(request).await.expect_err("binary");
        assert!(matches!(error.downcast_ref(), Some(JsonpError::Binary)));
        Ok(())
    }

    #[test]
    fn the_server_undoes_the_escaping() {
        // Every string of up to six of these characters.
        let mut payloads = vec![String::new()];
        for length in 0..6 {
            let longest: Vec<_> = payloads.iter().filter(|p| p.len() == length).cloned().collect();
            for payload in longest {
                payloads.extend(['\\', 'n', '\n', '\r', '"'].map(|c| format!("{payload}{c}")));
            }
        }
        payloads.push("4é😀\u{2028}\u{2029} +&=%d=\u{0}\u{1e}b4AQID".to_owned());
        for payload in payloads {
            let form = form(&payload);
            assert_eq!(server_reads(&form), payload, "{payload:?}");
            assert_eq!(jsonp_form_len(&payload), form.len(), "{payload:?}");
        }
    }

    #[test]
    fn what_real_servers_send_is_read() -> Result<(), JsonpError> {
        // JSON.stringify(data).replace(/\u2028/g, "\\u2028").replace(/\u2029/g, "\\u2029")
        let table = [
            (r#""""#, ""),
            (r#""0{\"sid\":\"x\",\"upgrades\":[]}""#, r#"0{"sid":"x","upgrades":[]}"#),
            (r#""4\u2028\u2029""#, "4\u{2028}\u{2029}"),
            (r#""4\"\\\n\r\t\u0000\\n'/\u001e4b""#, "4\"\\\n\r\t\0\\n'/\u{1e}4b"),
            (r#""4é😀""#, "4é😀"),
            (r#""4\ud83d\ude00);""#, "4😀);"),
        ];
        for (literal, data) in table {
            assert_eq!(unwrap_call(format!("___eio[0]({literal});").as_bytes(), 0)?, data);
        }
        Ok(())
    }

    #[test]
    fn a_guard_and_space_around_are_tolerated() -> Result<(), JsonpError> {
        for script in [r#" ___eio[10]("x");"#, r#"/**/___eio[10]("x");"#, "\r\n/**/___eio[10](\"x\")\n"] {
            assert_eq!(unwrap_call(script.as_bytes(), 10)?, "x", "{script}");
        }
        Ok(())
    }

    #[test]
    fn anything_else_is_not_a_call() {
        for script in [
            "",
            ";",
            "/**/",
            "ok",
            "0{}",
            "___eio[1]",
            "___eio[1](",
            "___eio[1]()",
            "___eio[1]);",
            r#""x""#,
            r#"___eio[0]("x");"#,
            r#"___eio[11]("x");"#,
            r#"___eio[01]("x");"#,
            r#"___eio["1"]("x");"#,
            r#"___eio [1]("x");"#,
            r#"___eio[1] ("x");"#,
            r#"___eio[1]( "x" );"#,
            r#"___eio[1]("x") ;"#,
            r#"___eio[1]("x");;"#,
            r#"___eio[1]("x");alert(1)"#,
            r#"/**/ ___eio[1]("x");"#,
            r#"/**//**/___eio[1]("x");"#,
            r#"/*x*/___eio[1]("x");"#,
            r#"alert("x");"#,
            "___eio[1]('x');",
            "___eio[1](`x`);",
            "___eio[1](1);",
            "___eio[1](null);",
            r#"___eio[1](["x"]);"#,
            "\u{feff}___eio[1](\"x\");",
        ] {
            let result = unwrap_call(script.as_bytes(), 1);
            assert!(matches!(result, Err(JsonpError::NotACall { index: 1 })), "{script}");
        }
    }

    #[test]
    fn a_broken_string_is_told_apart() {
        for literal in [
            &br#"""#[..],
            br#"""""#,
            br#""x"+"y""#,
            br#""x");alert("y""#,
            br#""\ud800""#,
            br#""\udc00\ud800""#,
            br#""\x41""#,
            br#""\u12""#,
            br#""\""#,
            b"\"\n\"",
            b"\"\0\"",
            b"\"\xff\"",
            b"\"\xed\xa0\x80\"",
        ] {
            let script = [b"___eio[1](", literal, b");"].concat();
            let result = unwrap_call(&script, 1);
            assert!(matches!(result, Err(JsonpError::MalformedString(_))), "{literal:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let good = br#" /**/___eio[1]("a\n\ud83d\ude00\\");"#;
        for at in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut script = good.to_vec();
                script[at] = byte;
                let _ = unwrap_call(&script, 1);
                script.truncate(at + 1);
                let _ = unwrap_call(&script, 1);
            }
        }
    }
}
