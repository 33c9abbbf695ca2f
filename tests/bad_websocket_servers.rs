//! Servers, and things in between, that do WebSockets wrongly, late, or not at all: alone, and beside polling.

mod peers;

use engineio_client::{Client, ClientBuilder, Error, Event, Packet, Protocol, Transport};
use futures::{
    FutureExt, SinkExt, StreamExt,
    future::{BoxFuture, join, join_all},
};
use peers::scripted::{
    BINARY, CLOSE, Exchange, OPEN, OPEN_BRIEF, OPEN_UPGRADABLE, PING, PONG, SHORT, Scripted, TEXT, WebSocket, client,
    frame, kind, next, ok, play, reply, story,
};
use tokio::{sync::Notify, time::timeout};

// Opening a session on a WebSocket alone.

#[tokio::test]
async fn an_opening_that_never_ends_times_out() {
    let hasty = websocket_only(|client| client.handshake_timeout(SHORT));
    let slow: [Misdeed; 6] = [
        |upgrade| Box::pin(async { Held::Exchange(upgrade) }),
        |upgrade| drip(upgrade, |_| "HTTP/1.1 101 Switching Protocols\r\nX: ".into()),
        |upgrade| drip(upgrade, |_| "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n".into()),
        |upgrade| Box::pin(async { Held::WebSocket(upgrade.accept().await) }),
        |upgrade| drip(upgrade, |head| [head.as_bytes(), &[TEXT, 126, 0x7f, 0xff]].concat()),
        |upgrade| drip(upgrade, |head| [head.as_bytes(), &[0x01, 0]].concat()), // fragments, for ever
    ];
    join_all(slow.map(async |misdeed| {
        let mut server = Scripted::start().await;
        let told = story(hasty.open(server.url()));
        let serving = async { misdeed(server.upgrade().await).await };
        assert_eq!(play(told, serving).await.0, failed("websocket timed out while opening"));
    }))
    .await;
}

#[tokio::test]
async fn a_refused_websocket_tells_status_code_and_body() {
    let client = websocket_only(|client| client);
    for (status, body, told_of_it) in REFUSALS {
        let mut server = Scripted::start().await;
        let (connecting, told) = (client.connect(server.url()), story(client.open(server.url())));
        let serving = async {
            server.upgrade().await.answer(reply(status, body)).await;
            server.upgrade().await.answer(reply(status, body)).await;
        };
        let ((connected, told), ()) = play(join(connecting, told), serving).await;
        let error = format!("websocket got {} while opening{told_of_it}", &status[..3]);
        assert_eq!(kind(&connected.expect_err("nothing opens")), error);
        assert_eq!(told, failed(&error));
        assert_eq!(server.unasked(), 0);
    }
}

#[tokio::test]
async fn another_protocol_is_tried_exactly_once() {
    let cases: [(Protocol, &[&str]); 3] =
        [(Protocol::Auto, &["EIO=4", "EIO=3"]), (Protocol::V3, &["EIO=3"]), (Protocol::V4, &["EIO=4"])];
    for (protocol, versions) in cases {
        let mut server = Scripted::start().await;
        let told = story(websocket_only(|client| client.protocol(protocol)).open(server.url()));
        let serving = async {
            for version in versions {
                let upgrade = server.upgrade().await;
                assert!(upgrade.request.says(version), "{}", upgrade.request.head);
                upgrade.answer(reply("400 Bad Request", r#"{"code":"5","message":"no"}"#)).await;
            }
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told, failed("the server does not speak the protocol asked for"));
        assert_eq!(server.unasked(), 0);
    }
}

#[tokio::test]
async fn a_version_refused_within_the_open_websocket_is_an_unsupported_protocol() {
    let hasty = websocket_only(|client| client.handshake_timeout(4 * SHORT));
    let refused = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{\"code\":5}";
    for words in ["", refused] {
        let mut server = Scripted::start().await;
        let told = story(hasty.open(server.url()));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.write(words).await;
            server.handshake().await.answer(reply("400 Bad Request", r#"{"code":5,"message":"no"}"#)).await;
            websocket
        };
        let (told, _) = play(told, serving).await;
        assert_eq!(told, failed("the server does not speak the protocol asked for"));
    }
}

#[tokio::test]
async fn answers_that_accept_no_websocket_are_refused() {
    let client = websocket_only(|client| client);
    for change in WRONG_ACCEPTANCES {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            let upgrade = server.upgrade().await;
            let head = change(upgrade.acceptance());
            upgrade.accept_with(head).await
        };
        assert_eq!(play(told, serving).await.0, failed("websocket failed while opening"));
    }
}

#[tokio::test]
async fn a_websocket_that_breaks_before_it_is_open_is_an_error() {
    let client = websocket_only(|client| client);
    let ended =
        ["error: websocket ended while opening", "close: transport close because websocket ended while opening"];
    let closed = [ended[0], r#"close: transport close with 1008 "not you" because websocket ended while opening"#];
    let broken = failed("websocket failed while opening");
    let cases: [(Misdeed, Vec<String>); 8] = [
        (|upgrade| done(upgrade.say_and_close("")), broken.clone()),
        (|upgrade| done(upgrade.say_and_reset("")), broken.clone()),
        (|upgrade| done(upgrade.say_and_close("HTTP/1.1 101 Swit")), broken.clone()),
        (|upgrade| done(async { upgrade.accept().await.reset() }), broken.clone()),
        (|upgrade| done(async { upgrade.accept().await.cut().await }), ended.map(String::from).to_vec()),
        (|upgrade| after(upgrade, vec![TEXT, 5, b'0']), ended.map(String::from).to_vec()),
        (|upgrade| after(upgrade, frame(CLOSE, b"\x03\xf0not you")), closed.map(String::from).to_vec()),
        (|upgrade| after(upgrade, frame(TEXT, "4hello")), unreadable("websocket has no place for message")),
    ];
    for (misdeed, expected) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async { misdeed(server.upgrade().await).await };
        assert_eq!(play(told, serving).await.0, expected);
        assert_eq!(server.unasked(), 0);
    }
}

#[tokio::test]
async fn a_first_frame_that_is_garbage_is_told_as_such() {
    let client = websocket_only(|client| client);
    for garbage in [frame(0xf1, "0{}"), frame(0x83, ""), vec![TEXT, 0x81, 0, 0, 0, 0, b'0']] {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.write(garbage).await;
            // whether it is the protocol's version that is refused in this way
            server.handshake().await.answer(reply("404 Not Found", "")).await;
            websocket
        };
        assert_eq!(play(told, serving).await.0, failed("websocket failed while opening"));
    }
}

#[tokio::test]
async fn what_comes_together_with_the_acceptance_is_read() {
    let mut server = Scripted::start().await;
    let told = story(websocket_only(|client| client).open(server.url()));
    let serving = async {
        let upgrade = server.upgrade().await;
        let head = upgrade.acceptance().into_bytes();
        let frames = [frame(PING, "x"), frame(TEXT, OPEN), frame(TEXT, "4a"), frame(CLOSE, "")];
        let mut websocket = upgrade.accept_with([head, frames.concat()].concat()).await;
        assert_eq!(websocket.read().await, Some((PONG, b"x".to_vec())));
        websocket.ended().await;
    };
    assert_eq!(play(told, serving).await.0, ["open", "message a", "close: transport close"]);
}

#[tokio::test]
async fn a_session_opens_though_polling_is_silent() {
    let client = websocket_only(|client| client.handshake_timeout(4 * SHORT));
    let mut server = Scripted::start().await;
    let told = story(client.open(server.url()));
    let serving = async {
        let mut websocket = server.upgrade().await.accept().await;
        websocket.text(&OPEN.replace(r#","maxPayload":1000000"#, "")).await;
        let asked = server.handshake().await; // which protocol it is
        websocket.text("4a").await;
        websocket.frame(CLOSE, "").await;
        websocket.ended().await;
        asked
    };
    assert_eq!(play(told, serving).await.0, ["open", "message a", "close: transport close"]);
}

#[tokio::test]
async fn a_session_ends_though_its_protocol_never_came_out() {
    let client = websocket_only(|client| client);
    let mut server = Scripted::start().await;
    let told = story(client.open(server.url()));
    let serving = async {
        let mut websocket = server.upgrade().await.accept().await;
        websocket.text(&OPEN.replace(r#","maxPayload":1000000"#, "")).await;
        server.handshake().await.answer(reply("404 Not Found", "")).await;
        websocket.frame(BINARY, [4, 1]).await;
        websocket.frame(CLOSE, "").await;
        websocket.ended().await;
    };
    let told = play(told, serving).await.0;
    assert_eq!(told, ["open", r#"message b"\x01""#, "close: transport close"]); // protocol 3 is the better guess
}

// A session on a WebSocket.

#[tokio::test]
async fn frames_that_break_the_rules_end_the_session() {
    let client = websocket_only(|client| client.max_message_size(100_000));
    let broken = || failed("websocket failed while reading");
    let undecodable = |why: &str| unreadable(&format!("websocket cannot decode: {why}"));
    let gigantic = [[TEXT, 127].as_slice(), &u64::MAX.to_be_bytes()].concat();
    let fragments = frame(0x00, "x".repeat(60_000));
    let cases = [
        (frame(TEXT, b"4\xff"), undecodable("text is not UTF-8")),
        ([frame(0x01, b"4\xe2\x82"), frame(0x80, b"\x20")].concat(), undecodable("text is not UTF-8")),
        (frame(TEXT, ""), undecodable("a packet is empty")),
        (frame(TEXT, "9"), undecodable("a packet has the unknown type 0x39")),
        (frame(TEXT, "hello"), undecodable("a packet has the unknown type 0x68")),
        (frame(TEXT, "bAA=A"), undecodable("binary is not base64")),
        (frame(TEXT, "0{}"), undecodable("the open packet is unusable")),
        (frame(TEXT, OPEN), unreadable("websocket has no place for open")),
        (frame(TEXT, "5"), unreadable("websocket has no place for upgrade")),
        (vec![TEXT, 0x82, 1, 2, 3, 4, b'4' ^ 1, b'a' ^ 2], broken()), // masked
        (frame(0xc1, "4a"), broken()),                                // reserved bits
        (frame(0xa1, "4a"), broken()),
        (frame(0x91, "4a"), broken()),
        (frame(0x83, "4a"), broken()), // reserved kinds
        (frame(0x8b, ""), broken()),
        (frame(0x09, "in two pieces"), broken()), // a ping
        (frame(PING, "x".repeat(126)), broken()),
        (frame(0x80, "continues nothing"), broken()),
        ([frame(0x01, "4a"), frame(TEXT, "4b")].concat(), broken()), // does not continue
        (frame(CLOSE, "x"), broken()),
        (frame(TEXT, "x".repeat(100_001)), broken()),
        (gigantic, broken()),
        ([frame(0x01, "4"), fragments.clone(), fragments].concat(), broken()),
        (format!("HTTP/1.1 400 Bad Request\r\nX-Long: {}\r\n\r\n", "x".repeat(90)).into_bytes(), broken()),
    ];
    for (bytes, expected) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            websocket.text("4before").await;
            websocket.write(&bytes).await;
            websocket.text("4after").await;
            websocket.ended().await;
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told[..2], ["open", "message before"]);
        assert_eq!(told[2..], expected, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(50)]));
    }
}

#[tokio::test]
async fn messages_may_be_as_large_as_the_limit_whole_or_in_fragments() {
    let client = websocket_only(|client| client.max_message_size(100_000));
    let (half, large) = ("x".repeat(50_000), format!("4{}", "x".repeat(99_999)));
    let fragments = |begin: &str| [frame(0x01, begin), frame(0x00, &half), frame(0x80, &half)].concat();
    for (bytes, is_taken) in [
        (frame(TEXT, &large), true),
        (frame(TEXT, format!("{large}x")), false),
        ([frame(0x01, &large[..50_000]), frame(0x80, &half)].concat(), true),
        (fragments("4"), false),
    ] {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            websocket.write(&bytes).await;
            websocket.cut().await;
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told.contains(&format!("message {}", &large[1..])), is_taken, "{} bytes", bytes.len());
    }
}

#[tokio::test]
async fn fragments_are_joined_and_pings_answered_though_the_user_only_reads() {
    let mut server = Scripted::start().await;
    let told = story(websocket_only(|client| client).open(server.url()));
    let serving = async {
        let mut websocket = server.upgrade().await.accept().await;
        websocket.text(OPEN).await;
        websocket.frame(0x01, "4h").await;
        websocket.frame(PING, "are you there?").await;
        assert_eq!(websocket.read().await, Some((PONG, b"are you there?".to_vec())));
        websocket.frame(0x00, b"\xe2\x82").await; // cut within a character
        websocket.frame(0x00, "").await;
        websocket.frame(0x80, b"\xac").await;
        websocket.frame(0x02, [4]).await;
        websocket.frame(0x80, [5]).await;
        for n in 0..10u8 {
            websocket.frame(PING, [n]).await;
            assert_eq!(websocket.read().await, Some((PONG, vec![n])));
        }
        websocket.frame(PONG, "unasked").await;
        websocket.text("2").await;
        websocket.expect("3").await;
        websocket.frame(CLOSE, "").await;
        assert_eq!(websocket.read().await, Some((CLOSE, Vec::new())));
        websocket.ended().await;
    };
    let told = play(told, serving).await.0;
    assert_eq!(told, ["open", "message h€", r#"message b"\x04\x05""#, "close: transport close"]);
}

#[tokio::test]
async fn text_and_binary_are_never_confused() {
    for (protocol, type_byte) in [(Protocol::V3, Some(4)), (Protocol::V4, None)] {
        let client = websocket_only(|client| client.protocol(protocol));
        let binary = |bytes: &[u8]| type_byte.into_iter().chain(bytes.iter().copied()).collect::<Vec<u8>>();
        let mut server = Scripted::start().await;
        let mut socket = client.open(server.url());
        let told = async {
            socket.send("4a".into()).await.expect("it goes out");
            socket.send(b"4a".as_slice().into()).await.expect("it goes out");
            socket.send(Packet::from(Vec::new())).await.expect("it goes out");
            socket.send("".into()).await.expect("it goes out");
            story(socket).await
        };
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            assert_eq!(websocket.read().await, Some((TEXT, b"44a".to_vec())));
            assert_eq!(websocket.read().await, Some((BINARY, binary(b"4a"))));
            assert_eq!(websocket.read().await, Some((BINARY, binary(b""))));
            assert_eq!(websocket.read().await, Some((TEXT, b"4".to_vec())));
            websocket.text("44a").await;
            websocket.frame(BINARY, binary(b"4a")).await;
            websocket.frame(BINARY, binary(b"")).await;
            websocket.text("4").await;
            websocket.text("1").await;
            websocket.ended().await;
        };
        let told = play(told, serving).await.0;
        let messages = ["message 4a", r#"message b"4a""#, r#"message b"""#, "message "];
        assert_eq!(told[1..5], messages);
        assert_eq!(told[5..], ["close: transport close"]);
    }
}

#[tokio::test]
async fn protocol_3_binary_needs_its_type() {
    for (bytes, why) in [([1, 2].as_slice(), "a packet has the unknown type 0x01"), (&[], "a packet is empty")] {
        let mut server = Scripted::start().await;
        let told = story(websocket_only(|client| client.protocol(Protocol::V3)).open(server.url()));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            websocket.frame(BINARY, bytes).await;
            websocket.ended().await;
        };
        let error = unreadable(&format!("websocket cannot decode: {why}"));
        assert_eq!(play(told, serving).await.0[1..], error);
    }
}

#[tokio::test]
async fn ways_to_end_a_websocket_are_told_apart() {
    let client = websocket_only(|client| client);
    let broken = "error: websocket failed while reading";
    let because = "close: transport error because websocket failed while reading";
    let cases: [(End, &[&str]); 6] = [
        (
            |websocket| say(websocket, frame(CLOSE, b"\x03\xf1too big")),
            &[r#"close: transport close with 1009 "too big""#],
        ),
        (|websocket| say(websocket, frame(CLOSE, b"\x03\xe8")), &[r#"close: transport close with 1000 """#]),
        (|websocket| say(websocket, frame(CLOSE, b"")), &["close: transport close"]),
        (|websocket| say(websocket, frame(TEXT, "1")), &["close: transport close"]),
        (|websocket| Box::pin(websocket.cut()), &["close: transport close"]),
        (|websocket| Box::pin(async { websocket.reset() }), &[broken, because]),
    ];
    for (end, expected) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            websocket.text("4a").await;
            websocket.text("2").await;
            websocket.expect("3").await;
            end(websocket).await;
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told[..2], ["open", "message a"]);
        assert_eq!(told[2..], *expected);
    }
}

#[tokio::test]
async fn silence_is_a_ping_timeout() {
    let client = websocket_only(|client| client);
    let beginnings = [Vec::new(), vec![TEXT], vec![TEXT, 126, 0x7f, 0xff, b'4'], vec![PING, 5, 1]];
    join_all(beginnings.map(async |beginning| {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN_BRIEF).await;
            websocket.text("4before").await;
            websocket.write(&beginning).await;
            websocket
        };
        assert_eq!(play(told, serving).await.0, ["open", "message before", "close: ping timeout"]);
    }))
    .await;
}

#[tokio::test]
async fn closing_ends_at_its_time_limit() {
    let client = websocket_only(|client| client.close_timeout(SHORT));
    let because = "close: forced close because websocket timed out while closing";
    for floods in [false, true] {
        let mut server = Scripted::start().await;
        let url = server.url();
        let closing = async {
            let mut socket = client.connect(url).await.expect("it opens");
            socket.close().await.expect("it closes");
            story(socket).await
        };
        let serving = async {
            let mut websocket = server.upgrade().await.accept().await;
            websocket.text(OPEN).await;
            if floods {
                websocket.flood(frame(TEXT, "4nobody hears this"));
                return None;
            }
            assert_eq!(websocket.read().await.map(|(first, _)| first), Some(CLOSE));
            Some(websocket)
        };
        assert_eq!(play(closing, serving).await.0, ["open", because]);
    }
}

#[tokio::test]
async fn a_server_that_stops_reading_makes_sends_wait_and_then_fail() {
    let client = websocket_only(|client| client.write_timeout(SHORT));
    let mut server = Scripted::start().await;
    let mut socket = client.open(server.url());
    let sending = async {
        let taken = feed_all(&mut socket).await;
        (taken, socket.collect::<Vec<_>>().await)
    };
    let serving = async {
        let mut websocket = server.upgrade().await.accept().await;
        websocket.text(OPEN).await;
        websocket
    };
    let ((taken, events), mut websocket) = play(sending, serving).await;
    let [Event::Open(_), Event::Error(error), Event::Close(close)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(kind(error), "websocket timed out while writing");
    let back = [close.in_doubt(), close.unsent()].concat();
    assert!(!close.in_doubt().is_empty() && !close.unsent().is_empty());
    assert_eq!(back, numbered(taken - back.len()..taken), "in order, and to the last that was taken");
    let mut arrived = 0;
    while websocket.read().await.is_some() {
        arrived += 1;
    }
    assert!(arrived + back.len() >= taken, "{arrived} arrived and {} came back, of {taken}", back.len());
}

#[tokio::test]
async fn a_server_that_vanishes_leaves_everything_that_was_sent() {
    let client = websocket_only(|client| client.max_queued(10, usize::MAX));
    let mut server = Scripted::start().await;
    let (url, many_sent) = (server.url(), Notify::new());
    let sending = async {
        let (mut sender, receiver) = client.connect(url).await.expect("it opens").spawn();
        for packet in numbered(0..60) {
            sender.feed(packet).await.expect("there is room");
        }
        many_sent.notify_one();
        let mut taken = 60;
        while sender.feed(numbered(taken..taken + 1).remove(0)).await.is_ok() {
            taken += 1;
        }
        (taken, receiver.collect::<Vec<_>>().await)
    };
    let serving = async {
        let mut websocket = server.upgrade().await.accept().await;
        websocket.text(OPEN).await;
        many_sent.notified().await;
        websocket.reset();
    };
    let ((taken, events), ()) = play(sending, serving).await;
    let Some(Event::Close(close)) = events.last() else { panic!("no end: {events:?}") };
    let back = [close.in_doubt(), close.unsent()].concat();
    assert!(!back.is_empty());
    assert_eq!(back, numbered(taken - back.len()..taken), "in order, and to the last that was taken");
}

#[tokio::test]
async fn a_server_that_floods_is_slowed_down_to_who_reads() {
    let client = websocket_only(|client| client.max_queued_events(16));
    let mut server = Scripted::start().await;
    let (url, full) = (server.url(), Notify::new());
    let reading = async {
        let (_sender, mut receiver) = client.connect(url).await.expect("it opens").spawn();
        full.notified().await;
        assert_eq!(next(&mut receiver).await, "open");
        for n in 0..FLOOD {
            let message = next(&mut receiver).await;
            assert!(message.starts_with(&format!("message {n} ")), "{message:.20}");
        }
        story(receiver).await
    };
    let serving = async {
        let mut websocket = server.upgrade().await.accept().await;
        websocket.text(OPEN).await;
        let padding = "x".repeat(8 << 10);
        let mut blocked_at = None;
        for n in 0..FLOOD {
            let message = format!("4{n} {padding}");
            let mut writing = std::pin::pin!(websocket.text(&message));
            if blocked_at.is_none() && timeout(SHORT, &mut writing).await.is_err() {
                blocked_at = Some(n);
                full.notify_one();
            }
            if blocked_at.is_some() {
                writing.await;
            }
        }
        websocket.frame(CLOSE, "").await;
        websocket.ended().await;
        blocked_at
    };
    let (told, blocked_at) = play(reading, serving).await;
    assert_eq!(told, ["close: transport close"]);
    assert!(blocked_at.is_some());
}

// Beside polling.

#[tokio::test]
async fn a_failed_trial_leaves_polling_as_it_was() {
    let got = |status: &str| format!("websocket got {status}");
    let failed = || "websocket failed while upgrading".to_owned();
    let ended = || "websocket ended while upgrading".to_owned();
    let undecodable = |why: &str| format!("websocket cannot decode: {why}");
    let misplaced = |packet: &str| format!("websocket has no place for {packet}");
    let cases: [(Misdeed, String); 20] = [
        (
            |it| refuse(it, "400 Bad Request", r#"{"code":3,"message":"Bad request"}"#),
            got("400 while upgrading, code 3 Bad request"),
        ),
        (|it| refuse(it, "403 Forbidden", "forbidden"), got("403 while upgrading: forbidden")),
        (|it| refuse(it, "502 Bad Gateway", "<html>"), got("502 while upgrading: <html>")),
        (|it| refuse(it, "200 OK", "<html>"), got("200 while upgrading: <html>")),
        (|it| done(it.say_and_close("")), failed()),
        (|it| done(it.say_and_reset("")), failed()),
        (|it| done(it.say_and_reset("HTTP/1.1 101 Sw")), failed()),
        (|it| done(async { it.accept().await.reset() }), failed()),
        (|it| done(async { it.accept().await.cut().await }), ended()),
        (|it| probed(it, frame(CLOSE, b"\x03\xf1too big")), ended()),
        (|it| probed(it, frame(TEXT, "3wrong")), misplaced("pong")),
        (|it| probed(it, frame(TEXT, "3")), misplaced("pong")),
        (|it| probed(it, frame(TEXT, "2probe")), misplaced("ping")),
        (|it| probed(it, frame(TEXT, "4probe")), misplaced("message")),
        (|it| probed(it, frame(TEXT, "6")), misplaced("noop")),
        (|it| probed(it, frame(TEXT, "1")), misplaced("close")),
        (|it| probed(it, frame(BINARY, "3probe")), misplaced("message")),
        (|it| probed(it, frame(TEXT, "")), undecodable("a packet is empty")),
        (|it| probed(it, frame(TEXT, "hello")), undecodable("a packet has the unknown type 0x68")),
        (|it| probed(it, frame(0xf1, "3probe")), failed()),
    ];
    let client = client(|client| client);
    for (misdeed, error) in cases {
        assert_eq!(trial(&client, misdeed).await, error);
    }
    for change in WRONG_ACCEPTANCES {
        let misdeed = async |upgrade: Exchange| {
            let head = change(upgrade.acceptance());
            upgrade.accept_with(head).await
        };
        assert_eq!(trial(&client, misdeed).await, failed());
    }
}

#[tokio::test]
async fn a_trial_that_never_ends_times_out_and_polling_goes_on_meanwhile() {
    let hasty = client(|client| client.probe_timeout(SHORT));
    let slow: [Misdeed; 6] = [
        |upgrade| Box::pin(async { Held::Exchange(upgrade) }),
        |upgrade| drip(upgrade, |_| "HTTP/1.1 101 Switching Protocols\r\nX: ".into()),
        |upgrade| drip(upgrade, |_| "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n".into()),
        |upgrade| Box::pin(async { Held::WebSocket(upgrade.accept().await) }),
        |upgrade| drip(upgrade, |head| [head.as_bytes(), &[TEXT, 126, 0x7f, 0xff]].concat()),
        |upgrade| drip(upgrade, |head| [head.as_bytes(), &[PONG, 0]].concat().repeat(1)),
    ];
    join_all(slow.map(async |misdeed| {
        let told = trial(&hasty, misdeed).await;
        assert!(
            ["websocket timed out while upgrading", "websocket failed while upgrading"].contains(&told.as_str()),
            "{told}"
        );
    }))
    .await;
}

#[tokio::test]
async fn messages_and_heartbeats_go_by_polling_while_the_websocket_is_silent() {
    let mut server = Scripted::start().await;
    let mut socket = client(|client| client).open(server.url());
    let told = async {
        socket.send("a".into()).await.expect("it goes out");
        socket.send("b".into()).await.expect("it goes out");
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        let silent = server.upgrade().await;
        for message in ["4a", "4b"] {
            let post = server.post().await;
            assert_eq!(post.request.body, message);
            post.answer(ok("ok")).await;
        }
        server.poll().await.answer(ok("4x\x1e2")).await;
        let post = server.post().await;
        assert_eq!(post.request.body, "3");
        post.answer(ok("ok")).await;
        server.poll().await.answer(ok("4y\x1e1")).await;
        silent
    };
    let told = play(told, serving).await.0;
    let end = ["message x", "message y", "not upgraded: the session is closed", "close: transport close"];
    assert_eq!(told[..2], ["open", "upgrading to websocket"]);
    assert_eq!(told[2..], end);
}

#[tokio::test]
async fn gets_that_are_answered_at_once_do_not_spin_during_a_probe() {
    let mut server = Scripted::start().await;
    let hasty = client(|client| client.probe_timeout(2 * SHORT));
    let (mut socket, failed) = (hasty.open(server.url()), Notify::new());
    let told = async {
        assert_eq!(next(&mut socket).await, "open");
        assert_eq!(next(&mut socket).await, "upgrading to websocket");
        assert_eq!(next(&mut socket).await, "not upgraded: websocket timed out while upgrading");
        failed.notify_one();
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        let silent = server.upgrade().await.accept().await;
        let mut answered = 0;
        while let Ok(poll) = tokio::select! { poll = server.poll() => Ok(poll), () = failed.notified() => Err(()) } {
            poll.answer(ok("6")).await;
            answered += 1;
        }
        server.poll().await.answer(ok("1")).await;
        (answered, silent)
    };
    let (told, (answered, _)) = play(told, serving).await;
    assert_eq!(told, ["close: transport close"]);
    assert!((1..=45).contains(&answered), "{answered} GETs in 400 ms"); // one in 10 ms at most
}

#[tokio::test]
async fn a_get_that_hangs_on_fails_the_switch_and_not_the_session() {
    let mut server = Scripted::start().await;
    let hasty = client(|client| client.probe_timeout(2 * SHORT));
    let (mut socket, answered) = (hasty.open(server.url()), Notify::new());
    let told = async {
        assert_eq!(next(&mut socket).await, "open");
        assert_eq!(next(&mut socket).await, "upgrading to websocket");
        let failed = "not upgraded: websocket timed out while upgrading";
        let (sent, told) = join(
            async {
                answered.notified().await;
                Ok::<_, Error>(())
            },
            async { next(&mut socket).await },
        )
        .await;
        sent.expect("it goes out");
        assert_eq!(told, failed);
        socket.send("a".into()).await.expect("it goes out");
        answered.notify_one();
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        let mut websocket = server.upgrade().await.accept().await;
        websocket.expect("2probe").await;
        let poll = server.poll().await;
        websocket.text("3probe").await;
        answered.notify_one();
        websocket.ended().await;
        let post = server.post().await;
        assert_eq!(post.request.body, "4a");
        post.answer(ok("ok")).await;
        answered.notified().await;
        poll.answer(ok("4late\x1e1")).await;
    };
    assert_eq!(play(told, serving).await.0, ["message late", "close: transport close"]);
    assert_eq!(server.unasked(), 0);
}

#[tokio::test]
async fn a_post_that_hangs_on_fails_the_switch_and_not_the_session() {
    let mut server = Scripted::start().await;
    let hasty = client(|client| client.probe_timeout(2 * SHORT));
    let mut socket = hasty.open(server.url());
    let told = async {
        socket.send("a".into()).await.expect("it goes out");
        socket.send("b".into()).await.expect("it goes out");
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        let mut websocket = server.upgrade().await.accept().await;
        websocket.expect("2probe").await;
        let post = server.post().await;
        websocket.text("3probe").await;
        websocket.ended().await;
        post.answer(ok("ok")).await;
        let post = server.post().await;
        assert_eq!(post.request.body, "4b");
        post.answer(ok("ok")).await;
        server.poll().await.answer(ok("4x")).await;
        server.poll().await.answer(ok("1")).await;
    };
    let told = play(told, serving).await.0;
    let failed = "not upgraded: websocket timed out while upgrading";
    assert_eq!(told, ["open", "upgrading to websocket", failed, "message x", "close: transport close"]);
}

#[tokio::test]
async fn a_poll_that_fails_during_the_switch_ends_the_session() {
    let client = client(|client| client);
    let breaks: [(Misdeed, &str); 3] = [
        (|poll| done(poll.say_and_reset("")), "polling failed while reading"),
        (|poll| done(poll.answer(ok("<html>"))), "polling cannot decode: a packet has the unknown type 0x3c"),
        (
            |poll| done(poll.answer(reply("400 Bad Request", r#"{"code":1,"message":"no"}"#))),
            "polling got 400 while reading, code 1 no",
        ),
    ];
    for (break_off, error) in breaks {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
            let mut websocket = server.upgrade().await.accept().await;
            websocket.expect("2probe").await;
            let poll = server.poll().await;
            websocket.text("3probe").await;
            break_off(poll).await;
            websocket.ended().await;
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told[..2], ["open", "upgrading to websocket"]);
        assert_eq!(told[2], "not upgraded: the session is closed");
        assert_eq!(told[3], format!("error: {error}"));
        assert!(told[4].starts_with("close: "), "{}", told[4]);
    }
}

#[tokio::test]
async fn a_websocket_that_breaks_once_the_session_has_moved_ends_it() {
    let client = client(|client| client);
    let broken = "error: websocket failed while reading";
    let because = "close: transport error because websocket failed while reading";
    let cases: [(End, &[&str]); 4] = [
        (
            |websocket| say(websocket, frame(CLOSE, b"\x03\xf1too big")),
            &[r#"close: transport close with 1009 "too big""#],
        ),
        (|websocket| say(websocket, frame(TEXT, "4a")), &["message a", "close: transport close"]),
        (|websocket| Box::pin(websocket.cut()), &["close: transport close"]),
        (|websocket| Box::pin(async { websocket.reset() }), &[broken, because]),
    ];
    for (end, expected) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
            let mut websocket = server.upgrade().await.accept().await;
            websocket.expect("2probe").await;
            let poll = server.poll().await;
            websocket.text("3probe").await;
            poll.answer(ok("4last\x1e6")).await;
            websocket.expect("5").await;
            end(websocket).await;
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told[..4], ["open", "upgrading to websocket", "message last", "upgraded to websocket"]);
        assert_eq!(told[4..], *expected);
    }
}

#[tokio::test]
async fn closing_does_not_wait_for_a_silent_trial() {
    let mut server = Scripted::start().await;
    let mut socket = client(|client| client).open(server.url());
    let closing = async {
        assert_eq!(next(&mut socket).await, "open");
        assert_eq!(next(&mut socket).await, "upgrading to websocket");
        socket.send("a".into()).await.expect("it goes out");
        socket.close().await.expect("it closes");
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        let silent = server.upgrade().await;
        server.post().await.answer(ok("ok")).await;
        let post = server.post().await;
        assert_eq!(post.request.body, "1");
        post.answer(ok("ok")).await;
        if let Ok(poll) = timeout(SHORT, server.poll()).await {
            poll.answer(ok("6")).await;
        }
        silent.ended().await;
    };
    let told = play(closing, serving).await.0;
    assert_eq!(told, ["not upgraded: the session is closed", "close: forced close"]);
}

/// Lets a WebSocket on trial fail, and checks that polling carries messages both ways, before and after. Gives the
/// error that was told.
async fn trial<M, H>(client: &Client, misdeed: M) -> String
where
    M: AsyncFnOnce(Exchange) -> H,
{
    let mut server = Scripted::start().await;
    let (mut socket, failed) = (client.open(server.url()), Notify::new());
    let sent = Notify::new();
    let told = async {
        assert_eq!(next(&mut socket).await, "open");
        assert_eq!(next(&mut socket).await, "upgrading to websocket");
        socket.send("before".into()).await.expect("it goes out");
        let told = next(&mut socket).await;
        failed.notify_one();
        assert_eq!(next(&mut socket).await, "message between");
        socket.send("after".into()).await.expect("it goes out");
        assert_eq!(socket.transport(), Transport::Polling);
        sent.notify_one();
        assert_eq!(story(socket).await, ["close: transport close"]);
        told
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        let upgrade = server.upgrade().await;
        let post = server.post().await;
        assert_eq!(post.request.body, "4before");
        post.answer(ok("ok")).await;
        let held = misdeed(upgrade).await;
        failed.notified().await;
        server.poll().await.answer(ok("4between")).await;
        let post = server.post().await;
        assert_eq!(post.request.body, "4after");
        post.answer(ok("ok")).await;
        sent.notified().await;
        server.poll().await.answer(ok("1")).await;
        held
    };
    let (told, _) = play(told, serving).await;
    told.strip_prefix("not upgraded: ").map_or(told.clone(), str::to_owned)
}

/// What a server does with a request. What it gives is kept until the test ends.
type Misdeed = fn(Exchange) -> BoxFuture<'static, Held>;
/// What a server does with an open WebSocket.
type End = fn(WebSocket) -> BoxFuture<'static, ()>;

#[allow(dead_code, reason = "it is only kept")]
enum Held {
    Nothing,
    Exchange(Exchange),
    WebSocket(WebSocket),
}

fn done(deed: impl Future<Output = ()> + Send + 'static) -> BoxFuture<'static, Held> {
    Box::pin(deed.map(|()| Held::Nothing))
}

fn drip(upgrade: Exchange, begin: fn(String) -> Vec<u8>) -> BoxFuture<'static, Held> {
    let begin = begin(upgrade.acceptance());
    done(async move { upgrade.drip(begin, 0) })
}

fn refuse(upgrade: Exchange, status: &'static str, body: &'static str) -> BoxFuture<'static, Held> {
    done(async move { upgrade.answer(reply(status, body)).await })
}

/// Accepts the WebSocket, says this, and closes TCP.
fn after(upgrade: Exchange, bytes: Vec<u8>) -> BoxFuture<'static, Held> {
    done(async move { say(upgrade.accept().await, bytes).await })
}

/// Accepts the WebSocket, awaits the probe, and says this.
fn probed(upgrade: Exchange, bytes: Vec<u8>) -> BoxFuture<'static, Held> {
    Box::pin(async move {
        let mut websocket = upgrade.accept().await;
        websocket.expect("2probe").await;
        websocket.write(bytes).await;
        Held::WebSocket(websocket)
    })
}

fn say(mut websocket: WebSocket, bytes: Vec<u8>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        websocket.write(bytes).await;
        websocket.cut().await;
    })
}

/// Sends messages until the session ends, and gives how many were taken.
async fn feed_all(socket: &mut engineio_client::Socket) -> usize {
    let mut taken = 0;
    loop {
        match socket.feed(numbered(taken..taken + 1).remove(0)).await {
            Ok(()) => taken += 1,
            Err(Error::Closed) => return taken,
            Err(error) => panic!("{error}"),
        }
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<Packet> {
    range.map(|n| format!("{n} {}", "x".repeat(64 << 10)).into()).collect()
}

fn websocket_only(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    client(|client| set(client.transports([Transport::WebSocket])))
}

/// The last lines of a session that failed.
fn failed(error: &str) -> Vec<String> {
    vec![format!("error: {error}"), format!("close: transport error because {error}")]
}

/// The last lines of a session whose server can't be understood.
fn unreadable(error: &str) -> Vec<String> {
    vec![format!("error: {error}"), format!("close: parse error because {error}")]
}

/// Status, body, and what is told of them.
const REFUSALS: [(&str, &str, &str); 11] = [
    ("400 Bad Request", r#"{"code":0,"message":"Transport unknown"}"#, ", code 0 Transport unknown"),
    ("400 Bad Request", r#"{"code":"1","message":"Session ID unknown"}"#, ", code 1 Session ID unknown"),
    ("400 Bad Request", r#"{"code":3,"message":"Bad request"}"#, ", code 3 Bad request"),
    ("403 Forbidden", r#"{"code":4,"message":"your token has expired"}"#, ", code 4 your token has expired"),
    ("404 Not Found", "", ": "),
    ("429 Too Many Requests", "429 Too Many Requests", ": 429 Too Many Requests"),
    ("426 Upgrade Required", "", ": "),
    ("500 Internal Server Error", "", ": "),
    ("502 Bad Gateway", "<html>nginx</html>", ": <html>nginx</html>"),
    ("301 Moved Permanently", "", ": "),
    ("200 OK", "<html>welcome</html>", ": <html>welcome</html>"),
];

/// Changes to the answer that accepts a WebSocket, so that it does not.
const WRONG_ACCEPTANCES: [fn(String) -> String; 7] = [
    |head| head.replace("Accept: ", "Accept: A"),
    |head| head.replace("Sec-WebSocket-Accept", "X-Nothing"),
    |head| head.replace("Upgrade: websocket", "Upgrade: h2c"),
    |head| head.replace("Upgrade: websocket\r\n", ""),
    |head| head.replace("Connection: Upgrade", "Connection: keep-alive"),
    |head| head.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
    |head| head.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
];

/// How many messages of 8 KiB: far more than the buffers of two TCP stacks hold.
const FLOOD: usize = 6_000;
