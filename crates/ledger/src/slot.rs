//! Where one waiter learns what became of its entry.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use atomic_waker::AtomicWaker;

const WAITING: u8 = 0;
const DURABLE: u8 = 1;
const FENCED: u8 = 2;

/// The entry may or may not be in the log after recovery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fenced;

/// Told once, by the writer; waited for by at most one task.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: AtomicU8,
    waker: AtomicWaker,
}

impl Slot {
    /// Tells that the entry is durable.
    pub(crate) fn durable(&self) {
        self.tell(DURABLE);
    }

    /// Tells that the log is fenced.
    pub(crate) fn fenced(&self) {
        self.tell(FENCED);
    }

    fn tell(&self, state: u8) {
        // Release: whoever sees the state sees all that the writer did before, and AtomicWaker orders it with `register`.
        self.state.store(state, Ordering::Release);
        self.waker.wake();
    }

    /// Waits until the writer tells.
    pub(crate) async fn wait(&self) -> Result<(), Fenced> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<(), Fenced>> {
        if let Some(told) = self.told() {
            return Poll::Ready(told);
        }
        self.waker.register(context.waker());
        match self.told() {
            Some(told) => Poll::Ready(told),
            None => Poll::Pending,
        }
    }

    fn told(&self) -> Option<Result<(), Fenced>> {
        match self.state.load(Ordering::Acquire) {
            WAITING => None,
            DURABLE => Some(Ok(())),
            _ => Some(Err(Fenced)),
        }
    }
}

/// Runs `future` to its end on this thread, which sleeps while there is nothing to do.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_waiter_on_another_thread_wakes_when_it_is_told() {
        for delay in [0, 5] {
            let slot = Arc::new(Slot::default());
            let waiting = Arc::clone(&slot);
            let waiter = std::thread::spawn(move || block_on(waiting.wait()));
            std::thread::sleep(Duration::from_millis(delay));
            slot.durable();
            assert_eq!(waiter.join().unwrap(), Ok(()));
        }
    }

    #[test]
    fn a_waiter_that_comes_late_is_told_at_once() {
        let slot = Slot::default();
        slot.fenced();
        assert_eq!(block_on(slot.wait()), Err(Fenced));
    }
}
