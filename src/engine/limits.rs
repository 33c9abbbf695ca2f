use super::Settings;
use crate::{
    Error, Handshake, Packet, Protocol, Transport,
    codec::{Codec, PayloadSize},
};

/// Whether a message can be sent in this session.
pub(super) fn check(packet: &Packet, handshake: &Handshake, via: Transport, settings: &Settings) -> Result<(), Error> {
    let codec = match handshake.protocol {
        Protocol::Auto if packet.binary().is_some() => return Err(Error::ProtocolUnknown),
        Protocol::V4 | Protocol::Auto => Codec::v4(),
        Protocol::V3 => Codec::v3(),
    };
    let codec = codec.base64(settings.base64).jsonp(settings.jsonp);
    let size = match via {
        Transport::Polling => PayloadSize::default().with(packet, codec).bytes(codec),
        Transport::WebSocket => codec.frame_len(packet),
    };
    match handshake.max_payload {
        Some(max) if max < size && !settings.allow_oversized => Err(Error::PacketTooLarge { size, max }),
        _ => Ok(()),
    }
}
