//! The body of a stream, which is closed as soon as it is recalled, whether or not its client reads.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_local};

use super::{Live, events::Events};
use crate::{lease, upstream::ReplyBody};

/// The body of a stream that is relayed.
#[derive(Debug)]
pub struct Relay {
    events: Rc<RefCell<Events>>,
    closing: JoinHandle<()>,
}

impl Relay {
    /// Begins to relay a response. Must be called inside a `LocalSet`.
    pub(super) fn new(body: ReplyBody, live: Live) -> Self {
        let call = live.lease.live();
        let events = Rc::new(RefCell::new(Events::new(body, live)));
        let closing = spawn_local(close_when_recalled(Rc::downgrade(&events), call));
        Self { events, closing }
    }

    pub(super) fn is_over(&self) -> bool {
        self.events.borrow().is_over()
    }

    /// Hands out what may leave next; `None` at the end.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.events.borrow_mut().poll_output(cx)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closing.abort();
    }
}

/// Closes a call in the ledger when it is recalled. A connection asks for no event while its client takes none, for as long
/// as that likes; the snapshot that the closing entry names must be in force when it is written.
async fn close_when_recalled(events: Weak<RefCell<Events>>, call: Arc<lease::Live>) {
    call.wait_recalled_beside().await;
    if let Some(events) = events.upgrade() {
        events.borrow_mut().close_recalled();
    }
}
