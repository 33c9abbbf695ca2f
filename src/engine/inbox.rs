use std::collections::VecDeque;

use bytes::Bytes;

use crate::{Close, Data, Event, EventSet, Message, Packet};

/// Events on their way to the user.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: VecDeque<Queued>,
    wanted: EventSet,
    received: u64, // bytes, in all
    before: u64,   // bytes, before the last reply or message
    taken: u64,    // bytes, up to what follows the last message that is out
    closed: bool,  // the last event is in, or out
    flush_queued: bool,
    drain_queued: bool,
}

#[derive(Debug)]
struct Queued {
    event: Event,
    /// How many bytes had come before the reply or message it came in, all of which it may keep in memory, however
    /// small it is.
    before: u64,
}

impl Inbox {
    pub(crate) fn new(wanted: EventSet) -> Self {
        Self { wanted, ..Self::default() }
    }

    pub(crate) fn wants(&self, events: EventSet) -> bool {
        self.wanted.contains(events)
    }

    /// So many bytes have come, in one piece. The packets in it follow.
    pub(crate) fn receive(&mut self, bytes: u64) {
        if bytes > 0 {
            self.before = self.received;
            self.received += bytes;
        }
    }

    /// Queues an event, unless nobody asked for it.
    #[inline(always)] // so that what nobody asks for is not even made
    pub(crate) fn push(&mut self, event: Event) {
        if self.wanted.contains(EventSet::of(&event)) && !self.closed {
            self.admit(event);
        }
    }

    /// Flush and drain stand in the queue once, so that who only sends does not fill it.
    fn admit(&mut self, event: Event) {
        let queued_before = match &event {
            Event::Flush => std::mem::replace(&mut self.flush_queued, true),
            Event::Drain => std::mem::replace(&mut self.drain_queued, true),
            _ => false,
        };
        if !queued_before {
            self.queue.push_back(Queued { event, before: self.before });
        }
    }

    /// Queues the last event.
    pub(crate) fn close(&mut self, close: Close) {
        self.push(Event::Close(Box::new(close)));
        self.closed = true;
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let Queued { event, .. } = self.queue.pop_front()?;
        match &event {
            Event::Flush => self.flush_queued = false,
            Event::Drain => self.drain_queued = false,
            event if is_view(event) => self.taken = self.queue.front().map_or(self.received, |next| next.before),
            _ => {}
        }
        Some(event)
    }

    /// Whether the next event carries binary.
    pub(crate) fn next_is_binary(&self) -> bool {
        self.queue.front().is_some_and(|queued| is_binary(&queued.event))
    }

    /// Whether any event carries binary.
    pub(crate) fn any_is_binary(&self) -> bool {
        self.queue.iter().any(|queued| is_binary(&queued.event))
    }

    /// Takes the type byte of protocol 3 off all binary: it was not known to be one.
    pub(crate) fn strip_type_bytes(&mut self) {
        let strip = |bytes: &mut Bytes| drop(bytes.split_to(bytes.len().min(1)));
        for queued in &mut self.queue {
            match &mut queued.event {
                Event::Message(Data::Binary(bytes)) => strip(bytes),
                Event::Packet(Packet::Message(Message { data: Data::Binary(bytes), .. })) => strip(bytes),
                _ => {}
            }
        }
    }

    /// The user closes the session: nothing more is told but how that goes.
    pub(crate) fn stop(&mut self) {
        self.wanted = EventSet::NONE;
        self.queue.retain(|queued| !is_view(&queued.event));
        self.queue.iter_mut().for_each(|queued| queued.before = u64::MAX); // nothing more is kept for them
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many bytes the queue may keep in memory: all that have come since its first event.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.queue.front().map_or(0, |first| self.received.saturating_sub(first.before))
    }

    /// How many bytes had come up to the last message that is out, and with it. A reply that brought more than one
    /// counts with its last.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
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

/// Whether an event shares the buffer that its packet came in.
fn is_view(event: &Event) -> bool {
    matches!(event, Event::Message(_) | Event::Packet(_))
}

fn is_binary(event: &Event) -> bool {
    match event {
        Event::Message(data) => matches!(data, Data::Binary(_)),
        Event::Packet(packet) => packet.binary().is_some(),
        _ => false,
    }
}
