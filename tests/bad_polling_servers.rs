//! Servers, and things in between, that answer polling wrongly, late, or not at all.

mod peers;

use engineio_client::{Error, Event, Packet, Protocol, Stage, Transport};
use futures::{
    SinkExt, StreamExt,
    future::{join, join_all},
};
use peers::scripted::{
    Exchange, OPEN, OPEN_BRIEF, OPEN_UPGRADABLE, SHORT, Scripted, client, kind, next, ok, play, reply, story,
};
use tokio::{sync::Notify, time::timeout};

// Silence, and what is as good as silence.

#[tokio::test]
async fn a_handshake_that_never_ends_times_out() {
    let hasty = client(|client| client.handshake_timeout(SHORT));
    join_all(SLOW.map(async |slow| {
        let mut server = Scripted::start().await;
        let (connecting, told) = (hasty.connect(server.url()), story(hasty.open(server.url())));
        let server = async { (slow.answer(server.handshake().await), slow.answer(server.handshake().await)) };
        let ((connected, told), _) = play(join(connecting, told), server).await;
        assert_eq!(kind(&connected.expect_err("nothing opens")), "polling timed out while opening");
        assert_eq!(told, failed("polling timed out while opening"));
    }))
    .await;
}

#[tokio::test]
async fn a_poll_that_never_ends_is_a_ping_timeout() {
    let client = client(|client| client);
    join_all(SLOW.map(async |slow| {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let server = async {
            server.handshake().await.answer(ok(OPEN_BRIEF)).await;
            server.poll().await.answer(ok("4before")).await;
            slow.answer(server.poll().await)
        };
        let (told, _) = play(told, server).await;
        assert_eq!(told, ["open", "message before", "close: ping timeout"]);
    }))
    .await;
}

#[tokio::test]
async fn a_post_that_never_ends_is_a_write_timeout() {
    let hasty = client(|client| client.write_timeout(SHORT));
    join_all(SLOW.map(async |slow| {
        let mut server = Scripted::start().await;
        let mut socket = hasty.open(server.url());
        let told = async {
            socket.feed("a".into()).await?;
            socket.feed("b".into()).await?;
            assert!(matches!(socket.flush().await, Err(Error::Closed)));
            Ok::<_, Error>(story(socket).await)
        };
        let server = async {
            server.handshake().await.answer(ok(OPEN)).await;
            let post = server.post().await;
            assert_eq!(post.request.body, "4a\x1e4b");
            (server.poll().await, slow.answer(post))
        };
        let (told, _) = play(told, server).await;
        let timeout = "polling timed out while writing";
        let close = format!("close: transport error because {timeout}, in doubt: a b");
        assert_eq!(told.expect("they can be sent"), ["open".into(), format!("error: {timeout}"), close]);
    }))
    .await;
}

#[tokio::test]
async fn sends_wait_for_a_server_that_does_not_answer_and_come_back() {
    let hasty = client(|client| client.write_timeout(SHORT).max_queued(5, 1_000_000));
    let mut server = Scripted::start().await;
    let mut socket = hasty.open(server.url());
    let sending = async {
        let mut taken = 0;
        while socket.feed(taken.to_string().into()).await.is_ok() {
            taken += 1;
        }
        (taken, story(socket).await)
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        (server.poll().await, server.post().await)
    };
    let ((taken, told), _) = play(sending, serving).await;
    let error = "polling timed out while writing";
    let close = format!("close: transport error because {error}, in doubt: 0 1 2 3 4");
    assert_eq!(told, ["open".into(), format!("error: {error}"), close]);
    assert_eq!(taken, 5, "no more than fits");
}

#[tokio::test]
async fn requests_have_a_time_limit_of_their_own() {
    // with an event unread no GET is sent, which would time out, too
    let hasty = client(|client| client.request_timeout(2 * SHORT).max_queued_events(1));
    for (stage, given_back) in [("opening", ""), ("reading", ""), ("writing", ", in doubt: a")] {
        let mut server = Scripted::start().await;
        let mut socket = hasty.open(server.url());
        let told = async {
            if stage == "writing" {
                assert!(matches!(socket.send("a".into()).await, Err(Error::Closed)));
            }
            story(socket).await
        };
        let serving = async {
            let handshake = server.handshake().await;
            if stage == "opening" {
                return handshake;
            }
            handshake.answer(ok(OPEN)).await;
            if stage == "reading" { server.poll().await } else { server.post().await }
        };
        let (told, _) = play(told, serving).await;
        let close = format!("close: transport error because polling timed out while {stage}{given_back}");
        assert_eq!(told.last(), Some(&close));
    }
}

#[tokio::test]
async fn closing_ends_at_its_time_limit_and_gives_everything_back() {
    let hasty = client(|client| client.close_timeout(SHORT));
    let because = "close: forced close because polling timed out while closing";

    // the close packet is not answered
    let mut server = Scripted::start().await;
    let url = server.url();
    let closing = async {
        let mut socket = hasty.connect(url).await.expect("it opens");
        socket.close().await.expect("it closes");
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        let post = server.post().await;
        assert_eq!(post.request.body, "1");
        post
    };
    assert_eq!(play(closing, serving).await.0, ["open", because]);

    // the close packet is answered, the hanging GET is not
    let mut server = Scripted::start().await;
    let url = server.url();
    let closing = async {
        let mut socket = hasty.connect(url).await.expect("it opens");
        assert_eq!(next(&mut socket).await, "open");
        assert!(futures::poll!(socket.next()).is_pending(), "the GET hangs");
        socket.close().await.expect("it closes");
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        let poll = server.poll().await;
        server.post().await.answer(ok("ok")).await;
        poll
    };
    assert_eq!(play(closing, serving).await.0, [because]);

    // what was sent before is not answered
    let mut server = Scripted::start().await;
    let url = server.url();
    let closing = async {
        let mut socket = hasty.connect(url).await.expect("it opens");
        socket.feed("a".into()).await.expect("there is room");
        socket.feed("b".into()).await.expect("there is room");
        assert!(futures::poll!(socket.flush()).is_pending(), "the POST is under way");
        socket.feed("c".into()).await.expect("there is room");
        let lost = socket.close().await;
        assert!(matches!(lost, Err(Error::Timeout { stage: Stage::Closing, .. })), "{lost:?}");
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        (server.poll().await, server.post().await)
    };
    assert_eq!(play(closing, serving).await.0, ["open".into(), format!("{because}, in doubt: a b, unsent: c")]);
}

#[tokio::test]
async fn no_get_follows_the_close_packet() {
    let mut server = Scripted::start().await;
    let client = client(|client| client);
    let url = server.url();
    let closing = async {
        let mut socket = client.connect(url).await.expect("it opens");
        assert_eq!(next(&mut socket).await, "open");
        assert!(futures::poll!(socket.next()).is_pending(), "the GET hangs");
        socket.close().await.expect("it closes");
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        let poll = server.poll().await;
        let post = server.post().await;
        poll.answer(ok("6")).await;
        assert!(timeout(SHORT, server.any()).await.is_err(), "nothing more is asked for");
        post.answer(ok("ok")).await;
    };
    assert_eq!(play(closing, serving).await.0, ["close: forced close"]);
    assert_eq!(server.unasked(), 0);
}

// Refusals.

/// Status, body, and what is told of them.
const REFUSALS: [(&str, &str, &str); 17] = [
    ("400 Bad Request", r#"{"code":0,"message":"Transport unknown"}"#, ", code 0 Transport unknown"),
    ("400 Bad Request", r#"{"code":1,"message":"Session ID unknown"}"#, ", code 1 Session ID unknown"),
    ("400 Bad Request", r#"{"code":"1","message":"Session ID unknown"}"#, ", code 1 Session ID unknown"),
    ("400 Bad Request", r#"{"code":2,"message":"Bad handshake method"}"#, ", code 2 Bad handshake method"),
    ("400 Bad Request", r#"{"code":3,"message":"Bad request"}"#, ", code 3 Bad request"),
    ("403 Forbidden", r#"{"code":4,"message":"your token has expired"}"#, ", code 4 your token has expired"),
    ("400 Bad Request", r#"{"code":-1,"message":7}"#, r#": {"code":-1,"message":7}"#),
    ("403 Forbidden", "forbidden", ": forbidden"),
    ("404 Not Found", "Cannot GET /engine.io/", ": Cannot GET /engine.io/"),
    ("413 Payload Too Large", "", ": "),
    ("429 Too Many Requests", "429 Too Many Requests", ": 429 Too Many Requests"),
    ("500 Internal Server Error", "4not a message", ": 4not a message"),
    ("502 Bad Gateway", "<html>nginx</html>", ": <html>nginx</html>"),
    ("503 Service Unavailable", "<html>nginx</html>", ": <html>nginx</html>"),
    ("504 Gateway Time-out", "<html>nginx</html>", ": <html>nginx</html>"),
    ("301 Moved Permanently", "0{}", ": 0{}"),
    ("304 Not Modified", "", ": "),
];

#[tokio::test]
async fn a_refused_handshake_tells_status_code_and_body() {
    let client = client(|client| client);
    for (status, body, told_of_it) in REFUSALS {
        let mut server = Scripted::start().await;
        let (connecting, told) = (client.connect(server.url()), story(client.open(server.url())));
        let serving = async {
            server.handshake().await.answer(reply(status, body)).await;
            server.handshake().await.answer(reply(status, body)).await;
        };
        let ((connected, told), ()) = play(join(connecting, told), serving).await;
        let error = format!("polling got {} while opening{told_of_it}", &status[..3]);
        assert_eq!(kind(&connected.expect_err("nothing opens")), error);
        assert_eq!(told, failed(&error));
        assert_eq!(server.unasked(), 0, "{status} is final");
    }
}

#[tokio::test]
async fn a_refused_poll_tells_status_code_and_body() {
    let client = client(|client| client);
    let unsupported = ("400 Bad Request", r#"{"code":5,"message":"no"}"#, ", code 5 no");
    for (status, body, told_of_it) in REFUSALS.into_iter().chain([unsupported]) {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            server.poll().await.answer(ok("4before")).await;
            server.poll().await.answer(reply(status, body)).await;
        };
        let (told, ()) = play(told, serving).await;
        let error = format!("polling got {} while reading{told_of_it}", &status[..3]);
        assert_eq!(told[..2], ["open", "message before"]);
        assert_eq!(told[2..], failed(&error));
        assert_eq!(server.unasked(), 0, "{status} is final");
    }
}

#[tokio::test]
async fn a_refused_post_gives_back_what_it_carried_and_what_came_after() {
    let client = client(|client| client);
    let unsupported = ("400 Bad Request", r#"{"code":5,"message":"no"}"#, ", code 5 no");
    for (status, body, told_of_it) in REFUSALS.into_iter().chain([unsupported]) {
        let mut server = Scripted::start().await;
        let url = server.url();
        let told = async {
            let mut socket = client.connect(url).await.expect("it opens");
            socket.feed("a".into()).await.expect("there is room");
            socket.feed("b".into()).await.expect("there is room");
            assert!(futures::poll!(socket.flush()).is_pending(), "the POST is under way");
            socket.feed("c".into()).await.expect("there is room");
            socket.feed("d".into()).await.expect("there is room");
            story(socket).await
        };
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            let post = server.post().await;
            assert_eq!(post.request.body, "4a\x1e4b");
            post.answer(reply(status, body)).await;
            server.poll().await
        };
        let (told, _) = play(told, serving).await;
        let error = format!("polling got {} while writing{told_of_it}", &status[..3]);
        let close = format!("close: transport error because {error}, in doubt: a b, unsent: c d");
        assert_eq!(told, ["open".into(), format!("error: {error}"), close]);
    }
}

#[tokio::test]
async fn another_protocol_is_tried_exactly_once() {
    let client = client(|client| client);
    for refusal in [r#"{"code":5,"message":"Unsupported protocol version"}"#, r#"{"code":"5","message":""}"#] {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            for version in ["EIO=4", "EIO=3"] {
                let handshake = server.handshake().await;
                assert!(handshake.request.says(version));
                handshake.answer(reply("400 Bad Request", refusal)).await;
            }
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told, failed("the server does not speak the protocol asked for"));
        assert_eq!(server.unasked(), 0);
    }
}

#[tokio::test]
async fn only_the_protocol_asked_for_is_tried() {
    for (protocol, version) in [(Protocol::V3, "EIO=3"), (Protocol::V4, "EIO=4")] {
        let mut server = Scripted::start().await;
        let told = story(client(|client| client.protocol(protocol)).open(server.url()));
        let serving = async {
            let handshake = server.handshake().await;
            assert!(handshake.request.says(version));
            handshake.answer(reply("400 Bad Request", r#"{"code":5,"message":"no"}"#)).await;
        };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told, failed("the server does not speak the protocol asked for"));
        assert_eq!(server.unasked(), 0);
    }
}

#[tokio::test]
async fn another_protocol_than_asked_for_is_refused_though_the_server_ignores_our_goodbye() {
    let mut server = Scripted::start().await;
    let told = story(client(|client| client.protocol(Protocol::V4)).open(server.url()));
    let serving = async {
        server.handshake().await.answer(ok(v3(OPEN))).await;
        let goodbye = server.post().await;
        assert_eq!(goodbye.request.body, "1:1");
        goodbye
    };
    let (told, _) = play(told, serving).await;
    assert_eq!(told, failed("the server does not speak the protocol asked for"));
}

#[tokio::test]
async fn the_protocol_tried_second_carries_the_session() {
    let mut server = Scripted::start().await;
    let told = story(client(|client| client).open(server.url()));
    let serving = async {
        server.handshake().await.answer(reply("400 Bad Request", r#"{"code":5,"message":"no"}"#)).await;
        server.handshake().await.answer(ok(v3(OPEN))).await;
        let poll = server.poll().await;
        assert!(poll.request.says("EIO=3"));
        poll.answer(ok("3:4hi1:1")).await;
    };
    assert_eq!(play(told, serving).await.0, ["open", "message hi", "close: transport close"]);
}

// Bodies that are none.

#[tokio::test]
async fn the_first_reply_may_be_anything() {
    let client = client(|client| client);
    let cases = [
        ("<html>welcome</html>", "polling cannot decode: a packet has the unknown type 0x3c"),
        ("", "polling cannot decode: a packet is empty"),
        ("ok", "polling cannot decode: a packet has the unknown type 0x6f"),
        ("0", "polling cannot decode: the open packet is unusable"),
        ("4hello", "polling has no place for message"),
        ("6", "polling has no place for noop"),
        ("1", "polling has no place for close"),
        ("3probe", "polling has no place for pong"),
        ("99:0{}", "polling cannot decode: a packet's length is wrong"),
        ("0:0{}", "polling cannot decode: a packet is empty"),
        ("\u{1e}", "polling cannot decode: a packet is empty"),
        ("b4AAAA", "polling cannot decode: binary is not base64"),
    ];
    for (body, error) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async { server.handshake().await.answer(ok(body)).await };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told, unreadable(error), "{body}");
        assert_eq!(server.unasked(), 0);
    }
}

#[tokio::test]
async fn what_comes_before_the_unreadable_is_delivered_and_nothing_after() {
    let client = client(|client| client);
    let cases: [(&[u8], &[&str], &str); 12] = [
        (b"<html></html>", &[], "cannot decode: a packet has the unknown type 0x3c"),
        (b"", &[], "cannot decode: a packet is empty"),
        (b"4a\x1e4b\x1e9\x1e4c", &["a", "b"], "cannot decode: a packet has the unknown type 0x39"),
        (b"4a\x1e\x1e4b", &["a"], "cannot decode: a packet is empty"),
        (b"4a\x1e4b\x1e", &["a", "b"], "cannot decode: a packet is empty"),
        (b"4a\x1ebAA=A\x1e4c", &["a"], "cannot decode: binary is not base64"),
        (b"4a\x1ebAQI\x1e4c", &["a"], "cannot decode: binary is not base64"),
        (b"4a\x1e4\xff\x1e4c", &["a"], "cannot decode: text is not UTF-8"),
        (b"\xff\x1e4c", &[], "cannot decode: text is not UTF-8"),
        (b"4a\x1e0{}\x1e4c", &["a"], "cannot decode: the open packet is unusable"),
        (b"4a\x1e5\x1e4c", &["a"], "has no place for upgrade"),
        (b"4\x1e4b\x1e\xf0\x9f\x98", &["", "b"], "cannot decode: text is not UTF-8"),
    ];
    for (body, messages, error) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            server.poll().await.answer(ok(body)).await;
        };
        let (told, ()) = play(told, serving).await;
        let mut expected = vec!["open".to_owned()];
        expected.extend(messages.iter().map(|message| format!("message {message}")));
        expected.extend(unreadable(&format!("polling {error}")));
        assert_eq!(told, expected, "{:?}", String::from_utf8_lossy(body));
        assert_eq!(server.unasked(), 0);
    }
}

#[tokio::test]
async fn lengths_of_protocol_3_are_not_believed() {
    let client = client(|client| client);
    let endless = [b"2:4a".as_slice(), &b"9".repeat(400), b":4b"].concat();
    let endless_bytes = [b"\x00\x02\xff4a\x00".as_slice(), &[9; 400], b"\xff4b"].concat();
    let text = "text/plain; charset=UTF-8";
    let bytes = "application/octet-stream";
    let cases: [(&str, &[u8], &[&str], &str); 15] = [
        (text, b"2:4a9:4b", &["a"], "a packet's length is wrong"),
        (text, b"2:4ax:4b", &["a"], "a packet's length is wrong"),
        (text, b"2:4a-1:4b", &["a"], "a packet's length is wrong"),
        (text, b"2:4a4b", &["a"], "a packet's length is wrong"),
        (text, b"2:4a:", &["a"], "a packet's length is wrong"),
        (text, b"2:4a0:2:4b", &["a"], "a packet is empty"),
        (text, b"2:4a18446744073709551617:4b", &["a"], "a packet's length is wrong"),
        (text, b"3:4\xf0\x9f\x98\x802:4\xf0\x9f\x98\x80", &["😀"], "a packet's length is wrong"),
        (text, &endless, &["a"], "a packet's length is wrong"),
        (text, b"2:4a2:4\xff2:4b", &["a"], "text is not UTF-8"),
        (bytes, b"\x00\x02\xff4a\x00\x09\xff4b", &["a"], "a packet's length is wrong"),
        (bytes, b"\x00\x02\xff4a\x07\x02\xff4b", &["a"], "a packet has the unknown type 0x07"),
        (bytes, b"\x00\x02\xff4a\x01\x02\xff\x05b", &["a"], "a packet has the unknown type 0x05"),
        (bytes, b"\x00\x02\xff4a\x00\x02\xff4\xff", &["a"], "text is not UTF-8"),
        (bytes, &endless_bytes, &["a"], "a packet's length is wrong"),
    ];
    for (content_type, body, messages, error) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            server.handshake().await.answer(ok(v3(OPEN))).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}", body.len());
            server.poll().await.answer([head.as_bytes(), b"\r\n\r\n", body].concat()).await;
        };
        let (told, ()) = play(told, serving).await;
        let mut expected = vec!["open".to_owned()];
        expected.extend(messages.iter().map(|message| format!("message {message}")));
        expected.extend(unreadable(&format!("polling cannot decode: {error}")));
        assert_eq!(told, expected, "{:?}", String::from_utf8_lossy(body));
    }
}

#[tokio::test]
async fn a_second_open_packet_breaks_the_protocol() {
    let mut server = Scripted::start().await;
    let told = story(client(|client| client).open(server.url()));
    let serving = async { server.handshake().await.answer(ok(format!("{OPEN}\x1e4a\x1e{OPEN}\x1e4b"))).await };
    let (told, ()) = play(told, serving).await;
    assert_eq!(told[..2], ["open", "message a"]);
    assert_eq!(told[2..], unreadable("polling has no place for open"));
}

#[tokio::test]
async fn packets_behind_the_open_packet_are_delivered_in_order() {
    let mut server = Scripted::start().await;
    let told = story(client(|client| client).open(server.url()));
    let serving =
        async { server.handshake().await.answer(ok(format!("{OPEN}\x1e4a\x1e6\x1e4\x1ebAQI=\x1e1\x1e4z"))).await };
    let (told, ()) = play(told, serving).await;
    assert_eq!(told, ["open", "message a", "message ", r#"message b"\x01\x02""#, "close: transport close"]);
    assert_eq!(server.unasked(), 0);
}

// Bodies that break off, or never end.

#[tokio::test]
async fn a_reply_that_breaks_off_is_an_error_at_every_stage() {
    let client = client(|client| client);
    let breaks = [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n4a\x1e4b",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n4a\x1e4b\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n4a\x1e4b\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
    ];
    for reply in breaks {
        for reset in [false, true] {
            let break_off = async |exchange: Exchange| match reset {
                false => exchange.say_and_close(reply).await,
                true => exchange.say_and_reset(reply).await,
            };

            let mut server = Scripted::start().await;
            let told = story(client.open(server.url()));
            let serving = async { break_off(server.handshake().await).await };
            assert_eq!(play(told, serving).await.0, failed("polling failed while opening"), "{reply:?}");

            let mut server = Scripted::start().await;
            let told = story(client.open(server.url()));
            let serving = async {
                server.handshake().await.answer(ok(OPEN)).await;
                server.poll().await.answer(ok("4before")).await;
                break_off(server.poll().await).await;
            };
            let (told, ()) = play(told, serving).await;
            assert_eq!(told[..2], ["open", "message before"]);
            assert_eq!(told[2..], failed("polling failed while reading"), "{reply:?}");
            assert_eq!(server.unasked(), 0);

            let mut server = Scripted::start().await;
            let mut socket = client.open(server.url());
            let told = async {
                let _ = socket.send("a".into()).await; // fails with the session
                story(socket).await
            };
            let serving = async {
                server.handshake().await.answer(ok(OPEN)).await;
                let poll = server.poll().await;
                break_off(server.post().await).await;
                poll
            };
            let close = "close: transport error because polling failed while writing, in doubt: a";
            let told = play(told, serving).await.0;
            assert_eq!(told, ["open", "error: polling failed while writing", close], "{reply:?}");
        }
    }
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let strict = client(|client| client.max_message_size(10_000));
    let large = format!("4{}", "x".repeat(10_000));
    let announced = ok(&large);
    let replies = [
        (announced, Vec::new()),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".into(), Vec::new()),
        (chunked("200 OK"), chunk()),
        ("HTTP/1.0 200 OK\r\n\r\n4".into(), b"x".repeat(1024)),
    ];
    for (begin, more) in replies {
        let answer = async |mut exchange: Exchange| {
            if more.is_empty() {
                exchange.write(&begin).await;
                Some(exchange)
            } else {
                exchange.flood(begin.clone(), more.clone());
                None
            }
        };
        let mut server = Scripted::start().await;
        let told = story(strict.open(server.url()));
        let serving = async { answer(server.handshake().await).await };
        assert_eq!(play(told, serving).await.0, failed("polling got too large a body while opening"));

        let mut server = Scripted::start().await;
        let told = story(strict.open(server.url()));
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            answer(server.poll().await).await
        };
        assert_eq!(play(told, serving).await.0[1..], failed("polling got too large a body while reading"));

        let mut server = Scripted::start().await;
        let mut socket = strict.open(server.url());
        let told = async {
            let _ = socket.send("a".into()).await; // fails with the session
            story(socket).await
        };
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            (server.poll().await, answer(server.post().await).await)
        };
        assert_eq!(play(told, serving).await.0[1], "error: polling got too large a body while writing");
    }
}

#[tokio::test]
async fn a_status_is_told_whatever_becomes_of_its_page() {
    let client = client(|client| client.max_message_size(10_000));
    let pages: [fn(Exchange) -> Option<Exchange>; 4] = [
        |page| {
            page.flood(chunked("502 Bad Gateway"), chunk());
            None
        },
        |page| {
            page.drip(chunked("502 Bad Gateway"), b'4');
            None
        },
        |page| {
            page.drip(BROKEN_PAGE, b'x');
            None
        },
        |page| {
            tokio::spawn(page.say_and_reset(BROKEN_PAGE));
            None
        },
    ];
    join_all(pages.map(async |page| {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async { page(server.handshake().await) };
        let (told, _) = play(told, serving).await;
        assert!(told[0].starts_with("error: polling got 502 while opening: "), "{told:?}");

        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            page(server.poll().await)
        };
        let (told, _) = play(told, serving).await;
        assert!(told[1].starts_with("error: polling got 502 while reading: "), "{told:?}");
    }))
    .await;
}

#[tokio::test]
async fn heads_have_a_limit() {
    let client = client(|client| client);
    let mut server = Scripted::start().await;
    let told = story(client.open(server.url()));
    let serving = async { server.handshake().await.flood("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n") };
    assert_eq!(play(told, serving).await.0, failed("polling failed while opening"));
}

#[tokio::test]
async fn heads_may_have_a_hundred_headers_and_some_hundred_kilobytes() {
    let client = client(|client| client);
    let more = |count: usize, len: usize| format!("X-More: {}\r\n", "x".repeat(len)).repeat(count);
    let cases = [
        (more(98, 1), true), // besides the two that it has anyway
        (more(99, 1), false),
        (more(90, 4000), true),
        (more(1, 1 << 20), false),
    ];
    for (more, opens) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let head_end = "Content-Type";
        let reply = String::from_utf8(ok(format!("{OPEN}\x1e1"))).expect("it is text");
        let reply = reply.replacen(head_end, &format!("{more}{head_end}"), 1);
        let serving = async { server.handshake().await.answer(reply).await };
        let told = play(told, serving).await.0;
        let expected = ["open".to_owned(), "close: transport close".to_owned()];
        assert_eq!(told, if opens { expected.to_vec() } else { failed("polling failed while opening") });
    }
}

// Handshakes.

#[tokio::test]
async fn no_field_of_the_handshake_is_trusted() {
    let client = client(|client| client);
    let with = |field: &str, value: &str| {
        let fields = [("sid", "\"abc\""), ("upgrades", "[]"), ("pingInterval", "25000"), ("pingTimeout", "20000")];
        let own = |(name, own)| format!("\"{name}\":{}", if name == field { value } else { own });
        let extra =
            if fields.iter().any(|(name, _)| *name == field) { String::new() } else { format!(",\"{field}\":{value}") };
        let fields: Vec<_> = fields.map(own).into_iter().filter(|field| !field.ends_with(':')).collect();
        format!("0{{{}{extra}}}", fields.join(","))
    };
    let mut hostile =
        vec!["0{".to_owned(), "0[]".into(), "0null".into(), "0\"abc\"".into(), with("x", &"[".repeat(9_999))];
    for field in ["sid", "upgrades", "pingInterval", "pingTimeout"] {
        for value in ["", "null", "{}", "true"] {
            hostile.push(with(field, value)); // nothing at all is a field that is missing
        }
    }
    for field in ["pingInterval", "pingTimeout", "maxPayload"] {
        for value in ["0", "-1", "0.5", "1e400", "1e300", "99999999999999999999", "\"1\"", "[1]", "NaN"] {
            hostile.push(with(field, value));
        }
    }
    for sid in [r#""""#, r#""a b""#, r#""a\r\nX-Injected: 1""#, r#""\u0000""#, r#""é""#, "7"] {
        hostile.push(with("sid", sid));
    }
    hostile.push(with("sid", &format!("{:?}", "x".repeat(257))));
    hostile.push(with("upgrades", &format!("{:?}", vec!["websocket"; 1_000])));
    hostile.push(with("upgrades", &format!("[{:?}]", "x".repeat(1_000))));
    hostile.push(with("upgrades", "[7]"));

    let mut server = Scripted::start().await;
    for handshake in hostile {
        let told = story(client.open(server.url()));
        let serving = async { server.handshake().await.answer(ok(&handshake)).await };
        let (told, ()) = play(told, serving).await;
        assert_eq!(told, unreadable("polling cannot decode: the open packet is unusable"), "{handshake}");
        assert_eq!(server.unasked(), 0, "{handshake}");
    }
}

#[tokio::test]
async fn odd_but_sound_handshakes_open_a_session() {
    let client = client(|client| client);
    let long = format!("{:?}", "x".repeat(256));
    let huge = format!(r#""more":"{}","#, "x".repeat(10_000_000));
    let cases = [
        (r#""sid":"/?#&=%+;'<>""#, "", r"sid=%2F%3F%23%26%3D%25%2B%3B'%3C%3E"),
        (&format!(r#""sid":{long}"#), "", "sid=xxx"),
        (r#""sid":"abc""#, r#""more":{"and":[[[[1.5e3]]]]},"#, "sid=abc"),
        (r#""sid":"abc""#, huge.as_str(), "sid=abc"),
        (r#""sid":"abc""#, r#""maxPayload":18446744073709551615,"#, "sid=abc"),
    ];
    for (sid, more, expected) in cases {
        let mut server = Scripted::start().await;
        let told = story(client.open(server.url()));
        let handshake = format!(r#"0{{{more}{sid},"upgrades":[],"pingInterval":2147483647,"pingTimeout":2147483647}}"#);
        let serving = async {
            server.handshake().await.answer(ok(handshake)).await;
            let poll = server.poll().await;
            assert!(poll.request.says(expected), "{}", poll.request.head);
            poll.answer(ok("1")).await;
        };
        assert_eq!(play(told, serving).await.0, ["open", "close: transport close"]);
    }
}

#[tokio::test]
async fn upgrade_names_never_reach_a_request() {
    let mut server = Scripted::start().await;
    let client = client(|client| client);
    let open = OPEN.replace("[]", r#"["x\r\nX-Injected: 1","websocket\r\nX-Injected: 1"]"#);
    let (mut socket, sent) = (client.open(server.url()), Notify::new());
    let told = async {
        socket.send("a".into()).await.expect("it goes out");
        sent.notify_one();
        story(socket).await
    };
    let serving = async {
        server.handshake().await.answer(ok(open)).await;
        let (poll, post) = (server.poll().await, server.post().await);
        for request in [&poll.request, &post.request] {
            assert!(!request.says("njected"), "{}", request.head);
        }
        post.answer(ok("ok")).await;
        sent.notified().await;
        poll.answer(ok("1")).await;
    };
    assert_eq!(play(told, serving).await.0, ["open", "close: transport close"]);
    assert_eq!(server.unasked(), 0);
}

// Connections.

#[tokio::test]
async fn interim_replies_are_passed_over() {
    let mut server = Scripted::start().await;
    let told = story(client(|client| client).open(server.url()));
    let serving = async {
        let mut handshake = server.handshake().await;
        handshake.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
        handshake.answer(ok(OPEN)).await;
        server.poll().await.answer(reply("101 Switching Protocols", "")).await;
    };
    let (told, ()) = play(told, serving).await;
    assert_eq!(told[0], "open");
    assert_eq!(told[1..], failed("polling got 101 while reading: "));
}

#[tokio::test]
async fn a_server_may_close_each_connection() {
    let mut server = Scripted::start().await;
    let mut socket = client(|client| client).open(server.url());
    let told = async {
        socket.send("a".into()).await.expect("it goes out");
        socket.send("b".into()).await.expect("it goes out");
        story(socket).await
    };
    let old = |body: &str| format!("HTTP/1.0 200 OK\r\n\r\n{body}");
    let serving = async {
        server.handshake().await.say_and_close(old(OPEN)).await;
        for message in ["4a", "4b"] {
            let post = server.post().await;
            assert_eq!(post.request.body, message);
            post.say_and_close(old("ok")).await;
        }
        server.poll().await.say_and_close(old("4x")).await;
        server.poll().await.say_and_close(old("4y\x1e1")).await;
    };
    assert_eq!(play(told, serving).await.0, ["open", "message x", "message y", "close: transport close"]);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_replaced() {
    let mut server = Scripted::start().await;
    let client = client(|client| client.max_queued_events(1)); // nothing is asked for until the last was read
    let (url, closed, sent) = (server.url(), Notify::new(), Notify::new());
    let told = async {
        let mut socket = client.connect(url).await.expect("it opens");
        closed.notified().await;
        assert_eq!(next(&mut socket).await, "open");
        assert_eq!(next(&mut socket).await, "message a");
        closed.notified().await;
        socket.send("b".into()).await.expect("it goes out");
        closed.notified().await;
        socket.send("c".into()).await.expect("it goes out");
        sent.notify_one();
        story(socket).await
    };
    let serving = async {
        server.handshake().await.say_and_close(ok(OPEN)).await;
        closed.notify_one();
        server.poll().await.say_and_close(ok("4a")).await;
        closed.notify_one();
        let post = server.post().await;
        assert_eq!(post.request.body, "4b");
        post.say_and_close(ok("ok")).await;
        closed.notify_one();
        let post = server.post().await;
        assert_eq!(post.request.body, "4c");
        post.answer(ok("ok")).await;
        sent.notified().await;
        server.poll().await.answer(ok("1")).await;
    };
    assert_eq!(play(told, serving).await.0, ["close: transport close"]);
}

// Floods.

#[tokio::test]
async fn a_server_is_not_asked_for_more_than_the_user_reads() {
    let mut server = Scripted::start().await;
    let client = client(|client| client.max_queued_events(16));
    let (url, full) = (server.url(), Notify::new());
    let reading = async {
        let (_sender, receiver) = client.connect(url).await.expect("it opens").spawn();
        full.notified().await;
        story(receiver).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        let mut sent = 0;
        let mut batch = || {
            sent += 10;
            (sent - 10..sent).map(|n| format!("4{n}")).collect::<Vec<_>>().join("\x1e")
        };
        let mut answered = 0;
        while let Ok(poll) = timeout(SHORT, server.poll()).await {
            poll.answer(ok(batch())).await;
            answered += 1;
            assert!(answered < 20, "nobody reads, and still more is asked for");
        }
        full.notify_one();
        for _ in 0..50 {
            server.poll().await.answer(ok(batch())).await;
        }
        server.poll().await.answer(ok("1")).await;
        sent
    };
    let (told, sent) = play(reading, serving).await;
    let mut expected: Vec<_> = (0..sent).map(|n| format!("message {n}")).collect();
    expected.insert(0, "open".into());
    expected.push("close: transport close".into());
    assert_eq!(told, expected);
}

// In a task of its own.

#[tokio::test]
async fn a_server_that_vanishes_leaves_everything_that_was_sent() {
    let client = client(|client| client.max_queued(10, 1_000_000));
    let all: Vec<Packet> = (0..70).map(|n| Packet::from(n.to_string())).collect();
    let mut server = Scripted::start().await;
    let (url, sent) = (server.url(), Notify::new());
    let sending = async {
        let (mut sender, receiver) = client.connect(url).await.expect("it opens").spawn();
        for packet in &all {
            sender.feed(packet.clone()).await.expect("there is room");
        }
        sent.notify_one();
        receiver.collect::<Vec<_>>().await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        let (poll, post) = (server.poll().await, server.post().await);
        sent.notified().await;
        post.say_and_reset("").await;
        poll.say_and_reset("").await;
    };
    let (events, ()) = play(sending, serving).await;
    let Some(Event::Close(close)) = events.last() else { panic!("no end: {events:?}") };
    assert!(!close.in_doubt().is_empty() && close.unsent().len() > 50, "{close:?}");
    assert_eq!([close.in_doubt(), close.unsent()].concat(), all);
}

#[tokio::test]
async fn a_spawned_session_closes_in_time_though_nobody_reads() {
    let client = client(|client| client.close_timeout(SHORT));
    let mut server = Scripted::start().await;
    let (url, flooded) = (server.url(), Notify::new());
    let closing = async {
        let (mut sender, receiver) = client.connect(url).await.expect("it opens").spawn();
        flooded.notified().await;
        sender.close().await.expect("it closes");
        story(receiver).await
    };
    let serving = async {
        server.handshake().await.answer(ok(OPEN)).await;
        let messages = vec!["4a"; 200].join("\x1e");
        server.poll().await.answer(ok(messages)).await;
        let poll = server.poll().await; // so the messages are in
        flooded.notify_one();
        (poll, server.post().await)
    };
    let (told, _) = play(closing, serving).await;
    let last = "close: forced close because polling timed out while closing";
    assert_eq!(told.last().map(String::as_str), Some(last));
}

#[tokio::test]
async fn closing_fails_where_the_server_never_took_what_was_sent() {
    let client = client(|client| client.close_timeout(SHORT));
    for spawned in [false, true] {
        let mut server = Scripted::start().await;
        let url = server.url();
        let closing = async {
            let mut socket = client.connect(url).await.expect("it opens");
            if !spawned {
                socket.feed("lost".into()).await.expect("there is room");
                return (socket.close().await, story(socket).await);
            }
            let (mut sender, receiver) = socket.spawn();
            sender.send("lost".into()).await.expect("there is room");
            (sender.close().await, story(receiver).await)
        };
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            server.post().await // and has no answer to it
        };
        let ((closed, told), _) = play(closing, serving).await;
        assert!(matches!(closed, Err(Error::Timeout { stage: Stage::Closing, .. })), "{closed:?}");
        let last = "close: forced close because polling timed out while closing, in doubt: lost";
        assert_eq!(told.last().map(String::as_str), Some(last));
    }
}

#[tokio::test]
async fn closing_fails_where_the_server_has_ended_it_before_all_was_out() {
    let client = client(|client| client);
    for spawned in [false, true] {
        let mut server = Scripted::start().await;
        let url = server.url();
        let closing = async {
            let mut socket = client.connect(url).await.expect("it opens");
            if !spawned {
                socket.feed("lost".into()).await.expect("there is room");
                let told = story(&mut socket).await;
                return (told, [socket.close().await, socket.close().await]);
            }
            let (mut sender, receiver) = socket.spawn();
            sender.send("lost".into()).await.expect("there is room");
            let told = story(receiver).await;
            let closed = sender.close().await;
            (told, [closed, sender.clone().close().await])
        };
        let serving = async {
            server.handshake().await.answer(ok(OPEN)).await;
            let (poll, post) = (server.poll().await, server.post().await);
            poll.answer(ok("1")).await;
            post
        };
        let ((told, closed), _) = play(closing, serving).await;
        assert_eq!(told.last().map(String::as_str), Some("close: transport close, in doubt: lost"));
        assert!(closed.iter().all(|closed| matches!(closed, Err(Error::Closed))), "{closed:?}");
    }
}

#[tokio::test]
async fn a_spawned_session_that_cannot_open_tells_so_and_gives_back() {
    let hasty = client(|client| client.handshake_timeout(SHORT));
    let mut server = Scripted::start().await;
    let (mut sender, receiver) = hasty.open(server.url()).spawn();
    let sending = async {
        sender.send("a".into()).await.expect("there is room");
        sender.send("b".into()).await.expect("there is room");
        let told = story(receiver).await;
        assert!(matches!(sender.send("c".into()).await, Err(Error::Closed)));
        sender.close().await.expect("it is closed");
        told
    };
    let (told, _) = play(sending, async { server.handshake().await }).await;
    let error = "polling timed out while opening";
    assert_eq!(told, [format!("error: {error}"), format!("close: transport error because {error}, unsent: a b")]);
}

#[tokio::test]
async fn a_failed_upgrade_request_leaves_polling_usable() {
    let mut server = Scripted::start().await;
    let told = story(client(|client| client.transports([Transport::Polling])).open(server.url()));
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE)).await;
        server.poll().await.answer(ok("4a\x1e1")).await;
    };
    assert_eq!(play(told, serving).await.0, ["open", "message a", "close: transport close"]);
    assert_eq!(server.unasked(), 0, "nobody asked for a WebSocket");
}

/// A reply that comes too slowly.
#[derive(Clone, Copy)]
enum Slow {
    Silence,
    Drip(&'static str, u8),
}

impl Slow {
    fn answer(self, exchange: Exchange) -> Option<Exchange> {
        match self {
            Slow::Silence => return Some(exchange),
            Slow::Drip(begin, more) => exchange.drip(begin, more),
        }
        None
    }
}

const SLOW: [Slow; 5] = [
    Slow::Silence,
    Slow::Drip("HTTP/1.1 200 ", b'O'),
    Slow::Drip("HTTP/1.1 200 OK\r\nX: ", b'x'),
    Slow::Drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n4", b'x'),
    Slow::Drip("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ", b'O'),
];

/// The last lines of a session that failed.
fn failed(error: &str) -> Vec<String> {
    vec![format!("error: {error}"), format!("close: transport error because {error}")]
}

/// The last lines of a session whose server can't be understood.
fn unreadable(error: &str) -> Vec<String> {
    vec![format!("error: {error}"), format!("close: parse error because {error}")]
}

fn v3(packet: &str) -> String {
    format!("{}:{packet}", packet.len())
}

const BROKEN_PAGE: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1000000\r\n\r\nxxxxxxxxxx";

fn chunked(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes()
}

fn chunk() -> Vec<u8> {
    [b"400\r\n".as_slice(), &b"4".repeat(1024), b"\r\n"].concat()
}
