//! An invented production, for tests.

use std::collections::BTreeMap;

use control::ApproverRole;
use proof::production::Selection;
use serde_json::json;
use terms::{Moment, PersonId};

use super::summary::{Custody, Hour, InForce, Shown, Span, Summary, Totals};

pub(super) fn summary() -> Summary {
    let at = |text| Moment::parse(text).unwrap();
    let totals = |calls, refusals| Totals {
        calls,
        refusals,
        cut: 1,
        input: calls * 900,
        output: calls * 310,
        events: calls * 280,
    };
    let signed = |who, role| (PersonId::parse(who).unwrap(), role, at("2026-07-08T09:00:00Z"));
    let snapshot = |entry, from, instruments: &[&str]| InForce {
        entry,
        at: at(from),
        digest: "5a".repeat(32),
        instruments: instruments.iter().map(|&one| one.to_owned()).collect(),
    };
    Summary {
        origin: "log.example.com/exeat/1".to_owned(),
        key: "log.example.com/exeat/1+03bde096+AV9".to_owned(),
        checkpoint: (2_000_417, "ab".repeat(32)),
        selection: selection(),
        custody: Custody {
            entry: 2_000_401,
            at: at("2026-07-08T09:30:00Z"),
            actor: "token:0123".to_owned(),
            approvals: vec![signed("iris", ApproverRole::Counsel), signed("otto", ApproverRole::Security)],
        },
        chain: Span { id: "0f".repeat(16), heads: (Some(1_204_000), 1_990_002), numbers: (41_210, 63_944) },
        totals: BTreeMap::from([
            (("mythos-5.0".to_owned(), "2026-06-11".to_owned()), totals(9_412, 3)),
            (("mythos-5.0".to_owned(), "2026-06-12".to_owned()), totals(1_207, 844)),
        ]),
        shown: Shown { entries: 22_760, beside: 12, decisions: 11_466, open: 11_478, withheld: 40, destroyed: 2 },
        in_force: vec![
            snapshot(1_100_000, "2026-06-01T08:00:00Z", &[]),
            snapshot(1_600_000, "2026-06-12T22:51:00Z", &["DIR-2026-06-12 version 1 (in force)"]),
        ],
        hours: vec![Hour {
            entry: 1_300_000,
            model: "mythos-5.0".to_owned(),
            at: at("2026-06-11T14:00:00Z"),
            gateway: [31_207, 28_000_100, 9_700_200],
            meter: [31_206, 28_000_100, 9_700_200],
            agree: false,
        }],
        unmetered: 12,
        open: 1,
        stamps: vec![tsp::Stamp {
            at: at("2026-07-08T09:30:04Z"),
            serial: "2a".to_owned(),
            policy: "1.2.3.4.1".to_owned(),
            authority: "Northgate Time <&>".to_owned(),
        }],
        files: vec![("checkpoint".to_owned(), "01".repeat(32)), ("entries".to_owned(), "02".repeat(32))],
    }
}

fn selection() -> Selection {
    let selection = json!({
        "class": "organization", "name": "organization:acme", "model": "mythos-5.0", "from": "2026-06-11T00:00:00Z",
        "to": "2026-06-13T00:00:00Z", "disclose": ["facts"],
    });
    serde_json::from_value(selection).unwrap()
}
