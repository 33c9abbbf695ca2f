use bytes::Bytes;
use engineio_layers::jsonp_form_len;
use proptest::prelude::*;

use super::*;
use crate::Text;

const CODECS: [Codec; 6] = [
    Codec::v4(),
    Codec::v4().base64(true),
    Codec::v3(),
    Codec::v3().base64(true),
    Codec::v3_engine_io_1(),
    Codec::v3_engine_io_1().base64(true),
];

fn decode(codec: Codec, body: impl Into<Data>) -> Result<Vec<Packet>, DecodeError> {
    codec.decode_payload(body.into()).collect()
}

fn bytes(bytes: &'static [u8]) -> Data {
    Data::Binary(Bytes::from_static(bytes))
}

#[test]
fn payloads_are_what_servers_expect() {
    let mixed = [Packet::from("€"), bytes(&[1, 2, 3]).into()];
    let cases: [(Codec, &[Packet], Data); 9] = [
        (Codec::v4(), &mixed, "4€\x1ebAQID".into()),
        (Codec::v4(), &["".into(), Packet::Pong(Text::default())], "4\x1e3".into()),
        (Codec::v3(), &["€".into()], "2:4€".into()),
        (Codec::v3(), &["🎈a".into(), Packet::Close], "4:4🎈a1:1".into()),
        (Codec::v3(), &mixed, bytes(b"\x00\x04\xff4\xe2\x82\xac\x01\x04\xff\x04\x01\x02\x03")),
        (Codec::v3().base64(true), &mixed, "2:4€6:b4AQID".into()),
        (Codec::v3_engine_io_1(), &["€".into()], bytes(b"\x00\x04\xff4\xe2\x82\xac")),
        (Codec::v3_engine_io_1().base64(true), &["€".into()], "4:4\u{e2}\u{82}\u{ac}".into()),
        (
            Codec::v3(),
            &[vec![7; 12].into()],
            bytes(b"\x01\x01\x03\xff\x04\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07"),
        ),
    ];
    for (codec, packets, body) in cases {
        assert_eq!(codec.encode_payload(packets), body, "{codec:?}");
        assert_eq!(decode(codec, body).unwrap(), packets, "{codec:?}");
    }
}

#[test]
fn a_payload_tells_whether_it_may_end_in_a_close_or_a_noop() {
    for codec in CODECS {
        let ends_in_control = |packets: &[Packet]| {
            let mut payload = codec.decode_payload(codec.encode_payload(packets));
            (payload.ends_in_control(), payload.next().is_some_and(|_| payload.ends_in_control()))
        };
        for last in [Packet::Close, Packet::Noop] {
            assert_eq!(ends_in_control(&["a".into(), last.clone()]), (true, true), "{codec:?}");
            assert_eq!(ends_in_control(&[last]), (true, false), "{codec:?}");
        }
        for last in ["", "1", "6"] {
            assert_eq!(ends_in_control(&[Packet::Close, last.into()]), (false, false), "{codec:?}");
        }
    }
}

#[test]
fn names_of_transports_count_as_the_text_they_are() {
    let json = r#"{"sid":"x","upgrades":["é🎈"],"pingInterval":1,"pingTimeout":1}"#;
    let open = Packet::Open(crate::Handshake::parse(json).unwrap().into());
    for codec in CODECS {
        let body = codec.encode_payload(std::slice::from_ref(&open));
        assert_eq!(PayloadSize::default().with(&open, codec).bytes(codec), body.len(), "{codec:?}");
        assert_eq!(decode(codec, body).unwrap(), std::slice::from_ref(&open), "{codec:?}");
    }
}

#[test]
fn frames_are_what_servers_expect() {
    let binary = Packet::from(vec![1, 2, 3]);
    let cases: [(Codec, &Packet, Data); 6] = [
        (Codec::v4(), &"€".into(), "4€".into()),
        (Codec::v4(), &binary, bytes(&[1, 2, 3])),
        (Codec::v4().base64(true), &binary, "bAQID".into()),
        (Codec::v3(), &binary, bytes(&[4, 1, 2, 3])),
        (Codec::v3().base64(true), &binary, "b4AQID".into()),
        (Codec::v3(), &Packet::Ping("probe".into()), "2probe".into()),
    ];
    for (codec, packet, frame) in cases {
        assert_eq!(codec.encode_frame(packet), frame);
        assert_eq!(codec.frame_len(packet), frame.len());
        assert_eq!(codec.decode_frame(frame).unwrap(), *packet);
    }
}

#[test]
fn decoded_text_and_binary_are_views_of_the_body() {
    let within = |body: &Bytes, part: &[u8]| body.as_ptr_range().contains(&part.as_ptr());
    let body = Bytes::from("4hello\x1e4world".to_owned());
    for packet in decode(Codec::v4(), Text::try_from(body.clone()).unwrap()).unwrap() {
        let Packet::Message(crate::Message { data: Data::Text(text), .. }) = packet else { panic!("{packet:?}") };
        assert!(within(&body, text.as_bytes()));
    }
    let Data::Binary(body) = Codec::v3().encode_payload(&[vec![1, 2].into(), "x".into()]) else { panic!() };
    let packets = decode(Codec::v3(), body.clone()).unwrap();
    assert!(within(&body, packets[0].binary().unwrap()));
}

#[test]
fn what_comes_before_a_bad_packet_is_kept_and_nothing_after_it() {
    let mut payload = Codec::v4().decode_payload("4a\x1e9\x1e4b".into());
    assert_eq!(payload.next().unwrap().unwrap(), "a".into());
    assert!(matches!(payload.next(), Some(Err(DecodeError::UnknownType(b'9')))));
    assert!(payload.next().is_none());
}

#[test]
fn malformed_payloads_are_errors() {
    for body in ["", "x", "\x1e", "4a\x1e", "b!", "bAQ", "0", "0{}", "7", "€", "b4AQID"] {
        assert!(decode(Codec::v4(), body).is_err(), "{body:?}");
    }
    for body in
        ["", ":", "1", "1:", "2:4", "1:44", "-1:4", "1 :4", "x:4", "0:", "4:4🎈", "2:4🎈", "99999999999999999999999:4"]
    {
        assert!(decode(Codec::v3(), body).is_err(), "{body:?}");
        assert!(decode(Codec::v3_engine_io_1(), body).is_err(), "{body:?}");
    }
    let binary: [&[u8]; 9] = [
        b"",
        b"\x00",
        b"\x00\xff4",
        b"\x00\x01",
        b"\x00\x02\xff4",
        b"\x02\x01\xff4",
        b"\x01\x01\xff\x05",
        b"\x00\x0a\xff4",
        b"\x00\x03\xff4\xff\xff",
    ];
    for body in binary {
        assert!(decode(Codec::v3(), bytes(body)).is_err(), "{body:?}");
    }
    assert!(decode(Codec::v3(), bytes(&[9; 400])).is_err());
    assert!(matches!(decode(Codec::v4(), bytes(b"4a")), Err(DecodeError::BinaryPayload)));
    assert!(matches!(decode(Codec::v3_engine_io_1(), "2:4€"), Err(DecodeError::NotDoubled)));
}

#[test]
fn the_first_reply_shows_who_speaks() {
    let of = |body: &'static [u8]| Framing::of(&Bytes::from_static(body));
    assert_eq!(of(b"0{\"sid\""), Some(Framing::V4));
    assert_eq!(of(b"96:0{\"sid\""), Some(Framing::V3Text));
    assert_eq!(of(b"\x00\x09\x06\xff0{\"sid\""), Some(Framing::V3Binary));
    for body in
        [&b""[..], b"0", b"0[", b":0{", b"96:", b"96:1", b"\x00", b"\x00\xff", b"\x00\x09\x0a0{", b"<html>", b"ok"]
    {
        assert_eq!(of(body), None, "{body:?}");
    }
}

fn packet() -> impl Strategy<Value = Packet> {
    prop_oneof![
        4 => any::<String>().prop_map(Packet::from),
        4 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Packet::from),
        1 => Just(Packet::Close),
        1 => Just(Packet::Upgrade),
        1 => Just(Packet::Noop),
        1 => "[a-z€🎈]{0,8}".prop_map(|text| Packet::Ping(text.as_str().into())),
        1 => "[a-z€🎈]{0,8}".prop_map(|text| Packet::Pong(text.as_str().into())),
    ]
}

/// Protocol 4 separates packets by a character that may not be within one.
fn fits_v4(packet: &Packet) -> bool {
    packet.binary().is_some() || !frame::to_text(packet, "b").contains('\x1e')
}

proptest! {
    #[test]
    fn payloads_come_back_as_they_went(packets in prop::collection::vec(packet(), 1..8)) {
        for codec in CODECS {
            if codec.protocol() == Protocol::V4 && !packets.iter().all(fits_v4) {
                continue;
            }
            let body = codec.encode_payload(&packets);
            let size = packets.iter().fold(PayloadSize::default(), |size, packet| size.with(packet, codec));
            prop_assert_eq!(size.bytes(codec), body.len(), "{:?}", codec);
            let (codec, packets) = (codec.jsonp(true), &packets);
            let Data::Text(payload) = codec.encode_payload(packets) else { panic!("{codec:?}") };
            let size = packets.iter().fold(PayloadSize::default(), |size, packet| size.with(packet, codec));
            prop_assert_eq!(size.bytes(codec), jsonp_form_len(&payload), "{:?}", codec);
            prop_assert_eq!(decode(codec, body).unwrap(), packets.clone(), "{:?}", codec);
        }
    }

    #[test]
    fn frames_come_back_as_they_went(packet in packet()) {
        for codec in CODECS {
            let frame = codec.encode_frame(&packet);
            prop_assert_eq!(codec.frame_len(&packet), frame.len());
            prop_assert_eq!(codec.decode_frame(frame).unwrap(), packet.clone());
        }
    }

    #[test]
    fn any_bytes_at_all_decode_or_fail(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..10u8, b'0'..b':', Just(255)], 0..64)) {
        let bytes = Bytes::from(bytes);
        for codec in CODECS {
            let packets = codec.decode_payload(bytes.clone().into()).count();
            prop_assert!(packets <= bytes.len() + 1);
            let _ = codec.decode_frame(bytes.clone().into());
            if let Ok(text) = Text::try_from(bytes.clone()) {
                prop_assert!(codec.decode_payload(text.clone().into()).count() <= text.len() + 1);
                let _ = codec.decode_frame(text.into());
            }
        }
        let _ = Framing::of(&bytes);
    }
}
