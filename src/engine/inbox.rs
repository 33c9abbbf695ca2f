use std::collections::VecDeque;

use bytes::Bytes;

use crate::{Close, Data, Event, EventSet, Message, Packet};

/// Events on their way to the user.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: VecDeque<Event>,
    wanted: EventSet,
    bytes: usize, // of the messages in the queue
    closed: bool, // the last event is in, or out
    flush_queued: bool,
    drain_queued: bool,
}

impl Inbox {
    pub(crate) fn new(wanted: EventSet) -> Self {
        Self { wanted, ..Self::default() }
    }

    pub(crate) fn wants(&self, events: EventSet) -> bool {
        self.wanted.contains(events)
    }

    /// Queues an event, unless nobody asked for it. Flush and drain stand in the queue once, so that who only sends
    /// does not fill it.
    pub(crate) fn push(&mut self, event: Event) {
        if self.closed || !self.wanted.contains(EventSet::of(&event)) {
            return;
        }
        let queued_before = match &event {
            Event::Flush => std::mem::replace(&mut self.flush_queued, true),
            Event::Drain => std::mem::replace(&mut self.drain_queued, true),
            Event::Message(data) => {
                self.bytes += data.len();
                false
            }
            _ => false,
        };
        if !queued_before {
            self.queue.push_back(event);
        }
    }

    /// Queues the last event.
    pub(crate) fn close(&mut self, close: Close) {
        self.push(Event::Close(close));
        self.closed = true;
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        match &event {
            Event::Flush => self.flush_queued = false,
            Event::Drain => self.drain_queued = false,
            Event::Message(data) => self.bytes -= data.len(),
            _ => {}
        }
        Some(event)
    }

    /// Whether the next event carries binary.
    pub(crate) fn next_is_binary(&self) -> bool {
        self.queue.front().is_some_and(is_binary)
    }

    /// Whether any event carries binary.
    pub(crate) fn any_is_binary(&self) -> bool {
        self.queue.iter().any(is_binary)
    }

    /// Takes the type byte of protocol 3 off all binary: it was not known to be one.
    pub(crate) fn strip_type_bytes(&mut self) {
        let strip = |bytes: &mut Bytes| drop(bytes.split_to(bytes.len().min(1)));
        for event in &mut self.queue {
            match event {
                Event::Message(Data::Binary(bytes)) => {
                    self.bytes -= bytes.len().min(1);
                    strip(bytes);
                }
                Event::Packet(Packet::Message(Message { data: Data::Binary(bytes), .. })) => strip(bytes),
                _ => {}
            }
        }
    }

    /// The user closes the session: nothing more is told but how that goes.
    pub(crate) fn stop(&mut self) {
        self.wanted = EventSet::NONE;
        self.queue.retain(|event| !matches!(event, Event::Message(_) | Event::Packet(_)));
        self.bytes = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the last event is in, or out.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the last event is out.
    pub(crate) fn is_ended(&self) -> bool {
        self.closed && self.queue.is_empty()
    }
}

fn is_binary(event: &Event) -> bool {
    match event {
        Event::Message(data) => matches!(data, Data::Binary(_)),
        Event::Packet(packet) => packet.binary().is_some(),
        _ => false,
    }
}
