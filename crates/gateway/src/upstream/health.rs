//! How one endpoint fares: left out after failures in a row, tried again after a while with a single call.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long an endpoint is left out the first time; twice as long each further time.
const EJECTED_FIRST: Duration = Duration::from_secs(1);
/// The longest time it is left out: 1 s doubled six times is 64 s.
const EJECTED_MOST: Duration = Duration::from_secs(60);

/// What an endpoint failed at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// No connection came about: nothing is there.
    Connect,
    /// It answered with a server error, broke off or stayed silent.
    Answer,
}

/// Whether a call may be sent to an endpoint now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// It may.
    Yes,
    /// It may, as the one call that shows whether the endpoint is back.
    Probe,
    /// It is left out for failing at this, until that long from now.
    No(Failure, Duration),
}

/// The state that operators see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HealthState {
    /// Calls are sent.
    Up,
    /// Left out for now.
    Ejected,
    /// One call is under way that shows whether it is back.
    Probing,
}

/// How one endpoint fares. Shared by all threads; a healthy endpoint costs one relaxed load for each call.
#[derive(Debug)]
pub(crate) struct Health {
    eject_after: u32,
    /// False: `record` is as new, and need not be looked at.
    troubled: AtomicBool,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    ejections: u32,
    ejected: Option<(Failure, Instant)>,
    probing: bool,
}

impl Health {
    /// Starts healthy; ejects after `eject_after` failures in a row, at least one.
    pub(crate) fn new(eject_after: u32) -> Self {
        Self { eject_after, troubled: AtomicBool::new(false), record: Mutex::default() }
    }

    /// Asks to send a call at `now`. After [`Admission::Probe`] one of [`Health::succeeded`], [`Health::failed`] or
    /// [`Health::abandoned`] must follow.
    pub(crate) fn admit(&self, now: Instant) -> Admission {
        if !self.troubled.load(Ordering::Relaxed) {
            return Admission::Yes;
        }
        let mut record = self.record();
        match record.ejected {
            None => Admission::Yes,
            Some((failure, until)) if now < until => Admission::No(failure, until - now),
            Some((failure, _)) if record.probing => Admission::No(failure, EJECTED_FIRST),
            Some(_) => {
                record.probing = true;
                Admission::Probe
            }
        }
    }

    /// Notes that the endpoint answered: it is as new.
    pub(crate) fn succeeded(&self) {
        if self.troubled.load(Ordering::Relaxed) {
            let mut record = self.record();
            *record = Record::default();
            self.troubled.store(false, Ordering::Relaxed);
        }
    }

    /// Notes a failure at `now`. Those of calls that were under way when the endpoint was ejected do not count.
    pub(crate) fn failed(&self, failure: Failure, now: Instant) {
        let mut record = self.record();
        self.troubled.store(true, Ordering::Relaxed);
        if record.ejected.is_some_and(|(_, until)| now < until) {
            return;
        }
        record.failures += 1;
        if record.probing || record.failures >= self.eject_after {
            record.ejections += 1;
            let until = now + ejected_for(record.ejections);
            *record = Record { ejected: Some((failure, until)), ejections: record.ejections, ..Record::default() };
        }
    }

    /// Notes that a probe ended without showing anything, for example because its caller went away.
    pub(crate) fn abandoned(&self) {
        self.record().probing = false;
    }

    /// Returns the state for operators.
    pub(crate) fn state(&self, now: Instant) -> HealthState {
        let record = self.record();
        match record.ejected {
            None => HealthState::Up,
            Some(_) if record.probing => HealthState::Probing,
            Some((_, until)) if now < until => HealthState::Ejected,
            Some(_) => HealthState::Probing,
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ejected_for(ejections: u32) -> Duration {
    let doublings = ejections.saturating_sub(1).min(6);
    EJECTED_FIRST.saturating_mul(1 << doublings).min(EJECTED_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ejected(now: Instant) -> Health {
        let health = Health::new(2);
        health.failed(Failure::Answer, now);
        assert_eq!(health.admit(now), Admission::Yes);
        health.failed(Failure::Answer, now);
        health
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
        let (health, now) = (Health::new(2), Instant::now());
        for _ in 0..5 {
            health.failed(Failure::Answer, now);
            health.succeeded();
        }
        assert_eq!(health.admit(now), Admission::Yes);
        assert_eq!(ejected(now).admit(now), Admission::No(Failure::Answer, SECOND));
    }

    #[test]
    fn one_call_probes_and_the_others_wait_for_what_it_shows() {
        let start = Instant::now();
        let (health, later) = (ejected(start), start + SECOND);
        assert_eq!(health.admit(later), Admission::Probe);
        assert_eq!(health.admit(later), Admission::No(Failure::Answer, SECOND));
        assert_eq!(health.state(later), HealthState::Probing);
        health.succeeded();
        assert_eq!(health.admit(later), Admission::Yes);
        assert_eq!(health.state(later), HealthState::Up);
    }

    #[test]
    fn a_probe_that_shows_nothing_lets_the_next_call_probe() {
        let start = Instant::now();
        let (health, later) = (ejected(start), start + SECOND);
        assert_eq!(health.admit(later), Admission::Probe);
        health.abandoned();
        assert_eq!(health.admit(later), Admission::Probe);
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_a_minute() {
        let mut now = Instant::now();
        let health = ejected(now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let Admission::No(_, wait) = health.admit(now) else { panic!("not ejected") };
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(health.admit(now), Admission::Probe);
            health.failed(Failure::Connect, now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn failures_of_calls_already_under_way_do_not_lengthen_the_ejection() {
        let now = Instant::now();
        let health = ejected(now);
        for _ in 0..10 {
            health.failed(Failure::Answer, now);
        }
        assert_eq!(health.admit(now), Admission::No(Failure::Answer, SECOND));
    }
}
