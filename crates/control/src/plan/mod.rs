//! Plans: what a change would do, simulated beside the running server and kept for whoever approves.
//!
//! A plan reads what the server holds (directory, live calls, ledger) and changes nothing but the log, which gets the
//! digest of each plan that was made. It runs on a thread of its own, one at a time.

mod job;
mod past;
mod population;
mod request;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;

use crate::{Fault, control::lock};

pub(crate) use job::Job;
pub use past::PlannedReplay;
pub use request::{PlanRequest, ReplayWindow};

/// Finished plans that are kept; the oldest goes first.
const KEPT: usize = 8;

/// What became of a plan that was asked for.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PlanState {
    /// Names the plan on this server, until it is started again.
    pub id: u64,
    /// `running`, `done` or `failed`.
    pub state: &'static str,
    /// What it is doing, or did last.
    pub step: &'static str,
    /// How far that has come.
    pub done: u64,
    /// How far it goes; 0 if not known.
    pub total: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// The plan, once it is done.
    pub plan: Option<Arc<Value>>,
}

/// The plans of one server.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    next: AtomicU64,
    kept: Mutex<BTreeMap<u64, Arc<Progress>>>,
}

/// How far a plan is, shared with the thread that makes it.
#[derive(Debug)]
pub(crate) struct Progress {
    id: u64,
    step: Mutex<&'static str>,
    done: AtomicU64,
    total: AtomicU64,
    end: Mutex<Option<Result<Arc<Value>, String>>>,
}

impl Plans {
    /// Begins a plan; `work` runs on a thread of its own.
    pub(crate) fn begin(
        &self,
        work: impl FnOnce(&Progress) -> Result<Value, Fault> + Send + 'static,
    ) -> Result<PlanState, Fault> {
        let mut kept = lock(&self.kept);
        if kept.values().any(|plan| plan.is_running()) {
            let why = "another plan is being made: wait for it, or ask for it by its id";
            return Err(Fault::Conflict(why.to_owned()));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let progress = Arc::new(Progress::new(id));
        while kept.len() >= KEPT {
            kept.pop_first();
        }
        kept.insert(id, Arc::clone(&progress));
        let shared = Arc::clone(&progress);
        let thread = std::thread::Builder::new().name("plan".to_owned());
        let spawned = thread.spawn(move || {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&shared)));
            shared.finish(match ended {
                Ok(made) => made.map(Arc::new).map_err(|fault| words(&fault)),
                Err(_) => Err("making the plan ended in a panic: see the server's log".to_owned()),
            });
        });
        if let Err(error) = spawned {
            progress.finish(Err(format!("no thread for it: {error}")));
        }
        Ok(progress.state())
    }

    pub(crate) fn get(&self, id: u64) -> Result<PlanState, Fault> {
        let kept = lock(&self.kept);
        kept.get(&id).map(|plan| plan.state()).ok_or_else(|| Fault::not_found("plan", id))
    }
}

/// Says a fault with every field it names: here nobody renders a problem document of it.
fn words(fault: &Fault) -> String {
    let (Fault::Malformed(_) | Fault::Invalid(_) | Fault::DoesNotCompile(_)) = fault else {
        return fault.to_string();
    };
    let named: Vec<String> = fault.fields().iter().map(|field| format!("{}: {}", field.field, field.detail)).collect();
    format!("{fault}: {}", named.join("; "))
}

impl Progress {
    fn new(id: u64) -> Self {
        Self {
            id,
            step: Mutex::new("waiting"),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            end: Mutex::new(None),
        }
    }

    /// Says what is being done now and how far it goes; 0 if that is not known.
    pub(crate) fn step(&self, step: &'static str, total: u64) {
        *lock(&self.step) = step;
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Says that this many more are done.
    pub(crate) fn advance(&self, by: u64) {
        self.done.fetch_add(by, Ordering::Relaxed);
    }

    fn is_running(&self) -> bool {
        lock(&self.end).is_none()
    }

    fn finish(&self, end: Result<Arc<Value>, String>) {
        *lock(&self.end) = Some(end);
    }

    fn state(&self) -> PlanState {
        let end = lock(&self.end).clone();
        let (state, failure, plan) = match end {
            None => ("running", None, None),
            Some(Ok(plan)) => ("done", None, Some(plan)),
            Some(Err(why)) => ("failed", Some(why), None),
        };
        PlanState {
            id: self.id,
            state,
            step: *lock(&self.step),
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            failure,
            plan,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn settled(plans: &Plans, id: u64) -> PlanState {
        loop {
            let state = plans.get(id).unwrap();
            if state.state != "running" {
                return state;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn one_plan_is_made_at_a_time_and_the_last_eight_are_kept() {
        let plans = Plans::default();
        let (go, wait) = mpsc::channel::<()>();
        let first = plans.begin(move |progress| {
            progress.step("reading", 7);
            progress.advance(3);
            wait.recv().ok();
            Ok(Value::from(1))
        });
        let first = first.unwrap().id;
        assert!(matches!(plans.begin(|_| Ok(Value::Null)), Err(Fault::Conflict(_))));
        go.send(()).unwrap();
        let done = settled(&plans, first);
        assert_eq!((done.step, done.done, done.total), ("reading", 3, 7));
        assert_eq!(done.plan.as_deref(), Some(&Value::from(1)));
        for _ in 0..KEPT {
            let next = plans.begin(|_| Ok(Value::Null)).unwrap().id;
            settled(&plans, next);
        }
        assert!(matches!(plans.get(first), Err(Fault::NotFound { .. })));
    }

    #[test]
    fn a_plan_that_fails_says_why_with_the_place() {
        let plans = Plans::default();
        let id = plans.begin(|_| Err(Fault::invalid("documents.0", "has no type"))).unwrap().id;
        let failure = settled(&plans, id).failure.unwrap();
        assert!(failure.contains("documents.0: has no type"), "{failure}");
        let id = plans.begin(|_| panic!("on purpose")).unwrap().id;
        assert!(settled(&plans, id).failure.unwrap().contains("panic"));
    }
}
