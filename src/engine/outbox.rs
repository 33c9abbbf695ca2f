use std::{collections::VecDeque, mem};

use crate::Packet;

/// What the user sent and no transport is done with yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Packet>,
    handed: Vec<Packet>, // kept until the transport is done, to give back what is in doubt at the end
    refused: Vec<Packet>,
    bytes: usize, // in the queue and handed
}

impl Outbox {
    pub(crate) fn push(&mut self, packet: Packet) {
        self.bytes += packet.data_len();
        self.queue.push_back(packet);
    }

    pub(crate) fn front(&self) -> Option<&Packet> {
        self.queue.front()
    }

    pub(crate) fn queued(&self) -> impl Iterator<Item = &Packet> {
        self.queue.iter()
    }

    /// The transport was handed the next packet, which is this.
    pub(crate) fn hand_over(&mut self) -> Option<&Packet> {
        self.handed.push(self.queue.pop_front()?);
        self.handed.last()
    }

    /// The transport is done with all it was handed; says whether that was anything.
    pub(crate) fn finish(&mut self) -> bool {
        self.bytes -= self.handed.iter().map(Packet::data_len).sum::<usize>();
        let any = !self.handed.is_empty();
        self.handed.clear();
        any
    }

    /// Takes out of the queue what does not pass, to be given back at the end.
    pub(crate) fn refuse<E>(&mut self, mut check: impl FnMut(&Packet) -> Result<(), E>) -> Vec<E> {
        let mut errors = Vec::new();
        for packet in mem::take(&mut self.queue) {
            match check(&packet) {
                Ok(()) => self.queue.push_back(packet),
                Err(error) => {
                    self.bytes -= packet.data_len();
                    self.refused.push(packet);
                    errors.push(error);
                }
            }
        }
        errors
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len() + self.handed.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empties it: what was never handed over, then what is in doubt.
    pub(crate) fn take(&mut self) -> (Vec<Packet>, Vec<Packet>) {
        let mut unsent = mem::take(&mut self.refused);
        unsent.extend(mem::take(&mut self.queue));
        self.bytes = 0;
        (unsent, mem::take(&mut self.handed))
    }
}
