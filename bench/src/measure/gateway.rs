//! Requests that are not streamed: what they cost, and how long they take longer than without a gateway.

use std::time::Duration;

use serde_json::json;

use super::{Bench, add_added, add_cpu, costed, count, rounds, warm_up, whole};
use crate::{
    args::Run,
    contender::{self, Contender, EXEAT, EXEAT_SHM, RELAY},
    load::{Closed, Open, closed, open},
    process::memory,
    report::{BASE, Column, Report, Section, Target, describe},
    stub::Pace,
};

/// How long a thinking upstream takes to its first byte.
const THINKING: Duration = Duration::from_millis(20);

const SECTIONS: &[Section] = &[
    Section {
        title: "32 connections, each as fast as it is answered",
        columns: &[
            Column::new("cpu_us", "CPU per request, us").with_ratio().drawn(),
            Column::new("per_second", "requests/s at 32 connections"),
            Column::new("per_cpu_second", "requests per CPU second").with_ratio().drawn(),
        ],
    },
    Section {
        title: "One connection",
        columns: &[
            Column::new("p50_us", "p50 at 1 connection, us"),
            Column::new("p99_us", "p99 at 1 connection, us"),
            Column::new("added_p50_us", "added p50, us").with_ratio().drawn(),
            Column::new("added_p99_us", "added p99, us").with_ratio().drawn(),
        ],
    },
    Section {
        title: "An upstream that takes 20 ms to its first byte, called at a low fixed rate",
        columns: &[
            Column::new("thinking_added_p50_us", "added p50, upstream of 20 ms, us").drawn(),
            Column::new("thinking_added_p99_us", "added p99, upstream of 20 ms, us").drawn(),
        ],
    },
    Section { title: "At rest", columns: &[Column::new("idle_mib", "memory when idle, MiB").drawn()] },
];

/// Runs the measurement.
///
/// # Errors
///
/// Something did not start, or the results cannot be written. Failed answers are part of the results.
pub(crate) fn measure(run: &Run, rate: u32) -> anyhow::Result<()> {
    let bench = Bench::start()?;
    let title = "Requests, not streamed: cost and added latency".to_owned();
    let mut report = Report::new("gateway", title, SECTIONS, describe(&run.exeat), run.busy_ok);
    let length = run.length()?;
    report.settings(json!({"rounds": run.rounds(), "seconds": length.as_secs_f64(), "open_loop_per_second": rate,
        "dialect": run.dialect.name()}));
    let contenders = contender::start_all(run, bench.folder.path(), bench.stub.address(), &mut report)?;
    add_idle(&contenders, &mut report)?;
    warm_up(&contenders, &mut report)?;
    rounds(run, &contenders, &mut report, |contender, round, report| {
        bench.stub.set(Pace::AT_ONCE)?;
        saturated(contender, round, length, report)?;
        alone(contender, round, length / 2, report)?;
        bench.stub.set(Pace { delay: THINKING, ..Pace::AT_ONCE })?;
        thinking(contender, round, Open { rate: rate.min(contender.rate), length }, report)
    })?;
    for (key, added) in [
        ("p50_us", "added_p50_us"),
        ("p99_us", "added_p99_us"),
        ("thinking_p50_us", "thinking_added_p50_us"),
        ("thinking_p99_us", "thinking_added_p99_us"),
    ] {
        add_added(&mut report, &contenders, key, added);
    }
    claim(&mut report, &contenders);
    report.write(&run.out)
}

fn add_idle(contenders: &[Contender], report: &mut Report) -> anyhow::Result<()> {
    for contender in contenders {
        if let Some(pid) = contender.pid() {
            #[expect(clippy::cast_precision_loss, reason = "KiB are far below 2^52")]
            let mib = memory(pid)?.pss_kib as f64 / 1_024.0;
            report.add(contender.name, 0, "idle_mib", mib);
        }
    }
    Ok(())
}

/// 32 connections: cost and throughput.
fn saturated(contender: &Contender, round: usize, length: Duration, report: &mut Report) -> anyhow::Result<()> {
    let how = Closed { connections: 32, length, stagger: Duration::ZERO };
    let (saw, cpu) = costed(contender, || closed(&contender.unary, how))?;
    let Some(seen) = whole(report, contender.name, saw.seen) else { return Ok(()) };
    let answered = count(seen.answered());
    report.add(contender.name, round, "per_second", answered / saw.took.as_secs_f64());
    if let Some(cpu) = cpu {
        report.add(contender.name, round, "per_cpu_second", answered / cpu.total.as_secs_f64());
        add_cpu(report, contender.name, round, "cpu_us", &cpu, answered);
    }
    Ok(())
}

/// One connection: latency without a queue.
fn alone(contender: &Contender, round: usize, length: Duration, report: &mut Report) -> anyhow::Result<()> {
    let how = Closed { connections: 1, length, stagger: Duration::ZERO };
    let Some(seen) = whole(report, contender.name, closed(&contender.unary, how)?.seen) else { return Ok(()) };
    report.add(contender.name, round, "p50_us", seen.full.micros(0.5));
    report.add(contender.name, round, "p99_us", seen.full.micros(0.99));
    Ok(())
}

/// An upstream that thinks as a model does, called at a low and steady rate: shows whether work that is done meanwhile,
/// such as writing the record, is hidden.
fn thinking(contender: &Contender, round: usize, how: Open, report: &mut Report) -> anyhow::Result<()> {
    let saw = open(&contender.unary, how)?;
    let Some(seen) = whole(report, contender.name, saw.seen) else { return Ok(()) };
    report.add(contender.name, round, "thinking_p50_us", seen.full.micros(0.5));
    report.add(contender.name, round, "thinking_p99_us", seen.full.micros(0.99));
    report.add(contender.name, round, "driver_late_p99_us", saw.late.micros(0.99));
    Ok(())
}

fn claim(report: &mut Report, contenders: &[Contender]) {
    for (key, what, most) in
        [("cpu_us", "CPU per request", 2.0), ("added_p50_us", "added p50", 2.0), ("added_p99_us", "added p99", 2.5)]
    {
        let ratio = report.ratio(EXEAT, BASE, key);
        report.claim(EXEAT, format!("times {BASE}'s {what}"), ratio, Target::AtMost(most));
    }
    for (key, what, most) in [
        ("added_p50_us", "p50 at one connection", 250.0),
        ("added_p99_us", "p99 at one connection", 1_000.0),
        ("thinking_added_p50_us", "p50 with an upstream of 20 ms", 250.0),
        ("thinking_added_p99_us", "p99 with an upstream of 20 ms", 1_000.0),
    ] {
        let added = report.series(EXEAT, key).spread();
        report.claim(EXEAT, format!("us added to {what}"), added, Target::AtMost(most));
    }
    for (peer, least) in [("envoy", 2.0), ("tensorzero", 5.0), ("portkey", 20.0), ("litellm", 200.0)] {
        if contenders.iter().any(|contender| contender.name == peer) {
            let ratio = report.ratio(EXEAT, peer, "per_cpu_second");
            report.claim(EXEAT, format!("times {peer}'s requests per CPU second"), ratio, Target::AtLeast(least));
        }
    }
    let idle = report.series(EXEAT, "idle_mib").spread();
    report.claim(EXEAT, "MiB when idle", idle, Target::AtMost(40.0));
    for name in [EXEAT, EXEAT_SHM] {
        let ratio = report.ratio(name, RELAY, "cpu_us");
        report.claim(name, "times the CPU of a plain relay of the same stack", ratio, Target::AtMost(1.25));
    }
}
