//! Statements: spelled as the format says, signed by both sides, and nothing that cannot be so.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    entry::Kind,
    sums::{sum_root, tests::any_calls},
};

const GATEWAY: &str = "log.example.com/exeat/1";
const METER: &str = "meter.example.com/7";
const NOBODY: Differ = Differ::NOTHING;
const NOTHING: Sums = Sums { calls: 0, input: 0, output: 0, events: 0 };
const EMPTY: Trees = Trees { completed: SumNode::EMPTY, early: SumNode::EMPTY };

fn key(name: &str) -> SignerKey {
    SignerKey::from_seed(name, &[name.len() as u8; 32]).unwrap()
}

fn about() -> About {
    About { gateway: GATEWAY.to_owned(), meter: METER.to_owned(), model: "mythos-5".to_owned(), hour: 495_912 }
}

fn statement(trees: Trees, differ: Differ) -> Statement {
    let side = |name| Side::sign(trees, &about(), &key(name));
    Statement { about: about(), gateway: side(GATEWAY), meter: side(METER), differ }
}

fn changed(change: impl FnOnce(&mut Value)) -> Result<Statement, BadStatement> {
    let mut value = serde_json::from_slice(&statement(EMPTY, NOBODY).to_json()).unwrap();
    change(&mut value);
    Statement::parse(value.to_string().as_bytes())
}

#[test]
fn what_is_signed_is_what_the_format_says() {
    let mut wanted = b"exeat/sums/v2log.example.com/exeat/1\0meter.example.com/7\0mythos-5\0".to_vec();
    wanted.extend([0, 0, 0, 0, 0, 7, 0x91, 0x28]);
    wanted.extend(EMPTY.commitment());
    assert_eq!(about().message(&EMPTY), wanted);
}

#[test]
fn a_statement_has_the_members_that_the_format_says_and_names_no_call() {
    let text = statement(EMPTY, NOBODY).to_json();
    let value: Value = serde_json::from_slice(&text).unwrap();
    let members = |at: &str| -> BTreeSet<String> {
        value.pointer(at).and_then(Value::as_object).unwrap().keys().cloned().collect()
    };
    let these = |names: &str| names.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!((&value["format"], &value["hour"]), (&json!("exeat-sums/v2"), &json!(495_912)));
    assert_eq!(members(""), these("format model hour gateway meter differ"));
    assert_eq!(members("/meter"), these("key completed early signature"));
    assert_eq!(members("/gateway/early"), these("root calls input output events"));
    assert_eq!(members("/differ"), these("calls gateway meter hash"));
    assert_eq!(members("/differ/meter"), these("calls input output events"));
    assert!(text.len() < 2_048, "{}", text.len());
}

#[test]
fn a_statement_that_contradicts_itself_or_has_more_to_say_is_refused() {
    assert!(changed(|_| ()).is_ok());
    for (what, change) in [
        ("another format", (|v: &mut Value| v["format"] = json!("exeat-sums/v1")) as fn(&mut Value)),
        ("a member more", |v| v["more"] = json!(1)),
        ("a member more of a side", |v| v["meter"]["more"] = json!(1)),
        ("no differences", |v| drop(v.as_object_mut().unwrap().remove("differ"))),
        ("other sums of completed calls", |v| v["meter"]["completed"]["calls"] = json!(1)),
        ("another root of completed calls", |v| v["meter"]["completed"]["root"] = json!("00".repeat(32))),
        ("sums of no calls", |v| v["differ"]["meter"]["output"] = json!(1)),
        ("a list of no calls", |v| v["differ"]["hash"] = json!("00".repeat(32))),
        ("more calls than differ", |v| v["differ"]["gateway"]["calls"] = json!(1)),
        ("no key", |v| v["meter"]["key"] = json!("meter")),
        ("one log", |v| v["meter"]["key"] = v["gateway"]["key"].clone()),
        ("half a signature", |v| v["meter"]["signature"] = json!("AAAA")),
        ("a model of two lines", |v| v["model"] = json!("a\nb")),
    ] {
        assert!(changed(change).is_err(), "{what}");
    }
    assert_eq!(Statement::parse(&vec![b' '; STATEMENT_BYTES_MAX + 1]), Err(BadStatement::TooLong));
}

/// The early calls need not be equal, nor anything where calls differ.
#[test]
fn sides_that_may_differ_are_read() {
    assert!(changed(|v| v["meter"]["early"]["output"] = json!(1)).is_ok());
    let differ = changed(|v| {
        v["differ"]["calls"] = json!(1);
        v["meter"]["completed"]["output"] = json!(1);
    });
    assert!(!differ.unwrap().agrees());
}

#[test]
fn what_was_not_signed_is_found() {
    let good = statement(EMPTY, NOBODY);
    assert_eq!(good.verify(), Ok(()));
    for change in [
        (|s: &mut Statement| s.about.model.push('x')) as fn(&mut Statement),
        |s| s.about.hour += 1,
        |s| s.about.meter.push('x'),
        |s| s.about.gateway.push('x'),
        |s| s.gateway.trees.early.sums.calls += 1,
        |s| s.gateway.trees.completed.sums.output += 1,
        |s| s.meter.trees.early.hash[0] ^= 1,
        |s| s.gateway.key = s.meter.key.clone(),
        |s| s.gateway.signature[3] ^= 1,
    ] {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(matches!(bad.verify(), Err(BadStatement::Signature(_))), "{bad:?}");
    }
}

#[test]
fn a_statement_belongs_to_the_entry_of_its_model_root_and_code() {
    let good = statement(EMPTY, NOBODY);
    let entry = Entry {
        model: Some("mythos-5".to_owned()),
        root: Some(EMPTY.commitment()),
        code: Some("agree".to_owned()),
        ..Entry::new(Kind::Reconciliation)
    };
    let log = key(GATEWAY).verifier().to_string();
    let belongs = |entry: Entry| good.belongs_to(&entry, &log);
    assert_eq!(belongs(entry.clone()), Ok(()));
    assert_eq!(belongs(Entry { model: None, ..entry.clone() }), Err(BadStatement::Entry));
    assert_eq!(belongs(Entry { root: Some([0; 32]), ..entry.clone() }), Err(BadStatement::Entry));
    assert_eq!(belongs(Entry { code: Some("differ".to_owned()), ..entry.clone() }), Err(BadStatement::Entry));
    assert_eq!(good.belongs_to(&entry, &key(METER).verifier().to_string()), Ok(()), "the trees of both are the same");
    assert_eq!(good.belongs_to(&entry, &key("log.example.com/2").verifier().to_string()), Err(BadStatement::Log));
}

#[test]
fn a_side_alone_reads_back() {
    let side = statement(EMPTY, NOBODY).meter;
    assert_eq!(Side::parse(&side.to_json()), Ok(side));
    assert!(Side::parse(b"{}").is_err());
}

proptest! {
    #[test]
    fn a_statement_reads_back(completed in any_calls(), early in any_calls(), calls in 0_u64..3, hash: [u8; 32]) {
        let trees = Trees { completed: sum_root(&completed).unwrap(), early: sum_root(&early).unwrap() };
        let sums = Sums { calls, output: 5 * calls, ..NOTHING };
        let hash = if calls == 0 { NOBODY.hash } else { hash };
        let statement = statement(trees, Differ { calls, gateway: sums, meter: sums, hash });
        prop_assert_eq!(Statement::parse(&statement.to_json()), Ok(statement));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, at: prop::sample::Index) {
        let mut text = statement(EMPTY, NOBODY).to_json();
        let at = at.index(text.len());
        text.splice(at..text.len().min(at + bytes.len()), bytes);
        if let Ok(read) = Statement::parse(&text) {
            prop_assert_eq!(Statement::parse(&read.to_json()), Ok(read));
        }
    }
}
