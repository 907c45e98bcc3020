//! Something that is done again and again, on a thread of its own, while something else is measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::Context;

/// A thread that goes on until it is told to stop.
#[derive(Debug)]
pub(super) struct Repeating<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<T>>,
}

impl<T: Send + 'static> Repeating<T> {
    /// Starts `work`, which asks now and then whether it is to stop, and then returns.
    pub(super) fn start(work: impl FnOnce(&dyn Fn() -> bool) -> anyhow::Result<T> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || work(&|| told.load(Ordering::Relaxed)));
        Self { stop, thread }
    }

    /// Tells it to stop, waits until it does, and returns what came of it.
    ///
    /// # Errors
    ///
    /// What `work` returned, or that it panicked.
    pub(super) fn stop(self) -> anyhow::Result<T> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("what was repeated ended in a panic")?
    }
}
