//! What was sent and received, and whether it adds up.

use engineio_client::{Close, Data, Message, Packet, Stats};

/// What the user of a session handed to it and got from it, while the server sends all back.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) taken: Vec<String>, // by the sink
    pub(crate) received: Vec<String>,
}

impl Books {
    /// Whether nothing was lost, doubled or swapped, beside what is in doubt. `got` is what the server got.
    pub(crate) fn check(&self, stats: Stats, close: &Close, got: &[String]) -> Result<(), String> {
        let (unsent, in_doubt) = (texts(close.unsent()), texts(close.in_doubt()));
        let handed = stats.packets_sent as usize;
        ensure(handed + unsent.len() == self.taken.len(), "handed over + unsent = sent")?;
        let (handed, rest) = self.taken.split_at(handed);
        ensure(rest == unsent, "what was not sent is the rest")?;
        ensure(handed.ends_with(&in_doubt), "what is in doubt was handed over last")?;
        ensure(handed.starts_with(got), "what the server got is what it was handed, in order, each once")?;
        ensure(got.starts_with(&self.received), "what came back is what the server sent, in order, each once")?;
        ensure(self.received.len() as u64 == stats.packets_received, "what came was counted")
    }
}

pub(crate) fn text(data: &Data) -> String {
    match data {
        Data::Text(text) => text.to_string(),
        Data::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

pub(crate) fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {rule}")) }
}

fn texts(packets: &[Packet]) -> Vec<String> {
    let text = |packet: &_| match packet {
        Packet::Message(Message { data, .. }) => text(data),
        packet => panic!("no message: {packet:?}"),
    };
    packets.iter().map(text).collect()
}
