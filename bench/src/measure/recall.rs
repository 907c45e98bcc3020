//! An order or a signal arrives: from there to the last byte of every stream that it cuts, and what all others notice.

use std::{
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use testkit::{http, server::Server};

use super::{Bench, count, guarded, millis};
use crate::{
    args::{Cause, Run},
    contender::{EXEAT, setup, shot},
    load::{Ending, Life, Shot, hold},
    report::{Column, Report, Section, Target, describe},
    sample::Sample,
    stub::Pace,
};

/// People of each kind; they share the streams.
const PEOPLE: usize = 100;
/// All streams together send at most so many events a second, so that the machine is not saturated by them alone.
const EVENTS_PER_SECOND: usize = 5_000;
const SHORTEST_GAP: Duration = Duration::from_millis(200);

const SECTIONS: &[Section] = &[
    Section {
        title: "Streams that are cut",
        columns: &[
            Column::new("cut", "streams cut"),
            Column::new("last_byte_p50_ms", "sent to last byte p50, ms").drawn(),
            Column::new("last_byte_p99_ms", "sent to last byte p99, ms").drawn(),
            Column::new("last_byte_max_ms", "sent to last byte max, ms").drawn(),
            Column::new("answered_ms", "sent to answer, ms"),
        ],
    },
    Section {
        title: "Streams that are not",
        columns: &[
            Column::new("unaffected", "streams not cut"),
            Column::new("gap_p99_before_ms", "their gaps before, p99, ms").drawn(),
            Column::new("gap_p99_during_ms", "their gaps meanwhile, p99, ms").drawn(),
            Column::new("gap_max_during_ms", "their gaps meanwhile, max, ms").drawn(),
            Column::new("disturbed_ms", "p99 longer by, ms"),
        ],
    },
];

/// Runs the measurement with so many streams, of which every other one is cut.
///
/// # Errors
///
/// Something did not start, a stream that is to be cut was not or ended in another way, or one was that is not to be.
pub(crate) fn measure(run: &Run, streams: usize, by: Cause) -> anyhow::Result<()> {
    ensure!(streams >= 2, "`--streams` must be at least 2, since every other one is cut");
    let bench = Bench::start()?;
    let most = super::most_streams();
    ensure!(streams <= most, "the limit of open files allows {most} streams: raise it with `ulimit -Hn`");
    let gap = gap_for(streams);
    let (name, what) = match by {
        Cause::Order => ("recall", "an order"),
        Cause::Signal => ("recall-signal", "a signal about one person"),
    };
    let title = format!("Recall: {what} cuts {} of {streams} streams", streams.div_ceil(2));
    let mut report = Report::new(name, title, SECTIONS, describe(&run.exeat), run.busy_ok);
    report.settings(json!({"rounds": run.rounds(), "streams": streams, "people": 2 * PEOPLE, "gap_ms": millis(gap)}));
    report.contender(EXEAT, env!("CARGO_PKG_VERSION"));
    bench.stub.set(Pace { events: 1_000_000, gap, delay: Duration::ZERO })?;
    for round in 0..run.rounds() {
        let folder = bench.folder.path().join(round.to_string());
        let recalled = guarded(EXEAT, round, &mut report, |_| one(run, &folder, &bench, (streams, by), gap))?;
        add(&mut report, round, &recalled)?;
    }
    claim(&mut report, streams);
    report.write(&run.out)
}

fn gap_for(streams: usize) -> Duration {
    let at_rate = Duration::from_secs_f64(count(streams) / count(EVENTS_PER_SECOND));
    at_rate.max(SHORTEST_GAP)
}

/// What happened in one round.
struct Recalled {
    ordered: Instant,
    answered: Instant,
    cut: Vec<Life>,
    unaffected: Vec<Life>,
}

fn one(
    run: &Run,
    folder: &Path,
    bench: &Bench,
    (streams, by): (usize, Cause),
    gap: Duration,
) -> anyhow::Result<Recalled> {
    let setup = setup(run, folder, bench.stub.address())?.with_identity()?;
    let server = setup.start()?;
    server.lab()?;
    let employer = Employer::of(&server, setup.identity.context("no identity listener")?)?;
    let shots = shots(&server, &employer, streams, by)?;
    // Three gaps of every stream, and some time in any case, to compare with.
    let before = (gap * 3).max(Duration::from_secs(2));
    let change = move || {
        thread::sleep(before);
        let ordered = Instant::now();
        match by {
            Cause::Order => super::june_12(&server)?,
            Cause::Signal => employer.deactivate()?,
        }
        Ok((ordered, Instant::now(), server))
    };
    let held = hold(shots, change, is_affected, gap + gap / 2)?;
    let (cut, unaffected): (Vec<_>, Vec<_>) = held.lives.into_iter().enumerate().partition(|(at, _)| is_affected(*at));
    let lives = |lives: Vec<(usize, Life)>| lives.into_iter().map(|(_, life)| life).collect();
    let (ordered, answered, _server) = held.change;
    Ok(Recalled { ordered, answered, cut: lives(cut), unaffected: lives(unaffected) })
}

/// Streams of foreign persons and of U.S. persons take turns.
fn is_affected(at: usize) -> bool {
    at.is_multiple_of(2)
}

fn shots(server: &Server, employer: &Employer, streams: usize, by: Cause) -> anyhow::Result<Vec<Shot>> {
    let employed = server.attested(&employer.person, true)?;
    let mut shots = Vec::new();
    for at in 0..streams.min(2 * PEOPLE) {
        let key = match by {
            Cause::Signal if is_affected(at) => employed.clone(),
            _ => server.person(&format!("person-{at}"), !is_affected(at))?,
        };
        shots.push(shot(server.address, &key, true)?);
    }
    // 200 is even, so that a stream's place still tells whose it is.
    Ok(shots.iter().cycle().take(streams).cloned().collect())
}

/// The laboratory's directory, in which one person stands.
struct Employer {
    at: SocketAddr,
    token: String,
    user: String,
    person: String,
}

impl Employer {
    fn of(server: &Server, at: SocketAddr) -> anyhow::Result<Self> {
        let tenant = json!({"channel": "larkspur-hr", "organization": "larkspur-labs"});
        let placed = server.admin("POST", "/admin/v1/sources/scim_tenant", &tenant)?;
        let token = text(&placed, "/secret")?;
        let mut employer = Self { at, token, user: String::new(), person: String::new() };
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada", "active": true,
        });
        employer.user = text(&employer.call("POST", "Users", &user)?, "/id")?;
        let people = server.admin("GET", "/admin/v1/people", &Value::Null)?;
        employer.person = text(&people, "/items/0/id")?;
        server.clear(&employer.person)?;
        Ok(employer)
    }

    fn deactivate(&self) -> anyhow::Result<()> {
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "path": "active", "value": false}],
        });
        self.call("PATCH", &format!("Users/{}", self.user), &patch).map(drop)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let bearer = format!("Bearer {}", self.token);
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/scim+json"), ("connection", "close")];
        let path = format!("/scim/v2/larkspur-hr/{path}");
        let answer = http::send(self.at, method, &path, &headers, body.to_string().as_bytes())?;
        let status = answer.head.status;
        let text = answer.text()?;
        ensure!((200..300).contains(&status), "{method} {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

fn text(value: &Value, at: &str) -> anyhow::Result<String> {
    let found = value.pointer(at).and_then(Value::as_str);
    found.map(str::to_owned).with_context(|| format!("no `{at}` in {value}"))
}

fn add(report: &mut Report, round: usize, recalled: &Recalled) -> anyhow::Result<()> {
    let mut ends = Sample::default();
    let mut last = recalled.answered;
    for life in &recalled.cut {
        let Some((ended, Ending::Cut)) = &life.ended else {
            anyhow::bail!("a stream of a foreign person ended otherwise than cut: {:?}", life.ended);
        };
        ends.add(ended.saturating_duration_since(recalled.ordered));
        last = last.max(*ended);
    }
    let ended = recalled.unaffected.iter().filter(|life| life.ended.is_some()).count();
    ensure!(ended == 0, "{ended} streams of U.S. persons ended, which the order does not touch");
    let (before, during) = gaps(&recalled.unaffected, recalled.ordered, last);
    for (key, value) in [
        ("cut", count(recalled.cut.len())),
        ("last_byte_p50_ms", ends.millis(0.5)),
        ("last_byte_p99_ms", ends.millis(0.99)),
        ("last_byte_max_ms", ends.millis(1.0)),
        ("answered_ms", millis(recalled.answered - recalled.ordered)),
        ("unaffected", count(recalled.unaffected.len())),
        ("gap_p99_before_ms", before.millis(0.99)),
        ("gap_p99_during_ms", during.millis(0.99)),
        ("gap_max_during_ms", during.millis(1.0)),
        ("disturbed_ms", during.millis(0.99) - before.millis(0.99)),
    ] {
        report.add(EXEAT, round, key, value);
    }
    Ok(())
}

/// Returns the gaps that ended before the order, and those that overlap the time from the order to the last cut.
fn gaps(lives: &[Life], ordered: Instant, last: Instant) -> (Sample, Sample) {
    let (mut before, mut during) = (Sample::default(), Sample::default());
    for (from, to) in lives.iter().flat_map(|life| life.arrivals.iter().zip(life.arrivals.iter().skip(1))) {
        if *to < ordered {
            before.add(*to - *from);
        } else if *from <= last {
            during.add(*to - *from);
        }
    }
    (before, during)
}

fn claim(report: &mut Report, streams: usize) {
    let most = if streams <= 1_000 { 50.0 } else { 250.0 };
    let p99 = report.series(EXEAT, "last_byte_p99_ms").spread();
    report.claim(EXEAT, "ms from sending it to the last byte, p99", p99, Target::AtMost(most));
    let disturbed = report.series(EXEAT, "disturbed_ms").spread();
    report.claim(EXEAT, "ms more between events of unaffected streams, p99", disturbed, Target::AtMost(50.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_as_during_if_it_overlaps_the_recall() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let life = Life { arrivals: [0, 100, 250, 400, 500].map(at).to_vec(), ended: None };
        let (before, during) = gaps(&[life], at(300), at(310));
        assert_eq!((before.len(), during.len()), (2, 1));
        assert_eq!(before.quantile(1.0), Some(Duration::from_millis(150)));
        assert_eq!(during.quantile(1.0), Some(Duration::from_millis(150)));
    }

    #[test]
    fn many_streams_send_slower_so_that_all_together_stay_below_the_rate() {
        assert_eq!(gap_for(100), SHORTEST_GAP);
        assert_eq!(gap_for(5_000), Duration::from_secs(1));
        assert!((2 * PEOPLE).is_multiple_of(2));
    }
}
