//! Work that goes on for as long as the process runs: its end is an event.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::runtime::{Handle, Runtime};

/// Starts such work and counts what ended. Clones count together.
#[derive(Clone)]
pub(crate) struct Tasks {
    runtime: Handle,
    ended: Arc<AtomicU64>,
}

impl Tasks {
    /// Runs work on `runtime`.
    pub(crate) fn new(runtime: &Runtime) -> Self {
        Self { runtime: runtime.handle().clone(), ended: Arc::default() }
    }

    /// Starts work that should not end; if it does, for whatever reason, that is logged and counted.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let task = self.runtime.spawn(work);
        let ended = Arc::clone(&self.ended);
        self.runtime.spawn(async move {
            let why = match task.await {
                Err(error) if error.is_cancelled() => return,
                Err(_) => "a fault of this program",
                Ok(()) => "it came to its end",
            };
            ended.fetch_add(1, Ordering::Relaxed);
            tracing::error!(task = name, why, "work in the background ended: restart the server");
        });
    }

    /// Returns the gauge as OpenMetrics text.
    pub(crate) fn metrics(&self) -> String {
        let ended = self.ended.load(Ordering::Relaxed);
        let help = "Work in the background that ended and does not begin again: restart.";
        format!("# HELP exeat_tasks_ended {help}\n# TYPE exeat_tasks_ended gauge\nexeat_tasks_ended {ended}\n")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_that_ends_by_a_panic_or_by_itself_is_counted_and_work_that_goes_on_is_not() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let tasks = Tasks::new(&runtime);
        tasks.spawn("goes on", std::future::pending());
        tasks.spawn("ends", async {});
        tasks.spawn("panics", async { panic!("a fault") });
        while !tasks.metrics().ends_with("\nexeat_tasks_ended 2\n") {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
