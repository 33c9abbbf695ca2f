use thiserror::Error;

/// Why an answer to an upgrade request opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum UpgradeError {
    #[error("the answer does not upgrade to a WebSocket")]
    NotWebSocket,
    #[error("the answer's Sec-WebSocket-Accept does not belong to the request")]
    WrongAccept,
    #[error("the answer chooses a sub-protocol that was not offered")]
    UnknownSubprotocol,
    #[error("the answer has an extension that was not offered")]
    UnknownExtension,
    #[cfg(feature = "deflate")]
    #[error("the answer agrees to permessage-deflate in other terms than were offered")]
    WrongDeflate,
}
