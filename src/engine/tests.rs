use std::time::Duration;

use Transport::{Polling, WebSocket};
use proptest::prelude::*;

use super::{world::*, *};
use crate::{Close, Protocol, codec::DecodeError};

impl Session {
    fn open_with(settings: Settings, handshake: Handshake) -> Self {
        let via = settings.transports[0];
        let mut session = Self::opening(settings);
        session.receive(Packet::Open(handshake.into()), via);
        assert!(matches!(session.engine.poll_event(), Some(Event::Open(_))));
        session
    }

    /// Open on polling, where the server offers no upgrade.
    fn polling(protocol: Protocol) -> Self {
        Self::open_with(Settings::default(), handshake(protocol, &[]))
    }

    /// Open on polling, with the probe sent and the first GET held back.
    fn probing() -> Self {
        let mut session = Self::open_with(Settings::default(), handshake(Protocol::V4, &["websocket"]));
        assert_eq!(session.transmit(), [(Packet::Ping("probe".into()), WebSocket)]);
        assert!(matches!(session.engine.poll_event(), Some(Event::Upgrading(WebSocket))));
        session
    }

    /// The probe was answered.
    fn silencing() -> Self {
        let mut session = Self::probing();
        session.receive(pong("probe"), WebSocket);
        assert!(session.engine.wants_silence());
        session
    }

    fn send(&mut self, packet: impl Into<Packet>) {
        self.engine.send(packet.into()).unwrap();
    }

    /// All that goes out now, and is out at once.
    fn write(&mut self) -> Vec<(Packet, Transport)> {
        let sent = self.transmit();
        self.engine.handle_flushed();
        sent
    }

    fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.engine.poll_event()).map(|event| name(&event)).collect()
    }

    fn close_event(&mut self) -> Close {
        let last = std::iter::from_fn(|| self.engine.poll_event()).last();
        assert!(self.engine.is_ended());
        match last {
            Some(Event::Close(close)) => *close,
            other => panic!("no close event but {other:?}"),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

mod opening {
    use super::*;

    #[test]
    fn what_is_sent_before_is_sent_after() {
        let mut session = Session::opening(Settings { upgrade: false, ..Settings::default() });
        session.send("hi");
        assert_eq!(session.transmit(), []);
        session.receive(Packet::Open(handshake(Protocol::V4, &["websocket"]).into()), Polling);
        assert_eq!(session.transmit(), [("hi".into(), Polling)]);
        assert_eq!(session.events(), ["open"], "no upgrade is tried where none is wanted");
    }

    #[test]
    fn messages_of_the_first_payload_follow_the_open_event() {
        let mut session = Session::opening(Settings::default());
        session.receive(Packet::Open(handshake(Protocol::V4, &[]).into()), Polling);
        session.receive("a".into(), Polling);
        session.receive("b".into(), Polling);
        assert_eq!(session.events(), ["open", "message a", "message b"]);
    }

    #[test]
    fn another_packet_first_is_an_error() {
        for packet in [Packet::Noop, Packet::Close, "hi".into(), ping(), pong("probe"), Packet::Upgrade] {
            let mut session = Session::opening(Settings::default());
            session.receive(packet, Polling);
            assert_eq!(session.events(), ["error", "close parse error"]);
        }
    }

    #[test]
    fn it_takes_no_longer_than_the_handshake_timeout() {
        let mut session = Session::opening(Settings::default());
        assert_eq!(session.engine.poll_timeout(), Some(session.now + 20 * SECOND));
        session.wait(20 * SECOND);
        let close = session.close_event();
        assert_eq!(close.reason, CloseReason::TransportError);
        assert!(matches!(close.error, Some(Error::Timeout { transport: Polling, stage: Stage::Opening })));
    }

    #[test]
    fn a_failure_gives_back_what_was_sent() {
        let mut session = Session::opening(Settings::default());
        session.send("hi");
        session.engine.handle_error(broken(Polling), Polling, session.now);
        let close = session.close_event();
        assert_eq!((close.reason, close.unsent), (CloseReason::TransportError, vec!["hi".into()]));
    }

    #[test]
    fn closing_meanwhile_is_told_at_once_and_leaves_nothing_open() {
        let mut session = Session::opening(Settings::default());
        session.send("hi");
        session.engine.close(session.now);
        let close = session.close_event();
        assert_eq!((close.reason, close.unsent), (CloseReason::ForcedClose, vec!["hi".into()]));
        assert!(matches!(session.engine.send("more".into()), Err(Error::Closed)));

        session.receive(Packet::Open(handshake(Protocol::V4, &["websocket"]).into()), Polling);
        assert_eq!(session.transmit(), []);
        assert!(session.engine.wants_close(), "the session that opened all the same is closed");
        session.closed();
        assert_eq!(session.engine.state(), State::Closed);
    }

    #[test]
    fn the_next_transport_is_tried_if_all_may_be() {
        let settings = || Settings { transports: vec![WebSocket, Polling], ..Settings::default() };
        let mut session = Session::opening(settings());
        session.engine.handle_error(broken(WebSocket), WebSocket, session.now);
        assert_eq!(session.events(), ["error", "close transport error"], "unless it was asked for");

        type Fail = fn(&mut Session);
        let failures: [Fail; 4] = [
            |session| session.engine.handle_error(broken(WebSocket), WebSocket, session.now),
            |session| session.engine.handle_end(WebSocket, None, session.now),
            |session| session.receive(Packet::Noop, WebSocket),
            |session| session.wait(20 * SECOND),
        ];
        for fail in failures {
            let mut session = Session::opening(Settings { try_all_transports: true, ..settings() });
            session.send("hi");
            fail(&mut session);
            assert_eq!((session.engine.state(), session.engine.transport()), (State::Opening, Polling));
            session.engine.handle_start(session.now);
            session.wait(19 * SECOND);
            session.receive(Packet::Open(handshake(Protocol::V4, &["websocket"]).into()), Polling);
            assert_eq!(session.events(), ["open"], "the failure is no news, and what has failed is not tried again");
            assert_eq!(session.transmit(), [("hi".into(), Polling)]);
        }

        let mut session = Session::opening(Settings { try_all_transports: true, ..settings() });
        session.engine.handle_error(broken(WebSocket), WebSocket, session.now);
        session.engine.handle_error(broken(Polling), Polling, session.now);
        let close = session.close_event();
        assert!(matches!(close.error, Some(Error::Transport { transport: Polling, .. })), "the last error is told");
    }

    #[test]
    fn what_the_server_cannot_take_is_refused_once_that_is_known() {
        let mut session = Session::opening(Settings { upgrade: false, ..Settings::default() });
        session.send("x".repeat(100));
        session.send("hi");
        session.receive(Packet::Open(handshake(Protocol::V4, &[]).into()), Polling);
        assert_eq!(session.transmit(), [("hi".into(), Polling)]);
        assert_eq!(session.events(), ["open", "error"]);
        session.engine.handle_flushed();
        session.engine.handle_end(Polling, None, session.now);
        assert_eq!(session.close_event().unsent, ["x".repeat(100).into()]);

        let mut session = Session::opening(Settings::default());
        session.send("hi");
        session.send("x".repeat(100));
        session.receive(Packet::Open(handshake(Protocol::V4, &[]).into()), Polling);
        session.engine.handle_end(Polling, None, session.now);
        assert_eq!(session.close_event().unsent, ["x".repeat(100).into(), "hi".into()]);
    }
}

mod heartbeat {
    use super::*;

    #[test]
    fn of_protocol_4_is_the_servers_and_answered() {
        let mut session = Session::polling(Protocol::V4);
        for _ in 0..3 {
            session.wait(INTERVAL);
            session.receive(ping(), Polling);
            assert_eq!(session.write(), [(pong(""), Polling)]);
        }
        session.wait(INTERVAL);
        session.receive("hi".into(), Polling); // is no ping, and puts nothing off
        session.wait(TIMEOUT - MILLI);
        assert_eq!(session.engine.state(), State::Open);
        session.wait(MILLI);
        assert_eq!(session.events(), ["message hi", "close ping timeout"]);
    }

    #[test]
    fn of_protocol_3_is_ours() {
        let mut session = Session::polling(Protocol::V3);
        for _ in 0..3 {
            session.wait(INTERVAL);
            assert_eq!(session.write(), [(ping(), Polling)]);
            session.wait(TIMEOUT - MILLI);
            session.receive(pong(""), Polling);
        }
        session.wait(INTERVAL);
        assert_eq!(session.write(), [(ping(), Polling)]);
        session.wait(TIMEOUT);
        assert_eq!(session.events(), ["close ping timeout"]);
    }

    #[test]
    fn of_protocol_3_counts_every_packet_as_life() {
        let mut session = Session::polling(Protocol::V3);
        session.wait(INTERVAL);
        assert_eq!(session.write(), [(ping(), Polling)]);
        session.wait(TIMEOUT - MILLI);
        session.receive("hi".into(), Polling);
        session.wait(INTERVAL + TIMEOUT - MILLI);
        assert_eq!(session.engine.state(), State::Open);
        session.wait(MILLI);
        assert_eq!(session.events(), ["message hi", "close ping timeout"]);
    }

    #[test]
    fn after_a_suspension_nothing_more_is_sent() {
        let mut session = Session::polling(Protocol::V3);
        session.wait(INTERVAL + TIMEOUT + SECOND);
        assert_eq!(session.write(), []);
        assert_eq!(session.events(), ["close ping timeout"]);
    }

    #[test]
    fn silence_counts_only_once_all_is_read() {
        let mut session = Session::polling(Protocol::V4);
        session.now += INTERVAL + TIMEOUT;
        session.engine.handle_timeout(session.now, false);
        session.receive(ping(), Polling);
        session.engine.handle_timeout(session.now, true);
        assert_eq!(session.engine.state(), State::Open);
    }

    #[test]
    fn silence_does_not_count_while_there_is_no_room_to_read() {
        let settings = Settings { max_queued_events: 1, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
        session.receive("hi".into(), Polling);
        assert!(!session.engine.wants_read());
        assert_eq!(session.engine.poll_timeout(), None);
        session.wait(2 * (INTERVAL + TIMEOUT));
        assert_eq!(session.events(), ["message hi"]);
        assert!(session.engine.poll_timeout().is_some());
    }

    #[test]
    fn pings_that_pile_up_are_answered_once() {
        let mut session = Session::polling(Protocol::V4);
        for _ in 0..1000 {
            session.receive(ping(), Polling);
        }
        assert_eq!(session.write(), [(pong(""), Polling)]);
    }
}

mod unknown_protocol {
    use super::*;

    fn session() -> Session {
        let settings = Settings { transports: vec![WebSocket], ..Settings::default() };
        let handshake = Handshake { max_payload: None, ..handshake(Protocol::Auto, &[]) };
        Session::open_with(settings, handshake)
    }

    #[test]
    fn takes_text_but_no_binary() {
        let mut session = session();
        session.send("hi");
        assert!(matches!(session.engine.send(vec![1].into()), Err(Error::ProtocolUnknown)));
        assert_eq!(session.write(), [("hi".into(), WebSocket)]);
    }

    #[test]
    fn is_4_if_the_server_pings() {
        let mut session = session();
        session.receive(vec![4, 1].into(), WebSocket);
        session.receive("after".into(), WebSocket);
        assert_eq!(session.events(), [""; 0], "the first byte may be the user's or not");
        session.wait(INTERVAL);
        assert_eq!(session.write(), [], "a ping would end a session of protocol 4");
        session.receive(ping(), WebSocket);
        assert_eq!(session.write(), [(pong(""), WebSocket)]);
        assert_eq!(session.engine.protocol(), Protocol::V4);
        assert_eq!(session.events(), ["binary b\"\\x04\\x01\"", "message after"]);
        session.send(vec![1]);
        session.wait(INTERVAL + TIMEOUT / 2);
        assert_eq!(session.write(), [(vec![1].into(), WebSocket)]);
    }

    #[test]
    fn is_3_if_the_server_answers_our_ping() {
        let mut session = session();
        session.receive(vec![4, 1].into(), WebSocket);
        session.wait(INTERVAL + TIMEOUT / 2);
        assert_eq!(session.write(), [(ping(), WebSocket)]);
        session.receive(pong(""), WebSocket);
        assert_eq!(session.engine.protocol(), Protocol::V3);
        assert_eq!(session.events(), ["binary b\"\\x01\""]);
        session.wait(INTERVAL);
        assert_eq!(session.write(), [(ping(), WebSocket)]);
    }

    #[test]
    fn is_4_if_binary_lacks_the_type() {
        for bytes in [vec![], vec![1, 4]] {
            let mut session = session();
            session.receive(bytes.into(), WebSocket);
            assert_eq!(session.engine.protocol(), Protocol::V4);
            assert_eq!(session.events().len(), 1);
        }
    }

    #[test]
    fn is_taken_for_3_if_the_session_ends_before_it_comes_out() {
        let mut session = session();
        session.receive(vec![4, 1].into(), WebSocket);
        session.engine.handle_end(WebSocket, None, session.now);
        assert_eq!(session.events(), ["binary b\"\\x01\"", "close transport close"]);
    }

    #[test]
    fn ends_the_session_if_there_is_no_room_to_wait_for_it() {
        let mut session = session();
        session.engine.settings.max_queued_events = 2;
        session.receive(vec![4, 1].into(), WebSocket);
        assert_eq!(session.engine.state(), State::Open);
        session.receive("hi".into(), WebSocket);
        assert_eq!(session.events(), ["binary b\"\\x01\"", "message hi", "error", "close transport error"]);
    }

    #[test]
    fn ends_like_any_other_if_nobody_beats() {
        let mut session = session();
        session.wait(INTERVAL + TIMEOUT);
        assert_eq!(session.events(), ["close ping timeout"]);
    }
}

mod upgrade {
    use super::*;

    #[test]
    fn packets_queued_during_the_switch_follow_it() {
        let mut session = Session::silencing();
        session.send("hi");
        session.receive(ping(), Polling);
        assert_eq!(session.transmit(), [], "nothing is written while polling falls silent");
        session.receive("last of polling".into(), Polling);
        session.engine.handle_silence();
        let sent = [(Packet::Upgrade, WebSocket), (pong(""), WebSocket), ("hi".into(), WebSocket)];
        assert_eq!(session.transmit(), sent);
        session.receive("first of websocket".into(), WebSocket);
        assert_eq!(session.events(), ["message last of polling", "upgrade", "message first of websocket"]);
    }

    #[test]
    fn messages_keep_flowing_during_the_probe() {
        let mut session = Session::probing();
        session.send("hi");
        assert_eq!(session.transmit(), [("hi".into(), Polling)]);
        session.receive("hi".into(), Polling);
        assert_eq!(session.events(), ["message hi"]);
    }

    #[test]
    fn a_get_is_held_back_while_the_probe_is_quick() {
        for (round_trip, hold) in [(1, 10), (20, 60), (1000, 100)] {
            let mut session = Session::opening(Settings::default());
            session.now += round_trip * MILLI;
            session.receive(Packet::Open(handshake(Protocol::V4, &["websocket"]).into()), Polling);
            session.wait((hold - 1) * MILLI);
            assert!(!session.engine.wants_poll());
            assert_eq!(session.engine.poll_timeout(), Some(session.now + MILLI));
            session.wait(MILLI);
            assert!(session.engine.wants_poll());
            session.receive(Packet::Noop, Polling);
            assert!(!session.engine.wants_poll(), "a server that answers at once is not asked in a loop");
            session.wait(hold * MILLI);
            assert!(session.engine.wants_poll());
        }
    }

    #[test]
    fn every_failure_of_the_probe_leaves_the_session_where_it_is() {
        type Fail = fn(&mut Session);
        let failures: [(&str, Fail); 6] = [
            ("a wrong answer", |session| session.receive(pong("wrong"), WebSocket)),
            ("a message", |session| session.receive("hi".into(), WebSocket)),
            ("an error", |session| session.engine.handle_error(broken(WebSocket), WebSocket, session.now)),
            ("garbage", |session| {
                session.engine.handle_error(Error::decode(WebSocket, DecodeError::EmptyPacket), WebSocket, session.now);
            }),
            ("an end", |session| session.engine.handle_end(WebSocket, None, session.now)),
            ("silence", |session| session.wait(10 * SECOND)),
        ];
        for (failure, fail) in failures {
            for (step, mut session) in [("probing", Session::probing()), ("silencing", Session::silencing())] {
                fail(&mut session);
                assert_eq!(session.events(), ["upgradeerror"], "{failure} while {step}");
                assert!(session.engine.trial().is_none() && session.engine.wants_poll());
                session.send("hi");
                assert_eq!(session.transmit(), [("hi".into(), Polling)]);
            }
        }
    }

    #[test]
    fn an_answer_before_the_probe_is_none() {
        let mut session = Session::open_with(Settings::default(), handshake(Protocol::V4, &["websocket"]));
        session.receive(pong("probe"), WebSocket);
        assert_eq!(session.events(), ["upgrading", "upgradeerror"]);
    }

    #[test]
    fn the_next_transport_is_tried_when_one_fails() {
        let transports = vec![Polling, OTHER, Transport::Custom("not offered"), WebSocket];
        let settings = Settings { transports, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &["websocket", "unknown", "other"]));
        assert_eq!(session.transmit(), [(Packet::Ping("probe".into()), OTHER)]);
        session.wait(9 * SECOND);
        session.engine.handle_error(broken(OTHER), OTHER, session.now);
        assert_eq!(session.events(), ["upgrading", "upgradeerror", "upgrading"]);
        assert!(!session.engine.wants_poll(), "a GET that need not hang waits for the new one, too");

        session.engine.handle_error(broken(OTHER), OTHER, session.now);
        session.receive(pong("wrong"), OTHER);
        assert_eq!(session.engine.trial(), Some(WebSocket), "what has failed can't fail again");
        assert_eq!(session.transmit(), [(Packet::Ping("probe".into()), WebSocket)]);
        session.wait(9 * SECOND);
        session.receive(pong("probe"), WebSocket);
        session.engine.handle_silence();
        assert_eq!((session.engine.transport(), session.events()), (WebSocket, vec!["upgrade".to_owned()]));
    }

    #[test]
    fn nothing_more_is_tried_once_the_session_closes() {
        let transports = vec![Polling, WebSocket, OTHER];
        let handshake = || handshake(Protocol::V4, &["websocket", "other"]);
        for answered in [false, true] {
            let settings = Settings { transports: transports.clone(), ..Settings::default() };
            let mut session = Session::open_with(settings, handshake());
            session.transmit();
            if answered {
                session.receive(pong("probe"), WebSocket);
            }
            session.engine.close(session.now);
            session.engine.handle_error(broken(WebSocket), WebSocket, session.now);
            assert_eq!((session.engine.trial(), session.engine.wants_close()), (None, true));
        }
    }

    #[test]
    fn a_session_that_ends_meanwhile_reports_the_failed_upgrade_first() {
        for mut session in [Session::probing(), Session::silencing()] {
            session.receive(Packet::Close, Polling);
            assert_eq!(session.events(), ["upgradeerror", "close transport close"]);
        }
    }

    #[test]
    fn the_polling_heartbeat_goes_on_during_the_probe() {
        let settings = Settings { probe_timeout: 100 * SECOND, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V3, &["websocket"]));
        session.transmit();
        session.wait(INTERVAL);
        assert_eq!(session.transmit(), [(ping(), Polling)]);
    }
}

mod sending {
    use super::*;

    #[test]
    fn counts_base64_on_the_transport_that_speaks_it() {
        for (transport, base64) in
            [(Polling, Polling), (Polling, WebSocket), (WebSocket, Polling), (WebSocket, WebSocket)]
        {
            let settings = Settings { transports: vec![transport], base64: vec![base64], ..Settings::default() };
            let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
            let sent = session.engine.send(vec![0; 90].into());
            // Polling in protocol 4 knows nothing else.
            let fits = transport == WebSocket && base64 != WebSocket;
            assert_eq!(sent.is_ok(), fits, "{transport}, base64 on {base64}: {sent:?}");
        }
    }

    #[test]
    fn refuses_what_is_too_large_for_the_server_as_encoded() {
        let cases: [(Protocol, Packet, usize); 4] = [
            (Protocol::V4, "x".repeat(99).into(), 100),
            (Protocol::V4, vec![0; 74].into(), 101),
            (Protocol::V3, "x".repeat(97).into(), 101),
            (Protocol::V3, vec![0; 95].into(), 100),
        ];
        for (protocol, packet, size) in cases {
            let mut session = Session::polling(protocol);
            match session.engine.send(packet) {
                Ok(()) => assert!(size <= 100),
                Err(Error::PacketTooLarge { size: told, max: 100 }) => assert_eq!(told, size),
                Err(error) => panic!("{error}"),
            }
            session.send("hi");
        }
        let mut session = Session::polling(Protocol::V4);
        session.engine.settings.allow_oversized = true;
        session.send("x".repeat(1000));
    }

    #[test]
    fn jsonp_makes_packets_larger_by_polling_alone() {
        for (transport, fits) in [(Polling, false), (WebSocket, true)] {
            let settings =
                Settings { transports: vec![transport], jsonp: true, base64: vec![Polling], ..Settings::default() };
            let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
            assert_eq!(session.engine.send(vec![0; 100].into()).is_ok(), fits, "{transport}");
        }
    }

    #[test]
    fn refuses_text_that_polling_cannot_carry() {
        let mut session = Session::polling(Protocol::V4);
        assert!(matches!(session.engine.send("a\x1eb".into()), Err(Error::SeparatorInText)));
        session.send("\x1e".as_bytes());
        Session::polling(Protocol::V3).send("a\x1eb");
        let settings = Settings { transports: vec![WebSocket], ..Settings::default() };
        Session::open_with(settings, handshake(Protocol::V4, &[])).send("a\x1eb");
    }

    #[test]
    fn refuses_what_is_no_message() {
        let mut session = Session::polling(Protocol::V4);
        for packet in [Packet::Close, ping(), Packet::Noop, Packet::Upgrade] {
            assert!(matches!(session.engine.send(packet), Err(Error::NotAMessage)));
        }
        assert_eq!(session.transmit(), []);
    }

    #[test]
    fn has_room_up_to_its_limits() {
        let settings = Settings { max_queued_packets: 2, max_queued_bytes: 10, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
        session.send("a");
        assert!(session.engine.has_room());
        session.send("b");
        assert!(!session.engine.has_room());
        session.transmit();
        assert!(!session.engine.has_room(), "what a transport holds counts until it is done");
        session.engine.handle_flushed();
        session.send("0123456789");
        assert!(!session.engine.has_room());
    }

    #[test]
    fn has_room_for_1024_packets_or_a_mebibyte_by_default() {
        for (size, fit) in [(1, 1024), (1 << 14, 64), (2 << 20, 1)] {
            let settings = Settings { allow_oversized: true, ..Settings::default() };
            let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
            let mut taken = 0;
            while session.engine.has_room() {
                session.send("x".repeat(size));
                taken += 1;
            }
            assert_eq!(taken, fit, "{size} bytes each");
        }
    }

    #[test]
    fn gives_back_what_is_in_doubt_and_what_was_never_sent() {
        let mut session = Session::polling(Protocol::V4);
        session.send("done");
        session.transmit();
        session.engine.handle_flushed();
        session.send("doubtful");
        session.transmit();
        session.send("unsent");
        session.engine.handle_error(broken(Polling), Polling, session.now);
        let close = session.close_event();
        assert_eq!((close.in_doubt, close.unsent), (vec!["doubtful".into()], vec!["unsent".into()]));
    }

    #[test]
    fn ends_if_a_transport_makes_no_progress_for_too_long() {
        let mut session = Session::polling(Protocol::V4);
        session.send("hi");
        session.transmit();
        session.wait(19 * SECOND);
        session.send("more"); // is none
        session.transmit();
        session.engine.handle_progress(session.now);
        session.wait(19 * SECOND);
        assert_eq!(session.engine.state(), State::Open);
        session.wait(SECOND);
        let close = session.close_event();
        assert!(matches!(close.error, Some(Error::Timeout { transport: Polling, stage: Stage::Writing })));
    }
}

mod closing {
    use super::*;

    #[test]
    fn drains_first() {
        let mut session = Session::polling(Protocol::V4);
        session.send("hi");
        session.engine.close(session.now);
        assert!(!session.engine.wants_close());
        assert_eq!(session.transmit(), [("hi".into(), Polling)]);
        assert!(!session.engine.wants_close(), "the POST is still under way");
        assert!(session.engine.wants_poll());
        session.engine.handle_flushed();
        assert!(session.engine.wants_close());
        assert!(!session.engine.wants_poll(), "the server ends the GET that hangs, and would refuse another");
        session.closed();
        let close = session.close_event();
        assert_eq!(close.reason, CloseReason::ForcedClose);
        assert!(close.error.is_none());
    }

    #[test]
    fn answers_no_ping_once_all_is_out() {
        let mut session = Session::polling(Protocol::V4);
        session.send("hi");
        session.engine.close(session.now);
        session.receive(Packet::Ping("".into()), Polling);
        assert_eq!(session.transmit(), [(pong(""), Polling), ("hi".into(), Polling)], "draining may take its time");
        session.engine.handle_flushed();
        session.receive(Packet::Ping("".into()), Polling);
        assert!(session.engine.wants_close(), "nothing goes after the close packet");
    }

    #[test]
    fn refuses_sends_and_delivers_nothing_more() {
        let settings = Settings { events: EventSet::PACKET_CREATE, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
        session.receive("before".into(), Polling);
        session.engine.close(session.now);
        assert!(matches!(session.engine.send("hi".into()), Err(Error::Closed)));
        session.receive("after".into(), Polling);
        session.closed();
        assert_eq!(session.events(), ["close forced close"]);
    }

    #[test]
    fn ends_at_the_close_timeout_at_the_latest() {
        let mut session = Session::polling(Protocol::V4);
        session.send("hi");
        session.engine.close(session.now);
        session.transmit();
        session.wait(5 * SECOND);
        let close = session.close_event();
        assert_eq!((close.reason, close.in_doubt), (CloseReason::ForcedClose, vec!["hi".into()]));
        assert!(matches!(close.error, Some(Error::Timeout { stage: Stage::Closing, .. })));
    }

    #[test]
    fn gives_back_what_is_in_doubt_when_the_server_is_first() {
        let mut session = Session::polling(Protocol::V4);
        session.send("hi");
        session.transmit();
        session.engine.close(session.now);
        session.receive(Packet::Close, Polling); // it has lost patience: the POST and its pong do not get through
        let close = session.close_event();
        assert_eq!((close.reason, close.in_doubt), (CloseReason::ForcedClose, vec!["hi".into()]));
        assert!(close.error.is_none(), "it was to end");
    }

    #[test]
    fn abandons_a_probe() {
        let mut session = Session::probing();
        session.engine.close(session.now);
        assert!(session.engine.wants_close());
        session.closed();
        assert_eq!(session.events(), ["upgradeerror", "close forced close"]);
    }

    #[test]
    fn finishes_a_switch_first() {
        let mut session = Session::silencing();
        session.send("hi");
        session.engine.close(session.now);
        assert!(!session.engine.wants_close());
        session.engine.handle_silence();
        assert_eq!(session.transmit(), [(Packet::Upgrade, WebSocket), ("hi".into(), WebSocket)]);
        session.engine.handle_flushed();
        assert!(session.engine.wants_close());
        session.closed();
        assert_eq!(session.events(), ["upgrade", "close forced close"]);
    }

    #[test]
    fn closes_on_polling_if_the_switch_fails() {
        let mut session = Session::silencing();
        session.engine.close(session.now);
        session.engine.handle_end(WebSocket, None, session.now);
        assert!(session.engine.wants_close());
        assert_eq!(session.engine.transport(), Polling);
    }

    #[test]
    fn tells_why_the_server_ended_it() {
        let frame = CloseFrame { code: 1009, text: "too big".into() };
        let settings = Settings { transports: vec![WebSocket], ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
        session.receive("hi".into(), WebSocket);
        session.engine.handle_end(WebSocket, Some(frame.clone()), session.now);
        assert!(matches!(session.engine.poll_event(), Some(Event::Message(_))), "what came before is delivered");
        let close = session.close_event();
        assert_eq!(close.to_string(), "transport close (1009 too big)");
        assert_eq!((close.reason, close.frame), (CloseReason::TransportClose, Some(frame)));
    }
}

mod events {
    use super::*;

    #[test]
    fn come_only_if_asked_for() {
        let run = |events| {
            let settings = Settings { events, upgrade: false, ..Settings::default() };
            let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
            session.receive(ping(), Polling);
            session.receive("hi".into(), Polling);
            session.send("hi");
            session.transmit();
            session.engine.handle_flushed();
            session.engine.handle_polls(1, 0);
            session.engine.handle_polls(1, 2);
            session.events()
        };
        assert_eq!(run(EventSet::NONE), ["message hi"]);
        assert_eq!(run(EventSet::PING), ["ping", "message hi"]);
        let all = [
            "packet",
            "heartbeat",
            "ping",
            "packet",
            "heartbeat",
            "message hi",
            "packetcreate",
            "flush",
            "drain",
            "poll",
            "pollcomplete",
            "poll",
            "pollcomplete",
        ];
        assert_eq!(run(EventSet::ALL), all);
    }

    #[test]
    fn begin_with_open_whatever_is_asked_for() {
        let mut session = Session::opening(Settings { events: EventSet::ALL, upgrade: false, ..Settings::default() });
        session.send("early");
        session.receive(Packet::Open(handshake(Protocol::V4, &[]).into()), Polling);
        assert_eq!(session.events(), ["open", "packetcreate"]);
    }

    #[test]
    fn that_nobody_reads_make_sends_wait() {
        let settings = Settings { events: EventSet::PACKET_CREATE, max_queued_events: 2, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
        for _ in 0..2 {
            assert!(session.engine.has_room());
            session.send("hi");
            session.write();
        }
        assert!(!session.engine.has_room());
        session.events();
        assert!(session.engine.has_room());
    }

    #[test]
    fn that_nobody_reads_count_with_all_that_came_with_them() {
        let settings = Settings { max_message_size: 10, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
        for text in ["a", "b"] {
            session.engine.handle_received(5);
            session.receive(text.into(), Polling);
            session.receive(Packet::Noop, Polling);
        }
        assert!(!session.engine.wants_read());
        assert!(matches!(session.engine.poll_event(), Some(Event::Message(_))));
        assert!(session.engine.wants_read());
        session.engine.handle_received(4);
        session.receive(ping(), Polling);
        assert!(session.engine.wants_read());
        session.engine.handle_received(1); // it came after a message that waits, so that message may share its buffer
        assert!(!session.engine.wants_read());
        session.events();
        session.engine.handle_received(10);
        assert!(session.engine.wants_read(), "nothing waits");
    }

    #[test]
    fn that_are_out_count_with_what_came_with_them() {
        let mut session = Session::polling(Protocol::V4);
        session.engine.handle_received(1000);
        session.receive("a".into(), Polling);
        session.engine.handle_received(1);
        session.receive("b".into(), Polling);
        session.receive("c".into(), Polling);
        let mut taken = || {
            assert!(matches!(session.engine.poll_event(), Some(Event::Message(_))));
            session.engine.taken()
        };
        assert_eq!([taken(), taken(), taken()], [1000, 1000, 1001], "what came in one piece counts with its last");
    }

    #[test]
    fn that_nobody_reads_stop_the_reading_at_1024_or_16_mebibytes_by_default() {
        let mut session = Session::polling(Protocol::V4);
        for _ in 0..1024 {
            assert!(session.engine.wants_read());
            session.receive("hi".into(), Polling);
        }
        assert!(!session.engine.wants_read());

        let mut session = Session::polling(Protocol::V4);
        session.engine.handle_received((16 << 20) - 1);
        session.receive("hi".into(), Polling);
        assert!(session.engine.wants_read());
        session.engine.handle_received(1);
        assert!(!session.engine.wants_read());
    }

    #[test]
    fn stop_with_a_close_but_for_the_close() {
        let settings = Settings { events: EventSet::ALL, ..Settings::default() };
        let mut session = Session::open_with(settings, handshake(Protocol::V4, &[]));
        session.engine.close(session.now);
        session.receive(ping(), Polling);
        session.receive("hi".into(), Polling);
        session.closed();
        assert_eq!(session.events(), ["close forced close"]);
    }

    #[test]
    fn flush_and_drain_do_not_fill_the_queue() {
        let events = EventSet::FLUSH | EventSet::DRAIN;
        let mut session = Session::open_with(Settings { events, ..Settings::default() }, handshake(Protocol::V4, &[]));
        for _ in 0..10 {
            session.send("hi");
            session.transmit();
            session.engine.handle_flushed();
        }
        assert_eq!(session.events(), ["flush", "drain"]);
    }
}

mod stats {
    use super::*;

    #[test]
    fn count_messages_polls_and_the_move() {
        let mut session = Session::probing();
        session.engine.handle_polls(1, 0);
        session.receive("four".into(), Polling);
        session.receive(Packet::Noop, Polling);
        session.send("six");
        session.write();
        session.receive(pong("probe"), WebSocket);
        session.engine.handle_polls(0, 1);
        session.engine.handle_silence();
        session.send(vec![0; 5]);
        session.send("lost");
        assert_eq!(session.engine.next_transmit(WebSocket), Some(&Packet::Upgrade));
        session.engine.handle_transmit(WebSocket, session.now);
        session.engine.handle_transmit(WebSocket, session.now);
        let expected = Stats {
            packets_sent: 2,
            bytes_sent: 8,
            packets_received: 1,
            bytes_received: 4,
            polls: 1,
            upgrades: 1,
            round_trip: Some(Duration::ZERO),
            ..Stats::default()
        };
        assert_eq!(session.engine.stats(), expected);
    }

    #[test]
    fn tell_when_the_server_beat_last() {
        let mut session = Session::polling(Protocol::V4);
        assert_eq!(session.engine.stats().last_heartbeat, None);
        for _ in 0..2 {
            session.wait(INTERVAL);
            session.receive(ping(), Polling);
            assert_eq!(session.engine.stats().last_heartbeat, Some(session.now));
            session.write();
        }
        let beat = session.now;
        session.wait(MILLI);
        session.receive("hi".into(), Polling);
        session.receive(pong(""), Polling); // answers nothing
        let stats = session.engine.stats();
        assert_eq!((stats.last_heartbeat, stats.round_trip), (Some(beat), None));
    }

    #[test]
    fn tell_how_long_the_answer_to_our_heartbeat_took() {
        let mut session = Session::polling(Protocol::V3);
        for millis in [3, 2] {
            session.wait(INTERVAL);
            session.write();
            session.wait(MILLI * millis);
            session.receive(pong(""), Polling);
            session.receive(pong(""), Polling); // answers nothing
            let stats = session.engine.stats();
            assert_eq!((stats.last_heartbeat, stats.round_trip), (Some(session.now), Some(MILLI * millis)));
        }
    }

    #[test]
    fn tell_how_long_the_answer_to_the_probe_took() {
        let mut session = Session::probing();
        session.wait(MILLI * 7);
        session.receive(pong("probe"), WebSocket);
        session.wait(MILLI);
        assert_eq!(session.engine.stats().round_trip, Some(MILLI * 7));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let via = || prop_oneof![3 => Just(Via::Polling), 2 => Just(Via::WebSocket), 1 => Just(Via::Other)];
    let stray =
        prop_oneof![Just(Stray::Open), Just(Stray::Close), Just(Stray::Ping), Just(Stray::Pong), Just(Stray::Upgrade),];
    prop_oneof![
        12 => Just(Step::Send),
        4 => Just(Step::SendBinary),
        12 => Just(Step::Transmit),
        8 => Just(Step::Flushed),
        2 => Just(Step::Progress),
        2 => Just(Step::NoRoom),
        8 => via().prop_map(Step::Message),
        4 => via().prop_map(Step::Binary),
        8 => Just(Step::Answer),
        2 => via().prop_map(Step::Noop),
        2 => Just(Step::Ping),
        1 => (via(), stray).prop_map(|(via, stray)| Step::Stray(via, stray)),
        8 => Just(Step::Silence),
        1 => via().prop_map(Step::Fail),
        1 => via().prop_map(Step::End),
        3 => (0..30_000_u16).prop_map(Step::Wait),
        1 => (0..30_000_u16).prop_map(Step::Lag),
        1 => Just(Step::Close),
        2 => Just(Step::Closed),
        4 => Just(Step::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_the_order_nothing_is_lost_doubled_or_stuck(
        protocol in prop_oneof![3 => Just(Spoken::V3), 3 => Just(Spoken::V4), 1 => Just(Spoken::Unknown)],
        [try_all_transports, all_events, little_room] in any::<[bool; 3]>(),
        opening in prop::collection::vec(step(), 0..2),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let steps = [opening, vec![Step::Open], steps].concat();
        Life { protocol, try_all_transports, all_events, little_room, steps }.play();
    }
}
