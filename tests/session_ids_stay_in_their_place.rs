//! A session's ID is the server's to choose and goes into every URL, where it can change nothing else of the request.

mod peers;

use engineio_client::Transport;
use http::uri::PathAndQuery;
use peers::scripted::{Exchange, OPEN, OPEN_UPGRADABLE, Scripted, client, ok, play, story};
use percent_encoding::percent_decode_str;

/// The requests of a session with this ID: a poll, a post, and the upgrade.
async fn requests(sid: &str) -> [String; 3] {
    let mut server = Scripted::start().await;
    let client = client(|client| client.timestamp_requests(false));
    let mut socket = client.open(server.url());
    let told = async {
        let _ = futures::SinkExt::feed(&mut socket, "a".into()).await;
        story(socket).await
    };
    let sid = serde_json::to_string(sid).expect("text can be written");
    let serving = async {
        server.handshake().await.answer(ok(OPEN_UPGRADABLE.replace("\"abc\"", &sid))).await;
        let (upgrade, post) = (server.upgrade().await, server.post().await);
        let heads = [&post.request.head, &upgrade.request.head].map(String::clone);
        upgrade.say_and_close("no").await;
        post.answer(ok("ok")).await;
        let poll = server.poll().await;
        let head = poll.request.head.clone();
        poll.answer(ok("1")).await;
        let [post, upgrade] = heads;
        [head, post, upgrade]
    };
    let (told, heads) = play(told, serving).await;
    assert!(told.last().is_some_and(|last| last.starts_with("close: transport close")), "{told:?}");
    heads
}

/// The ID in a request as it came, and the request without it.
fn parted(head: &str) -> (String, String) {
    let target = head.split(' ').nth(1).expect("a target");
    let whole: PathAndQuery = target.parse().expect("a sound target");
    assert_eq!(whole.as_str(), target, "there is no fragment");
    let mut pairs = whole.query().expect("a query").split('&');
    let sid = pairs.find_map(|pair| pair.strip_prefix("sid=")).expect("an ID").to_owned();
    let varies = |line: &&str| line.starts_with("sec-websocket-key") || line.starts_with("host");
    let rest = head.replacen(&format!("sid={sid} "), "sid= ", 1);
    (sid, rest.lines().filter(|line| !varies(line)).collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn whatever_a_url_gives_a_meaning_to_is_encoded() {
    let harmless = requests("abc").await.map(|head| parted(&head).1);
    let hostile = [
        "a&transport=none&sid=b",
        "a&EIO=3",
        "#a",
        "?a=b",
        "%0d%0aX-Injected:1%0d%0a",
        "%",
        "%00",
        "/../../b",
        "http://example.com/",
        "@example.com:80",
        "a+b;c=d,e",
        r#"\"'<>{}|^`[]"#,
    ];
    for sid in hostile {
        for (head, harmless) in requests(sid).await.iter().zip(&harmless) {
            let (encoded, rest) = parted(head);
            assert_eq!(percent_decode_str(&encoded).decode_utf8().as_deref(), Ok(sid), "{head}");
            assert!(
                encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()%".contains(&byte)),
                "{head}"
            );
            assert_eq!(rest, *harmless, "{sid} changes something else");
        }
    }
}

#[tokio::test]
async fn what_no_url_can_carry_is_refused_and_nothing_is_asked_with_it() {
    let long = "x".repeat(64 << 10);
    for sid in ["", "a b", "a\r\nX-Injected: 1", "a\nb", "\0", "a\tb", "\u{7f}", "é", "🎈", &long] {
        let open = OPEN.replace("\"abc\"", &serde_json::to_string(sid).expect("text can be written"));
        let mut server = Scripted::start().await;
        for transport in [Transport::Polling, Transport::WebSocket] {
            let told = story(client(|client| client.transports([transport])).open(server.url()));
            let serving = async {
                let opening: Exchange = server.any().await;
                if transport == Transport::Polling {
                    return opening.answer(ok(&open)).await;
                }
                let mut websocket = opening.accept().await;
                websocket.text(&open).await;
                websocket.ended().await;
            };
            let (told, ()) = play(told, serving).await;
            assert_eq!(told[0], format!("error: {transport} cannot decode: the open packet is unusable"), "{sid:.20}");
            assert_eq!(server.unasked(), 0, "{sid:.20}");
        }
    }
}
