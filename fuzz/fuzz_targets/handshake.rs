//! The JSON of open packets.

#![no_main]

use engineio_client::Handshake;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let Ok(handshake) = Handshake::parse(json) else { return };
    assert!(handshake.sid.len() <= 256 && handshake.sid.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(handshake.upgrades.len() <= 16);
    assert!(!handshake.ping_interval.is_zero() && !handshake.ping_timeout.is_zero());
    assert_ne!(handshake.max_payload, Some(0));
    assert_eq!(Handshake::parse(&handshake.to_json()).expect("it was written here"), handshake);
});
