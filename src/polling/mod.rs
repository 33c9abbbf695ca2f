//! HTTP long-polling as a transport.

mod call;
mod discovery;
mod exchange;
mod link;

pub(crate) use self::{call::Polling, discovery::ask_protocol, link::LongPolling};

#[cfg(test)]
mod tests;
