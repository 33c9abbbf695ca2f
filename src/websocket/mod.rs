//! A WebSocket as a transport.

#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "without_deflate.rs"]
mod deflate;
mod error;
mod frame;
#[cfg(all(fuzzing, feature = "deflate"))]
pub(crate) mod fuzzing;
mod inbound;
mod link;
mod messages;
mod opening;
mod outbound;
mod upgrade;

#[cfg(feature = "deflate")]
pub use self::deflate::PerMessageDeflate;
#[cfg(not(feature = "deflate"))]
pub(crate) use self::deflate::PerMessageDeflate;

pub(crate) use self::{
    link::WebSocket,
    opening::{open_session, open_trial},
    upgrade::Upgrade,
};

/// What a WebSocket runs over: a connection that hyper has let go.
pub(crate) type Io = hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>;

#[cfg(test)]
mod tests;
