//! Streams: what a gateway adds to the first byte, what an event costs, what an open stream holds.

use std::{thread, time::Duration};

use serde_json::json;

use super::{Bench, add_added, add_cpu, costed, count, guarded, most_streams, rounds, warm_up, whole};
use crate::{
    args::Run,
    contender::{self, Contender, DIRECT, EXEAT},
    load::{Closed, Shot, closed, hold},
    process::memory,
    report::{BASE, Column, Report, Section, Target, describe},
    stub::Pace,
};

/// Streams at a time.
const STREAMS: u32 = 16;
/// As a fast model would send.
const PACE: Pace = Pace { events: 64, gap: Duration::from_millis(20), delay: Duration::ZERO };
/// An event now and then: a held stream is to cost memory, not time.
const HELD: Pace = Pace { events: 1_000, gap: Duration::from_secs(10), delay: Duration::ZERO };
/// After the last stream was opened, before memory is looked at.
const SETTLING: Duration = Duration::from_secs(1);

const SECTIONS: &[Section] = &[
    Section {
        title: "First byte",
        columns: &[
            Column::new("first_p50_us", "first byte p50, us"),
            Column::new("first_p99_us", "first byte p99, us"),
            Column::new("added_first_p50_us", "added to first byte p50, us").with_ratio().drawn(),
            Column::new("added_first_p99_us", "added to first byte p99, us").with_ratio().drawn(),
        ],
    },
    Section {
        title: "Events",
        columns: &[
            Column::new("cpu_us_per_event", "CPU per event, us").with_ratio().drawn(),
            Column::new("gap_p99_ms", "gap between events p99, ms"),
            Column::new("coalesced_percent", "events that came with the one before, %"),
        ],
    },
    Section {
        title: "Open streams",
        columns: &[
            Column::new("held", "streams held"),
            Column::new("kib_per_stream", "memory per open stream, KiB").with_ratio().drawn(),
        ],
    },
];

/// Runs the measurement, with at most `held` streams open at once.
///
/// # Errors
///
/// Something did not start, or the results cannot be written. Failed answers are part of the results.
pub(crate) fn measure(run: &Run, held: usize) -> anyhow::Result<()> {
    let bench = Bench::start()?;
    let title = format!("Streams: {STREAMS} at a time, {} events each, one every 20 ms", PACE.events);
    let mut report = Report::new("streams", title, SECTIONS, describe(&run.exeat), run.busy_ok);
    let length = run.length()?;
    report.settings(json!({"rounds": run.rounds(), "seconds": length.as_secs_f64(), "streams": STREAMS,
        "events": PACE.events, "gap_ms": 20, "held": held,
        "dialect": run.dialect.name()}));
    report.note("memory is proportional set size; buffers that the kernel keeps for sockets are not in it".to_owned());
    let mut contenders = contender::start_all(run, bench.folder.path(), bench.stub.address(), &mut report)?;
    leave_out_those_that_cannot(&mut contenders, &mut report);
    warm_up(&contenders, &mut report)?;
    bench.stub.set(HELD)?;
    for contender in &contenders {
        add_memory(contender, held, &mut report)?;
    }
    bench.stub.set(PACE)?;
    rounds(run, &contenders, &mut report, |contender, round, report| one(contender, round, length, report))?;
    add_added(&mut report, &contenders, "first_p50_us", "added_first_p50_us");
    add_added(&mut report, &contenders, "first_p99_us", "added_first_p99_us");
    claim(&mut report);
    report.write(&run.out)
}

fn leave_out_those_that_cannot(contenders: &mut Vec<Contender>, report: &mut Report) {
    contenders.retain(|contender| {
        if contender.stream.is_none() {
            report.note(format!("{}: not run: it does not relay streams", contender.name));
        }
        contender.stream.is_some()
    });
}

fn one(contender: &Contender, round: usize, length: Duration, report: &mut Report) -> anyhow::Result<()> {
    let Some(shot) = &contender.stream else { return Ok(()) };
    let how = Closed { connections: STREAMS, length, stagger: PACE.gap / STREAMS };
    let (saw, cpu) = costed(contender, || closed(shot, how))?;
    let Some(seen) = whole(report, contender.name, saw.seen) else { return Ok(()) };
    #[expect(clippy::cast_precision_loss, reason = "events are far below 2^52")]
    let events = seen.events as f64;
    report.add(contender.name, round, "first_p50_us", seen.first.micros(0.5));
    report.add(contender.name, round, "first_p99_us", seen.first.micros(0.99));
    report.add(contender.name, round, "gap_p99_ms", seen.gaps.millis(0.99));
    // The upstream itself sends the last two events of a stream at once.
    let together = seen.gaps.iter().filter(|gap| gap.is_zero()).count().saturating_sub(seen.answered());
    report.add(contender.name, round, "coalesced_percent", 100.0 * count(together) / events);
    if let Some(cpu) = cpu {
        add_cpu(report, contender.name, round, "cpu_us_per_event", &cpu, events);
    }
    Ok(())
}

/// Holds streams open and divides what the process tree grew by.
fn add_memory(contender: &Contender, wanted: usize, report: &mut Report) -> anyhow::Result<()> {
    let (Some(shot), Some(pid)) = (&contender.stream, contender.pid()) else { return Ok(()) };
    let streams = wanted.min(most_streams()).min(contender.holds);
    if streams < wanted {
        report.note(format!("{}: {streams} streams held instead of {wanted}", contender.name));
    }
    let before = memory(pid)?.pss_kib;
    let shots: Vec<Shot> = vec![shot.clone(); streams];
    let look = move || {
        thread::sleep(SETTLING);
        memory(pid)
    };
    let name = contender.name;
    match guarded(name, 0, report, |_| hold(shots, look, |_| false, Duration::ZERO)) {
        Ok(held) => {
            #[expect(clippy::cast_precision_loss, reason = "KiB are far below 2^52")]
            let grown = held.change.pss_kib.saturating_sub(before) as f64;
            report.add(name, 0, "held", count(streams));
            report.add(name, 0, "kib_per_stream", grown / count(streams.max(1)));
        }
        Err(error) => report.note(format!("{name}: could not hold {streams} streams: {error:#}")),
    }
    Ok(())
}

fn claim(report: &mut Report) {
    let of = |key: &str| report.series(EXEAT, key).spread();
    let [p50, p99] = ["added_first_p50_us", "added_first_p99_us"].map(of);
    let (memory, per_event) = (of("kib_per_stream"), report.ratio(EXEAT, BASE, "cpu_us_per_event"));
    let together = report.series(EXEAT, "coalesced_percent").minus(&report.series(DIRECT, "coalesced_percent"));
    report.claim(EXEAT, "us added to the first byte, p50", p50, Target::AtMost(500.0));
    report.claim(EXEAT, "us added to the first byte, p99", p99, Target::AtMost(2_000.0));
    report.claim(EXEAT, format!("times {BASE}'s CPU per event"), per_event, Target::AtMost(1.3));
    report.claim(EXEAT, "KiB per open stream", memory, Target::AtMost(64.0));
    report.claim(EXEAT, "% more events that came together than direct", together.spread(), Target::AtMost(1.0));
}
