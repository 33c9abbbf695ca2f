//! Engine.IO client: a session that starts with HTTP long-polling and moves itself to a WebSocket.
//!
//! Requests are composed with tower layers, packets with [`Stream`](futures::Stream) and [`Sink`](futures::Sink):
//!
//! * [`connect`] opens a session with the defaults; a [`Client`] is made by its [builder](ClientBuilder) for
//!   everything else, and is a tower [`Service`](tower::Service) from URL to [`Socket`].
//! * A [`Socket`] takes [`Packet`]s and gives [`Event`]s.
//! * [`Close`] tells why a session has ended, and gives back what was not sent.
//!
//! The rest of this page is for reading once, in ten minutes.
//!
#![doc = include_str!("docs/in_ten_minutes.md")]
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `ring` | yes | TLS with ring |
//! | `aws-lc-rs` | no | TLS with aws-lc-rs, if `ring` is off |
//! | `cookies` | no | a cookie jar, `ClientBuilder::cookies`, for sticky sessions; needs Rust 1.88 |
//! | `deflate` | no | compressed WebSocket messages, `PerMessageDeflate`, where the memory they cost is worth it |
//! | `decompression` | no | compressed replies to polling, `ClientBuilder::decompression`; Zstandard needs a C compiler |
//! | `webpki-roots` | no | `TlsRoots::Webpki`: Mozilla's roots, compiled in |
//! | `native-certs` | no | `TlsRoots::NativeCerts`: the platform's roots, judged by rustls |
//! | `encrypted-keys` | no | `TlsBuilder::passphrase`, for client certificates whose key is encrypted |
//! | `pfx` | no | `TlsBuilder::pfx`, for client certificates in PKCS#12; `encrypted-keys` with it |
//! | `http2` | no | `ClientBuilder::http2`: polling by HTTP/2 |
//! | `cli` | no | the program `eio`; the library needs nothing of it |
//! | `serve` | no | `eio serve`, a server to try with; `cli` with it |
//!
//! # Source
//!
//! The protocol is that of <https://github.com/socketio/engine.io-protocol>, and what the reference servers 1.8 to 6.6
//! make of it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod carrier;
mod cause;
mod channel;
mod client;
mod close;
pub mod codec;
mod custom;
mod endpoint;
mod engine;
mod error;
mod event;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod http;
mod link;
mod memory;
mod packet;
mod polling;
mod socket;
mod spawn;
mod stats;
mod transport;
mod upgrading;
mod wakers;
mod websocket;

pub use self::http::{
    HttpService, Proxy, ProxyBuilder, ProxyConnector, ProxyError, ProxyStream, RequestBody, ResponseBody, Tcp, Tls,
    TlsBuilder, TlsConnector, TlsError, TlsRoots, TlsStream, TlsVersion,
};
pub use cause::Cause;
pub use client::{Attempt, Client, ClientBuilder, Connect, TransportOptions, connect};
pub use close::{Close, CloseFrame, CloseReason};
pub use custom::{CustomTransport, TransportRequest};
pub use engine::State;
pub use engineio_layers as layers;
pub use error::{BoxError, Error, ServerCode, Stage};
pub use event::{Event, EventSet};
pub use handshake::{Handshake, HandshakeError};
pub use packet::{Data, Message, Packet, Text};
pub use socket::Socket;
pub use spawn::{Receiver, Sender};
pub use stats::Stats;
pub use transport::{Protocol, Transport};
#[cfg(feature = "deflate")]
pub use websocket::PerMessageDeflate;

#[cfg(doc)]
#[cfg_attr(
    not(all(feature = "cookies", feature = "deflate", feature = "pfx")),
    allow(rustdoc::broken_intra_doc_links, rustdoc::private_intra_doc_links) // to what features bring
)]
#[doc = include_str!("docs/coming_from_javascript.md")]
pub mod coming_from_javascript {}

#[cfg(doc)]
#[doc = include_str!("docs/coming_from_rust_engineio.md")]
pub mod coming_from_rust_engineio {}

#[cfg(doc)]
#[doc = include_str!("docs/observability.md")]
pub mod observability {}

#[cfg(doc)]
#[doc = include_str!("docs/what_you_can_rely_on.md")]
pub mod what_you_can_rely_on {}

#[cfg(test)]
mod auto_traits;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
