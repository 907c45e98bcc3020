//! The record: what it adds to the first byte, what verifying, replaying, producing and recovering it take, how large it is.

mod archive;
mod checks;
mod first_byte;
mod log;
mod programs;

use serde_json::json;

use super::Bench;
use crate::{
    args::{Amount, Run},
    contender::{EXEAT, EXEAT_SHM, EXEAT_STRICT},
    report::{Column, Report, Section, Target, describe},
};
use log::Small;
use programs::Programs;

/// Rows of what is no contender.
const BUNDLE: &str = "exeat-verify bundle";
const LEAVES: &str = "exeat-verify leaves";
const BUNDLE_FACTS: &str = "exeat-verify bundle, facts with each call";
const DECIDE: &str = "facts read and decided on, one thread";
const LAKE: &str = "exeat ledger lake verify";
const PRODUCTION: &str = "organization";
const LOG: &str = "log";

const SECTIONS: &[Section] = &[
    Section {
        title: "First byte, upstream of 5 ms, a low fixed rate",
        columns: &[
            Column::new("thinking_p50_us", "first byte p50, us"),
            Column::new("thinking_p99_us", "first byte p99, us"),
            Column::new("thinking_record_p50_us", "more than in memory, p50, us").drawn(),
            Column::new("thinking_record_p99_us", "more than in memory, p99, us").drawn(),
        ],
    },
    Section {
        title: "First byte, upstream that answers at once, one connection",
        columns: &[
            Column::new("at_once_p50_us", "first byte p50, us"),
            Column::new("at_once_p99_us", "first byte p99, us"),
            Column::new("at_once_record_p50_us", "more than in memory, p50, us").drawn(),
            Column::new("at_once_record_p99_us", "more than in memory, p99, us").drawn(),
        ],
    },
    Section {
        title: "Verification and replay on one core",
        columns: &[
            Column::new("records", "entries"),
            Column::new("decisions", "decisions made again"),
            Column::new("seconds", "seconds"),
            Column::new("per_million", "seconds per million entries").drawn(),
            Column::new("per_million_decisions", "seconds per million decisions").drawn(),
        ],
    },
    Section {
        title: "A production of one organization of fifty",
        columns: &[
            Column::new("calls_in_log", "calls in the log"),
            Column::new("calls_shown", "calls shown"),
            Column::new("produce_s", "written in, s").drawn(),
            Column::new("verify_s", "verified in, s").drawn(),
            Column::new("folder_mib", "folder, MiB"),
            Column::new("entries_mib", "of it entries, MiB"),
            Column::new("hashes_kib", "hashes, KiB"),
            Column::new("heads_kib", "heads and sums, KiB"),
        ],
    },
    Section {
        title: "Bytes of a call",
        columns: &[
            Column::new("parquet_bytes", "in the lake, sealed parts included"),
            Column::new("tile_bytes", "hash tiles"),
            Column::new("all_in_bytes", "both").drawn(),
            Column::new("wal_bytes", "segments on the gateway's disk"),
            Column::new("bundle_bytes", "entry bundles on the gateway's disk"),
        ],
    },
    Section {
        title: "Proofs and recovery",
        columns: &[
            Column::new("receipt_bytes", "longest tlog-proof, bytes"),
            Column::new("receipt_p50_us", "made in, p50, us").drawn(),
            Column::new("receipt_p99_us", "made in, p99, us"),
            Column::new("recovery_s", "opened after a crash in, s"),
            Column::new("segments_gib", "GiB of segments"),
            Column::new("recovery_read_gib", "of it read, GiB"),
            Column::new("recovery_s_per_gib", "s per GiB of segments").drawn(),
        ],
    },
];

/// Runs the measurement.
///
/// # Errors
///
/// Something did not start, a check failed, or the results cannot be written.
pub(crate) fn measure(run: &Run, amount: &Amount) -> anyhow::Result<()> {
    let bench = Bench::start()?;
    let title = "The record: time to the first byte, verification, productions, bytes".to_owned();
    let mut report = Report::new("evidence", title, SECTIONS, describe(&run.exeat), run.busy_ok);
    let length = run.length()?;
    report.settings(json!({"rounds": run.rounds(), "seconds": length.as_secs_f64(), "calls": amount.calls,
        "records": amount.records}));
    report.note(format!(
        "no gateway runs without a record: {EXEAT_SHM}, whose files are in memory, stands for one, and {EXEAT_STRICT} calls \
         the upstream only once the opening entry is on disk"
    ));
    first_byte::measure(run, &bench, &mut report)?;
    let programs = Programs { exeat: &run.exeat, verify: &amount.verify, calls_log: &amount.calls_log };
    let small = Small::record(run, &bench)?;
    checks::measure(run, &bench, &programs, &small, amount.records, &mut report)?;
    archive::measure(run, &programs, small, amount.calls, &mut report)?;
    claim(&mut report);
    report.leave_out_empty();
    report.write(&run.out)
}

fn claim(report: &mut Report) {
    for (who, most) in [(EXEAT, 100.0), (EXEAT_STRICT, 1_000.0)] {
        let added = report.series(who, "thinking_record_p99_us").spread();
        report.claim(
            who,
            "us more to the first byte than in memory, p99, upstream of 5 ms",
            added,
            Target::AtMost(most),
        );
    }
    for (who, key, what, most) in [
        (LEAVES, "per_million", "seconds per million entries, from tiles of entries", 1.5),
        // For a million entries 1.5 s, and for the half of them that are decisions 2.5 s more.
        (BUNDLE, "per_million", "seconds per million entries, half a million decisions made again", 4.0),
        (DECIDE, "per_million_decisions", "seconds per million decisions", 5.0),
        (LAKE, "per_million", "seconds per million entries, from Parquet", 1.5),
        (PRODUCTION, "produce_s", "seconds to write the production", 60.0),
        (LOG, "all_in_bytes", "bytes of a call, all in", 200.0),
        (LOG, "receipt_bytes", "bytes of the longest proof", 2_000.0),
        (LOG, "receipt_p50_us", "us to make a proof", 100.0),
        (LOG, "recovery_s_per_gib", "seconds to recover a GiB", 1.0),
    ] {
        let value = report.series(who, key).spread();
        report.claim(who, what, value, Target::AtMost(most));
    }
}
