//! The least that can be written on hyper-util's client: a POST and a GET at the same time, again and again.

use std::{error::Error, str};

use bytes::Bytes;
use futures::future::try_join;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{FLOOD, Message, Meter, Outcome, Terms, check};

pub(super) async fn run(scenario: &str, terms: &Terms) -> Result<Option<Outcome>, Box<dyn Error>> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(http);
    let mut session = Polling { client, url: format!("{}?EIO=4&transport=polling", terms.url) };
    let open = session.get().await?;
    let open: serde_json::Value = serde_json::from_slice(open.get(1..).ok_or("no open packet")?)?;
    session.url = format!("{}&sid={}", session.url, open["sid"].as_str().ok_or("no session ID")?);

    let mut meter = Meter::new(terms.duration);
    let Message::Text(text) = Message::new(scenario, terms.size) else { return Ok(None) };
    let (window, batch) = match scenario {
        "polling-round-trip" => (1, 1),
        "polling-echo" => (terms.window, (terms.window / 2).max(1)),
        "polling-receive" => (1, FLOOD),
        _ => return Ok(None),
    };
    let flood = format!("flood {FLOOD} {}", terms.size);
    let mut to_send = window;
    let mut received = 0;
    loop {
        let body = if to_send == 0 {
            session.get().await?
        } else {
            let text = if scenario == "polling-receive" { &flood } else { text };
            let (_ok, body) = try_join(session.post(encode(text, to_send)), session.get()).await?;
            body
        };
        for packet in str::from_utf8(&body)?.split(char::from(SEPARATOR)) {
            if let Some(text) = packet.strip_prefix('4') {
                check(text.len(), terms)?;
                received += 1;
            }
        }
        to_send = 0;
        if received >= batch {
            if let Some(outcome) = meter.count(batch) {
                return Ok(Some(outcome));
            }
            to_send = if scenario == "polling-receive" { 1 } else { batch };
            received -= batch;
        }
    }
}

struct Polling {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl Polling {
    async fn get(&self) -> Result<Bytes, Box<dyn Error>> {
        let response = self.client.request(Request::get(&self.url).body(Full::default())?).await?;
        Ok(response.into_body().collect().await?.to_bytes())
    }

    async fn post(&self, body: String) -> Result<Bytes, Box<dyn Error>> {
        let response = self.client.request(Request::post(&self.url).body(Full::from(body))?).await?;
        Ok(response.into_body().collect().await?.to_bytes())
    }
}

fn encode(text: &str, messages: usize) -> String {
    let mut body = String::with_capacity((text.len() + 2) * messages);
    for _ in 0..messages {
        if !body.is_empty() {
            body.push(char::from(SEPARATOR));
        }
        body.push('4');
        body.push_str(text);
    }
    body
}

const SEPARATOR: u8 = 0x1E;
