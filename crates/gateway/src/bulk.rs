//! Work that takes as long as a body is: for a long one it is done beside the thread that serves.
//!
//! A worker serves all its streams on one thread, and recalls them there. SHA-256 takes 1 to 2 ms for 1 MiB on a machine
//! without instructions for it, and 100 ms for the longest body that is relayed.

use std::time::Duration;

use tokio::time::timeout;

use crate::Problem;

/// The longest body that is worked on where it is served, in bytes.
const HERE_MAX: usize = 1 << 20;

/// The longest a call waits for it: until then, what was decided before is in force, see log-format.md section 11 point 10.
const DONE_WITHIN: Duration = Duration::from_secs(5);

/// Does work on a body of so many bytes, and returns what came of it.
///
/// # Errors
///
/// [`Problem::Internal`] if the work panicked; [`Problem::Overloaded`] if it was not done in 5 seconds.
pub(crate) async fn work<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    if bytes <= HERE_MAX {
        return Ok(work());
    }
    beside(DONE_WITHIN, work).await
}

async fn beside<T: Send + 'static>(within: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let Ok(done) = timeout(within, tokio::task::spawn_blocking(work)).await else {
        tracing::error!("a body was not worked on in time");
        return Err(Problem::Overloaded { retry_after: 1 });
    };
    done.map_err(|error| {
        tracing::error!(%error, "a body could not be worked on");
        Problem::Internal
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_long_body_holds_nobody_up_and_a_short_one_changes_no_thread() {
        let on = |bytes| async move { work(bytes, || thread::current().id()).await.unwrap() };
        assert_eq!(on(HERE_MAX).await, thread::current().id());
        assert_ne!(on(HERE_MAX + 1).await, thread::current().id());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_call_does_not_wait_for_ever_for_work_on_its_body() {
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let refused = beside(Duration::from_millis(1), move || wait.recv().is_err()).await;
        assert_eq!(refused.unwrap_err(), Problem::Overloaded { retry_after: 1 });
        drop(go_on);
    }
}
