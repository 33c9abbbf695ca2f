//! Makes a server of the echo that understands nothing but JSONP.

use std::{str, sync::Arc};

use bytes::Bytes;
use futures::FutureExt;
use http::{Method, Request, Response, StatusCode};

use crate::server::{self, Answer, Answered};

pub(crate) fn echo() -> Answer {
    let echo = server::echo();
    Arc::new(move |request| answer(request, Arc::clone(&echo)).boxed())
}

/// Takes the payload out of its form, and puts what the echo says to it into a call.
async fn answer(request: Request<Bytes>, echo: Answer) -> Answered {
    let Some(index) = pair(request.uri().query().unwrap_or_default().as_bytes(), "j") else {
        return Ok(Response::builder().status(StatusCode::BAD_REQUEST).body("nothing but JSONP here".into())?);
    };
    if request.method() == Method::POST {
        return echo(request.map(|form| pair(&form, "d").map(unescape_newlines).unwrap_or_default().into())).await;
    }
    let (head, payload) = echo(request).await?.into_parts();
    let call = format!("___eio[{index}]({});", serde_json::to_string(str::from_utf8(&payload)?)?);
    println!("server: {} {call}", head.status);
    Ok(Response::builder().status(head.status).body(call.into())?)
}

fn pair(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// Newlines come as a backslash and an n, and what already was that has a second backslash before it.
fn unescape_newlines(payload: String) -> String {
    let pieces = payload.split(r"\\n");
    pieces.map(|piece| piece.replace(r"\n", "\n")).collect::<Vec<_>>().join(r"\n")
}
