//! Socket.IO's packets, version 5, of the main namespace and without binary attachments.

use std::{fmt, str::FromStr};

use engineio_client::BoxError;
use serde_json::Value;

#[derive(Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) kind: Kind,
    pub(crate) id: Option<u64>, // of an event that wants an acknowledgement, and of that
    pub(crate) data: Value,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

impl Packet {
    pub(crate) fn new(kind: Kind, id: Option<u64>, data: Value) -> Self {
        Self { kind, id, data }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind as u8)?;
        if let Some(id) = self.id {
            write!(f, "{id}")?;
        }
        if self.data.is_null() { Ok(()) } else { write!(f, "{}", self.data) }
    }
}

impl FromStr for Packet {
    type Err = BoxError;

    fn from_str(text: &str) -> Result<Self, BoxError> {
        let kind = match text.chars().next() {
            Some('0') => Kind::Connect,
            Some('1') => Kind::Disconnect,
            Some('2') => Kind::Event,
            Some('3') => Kind::Ack,
            Some('4') => Kind::ConnectError,
            _ => return Err(format!("a packet of no kind known here: {text}").into()),
        };
        let rest = &text[1..];
        let (id, data) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        Ok(Self {
            kind,
            id: if id.is_empty() { None } else { Some(id.parse()?) },
            data: if data.is_empty() { Value::Null } else { serde_json::from_str(data)? },
        })
    }
}
