//! What tasks may be handed, and what may be moved while it is polled.

use crate::{
    Attempt, Client, ClientBuilder, Close, Connect, CustomTransport, Error, Event, Packet, Proxy, ProxyBuilder,
    ProxyConnector, ProxyError, Receiver, Sender, Socket, Tcp, Text, Tls, TlsBuilder, TlsConnector, TlsError,
    TransportOptions, TransportRequest,
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
    #[cfg(feature = "deflate")]
    {
        use crate::PerMessageDeflate;

        send::<PerMessageDeflate>();
        sync::<PerMessageDeflate>();
        clone::<PerMessageDeflate>();
    }
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
    send::<Tcp>();
    sync::<Tcp>();
    clone::<Tcp>();
    send::<Tls>();
    sync::<Tls>();
    clone::<Tls>();
    send::<TlsBuilder>();
    send::<TlsError>();
    sync::<TlsError>();
    send::<TransportOptions>();
    sync::<TransportOptions>();
    clone::<TransportOptions>();
    send::<TlsConnector<()>>();
    sync::<TlsConnector<()>>();
    clone::<TlsConnector<()>>();
    send::<Proxy>();
    sync::<Proxy>();
    clone::<Proxy>();
    send::<ProxyBuilder>();
    send::<ProxyError>();
    sync::<ProxyError>();
    send::<ProxyConnector<()>>();
    sync::<ProxyConnector<()>>();
    clone::<ProxyConnector<()>>();
    send::<Text>();
    sync::<Text>();
}
