//! What is known of sessions between their requests.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use tokio::sync::Notify;

use super::{Heartbeat, Wish};

#[derive(Clone)]
pub(super) struct Sessions {
    pub(super) heartbeat: Heartbeat,
    by_id: Rc<RefCell<HashMap<String, Rc<Session>>>>,
    opened: Rc<RefCell<u64>>,
}

/// A session that polls, or has begun to.
#[derive(Default)]
pub(super) struct Session {
    payload: RefCell<Vec<u8>>,
    flood: RefCell<Option<(usize, usize)>>, // how many messages, of which size, are still to come
    upgrading: RefCell<bool>,
    pub(super) changed: Notify,
}

impl Sessions {
    pub(super) fn new(heartbeat: Heartbeat) -> Self {
        Self { heartbeat, by_id: Rc::default(), opened: Rc::default() }
    }

    /// An open packet for a new session.
    pub(super) fn open(&self, upgrades: &str, max_payload: usize) -> (String, String) {
        *self.opened.borrow_mut() += 1;
        let id = format!("session{:013}", self.opened.borrow());
        let Heartbeat { interval, timeout } = self.heartbeat;
        let packet = format!(
            r#"0{{"sid":"{id}","upgrades":[{upgrades}],"pingInterval":{},"pingTimeout":{},"maxPayload":{max_payload}}}"#,
            interval.as_millis(),
            timeout.as_millis()
        );
        (id, packet)
    }

    pub(super) fn insert(&self, id: String) {
        self.by_id.borrow_mut().insert(id, Rc::default());
    }

    pub(super) fn get(&self, id: &str) -> Option<Rc<Session>> {
        self.by_id.borrow().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) {
        if let Some(session) = self.by_id.borrow_mut().remove(id) {
            session.upgrade(); // lets its poll go
        }
    }
}

impl Session {
    /// Takes what a client sent, and says whether that ended the session.
    pub(super) fn receive(&self, body: &[u8]) -> bool {
        let mut ended = false;
        let mut payload = self.payload.borrow_mut();
        for packet in body.split(|byte| *byte == SEPARATOR) {
            match packet.first() {
                Some(b'4') => match Wish::of(&packet[1..]) {
                    Wish::Echo => push(&mut payload, packet),
                    Wish::Flood { messages, size } => *self.flood.borrow_mut() = Some((messages, size)),
                },
                Some(b'b') => push(&mut payload, packet),
                Some(b'1') => ended = true,
                _ => {} // a pong
            }
        }
        self.changed.notify_one();
        ended
    }

    /// What is to be sent by polling, if there is anything.
    pub(super) fn take_payload(&self) -> Option<Vec<u8>> {
        if *self.upgrading.borrow() {
            return Some(b"6".to_vec());
        }
        let mut payload = std::mem::take(&mut *self.payload.borrow_mut());
        let mut flood = self.flood.borrow_mut();
        if let Some((messages, size)) = &mut *flood {
            let packet = [b"4".as_slice(), &vec![b'x'; *size]].concat();
            for _ in 0..*messages {
                if payload.len() + packet.len() >= FLOOD {
                    break;
                }
                push(&mut payload, &packet);
                *messages -= 1;
            }
            if *messages == 0 {
                *flood = None;
            }
        }
        (!payload.is_empty()).then_some(payload)
    }

    /// From here on polls are answered with a noop.
    pub(super) fn upgrade(&self) {
        *self.upgrading.borrow_mut() = true;
        self.changed.notify_one();
    }
}

fn push(payload: &mut Vec<u8>, packet: &[u8]) {
    if !payload.is_empty() {
        payload.push(SEPARATOR);
    }
    payload.extend_from_slice(packet);
}

const SEPARATOR: u8 = 0x1E;
/// How many bytes a reply to a poll may have: about what gathers for small messages while one is under way.
const FLOOD: usize = 8 << 10;
