use super::Settings;
use crate::{
    Error, Handshake, Packet, Protocol, Transport,
    codec::{Codec, PayloadSize},
};

/// Whether a message can be sent in this session.
pub(super) fn check(packet: &Packet, handshake: &Handshake, via: Transport, settings: &Settings) -> Result<(), Error> {
    if handshake.protocol == Protocol::Auto && packet.binary().is_some() {
        return Err(Error::ProtocolUnknown);
    }
    let codec = Codec::of(handshake.protocol)
        .base64(settings.base64.contains(&via))
        .jsonp(settings.jsonp && via == Transport::Polling);
    if via == Transport::Polling && !codec.carries_in_payload(packet) {
        return Err(Error::SeparatorInText);
    }
    let size = match via {
        Transport::Polling => PayloadSize::default().with(packet, codec).bytes(codec),
        Transport::WebSocket | Transport::Custom(_) => codec.frame_len(packet),
    };
    match handshake.max_payload {
        Some(max) if max < size && !settings.allow_oversized => Err(Error::PacketTooLarge { size, max }),
        _ => Ok(()),
    }
}
