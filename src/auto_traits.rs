//! What tasks may be handed, and what may be moved while it is polled.

use crate::{
    Attempt, Client, ClientBuilder, Close, Connect, CustomTransport, Error, Event, Packet, Receiver, Sender, Socket,
    Text, Tls, TlsBuilder, TlsError, TransportRequest,
};

fn send<T: Send + 'static>() {}
fn sync<T: Sync>() {}
fn unpin<T: Unpin>() {}
fn clone<T: Clone>() {}

#[test]
fn public_types_go_where_they_are_needed() {
    send::<Socket>();
    unpin::<Socket>();
    send::<Connect>();
    unpin::<Connect>();
    send::<Sender>();
    sync::<Sender>();
    unpin::<Sender>();
    clone::<Sender>();
    send::<Receiver>();
    unpin::<Receiver>();
    send::<Client>();
    sync::<Client>();
    clone::<Client>();
    send::<ClientBuilder>();
    send::<Attempt>();
    sync::<Attempt>();
    send::<CustomTransport>();
    sync::<CustomTransport>();
    clone::<CustomTransport>();
    send::<TransportRequest>();
    sync::<TransportRequest>();
    send::<Event>();
    sync::<Event>();
    clone::<Event>();
    send::<Close>();
    sync::<Close>();
    send::<Error>();
    sync::<Error>();
    clone::<Error>();
    send::<Packet>();
    sync::<Packet>();
    send::<Tls>();
    sync::<Tls>();
    clone::<Tls>();
    send::<TlsBuilder>();
    send::<TlsError>();
    sync::<TlsError>();
    send::<Text>();
    sync::<Text>();
}
