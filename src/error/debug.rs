use std::fmt;

use super::Error;

impl fmt::Debug for Error {
    /// Leaves out what is in pages and packets: it is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidRequest(source) => f.debug_tuple("InvalidRequest").field(source).finish(),
            Error::Prepare(source) => f.debug_tuple("Prepare").field(source).finish(),
            Error::NoTransports => f.write_str("NoTransports"),
            Error::DuplicateTransport(transport) => f.debug_tuple("DuplicateTransport").field(transport).finish(),
            Error::UnknownTransport(transport) => f.debug_tuple("UnknownTransport").field(transport).finish(),
            Error::Transport { transport, stage, source } => f
                .debug_struct("Transport")
                .field("transport", transport)
                .field("stage", stage)
                .field("source", source)
                .finish(),
            Error::Status { transport, stage, status, code, body } => f
                .debug_struct("Status")
                .field("transport", transport)
                .field("stage", stage)
                .field("status", status)
                .field("code", code)
                .field("body", &body.len())
                .finish_non_exhaustive(),
            Error::Timeout { transport, stage } => {
                f.debug_struct("Timeout").field("transport", transport).field("stage", stage).finish()
            }
            Error::Ended { transport, stage } => {
                f.debug_struct("Ended").field("transport", transport).field("stage", stage).finish()
            }
            Error::Decode { transport, source } => {
                f.debug_struct("Decode").field("transport", transport).field("source", source).finish()
            }
            Error::Protocol { transport, packet } => f
                .debug_struct("Protocol")
                .field("transport", transport)
                .field("packet", &packet.kind())
                .finish_non_exhaustive(),
            Error::UnsupportedProtocol => f.write_str("UnsupportedProtocol"),
            Error::UpgradeUnsupported => f.write_str("UpgradeUnsupported"),
            Error::PacketTooLarge { size, max } => {
                f.debug_struct("PacketTooLarge").field("size", size).field("max", max).finish()
            }
            Error::SeparatorInText => f.write_str("SeparatorInText"),
            Error::ProtocolUnknown => f.write_str("ProtocolUnknown"),
            Error::NotAMessage => f.write_str("NotAMessage"),
            Error::Closed => f.write_str("Closed"),
        }
    }
}
