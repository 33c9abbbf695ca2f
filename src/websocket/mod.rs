//! A WebSocket as a transport.

mod link;
mod metered;
mod opening;
mod upgrade;

pub(crate) use self::{
    link::WebSocket,
    opening::{open_session, open_trial},
    upgrade::Upgrade,
};

/// What a WebSocket runs over: a connection that hyper has let go.
pub(crate) type Io = hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>;

/// The WebSocket itself.
type Socket<T> = tokio_tungstenite::WebSocketStream<metered::Metered<T>>;

#[cfg(test)]
mod tests;
