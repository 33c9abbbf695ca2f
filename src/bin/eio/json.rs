//! Events and wishes as lines of JSON.

use std::error::Error as StdError;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use engineio_client::{Close, Data, Error, Event, Handshake, Message, Packet, Protocol, Transport};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::wish::{InputError, Wish};

/// Reads what a line asks for.
pub(crate) fn wish(line: &[u8]) -> Result<Wish, InputError> {
    match serde_json::from_slice(line).map_err(InputError::Json)? {
        Line { send: Some(message), close: false } => {
            let data: Data = match (message.text, message.base64) {
                (Some(text), None) => text.into(),
                (None, Some(base64)) => BASE64.decode(base64).map_err(InputError::Base64)?.into(),
                _ => return Err(InputError::NoMessage),
            };
            Ok(Wish::Send(Packet::from(data).compress(message.compress.unwrap_or(true))))
        }
        Line { send: None, close: true } => Ok(Wish::Close),
        _ => Err(InputError::NoWish),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    send: Option<Sent>,
    #[serde(default)]
    close: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    text: Option<String>,
    base64: Option<String>,
    compress: Option<bool>,
}

/// Writes an event. `transport` is the one that the session is on.
pub(crate) fn event(event: &Event, transport: Transport) -> Value {
    match event {
        Event::Open(handshake) => named("handshake", self::handshake(handshake, transport)),
        Event::Message(data) => named("message", self::data(data)),
        Event::Upgrading(transport) => named("upgrading", json!({ "transport": transport.name() })),
        Event::Upgrade(transport) => named("upgrade", json!({ "transport": transport.name() })),
        Event::UpgradeError(error) => named("upgrade_error", self::error(error)),
        Event::Error(error) => named("error", self::error(error)),
        Event::Close(close) => named("close", self::close(close)),
        Event::Ping => named("ping", json!({})),
        Event::Pong => named("pong", json!({})),
        Event::Heartbeat => named("heartbeat", json!({})),
        Event::Flush => named("flush", json!({})),
        Event::Drain => named("drain", json!({})),
        Event::Packet(packet) => named("packet", self::packet(packet)),
        Event::PacketCreate(packet) => named("packet_create", self::packet(packet)),
        Event::Poll => named("poll", json!({})),
        Event::PollComplete => named("poll_complete", json!({})),
        other => named("unknown", json!({ "text": format!("{other:?}") })),
    }
}

/// Its name stands first, where a reader looks.
fn named(name: &str, fields: Value) -> Value {
    let mut object = Map::from_iter([("event".to_owned(), name.into())]);
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    object.into()
}

fn handshake(handshake: &Handshake, transport: Transport) -> Value {
    json!({
        "sid": handshake.sid,
        "protocol": match handshake.protocol {
            Protocol::V3 => Some(3),
            Protocol::V4 => Some(4),
            Protocol::Auto => None, // a WebSocket alone does not show it yet
        },
        "transport": transport.name(),
        "upgrades": handshake.upgrades,
        "pingInterval": millis(handshake.ping_interval),
        "pingTimeout": millis(handshake.ping_timeout),
        "maxPayload": handshake.max_payload,
    })
}

fn millis(delay: std::time::Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}

fn data(data: &Data) -> Value {
    match data {
        Data::Text(text) => json!({ "text": text.as_str() }),
        Data::Binary(bytes) => json!({ "base64": BASE64.encode(bytes) }),
    }
}

fn packet(packet: &Packet) -> Value {
    let (kind, text) = match packet {
        Packet::Message(Message { data, .. }) => {
            let mut message = self::data(data);
            message["type"] = "message".into();
            return message;
        }
        Packet::Ping(text) => ("ping", Some(text.as_str())),
        Packet::Pong(text) => ("pong", Some(text.as_str())),
        Packet::Open(_) => ("open", None),
        Packet::Close => ("close", None),
        Packet::Upgrade => ("upgrade", None),
        Packet::Noop => ("noop", None),
        _ => ("unknown", None),
    };
    match text {
        Some(text) => json!({ "type": kind, "text": text }),
        None => json!({ "type": kind }),
    }
}

fn error(error: &Error) -> Value {
    let causes = std::iter::successors(StdError::source(error), |&cause| cause.source());
    let mut told = json!({ "error": error.to_string(), "causes": causes.map(ToString::to_string).collect::<Vec<_>>() });
    if let Some(status) = error.status() {
        told["status"] = status.as_u16().into();
    }
    if let Some(code) = error.code() {
        told["code"] = code.code.into();
    }
    told
}

fn close(close: &Close) -> Value {
    let mut told = json!({ "reason": close.reason().to_string() });
    if let Some(error) = close.error() {
        told["error"] = self::error(error);
    }
    if let Some(frame) = close.frame() {
        told["frame"] = json!({ "code": frame.code, "text": frame.text.as_str() });
    }
    for (name, packets) in [("unsent", close.unsent()), ("in_doubt", close.in_doubt())] {
        if !packets.is_empty() {
            told[name] = packets.iter().map(packet).collect();
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        let read = |line: &str| wish(line.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"send":{"text":"é"}}"#), Ok(Wish::Send("é".into())));
        let raw = Packet::from(vec![1, 2, 3]).compress(false);
        assert_eq!(read(r#"{"send":{"base64":"AQID","compress":false}}"#), Ok(Wish::Send(raw)));
        assert_eq!(read(r#"{"close":true}"#), Ok(Wish::Close));

        let no_message = Err("a message has either text or base64".to_owned());
        assert_eq!(read(r#"{"send":{}}"#), no_message);
        assert_eq!(read(r#"{"send":{"text":"","base64":""}}"#), no_message);
        assert_eq!(read(r#"{"send":{"base64":"?"}}"#), Err("the base64 is none".to_owned()));
        let no_wish = Err("a line has either send or close".to_owned());
        for line in ["{}", r#"{"close":false}"#, r#"{"send":{"text":""},"close":true}"#] {
            assert_eq!(read(line), no_wish, "{line}");
        }
        for line in ["", "7", "{", r#"{"sned":{}}"#, r#"{"send":"x"}"#, r#"{"send":{"text":7}}"#, "{} {}"] {
            assert_eq!(read(line), Err("the line is not what it should be".to_owned()), "{line}");
        }
    }

    #[test]
    fn events_are_objects() {
        let of = |given: Event| event(&given, Transport::Polling);
        assert_eq!(of(Event::Message("a".into())), json!({ "event": "message", "text": "a" }));
        assert_eq!(of(Event::Message(vec![1, 2, 3].into())), json!({ "event": "message", "base64": "AQID" }));
        let upgrade = json!({ "event": "upgrade", "transport": "websocket" });
        assert_eq!(of(Event::Upgrade(Transport::WebSocket)), upgrade);
        let failed = of(Event::Error(Error::PacketTooLarge { size: 9, max: 8 }));
        let text = "a packet of 9 bytes is larger than the 8 that the server takes";
        assert_eq!(failed, json!({ "event": "error", "error": text, "causes": [] }));
        let packet = of(Event::Packet(Packet::Ping("x".into())));
        assert_eq!(packet, json!({ "event": "packet", "type": "ping", "text": "x" }));
        let opened =
            Handshake::parse(r#"{"sid":"x","upgrades":[],"pingInterval":1,"pingTimeout":2}"#).expect("sound").into();
        let expected = json!({
            "event": "handshake", "sid": "x", "protocol": null, "transport": "polling", "upgrades": [],
            "pingInterval": 1, "pingTimeout": 2, "maxPayload": null,
        });
        assert_eq!(of(Event::Open(opened)), expected);
    }
}
