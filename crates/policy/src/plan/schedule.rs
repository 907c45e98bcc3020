//! When what happens: the dates of the instruments, what fires by itself, and what undoes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use terms::{InstrumentId, Moment};

use super::{
    Documents, Study,
    answers::{Column, Docket, Verdict},
    mark, reading,
    report::{Firing, InstrumentTimes, Reach, Rollback, Schedule},
};
use crate::{Directive, License, Status};

/// How many of the moments at which something fires are decided; the later ones are only listed.
const DECIDED_MOMENTS: usize = 12;

impl Study<'_> {
    pub(super) fn schedule(&mut self, documents: &Documents) -> Schedule {
        let instruments = self.instrument_times();
        let before = |times: &InstrumentTimes| (times.id.clone(), times.before);
        let rollback =
            Rollback { snapshot: mark(self.plan.before), instruments: instruments.iter().map(before).collect() };
        let dates = dates(&documents.after);
        let moments = self.firings(&dates);
        let lapses_until = self.plan.at.plus(self.plan.options.lapses);
        let lapses = self.lapses(dates.keys().copied().collect(), lapses_until);
        Schedule { instruments, moments, lapses_until, lapses, rollback }
    }

    fn instrument_times(&self) -> Vec<InstrumentTimes> {
        let (before, after) = (self.plan.before.document(), self.plan.after.document());
        let changed = reading::changed(before, after).into_iter();
        let times = changed.filter_map(|id| {
            let was = dated(&id, &before.directives, &before.licenses);
            let is = dated(&id, &after.directives, &after.licenses);
            let dated = is.as_ref().or(was.as_ref())?;
            let deadline = dated.comply_by.unwrap_or(dated.effective_at);
            Some(InstrumentTimes {
                before: was.as_ref().map(|dated| dated.version),
                after: is.as_ref().map(|dated| dated.version),
                status: dated.status,
                received_at: dated.received_at,
                effective_at: dated.effective_at,
                comply_by: dated.comply_by,
                apply_and_cut_ms: self.plan.options.apply_and_cut.map(millis),
                margin_ms: self.plan.options.apply_and_cut.map(|took| margin(deadline, self.plan.at.plus(took))),
                id,
            })
        });
        times.collect()
    }

    /// Lists what fires after the moment planned for; evidence is supposed to be renewed meanwhile.
    fn firings(&mut self, dates: &BTreeMap<Moment, BTreeSet<String>>) -> Vec<Firing> {
        let mut now = self.after.clone();
        let mut firings = Vec::new();
        for (at, what) in dates.iter().filter(|(at, _)| **at > self.plan.at) {
            let decided = (firings.len() < DECIDED_MOMENTS).then(|| self.fire(*at, &mut now));
            let (losing, gaining) = decided.unzip();
            firings.push(Firing { at: *at, what: what.iter().cloned().collect(), losing, gaining });
        }
        firings
    }

    fn fire(&mut self, at: Moment, now: &mut Vec<Column>) -> (Reach, Reach) {
        let mut docket = Docket::new(&self.restorer, &self.classes.shapes, self.models.first(), at);
        let then = docket.decide(self.plan.after, &self.models, None, &mut self.answers);
        let permits = |column: &Column, class| self.verdict(column, class) == Some(Verdict::Permit);
        let turned = |one: &[Column], other: &[Column], class| {
            one.iter().zip(other).any(|(one, other)| permits(one, class) && !permits(other, class))
        };
        let size = self.classes.shapes.len();
        let losing = self.census.reach(None, |class| turned(now, &then, class), size);
        let gaining = self.census.reach(None, |class| turned(&then, now, class), size);
        *now = then;
        (losing, gaining)
    }
}

/// What the schedule needs of one instrument.
struct Dated {
    version: u32,
    status: Status,
    received_at: Option<Moment>,
    effective_at: Moment,
    comply_by: Option<Moment>,
}

/// Finds the latest version of an instrument.
fn dated(id: &InstrumentId, directives: &[Directive], licenses: &[License]) -> Option<Dated> {
    let directive = directives.iter().filter(|directive| directive.id() == id).max_by_key(|d| d.version());
    let license = licenses.iter().filter(|license| license.id() == id).max_by_key(|license| license.version());
    let of_directive = |directive: &Directive| Dated {
        version: directive.version(),
        status: directive.status(),
        received_at: Some(directive.received_at()),
        effective_at: directive.binds_at(),
        comply_by: directive.comply_by(),
    };
    let of_license = |license: &License| Dated {
        version: license.version(),
        status: license.status(),
        received_at: None,
        effective_at: license.valid_from(),
        comply_by: None,
    };
    directive.map(of_directive).or_else(|| license.map(of_license))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn margin(deadline: Moment, done: Moment) -> i64 {
    deadline.as_millis().saturating_sub(done.as_millis())
}

/// Finds every date in the instruments of a document at which its rules may change: all but those that only report.
fn dates(document: &Value) -> BTreeMap<Moment, BTreeSet<String>> {
    let mut dates = BTreeMap::new();
    let lists = document.as_object().into_iter().flatten().filter_map(|(_, list)| list.as_array());
    for instrument in lists.flatten() {
        let Some(id) = instrument.get("id").and_then(Value::as_str) else {
            continue;
        };
        find_dates(id, instrument, &mut dates);
        if let Some((grace, at)) = grace(instrument) {
            dates.entry(at.plus(grace)).or_default().insert(format!("{id} grace_minutes"));
        }
    }
    dates
}

fn find_dates(path: &str, value: &Value, dates: &mut BTreeMap<Moment, BTreeSet<String>>) {
    match value {
        Value::Object(fields) => {
            let silent = ["received_at", "interpretation", "source"];
            for (key, value) in fields.iter().filter(|(key, _)| !silent.contains(&key.as_str())) {
                find_dates(&format!("{path} {key}"), value, dates);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| find_dates(path, item, dates)),
        Value::String(text) => {
            if let Ok(at) = Moment::parse(text) {
                dates.entry(at).or_default().insert(path.to_owned());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Finds a date from which an instrument is the law and the grace it gives.
fn grace(instrument: &Value) -> Option<(Duration, Moment)> {
    let minutes = instrument.get("grace_minutes")?.as_u64()?;
    let at = Moment::parse(instrument.get("effective_at")?.as_str()?).ok()?;
    Some((Duration::from_secs(minutes.saturating_mul(60)), at))
}
