use bytes::Bytes;

/// What the first bytes of the first reply tell of the server that sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `0{`: protocol 4.
    V4,
    /// `96:0{`: protocol 3 as a string payload; with `b64=1` engine.io 1 looks the same.
    V3Text,
    /// `00 09 06 ff`, then `0{`: protocol 3 as a binary payload, which only engine.io 1 opens with.
    V3Binary,
}

impl Framing {
    /// Recognizes a handshake's framing, or nothing.
    pub(crate) fn of(body: &Bytes) -> Option<Self> {
        let opens = |rest: &[u8]| rest.starts_with(b"0{");
        let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if opens(body) {
            Some(Framing::V4)
        } else if digits > 0 && body.get(digits) == Some(&b':') && opens(&body[digits + 1..]) {
            Some(Framing::V3Text)
        } else {
            let rest = body.strip_prefix(&[0])?;
            let end = rest.iter().position(|&byte| byte > 9)?;
            (rest[end] == 255 && opens(&rest[end + 1..])).then_some(Framing::V3Binary)
        }
    }
}
