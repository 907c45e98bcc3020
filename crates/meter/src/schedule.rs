//! Which hours are to be reconciled, and the loop that does it.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jose::ticket::Ticket;
use ledger::storage::{Disk, replace};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode_registry},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use serde::{Deserialize, Serialize};
use terms::{Clock, ModelVersionId, Moment};

use crate::{
    reconcile::{Reconciled, Reconciler, Settled},
    tally::settles_at,
};

/// How often it is looked which hours are due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long after that an hour is reconciled: the meter's clock may be behind.
const GRACE: Duration = Duration::from_secs(60);
/// How long an hour waits at most before it is tried again.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// The most hours that wait to be reconciled again: 30 days. Older ones are given up, aloud.
const WAITING_MAX: usize = 720;

/// Which hours were reconciled, and which are to be once more.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schedule {
    /// The first hour that was never tried.
    next: u64,
    /// Hours of which something is left to do.
    waiting: BTreeMap<u64, Waiting>,
}

/// An hour with calls that had not ended, or with a meter that could not be asked.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    /// How often it was tried.
    tries: u32,
    /// When it is to be tried again, in milliseconds since the Unix epoch.
    due_ms: i64,
    /// What of it is done.
    settled: Settled,
}

impl Schedule {
    /// Begins with the hour after this one: of this one, the meter may have seen only the rest.
    fn beginning(now: Moment) -> Self {
        Self { next: Ticket::hour_of(now).saturating_add(1), waiting: BTreeMap::new() }
    }

    /// Returns the hours that are due, in order.
    fn due(&self, now: Moment) -> Vec<u64> {
        let again = self.waiting.iter().filter(|(_, waiting)| waiting.due_ms <= now.as_millis());
        let first = (self.next..).take_while(|hour| settles_at(*hour).plus(GRACE) <= now);
        again.map(|(hour, _)| *hour).chain(first).collect()
    }

    /// Returns what is done of an hour.
    fn settled(&self, hour: u64) -> Settled {
        self.waiting.get(&hour).map(|waiting| waiting.settled.clone()).unwrap_or_default()
    }

    /// Notes that an hour was tried, and what is `left` of it: `None` if nothing. Returns the hours that are given up.
    fn note(&mut self, hour: u64, left: Option<Settled>, now: Moment) -> Vec<u64> {
        self.next = self.next.max(hour.saturating_add(1));
        let tries = self.waiting.remove(&hour).map_or(0, |waiting| waiting.tries);
        if let Some(settled) = left {
            let wait = LOOK_EVERY.saturating_mul(2_u32.saturating_pow(tries)).min(WAIT_MAX);
            let due_ms = now.plus(wait).as_millis();
            self.waiting.insert(hour, Waiting { tries: tries.saturating_add(1), due_ms, settled });
        }
        let mut given_up = Vec::new();
        while self.waiting.len() > WAITING_MAX {
            given_up.extend(self.waiting.pop_first().map(|(hour, _)| hour));
        }
        given_up
    }

    fn load(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the file durably, whole or not at all.
    fn save(&self, path: &Path) -> io::Result<()> {
        replace(&Disk, path, &serde_json::to_vec(self)?)
    }
}

/// What an operator watches of reconciliation. Clones count together.
#[derive(Clone)]
pub struct Reconciliations(Arc<Counters>);

struct Counters {
    registry: Mutex<Registry>,
    agree: Counter,
    differ: Counter,
    failed: Counter,
    unasked: Counter,
    waiting: Gauge,
    unsigned: Family<TokenLabels, Gauge>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct TokenLabels {
    model: String,
    direction: &'static str,
}

impl fmt::Debug for Reconciliations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reconciliations")
    }
}

impl Default for Reconciliations {
    fn default() -> Self {
        let counters = Counters {
            registry: Mutex::new(Registry::with_prefix("exeat")),
            agree: Counter::default(),
            differ: Counter::default(),
            failed: Counter::default(),
            unasked: Counter::default(),
            waiting: Gauge::default(),
            unsigned: Family::default(),
        };
        let mut registry = counters.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let Counters { agree, differ, failed, unasked, waiting, unsigned, .. } = &counters;
        registry.register("reconciliation_agree", "Statements in which gateway and meter agree", agree.clone());
        registry.register(
            "reconciliation_differ",
            "Statements in which gateway and meter do not agree",
            differ.clone(),
        );
        registry.register("reconciliation_failed", "Attempts to reconcile an hour that failed", failed.clone());
        let help = "Calls of meters that are not configured: nothing reconciles them";
        registry.register("reconciliation_unasked_calls", help, unasked.clone());
        registry.register("reconciliation_waiting_hours", "Hours that are to be reconciled again", waiting.clone());
        let help = "What a model server's own counters rose by in the last hour, less what the log has; unsigned";
        registry.register("counters_difference_tokens", help, unsigned.clone());
        drop(registry);
        Self(Arc::new(counters))
    }
}

impl Reconciliations {
    /// Notes by how many tokens the counters of a model server differ from the log.
    pub(crate) fn unsigned(&self, model: &ModelVersionId, input: i64, output: i64) {
        for (direction, tokens) in [("input", input), ("output", output)] {
            let labels = TokenLabels { model: model.as_str().to_owned(), direction };
            self.0.unsigned.get_or_create(&labels).set(tokens);
        }
    }

    /// Writes everything in the Prometheus text format, without a line that says that it ends.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = encode_registry(&mut text, &self.0.registry.lock().unwrap_or_else(PoisonError::into_inner));
        text
    }
}

/// Reconciles every hour after its end, for as long as it is polled. Which hours are done is kept in the file `kept`.
///
/// An hour with calls that have not ended is tried again until they have; one whose meter cannot be asked, until it can: at
/// first after a minute, then more and more seldom, at last every hour. If the file is lost, it begins anew with the next
/// hour; what was recorded stays in the log.
pub async fn keep_reconciling(reconciler: Reconciler, clock: Arc<dyn Clock>, kept: PathBuf, told: Reconciliations) {
    let mut schedule = match Schedule::load(&kept) {
        Ok(found) => found.unwrap_or_else(|| Schedule::beginning(clock.now())),
        Err(error) => {
            tracing::error!(%error, file = %kept.display(), "which hours were reconciled is not known; the next one is");
            Schedule::beginning(clock.now())
        }
    };
    loop {
        for hour in schedule.due(clock.now()) {
            let left = attempt(&reconciler, hour, schedule.settled(hour), &told).await;
            for lost in schedule.note(hour, left, clock.now()) {
                tracing::error!(hour = lost, "an hour could not be reconciled for 30 days and is given up");
            }
            told.0.waiting.set(i64::try_from(schedule.waiting.len()).unwrap_or(i64::MAX));
            save(&schedule, &kept).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn save(schedule: &Schedule, kept: &Path) {
    let (schedule, file) = (schedule.clone(), kept.to_owned());
    let saving = tokio::task::spawn_blocking(move || schedule.save(&file));
    if let Err(error) = saving.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        tracing::error!(%error, file = %kept.display(), "cannot note which hours were reconciled");
    }
}

/// Reconciles what is not settled of an hour. Returns what is by then if something of it is left to do.
async fn attempt(reconciler: &Reconciler, hour: u64, mut settled: Settled, told: &Reconciliations) -> Option<Settled> {
    let reconciled = reconciler.hour(hour, &mut settled).await;
    let Reconciled { agree, differ, open, unasked, failed } = &reconciled;
    told.0.agree.inc_by(*agree);
    told.0.differ.inc_by(*differ);
    for error in failed {
        told.0.failed.inc();
        tracing::error!(target: "exeat::reconciliation", hour, %error, "something of an hour could not be reconciled; it is tried again");
    }
    tracing::info!(target: "exeat::reconciliation", hour, agree, differ, open, failed = failed.len(), "an hour was looked at");
    if !reconciled.is_done() {
        return Some(settled);
    }
    if *unasked > 0 {
        told.0.unasked.inc_by(*unasked);
        tracing::error!(target: "exeat::reconciliation", hour, calls = unasked, "a meter that served calls of the hour is not in `[[meters]]`: nothing reconciles them");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(hour: i64, seconds: i64) -> Moment {
        Moment::from_millis(hour * HOUR + seconds * 1_000)
    }

    #[test]
    fn an_hour_is_due_when_its_last_ticket_has_expired_and_until_it_is_done() {
        let mut schedule = Schedule::beginning(at(99, 10));
        assert_eq!(schedule.due(at(100, 0)), [0; 0]);
        assert_eq!(schedule.due(at(101, 779)), [0; 0]);
        assert_eq!(schedule.due(at(101, 780)), [100]);
        assert_eq!(schedule.due(at(103, 780)), [100, 101, 102]);
        schedule.note(100, None, at(102, 780));
        schedule.note(101, Some(Settled::new()), at(102, 780));
        assert_eq!(schedule.due(at(102, 839)), [0; 0]);
        assert_eq!(schedule.due(at(102, 840)), [101]);
        schedule.note(101, None, at(102, 840));
        assert_eq!(schedule.due(at(103, 0)), [0; 0]);
    }

    #[test]
    fn an_hour_that_fails_again_and_again_is_tried_more_and_more_seldom_and_at_least_every_hour() {
        let mut schedule = Schedule::beginning(at(0, 0));
        let wait = |schedule: &mut Schedule| {
            schedule.note(1, Some(Settled::new()), at(9, 0));
            (schedule.waiting[&1].due_ms - at(9, 0).as_millis()) / 1_000
        };
        let waits: Vec<i64> = (0..8).map(|_| wait(&mut schedule)).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        (0..100).for_each(|_| assert!(wait(&mut schedule) <= 3_600));
    }

    #[test]
    fn what_is_done_of_an_hour_that_waits_is_remembered() {
        let settled = Settled::from([("meter".to_owned(), ModelVersionId::parse("mythos-5").unwrap())]);
        let mut schedule = Schedule::beginning(at(0, 0));
        schedule.note(1, Some(settled.clone()), at(9, 0));
        assert_eq!((schedule.settled(1), schedule.settled(2)), (settled, Settled::new()));
    }

    #[test]
    fn hours_that_cannot_be_reconciled_are_given_up_after_a_month() {
        let mut schedule = Schedule::beginning(at(0, 0));
        let lost: Vec<u64> = (1..=722).flat_map(|hour| schedule.note(hour, Some(Settled::new()), at(800, 0))).collect();
        assert_eq!(lost, [1, 2]);
    }

    #[test]
    fn what_is_kept_reads_back_and_what_is_damaged_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reconciled.json");
        assert_eq!(Schedule::load(&path).unwrap(), None);
        let settled = Settled::from([("meter".to_owned(), ModelVersionId::parse("mythos-5").unwrap())]);
        let waiting = BTreeMap::from([(3, Waiting { tries: 2, due_ms: 5, settled }), (5, Waiting::default())]);
        let schedule = Schedule { next: 7, waiting };
        schedule.save(&path).unwrap();
        assert_eq!(Schedule::load(&path).unwrap(), Some(schedule));
        fs::write(&path, b"{}").unwrap();
        assert!(Schedule::load(&path).is_err());
    }

    #[test]
    fn the_alarm_is_a_metric_too() {
        let told = Reconciliations::default();
        told.0.differ.inc();
        let text = told.text();
        assert!(text.contains("exeat_reconciliation_differ_total 1") && !text.contains("# EOF"), "{text}");
    }
}
