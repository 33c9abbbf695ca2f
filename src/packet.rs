//! What travels: packets, and the text and bytes in them.

use std::{fmt, ops::Deref};

use bytes::Bytes;
use bytestring::ByteString;

use crate::Handshake;

/// One Engine.IO packet.
///
/// Users hand over and receive [`Message`](Packet::Message)s; the other kinds are the session's own and are
/// refused by the [`Socket`](crate::Socket) with [`Error::NotAMessage`](crate::Error::NotAMessage).
///
/// ```
/// use engineio_client::Packet;
///
/// let text: Packet = "hello".into();
/// let binary: Packet = [1, 2, 3].into();
/// let small = Packet::from("hi").compress(false);
/// # let _ = (text, binary, small);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// The server opens the session (`0`).
    Open(Box<Handshake>),
    /// The session ends (`1`).
    Close,
    /// Asks for a [`Pong`](Packet::Pong) with the same text (`2`).
    Ping(Text),
    /// Answers a [`Ping`](Packet::Ping) (`3`).
    Pong(Text),
    /// Carries what the user sent (`4`).
    Message(Message),
    /// The session moves to the transport that carries this (`5`).
    Upgrade,
    /// Carries nothing; it ends a poll that waits (`6`).
    Noop,
}

impl Packet {
    /// Sets whether a transport that compresses may compress this message. Other kinds are left as they are.
    #[must_use]
    pub fn compress(mut self, compress: bool) -> Self {
        if let Packet::Message(message) = &mut self {
            message.compress = compress;
        }
        self
    }

    /// What the user sent, if it is a message: of what a [`Close`](crate::Close) gives back, for one.
    ///
    /// ```
    /// use engineio_client::{Data, Packet};
    ///
    /// assert_eq!(Packet::from("hello").into_message(), Some(Data::from("hello")));
    /// assert_eq!(Packet::Noop.into_message(), None);
    /// ```
    pub fn into_message(self) -> Option<Data> {
        match self {
            Packet::Message(message) => Some(message.data),
            _ => None,
        }
    }

    /// What the protocol calls it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Packet::Open(_) => "open",
            Packet::Close => "close",
            Packet::Ping(_) => "ping",
            Packet::Pong(_) => "pong",
            Packet::Message(_) => "message",
            Packet::Upgrade => "upgrade",
            Packet::Noop => "noop",
        }
    }

    /// The bytes of a binary message.
    pub(crate) fn binary(&self) -> Option<&Bytes> {
        match self {
            Packet::Message(Message { data: Data::Binary(bytes), .. }) => Some(bytes),
            _ => None,
        }
    }

    /// The text of a packet that carries text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Packet::Message(Message { data: Data::Text(text), .. }) | Packet::Ping(text) | Packet::Pong(text) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// How many bytes of the user's it carries.
    pub(crate) fn data_len(&self) -> usize {
        match self {
            Packet::Message(message) => message.data.len(),
            Packet::Ping(data) | Packet::Pong(data) => data.len(),
            Packet::Open(_) | Packet::Close | Packet::Upgrade | Packet::Noop => 0,
        }
    }
}

impl<T: Into<Data>> From<T> for Packet {
    fn from(data: T) -> Self {
        Packet::Message(Message::new(data))
    }
}

/// A message: what the user sends and receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Text or bytes.
    pub data: Data,
    /// Whether a transport that compresses may compress it; `true` unless said otherwise.
    pub compress: bool,
}

impl Message {
    /// Makes a message that may be compressed.
    pub fn new(data: impl Into<Data>) -> Self {
        Self { data: data.into(), compress: true }
    }
}

/// Text or binary. The two are never taken for one another, on any transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// UTF-8 text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Data {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Data::Text(text) => text.len(),
            Data::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text, if it is text.
    ///
    /// ```
    /// use engineio_client::Data;
    ///
    /// assert_eq!(Data::from("hello").as_text(), Some("hello"));
    /// assert_eq!(Data::from(vec![1, 2, 3]).as_text(), None);
    /// ```
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Data::Text(text) => Some(text),
            Data::Binary(_) => None,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Data::Text(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }
}

impl From<Data> for Bytes {
    /// The bytes of either, without a copy.
    fn from(data: Data) -> Self {
        match data {
            Data::Text(text) => text.into(),
            Data::Binary(bytes) => bytes,
        }
    }
}

impl From<Text> for Data {
    fn from(text: Text) -> Self {
        Data::Text(text)
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Data::Text(text.into())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Data::Text(text.into())
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Data::Binary(bytes)
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Data::Binary(bytes.into())
    }
}

impl<const N: usize> From<[u8; N]> for Data {
    fn from(bytes: [u8; N]) -> Self {
        Data::Binary(Bytes::copy_from_slice(&bytes))
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Data::Binary(Bytes::copy_from_slice(bytes))
    }
}

/// UTF-8 text that shares the buffer it arrived in: cloning and cutting copy nothing.
///
/// A small text keeps the whole reply that it came in alive; who stores texts for long turns them into `String`s.
///
/// ```
/// use engineio_client::Text;
///
/// let text = Text::from("hello");
/// assert_eq!(text, "hello");
/// assert!(text.starts_with("he"));
/// ```
#[derive(Clone, Default)]
pub struct Text(ByteString);

impl Text {
    /// Makes a text of a string literal, without a copy.
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A part of this text, which shares its buffer.
    #[inline]
    pub(crate) fn share(&self, part: &str) -> Self {
        Self(self.0.slice_ref(part))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl TryFrom<Bytes> for Text {
    type Error = std::str::Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        Ok(Self(bytes.try_into()?))
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0.into_bytes()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}
