//! The commands that read a lake and a log, run as commands: what they answer, and what they refuse to vouch for.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::fs;

use lake::SPAN_LEAVES;
use serde_json::{Value, json};

use crate::{archive::Archive, world::said};

const FIRST: &str = "0-65535";
const SECOND: &str = "65536-131071";
const THIRD: &str = "131072-196607";

#[test]
fn the_commands_over_a_lake_and_the_tail_of_its_log_answer_what_is_in_them() {
    let archive = Archive::new();
    every_question_is_answered(&archive);
    questions_are_about_the_calls_that_pass_every_filter(&archive);
    csv_has_what_json_has(&archive);
    what_is_left_out_is_counted(&archive);
    entries_are_shown_and_exported(&archive);
    a_whole_lake_holds(&archive);
    a_lake_with_a_gap_does_not(&archive);
    a_short_lake_and_an_empty_one_do_not(&archive);
    a_changed_file_is_believed_by_nobody(&archive);
    files_that_engines_would_read_besides_are_named(&archive);
    leaves_that_the_log_does_not_have_are_refused(&archive);
    compaction_changes_no_answer(&archive);
}

/// What is asked about the second day and the third: of the lake, one file is read then.
const LATE: [&str; 2] = ["--from", "2026-06-02T00:00:00Z"];

/// Asks a question of the lake of this name and the tail; returns the rows in an order of their own.
fn asked(archive: &Archive, lake: &str, question: &str, more: &[&str]) -> Vec<Value> {
    let url = archive.url(lake);
    let answer = archive.json(&[&["query", question, "--lake", &url][..], more].concat());
    assert_eq!(answer["left_out"], 0);
    sorted(&answer)
}

fn sorted(answer: &Value) -> Vec<Value> {
    in_order(answer["items"].as_array().unwrap().iter().cloned())
}

fn in_order(rows: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut rows: Vec<Value> = rows.collect();
    rows.sort_by_key(Value::to_string);
    rows
}

/// Requires that rows have these values under these names, in any order.
fn rows(found: &[Value], names: &[&str], expected: &Value) {
    let values = |row: &Value| names.iter().map(|name| row[*name].clone()).collect::<Value>();
    assert_eq!(in_order(found.iter().map(values)), in_order(expected.as_array().unwrap().iter().cloned()));
}

const LAB: &str = "organization:larkspur-labs";
const GRID: &str = "organization:northgate-grid";

fn every_question_is_answered(archive: &Archive) {
    let ask = |question| asked(archive, "lake", question, &["--names"]);
    let columns =
        ["day", "organization", "model", "calls", "completed", "cut", "other", "input_tokens", "output_tokens"];
    let [one, two, three] = ["2026-06-01", "2026-06-02", "2026-06-03"];
    let calls = json!([
        [one, LAB, "mythos-5", 3, 3, 0, 0, 30, 300],
        [one, GRID, "ember-2", 2, 2, 0, 0, 20, 100],
        [two, LAB, "ember-2", 1, 0, 1, 0, 10, 10],
        [two, GRID, "mythos-5", 1, 1, 0, 0, 10, 70],
        [three, LAB, "mythos-5", 1, 0, 0, 1, 10, 5],
        [three, GRID, "ember-2", 1, 0, 0, 0, 0, 0],
    ]);
    rows(&ask("calls"), &columns, &calls);
    let refusals = json!([["standing_unknown", "mythos-5", 2], ["no_license", "ember-2", 1]]);
    rows(&ask("refusals"), &["code", "model", "refusals"], &refusals);
    let who = json!([
        ["person:ada", "mythos-5", 4, 40, 305],
        ["person:ada", "ember-2", 1, 10, 10],
        ["person:noor", "ember-2", 3, 20, 100],
        ["person:noor", "mythos-5", 1, 10, 70],
    ]);
    rows(&ask("who"), &["subject", "model", "calls", "input_tokens", "output_tokens"], &who);
    let tokens = json!([
        [LAB, "mythos-5", 4, 40, 305],
        [LAB, "ember-2", 1, 10, 10],
        [GRID, "ember-2", 3, 20, 100],
        [GRID, "mythos-5", 1, 10, 70],
    ]);
    rows(&ask("tokens"), &["organization", "model", "calls", "input_tokens", "output_tokens"], &tokens);
    let longest = archive.json(&["query", "longest", "--names", "--lake", &archive.url("lake")]);
    let took: Vec<_> = longest["items"].as_array().unwrap().iter().map(|row| &row["milliseconds"]).collect();
    assert_eq!(took, [5_000, 60, 60, 40, 40, 40, 30, 20]);
    let first = &longest["items"][0];
    assert_eq!((&first["subject"], &first["outcome"]), (&json!("person:noor"), &json!("completed")));
}

fn questions_are_about_the_calls_that_pass_every_filter(archive: &Archive) {
    let who = |more: &[&str]| asked(archive, "lake", "who", &[&LATE[..], more].concat());
    let columns = ["subject", "model", "calls"];
    let all = json!([
        ["person:ada", "ember-2", 1],
        ["person:ada", "mythos-5", 1],
        ["person:noor", "mythos-5", 1],
        ["person:noor", "ember-2", 1],
    ]);
    rows(&who(&["--names"]), &columns, &all);
    let from_the_log = archive.json(&[&["query", "who", "--names"][..], &LATE].concat());
    assert_eq!(sorted(&from_the_log), who(&["--names"]));
    let adas = json!([["person:ada", "ember-2", 1], ["person:ada", "mythos-5", 1]]);
    rows(&who(&["--person", "ada", "--names"]), &columns, &adas);
    let grid = json!([["person:noor", "mythos-5", 1], ["person:noor", "ember-2", 1]]);
    rows(&who(&["--organization", "northgate-grid", "--names"]), &columns, &grid);
    let second = ["--to", "2026-06-03T00:00:00Z"];
    let day = json!([["person:ada", "ember-2", 1], ["person:noor", "mythos-5", 1]]);
    rows(&who(&[&second[..], &["--names"]].concat()), &columns, &day);
    let one = json!([["person:noor", "mythos-5", 1]]);
    rows(&who(&[&second[..], &["--model", "mythos-5", "--names"]].concat()), &columns, &one);
    assert!(who(&["--person", "minh"]).is_empty());
    let backward = ["query", "who", "--from", "2026-06-03T00:00:00Z", "--to", "2026-06-02T00:00:00Z"];
    assert!(archive.fails(&backward).1.contains("`--from` is not before `--to`"));
}

fn csv_has_what_json_has(archive: &Archive) {
    let url = archive.url("lake");
    let arguments = [&["query", "who", "--names", "--lake", &url][..], &LATE].concat();
    let output = archive.run(&[&arguments[..], &["--csv"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let csv = String::from_utf8(output.stdout).unwrap();
    let answer = archive.json(&arguments);
    let columns = ["subject", "model", "calls", "input_tokens", "output_tokens", "last"];
    let line = |row: &Value| {
        let cells =
            columns.iter().map(|name| row[*name].as_str().map_or_else(|| row[*name].to_string(), str::to_owned));
        cells.collect::<Vec<_>>().join(",")
    };
    let lines = answer["items"].as_array().unwrap().iter().map(line);
    let expected: Vec<String> = std::iter::once(columns.join(",")).chain(lines).collect();
    assert_eq!(csv.trim_end().split("\r\n").collect::<Vec<_>>(), expected);
    let unnamed = archive.json(&[&["query", "who"][..], &LATE].concat());
    let subject = unnamed["items"][0]["subject"].as_str().unwrap();
    assert!(subject.len() == 32 && subject.bytes().all(|digit| digit.is_ascii_hexdigit()), "{subject}");
}

fn what_is_left_out_is_counted(archive: &Archive) {
    for (question, all) in [("calls", 4), ("longest", 3)] {
        let ask = |format| archive.run(&[&["query", question, "--limit", "1", format][..], &LATE].concat());
        let answer: Value = serde_json::from_slice(&ask("--json").stdout).unwrap();
        assert_eq!((answer["items"].as_array().unwrap().len(), &answer["left_out"]), (1, &json!(all - 1)));
        let note = format!("{} more rows: --limit {all}", all - 1);
        for format in ["--json", "--csv"] {
            assert_eq!(String::from_utf8_lossy(&ask(format).stderr).trim(), note);
        }
    }
}

fn entries_are_shown_and_exported(archive: &Archive) {
    let shown = archive.json(&["show", &archive.refusal.to_string()]);
    assert_eq!((&shown["kind"], &shown["code"]), (&json!("refusal"), &json!("no_license")));
    assert_eq!(shown["links"].as_array().unwrap().len(), 3);
    assert!(archive.fails(&["show", &archive.size.to_string()]).1.contains(&archive.size.to_string()));
    for format in ["ocsf", "otel", "jsonl"] {
        let file = archive.path(&format!("day.{format}"));
        let out = file.display().to_string();
        let export = ["export", &out, "--format", format, "--from", "2026-06-03T00:00:00Z"];
        let written = archive.json(&export);
        let events = fs::read_to_string(&file).unwrap();
        let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(written["events"], events.len());
        let about = events.iter().filter(|event| event.to_string().contains("no_license"));
        assert_eq!(about.count(), 1, "{format}");
        assert!(archive.fails(&export).1.contains(&out), "a file is never written over");
    }
}

/// Verifies the lake of this name, which must hold; returns how many files and leaves it has.
fn holds(archive: &Archive, lake: &str) -> (Value, Value) {
    let answer = archive.json(&["lake", "verify", "--lake", &archive.url(lake)]);
    assert_eq!((&answer["holds"], &answer["missing"]), (&json!(true), &json!([])));
    assert_eq!(answer["in_log"], archive.size);
    (answer["files"].clone(), answer["leaves"].clone())
}

/// Verifies the lake of this name, which must not hold since these leaves are missing; returns how many files do.
fn lacks(archive: &Archive, lake: &str, leaves: &str) -> Value {
    let (answer, text) = archive.fails(&["lake", "verify", "--lake", &archive.url(lake)]);
    assert_eq!((&answer["holds"], &answer["missing"]), (&json!(false), &json!([leaves])), "{text}");
    assert!(text.contains(&format!("leaves {leaves} are in no file of the lake")), "{text}");
    answer["files"].clone()
}

fn a_whole_lake_holds(archive: &Archive) {
    let whole = 3 * SPAN_LEAVES;
    assert_eq!(holds(archive, "lake"), (json!(3), json!(whole)));
    let status = archive.json(&["lake", "status", "--lake", &archive.url("lake")]);
    let expected = json!({ "files": 3, "in_lake": whole, "in_log": archive.size, "behind": archive.size - whole });
    assert_eq!(status, expected);
}

fn a_lake_with_a_gap_does_not(archive: &Archive) {
    archive.copy("gap");
    fs::remove_file(archive.part("gap", SECOND)).unwrap();
    assert_eq!(lacks(archive, "gap", SECOND), 2, "the file after the gap is checked too");
    // What is not in the lake is read from the log.
    assert_eq!(asked(archive, "gap", "calls", &[]), asked(archive, "lake", "calls", &[]));
    fs::write(archive.part("gap", THIRD), "damaged").unwrap();
    let (_, text) = archive.fails(&["lake", "verify", "--lake", &archive.url("gap")]);
    assert!(text.contains(SECOND) && text.contains(&format!("part-{THIRD}.parquet")), "{text}");
}

fn a_short_lake_and_an_empty_one_do_not(archive: &Archive) {
    archive.copy("short");
    fs::remove_file(archive.part("short", THIRD)).unwrap();
    assert_eq!(lacks(archive, "short", THIRD), 2);
    fs::remove_file(archive.part("short", SECOND)).unwrap();
    assert_eq!(lacks(archive, "short", "65536-196607"), 1);
    assert_eq!(lacks(archive, "empty", "0-196607"), 0);
}

fn a_changed_file_is_believed_by_nobody(archive: &Archive) {
    archive.copy("changed");
    let file = archive.part("changed", FIRST);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let url = archive.url("changed");
    for arguments in [["lake", "verify", "--lake", &url], ["query", "calls", "--lake", &url]] {
        let (_, text) = archive.fails(&arguments);
        assert!(text.contains(&format!("part-{FIRST}.parquet` is damaged")), "{text}");
    }
}

fn files_that_engines_would_read_besides_are_named(archive: &Archive) {
    archive.copy("besides");
    let file = archive.part("besides", SECOND);
    let days = file.ancestors().nth(3).unwrap();
    let elsewhere = days.join("day=2999-01-01/hour=00");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::copy(&file, elsewhere.join(file.file_name().unwrap())).unwrap();
    let more = ["more.parquet", "more.pq"].map(|name| elsewhere.join(name));
    for more in &more {
        fs::copy(&file, more).unwrap();
    }
    let (answer, text) = archive.fails(&["lake", "verify", "--lake", &archive.url("besides")]);
    assert_eq!((&answer["holds"], answer["foreign"].as_array().unwrap().len()), (&json!(false), 3), "{text}");
    more.iter().for_each(|more| fs::remove_file(more).unwrap());
    fs::remove_file(&file).unwrap();
    let (_, text) = archive.fails(&["lake", "verify", "--lake", &archive.url("besides")]);
    assert!(text.contains("it is not in the folder of day and hour of its first entry"), "{text}");
}

fn leaves_that_the_log_does_not_have_are_refused(archive: &Archive) {
    archive.copy("ahead");
    let last = archive.part("ahead", THIRD);
    fs::copy(&last, last.with_file_name("part-196608-262143.parquet")).unwrap();
    let (_, text) = archive.fails(&["lake", "verify", "--lake", &archive.url("ahead")]);
    assert!(text.contains("leaves 196608-262143 are in the lake"), "{text}");
}

fn compaction_changes_no_answer(archive: &Archive) {
    archive.copy("wide");
    let compact = ["lake", "compact", "--leaves", "131072", "--lake", &archive.url("wide")];
    assert_eq!(archive.json(&compact), json!({ "made": 1, "removed": 2 }));
    assert_eq!(archive.json(&compact), json!({ "made": 0, "removed": 0 }));
    assert_eq!(holds(archive, "wide"), (json!(2), json!(3 * SPAN_LEAVES)));
    assert_eq!(asked(archive, "wide", "calls", &[]), asked(archive, "lake", "calls", &[]));
    let wide = archive.part("wide", "0-131071");
    let beneath = wide.with_file_name(format!("part-{SECOND}.parquet"));
    fs::write(&beneath, "whatever").unwrap();
    let (answer, text) = archive.fails(&["lake", "verify", "--lake", &archive.url("wide")]);
    assert_eq!((&answer["holds"], answer["doubled"].as_array().unwrap().len()), (&json!(false), 1), "{text}");
    fs::remove_file(beneath).unwrap();
    fs::remove_file(wide).unwrap();
    assert_eq!(lacks(archive, "wide", "0-131071"), 1);
}
