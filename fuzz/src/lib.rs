//! What several fuzzers have in common.

use engineio_client::{
    Data, Packet, Text,
    codec::{Codec, PayloadSize},
};

/// Reads the first byte for how the rest is written: `t` as text, `b` as binary, `T` and `B` where base64 is forced.
pub fn coded(codec: Codec, data: &[u8]) -> Option<(Codec, Data)> {
    let (how, rest) = data.split_first()?;
    let data = match how {
        b't' | b'T' => Text::from(std::str::from_utf8(rest).ok()?).into(),
        b'b' | b'B' => rest.into(),
        _ => return None,
    };
    Some((codec.base64(how.is_ascii_uppercase()), data))
}

/// Decodes a payload. What comes out goes in and comes out again, and is as long as it was said to be.
pub fn check_payload(codec: Codec, data: &[u8]) {
    let Some((codec, data)) = coded(codec, data) else { return };
    let most = data.len() + 1;
    let packets: Vec<Packet> = codec.decode_payload(data).map_while(Result::ok).collect();
    assert!(packets.len() <= most, "every packet takes a byte");
    if packets.is_empty() {
        return;
    }
    let body = codec.encode_payload(&packets);
    let size = packets.iter().fold(PayloadSize::default(), |size, packet| size.with(packet, codec));
    assert_eq!(size.bytes(codec), body.len());
    let again: Result<Vec<Packet>, _> = codec.decode_payload(body).collect();
    assert_eq!(again.expect("it was encoded here"), packets);
}

/// Decodes one packet. What comes out goes in and comes out again, and is as long as it was said to be.
pub fn check_frame(codec: Codec, data: &[u8]) {
    let Some((codec, data)) = coded(codec, data) else { return };
    let Ok(packet) = codec.decode_frame(data) else { return };
    let frame = codec.encode_frame(&packet);
    assert_eq!(codec.frame_len(&packet), frame.len());
    assert_eq!(codec.decode_frame(frame).expect("it was encoded here"), packet);
}
