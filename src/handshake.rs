//! The server's first packet, read as the hostile input it may be.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, IgnoredAny, SeqAccess, Visitor},
};
use thiserror::Error;

use crate::{Protocol, Transport};

/// What the server says of a session as it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handshake {
    /// The session's ID: 1 to 256 visible ASCII characters.
    pub sid: String,
    /// The transports that the server would upgrade to, by their names.
    pub upgrades: Vec<String>,
    /// How often the heartbeat goes.
    pub ping_interval: Duration,
    /// How late the heartbeat may be.
    pub ping_timeout: Duration,
    /// The most bytes the server takes in one POST or WebSocket message; servers before 6.2 do not say.
    pub max_payload: Option<usize>,
    /// The version the server speaks; [`Protocol::Auto`] while a WebSocket-only session has not shown it.
    pub protocol: Protocol,
}

impl Handshake {
    /// Makes one that offers no upgrades and no limit; the fields are there to be set.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use engineio_client::{Handshake, Protocol};
    ///
    /// let (interval, timeout) = (Duration::from_secs(25), Duration::from_secs(20));
    /// let mut handshake = Handshake::new("lv_VI97HAXpY6yYWAAAC", Protocol::V4, interval, timeout);
    /// handshake.upgrades = vec!["websocket".to_owned()];
    /// ```
    pub fn new(sid: impl Into<String>, protocol: Protocol, ping_interval: Duration, ping_timeout: Duration) -> Self {
        Self { sid: sid.into(), upgrades: Vec::new(), ping_interval, ping_timeout, max_payload: None, protocol }
    }

    /// Reads the JSON of an open packet and checks every field. The protocol is not in it, and left open.
    ///
    /// # Errors
    ///
    /// With what is wrong with it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use engineio_client::Handshake;
    ///
    /// let json = r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}"#;
    /// let handshake = Handshake::parse(json)?;
    /// assert_eq!(handshake.ping_interval, Duration::from_secs(25));
    /// # Ok::<_, engineio_client::HandshakeError>(())
    /// ```
    pub fn parse(json: &str) -> Result<Self, HandshakeError> {
        let json: Json = serde_json::from_str(json).map_err(|error| HandshakeError::Json(without_value(error)))?;
        let handshake = Self {
            ping_interval: Duration::from_millis(json.ping_interval),
            ping_timeout: Duration::from_millis(json.ping_timeout),
            max_payload: json.max_payload.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            sid: json.sid,
            upgrades: json.upgrades,
            protocol: Protocol::Auto,
        };
        handshake.check()?;
        Ok(handshake)
    }

    /// Checks every field.
    pub(crate) fn check(&self) -> Result<(), HandshakeError> {
        let carried = |c: char| c.is_ascii_graphic(); // what a URL can carry, escaped or not
        if !SID_LEN.contains(&self.sid.len()) || !self.sid.chars().all(carried) {
            return Err(HandshakeError::Sid);
        }
        if self.upgrades.len() > MAX_UPGRADES || self.upgrades.iter().any(|name| name.len() > MAX_NAME_LEN) {
            return Err(HandshakeError::Upgrades);
        }
        for (field, delay) in [("pingInterval", self.ping_interval), ("pingTimeout", self.ping_timeout)] {
            let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            if !DELAY_MILLIS.contains(&millis) {
                return Err(HandshakeError::OutOfRange { field, value: millis });
            }
        }
        if self.max_payload == Some(0) {
            return Err(HandshakeError::OutOfRange { field: "maxPayload", value: 0 });
        }
        Ok(())
    }

    /// Writes it as the JSON of an open packet.
    pub fn to_json(&self) -> String {
        let json = Json {
            sid: self.sid.clone(),
            upgrades: self.upgrades.clone(),
            ping_interval: self.ping_interval.as_millis() as u64,
            ping_timeout: self.ping_timeout.as_millis() as u64,
            max_payload: self.max_payload.map(|size| size as u64),
        };
        serde_json::to_string(&json).expect("strings and numbers always serialize")
    }

    /// Whether the server would upgrade to this transport.
    pub fn offers(&self, transport: Transport) -> bool {
        self.upgrades.iter().any(|name| name == transport.name())
    }
}

/// What is wrong with a handshake.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not JSON, or a field is missing or of another type.
    #[error("the handshake is not the JSON that it should be")]
    Json(#[source] serde_json::Error),
    /// The session ID is empty, too long, or holds characters that a URL can't carry.
    #[error("the handshake's session ID is unusable")]
    Sid,
    /// Too many names of transports, or absurdly long ones.
    #[error("the handshake's list of upgrades is unusable")]
    Upgrades,
    /// A number is zero or beyond all reason.
    #[error("the handshake's {field} is {value}")]
    OutOfRange {
        /// The field's name on the wire.
        field: &'static str,
        /// What it said.
        value: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    sid: String,
    #[serde(deserialize_with = "few")]
    upgrades: Vec<String>,
    ping_interval: u64,
    ping_timeout: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_payload: Option<u64>,
}

/// Reads no more of a list than shows that it is too long: in a large body there is room for millions of names.
fn few<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<String>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of names")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Vec<String>, A::Error> {
            let mut few = Vec::new();
            while few.len() <= MAX_UPGRADES {
                match names.next_element()? {
                    Some(name) => few.push(name),
                    None => return Ok(few),
                }
            }
            while names.next_element::<IgnoredAny>()?.is_some() {}
            Ok(few)
        }
    }

    list.deserialize_seq(Few)
}

/// The same error without what came in the place of what was expected: that may be long, and the session ID.
fn without_value(error: serde_json::Error) -> serde_json::Error {
    match error.to_string().rsplit_once(", expected ") {
        Some((_, expected)) if error.is_data() => serde_json::Error::custom(format_args!("expected {expected}")),
        _ => error,
    }
}

const SID_LEN: RangeInclusive<usize> = 1..=256;
const MAX_UPGRADES: usize = 16;
const MAX_NAME_LEN: usize = 64;
/// Up to the longest timer that a JavaScript server can set.
const DELAY_MILLIS: RangeInclusive<u64> = 1..=i32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_send() {
        let old = r#"{"sid":"IWEZVYRqKHUz5kNyAAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":60000}"#;
        let handshake = Handshake::parse(old).unwrap();
        assert_eq!(handshake.sid, "IWEZVYRqKHUz5kNyAAAA");
        assert!(handshake.offers(Transport::WebSocket));
        assert_eq!(handshake.ping_interval, Duration::from_secs(25));
        assert_eq!(handshake.max_payload, None);

        let new = r#"{"sid":"x","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000,"more":{}}"#;
        let handshake = Handshake::parse(new).unwrap();
        assert!(!handshake.offers(Transport::WebSocket));
        assert_eq!(handshake.max_payload, Some(1_000_000));
        assert_eq!(Handshake::parse(&handshake.to_json()).unwrap(), handshake);
    }

    #[test]
    fn refuses_what_no_server_should_send() {
        let with = |field: &str, value: &str| {
            let mut json = serde_json::json!({
                "sid": "x", "upgrades": [], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1000
            });
            json[field] = serde_json::from_str(value).unwrap();
            Handshake::parse(&json.to_string())
        };
        assert!(with("sid", r#""fine""#).is_ok());
        let long = format!("{:?}", "x".repeat(257));
        for value in [r#""""#, r#""a b""#, r#""é""#, r#""a\nb""#, "7", "null", &long] {
            assert!(with("sid", value).is_err(), "sid {value}");
        }
        let many = format!("{:?}", vec!["websocket"; 17]);
        for value in ["null", "7", "[7]", r#""websocket""#, &many] {
            assert!(with("upgrades", value).is_err(), "upgrades {value}");
        }
        for field in ["pingInterval", "pingTimeout"] {
            for value in ["0", "-1", "0.5", "1e300", "2147483648", r#""300""#, "null"] {
                assert!(with(field, value).is_err(), "{field} {value}");
            }
        }
        for value in ["0", "-1", "0.5", r#""1000""#] {
            assert!(with("maxPayload", value).is_err(), "maxPayload {value}");
        }
        for json in ["", "{}", "[]", "null", "{", &"[".repeat(100_000)] {
            assert!(Handshake::parse(json).is_err());
        }
    }

    #[test]
    fn limits_are_kept_to_the_last() {
        let with = |upgrades: &[String], sid: &str, deep: usize| {
            let (opening, closing) = ("[".repeat(deep), "]".repeat(deep));
            Handshake::parse(&format!(
                r#"{{"sid":{sid:?},"upgrades":{upgrades:?},"pingInterval":1,"pingTimeout":2147483647,"maxPayload":1,"x":{opening}{closing}}}"#
            ))
        };
        let names = |count: usize, len: usize| vec!["x".repeat(len); count];
        assert_eq!(with(&names(16, 64), &"x".repeat(256), 1_000_000).unwrap().upgrades, names(16, 64));
        assert!(matches!(with(&names(17, 64), "x", 1), Err(HandshakeError::Upgrades)));
        assert!(matches!(with(&names(16, 65), "x", 1), Err(HandshakeError::Upgrades)));
        assert!(matches!(with(&names(16, 64), &"x".repeat(257), 1), Err(HandshakeError::Sid)));
    }

    #[test]
    fn of_a_list_that_is_too_long_the_rest_is_passed_over() {
        let upgrades = format!("[{}7]", r#""x","#.repeat(17));
        let json = format!(r#"{{"sid":"x","upgrades":{upgrades},"pingInterval":1,"pingTimeout":1}}"#);
        let error = Handshake::parse(&json).unwrap_err();
        assert!(matches!(error, HandshakeError::Upgrades), "{error:?}");
    }

    #[test]
    fn errors_tell_what_was_expected_and_not_what_came() {
        let with = |sid: &str, interval: &str| {
            let json = format!(r#"{{"sid":{sid},"upgrades":[],"pingInterval":{interval},"pingTimeout":1}}"#);
            Handshake::parse(&json).unwrap_err()
        };
        for (error, expected) in [
            (with("424242", "1"), "expected a string at line 1 column 13"),
            (with(r#""x""#, r#""424242, expected 424242 ""#), "expected u64 at line 1 column 66"),
            (with(r#""x""#, "424242.5"), "expected u64 at line 1 column 48"),
            (with(r#""x""#, "{}"), "expected u64 at line 1 column 40"),
            (Handshake::parse(r#"{"sid":"424242"}"#).unwrap_err(), "missing field `upgrades` at line 1 column 16"),
        ] {
            let HandshakeError::Json(source) = &error else { panic!("{error:?}") };
            assert_eq!(source.to_string(), expected);
            assert!(!format!("{error:?}").contains("424242"), "{error:?}");
        }
    }
}
