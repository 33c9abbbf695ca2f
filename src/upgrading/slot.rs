use crate::Transport;

/// A transport of the session, by its name, and how far it is with what it was handed.
pub(super) struct Slot<L> {
    pub(super) via: Transport,
    pub(super) link: L,
    pub(super) waiting: bool, // for it to be ready
    pub(super) unflushed: bool,
    pub(super) sent: u64, // bytes, when that was last asked
    pub(super) received: u64,
}

impl<L> Slot<L> {
    pub(super) fn new(via: Transport, link: L) -> Self {
        Self { via, link, waiting: false, unflushed: false, sent: 0, received: 0 }
    }
}
