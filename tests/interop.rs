//! Every server, every protocol it speaks, every way to carry packets: what goes there comes back the same.
//!
//! A test is named after server and way; it goes through the protocols asked for, and each with and without base64.

mod peers;

use engineio_client::{Client, Data, Event, Packet, Protocol, Transport};
use futures::{SinkExt, StreamExt, future};
use serde_json::json;

use self::peers::{
    matrix::{Cell, Kind, Server, Way, tests},
    session::{Session, uri, within},
};

tests! {
    reference: { polling jsonp websocket upgrade a_thousand_messages_each_way_during_the_upgrade }
    engineioxide: { polling websocket upgrade a_thousand_messages_each_way_during_the_upgrade }
}

async fn polling(kind: Kind) {
    converse_in_every_protocol(kind, Way::Polling).await;
}

async fn jsonp(kind: Kind) {
    converse_in_every_protocol(kind, Way::Jsonp).await;
}

async fn websocket(kind: Kind) {
    converse_in_every_protocol(kind, Way::WebSocket).await;
}

async fn upgrade(kind: Kind) {
    converse_in_every_protocol(kind, Way::Upgrade).await;
}

async fn converse_in_every_protocol(kind: Kind, way: Way) {
    let mut server = kind.start(json!({})).await;
    for cell in Cell::all(kind, &[way]) {
        for base64 in [false, true] {
            converse(Cell { base64, ..cell }, &mut server).await;
        }
    }
}

/// One cell: the session is what both sides take it for, and every message comes back as it went.
async fn converse(cell: Cell, server: &mut Server) {
    let mut session = cell.connect(&server.url()).await;
    assert_eq!(session.socket.protocol(), cell.spoken(), "{cell}");
    assert_eq!(session.server_transport().await, cell.way.ends_with().name().into(), "{cell}");
    let sid = session.id();
    if let Some(server) = server.reference() {
        let connection = server.event_of(&sid, "connection").await;
        let protocol = if cell.spoken() == Protocol::V3 { 3 } else { 4 };
        assert_eq!(connection["protocol"], protocol, "{cell}");
        assert_eq!(connection["transport"], cell.way.begins_with().name(), "{cell}");
    }

    let mut messages = messages();
    if cell.server == Kind::Oxide && cell.base64 && cell.way.ends_with() == Transport::WebSocket {
        // It takes no base64 in a WebSocket's frame, and ends the session.
        messages.retain(|message| matches!(message, Data::Text(_)));
    }
    for message in &messages {
        session.echo(message.clone()).await;
    }
    for message in &messages {
        session.feed(message.clone()).await;
    }
    for message in &messages {
        session.expect(message).await;
    }
    session.flush().await; // an echo may come before the answer to the POST that caused it
    assert_eq!(session.socket.queued(), 0, "{cell}");
    session.close().await;
}

/// What has to come back as it went, kind and content.
fn messages() -> Vec<Data> {
    let texts = ["hello", "€", "🎈", "", "b4AQID", "2probe", "1:4", "\u{feff}", "\0", "\r\n"];
    // What JSONP has to escape, on either way; a newline after a backslash is a case of its own.
    let escaped =
        ["\"'`</script>", "\u{2028}\u{2029}", "\\", "\n", "\\n", "\\\n", "\\\\n", "\\\\\n", "\n\\n\\\n\\\\n+%&=;"];
    let all_bytes = |first: u8| (0..200 << 10).map(|i: usize| first.wrapping_add(i as u8)).collect::<Vec<u8>>();
    let binaries = [vec![], vec![0], vec![4], vec![4, 1, 2, 3], vec![255, 4], all_bytes(0), all_bytes(4)];
    let mut messages: Vec<Data> = texts.into_iter().chain(escaped).map(Data::from).collect();
    messages.push("aé€🎈".repeat(20 << 10).into());
    messages.extend(binaries.map(Data::from));
    messages
}

/// Nothing is lost, doubled or put out of order while polling gives way to the WebSocket.
async fn a_thousand_messages_each_way_during_the_upgrade(kind: Kind) {
    let server = kind.start(json!({})).await;
    for cell in Cell::all(kind, &[Way::Upgrade]) {
        let client = cell.client().build().expect("there are transports");
        for traffic in [Traffic::SentBeforeOpen, Traffic::SentAtOnce, Traffic::Echoed] {
            exchange_during_the_upgrade(cell, &client, &server.url(), traffic).await;
        }
    }
}

/// When messages go, and when the server's come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    /// All is queued before there is a session, and the server sends its own first.
    SentBeforeOpen,
    /// The same once the session is open.
    SentAtOnce,
    /// Ten go at a time, from the beginning, and each comes back.
    Echoed,
}

async fn exchange_during_the_upgrade(cell: Cell, client: &Client, url: &str, traffic: Traffic) {
    let name = format!("{cell}, {traffic:?}");
    let mut socket = client.open(uri(url));
    if traffic == Traffic::SentAtOnce {
        let open = within(&name, socket.next()).await;
        assert!(matches!(open, Some(Event::Open(_))), "{name}: {open:?}");
    }
    let numbers = || (0..1000).map(|i| i.to_string());
    let commands: &[&str] = if traffic == Traffic::Echoed { &[] } else { &["!burst 1000", "!collect 1000"] };
    let mut awaited: Vec<Data> = numbers().map(Data::from).collect();
    if traffic != Traffic::Echoed {
        awaited.push("collected 1000 ok".into());
    }

    let (mut sink, mut events) = socket.split();
    let sending = async {
        let packets = commands.iter().copied().map(Packet::from).chain(numbers().map(Packet::from));
        for (sent, packet) in packets.enumerate() {
            sink.feed(packet).await?;
            if traffic == Traffic::Echoed && sent % 10 == 9 {
                sink.flush().await?;
            }
        }
        sink.flush().await
    };
    let receiving = async {
        let (mut received, mut upgraded) = (Vec::new(), false);
        while received.len() < awaited.len() || !upgraded {
            match events.next().await {
                Some(Event::Message(data)) => received.push(data),
                Some(Event::Upgrade(_)) => upgraded = true,
                Some(Event::Open(_) | Event::Upgrading(_)) => {}
                other => panic!("{name}: {other:?} after {} messages", received.len()),
            }
        }
        received
    };
    let (sent, received) = within(&name, future::join(sending, receiving)).await;
    sent.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(received == awaited, "{name}: {received:?}");

    let socket = sink.reunite(events).expect("they are halves of one");
    assert_eq!(socket.transport(), Transport::WebSocket, "{name}");
    let mut session = Session::new(&name, socket);
    session.echo("nothing came twice").await;
    session.close().await;
}
