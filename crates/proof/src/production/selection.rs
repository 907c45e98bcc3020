//! What is asked to be shown: the calls of one chain that were opened or refused in a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::time::{from_rfc_3339, to_rfc_3339};
use crate::{
    commit::Field,
    entry::{Class, Entry, Kind},
    json::present,
    walk::STEP_MS,
};

/// What is asked to be shown.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Selection {
    /// What the chain is about.
    pub class: Class,
    /// Whose it is, such as `organization:acme`.
    pub name: String,
    /// The one model version; any if absent.
    pub model: Option<String>,
    /// The beginning of the time, in milliseconds since the Unix epoch; it is in it.
    pub from_ms: u64,
    /// The end of the time, in milliseconds since the Unix epoch; it is not in it.
    pub to_ms: u64,
    /// What is shown of private parts, in order, each once.
    pub disclose: Vec<Disclosure>,
}

/// Fields of private parts that are shown together.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disclosure {
    /// What each decision saw: field 1.
    Facts,
    /// Digests of requests and responses, and what the upstream called its response: fields 2, 3 and 4.
    Digests,
    /// Requests and responses, sealed: fields 5 and 6.
    Content,
}

impl Selection {
    /// Returns true if this field of a selected entry is to be shown.
    #[must_use]
    pub fn discloses(&self, field: Field) -> bool {
        self.disclose.contains(&match field {
            Field::Main => Disclosure::Facts,
            Field::Request | Field::Response | Field::UpstreamId => Disclosure::Digests,
            Field::SealedRequest | Field::SealedResponse => Disclosure::Content,
        })
    }

    /// Returns true if the call that `entry` of the chain opens or refuses is asked for.
    #[must_use]
    pub fn asks_for(&self, entry: &Entry) -> bool {
        let begins = matches!(entry.kind, Kind::Open | Kind::Refusal);
        let in_time = (self.from_ms..self.to_ms).contains(&entry.at_ms);
        begins && in_time && self.model.as_ref().is_none_or(|model| entry.model.as_ref() == Some(model))
    }
}

/// Tells which entries of a chain are selected: those about calls that are asked for.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    open: BTreeSet<u64>,
    /// Calls that ended so lately that a re-decision may still have been under way: where they were opened, and when they
    /// ended.
    ended: BTreeMap<u64, u64>,
    /// The same in the order in which they ended.
    ends: VecDeque<u64>,
}

impl Selected {
    /// Takes the next entry of the chain, at `index`, and returns true if it is selected.
    pub fn take(&mut self, selection: &Selection, index: u64, entry: &Entry) -> bool {
        match (entry.kind, entry.opened) {
            (Kind::Open, _) if selection.asks_for(entry) => self.open.insert(index),
            (Kind::Refusal, _) => selection.asks_for(entry),
            (Kind::Close, Some(opened)) => self.ends(opened, entry.at_ms),
            (_, Some(opened)) => self.open.contains(&opened) || self.ended_lately(opened, entry.at_ms),
            _ => false,
        }
    }

    /// Returns how many calls are asked for that did not end yet.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.len() as u64
    }

    fn ends(&mut self, opened: u64, at_ms: u64) -> bool {
        let selected = self.open.remove(&opened);
        if selected {
            self.ended.insert(opened, at_ms);
            self.ends.push_back(opened);
        }
        selected
    }

    fn ended_lately(&mut self, opened: u64, at_ms: u64) -> bool {
        let old = |ended: &u64| ended.saturating_add(STEP_MS) < at_ms;
        while let Some(opened) = self.ends.pop_front_if(|opened| self.ended.get(opened).is_none_or(old)) {
            self.ended.remove(&opened);
        }
        self.ended.contains_key(&opened)
    }
}

/// A selection as it is spelled.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    class: Class,
    name: String,
    #[serde(deserialize_with = "present")]
    model: Option<String>,
    from: String,
    to: String,
    disclose: Vec<Disclosure>,
}

impl TryFrom<Wire> for Selection {
    type Error = &'static str;
    fn try_from(wire: Wire) -> Result<Self, &'static str> {
        let from_ms = from_rfc_3339(&wire.from).ok_or("`from` of the selection is no time in UTC (RFC 3339)")?;
        let to_ms = from_rfc_3339(&wire.to).ok_or("`to` of the selection is no time in UTC (RFC 3339)")?;
        if to_ms <= from_ms {
            return Err("`to` of the selection is not after `from`");
        }
        if !wire.disclose.is_sorted_by(|a, b| a < b) {
            return Err("`disclose` of the selection is not in order, or has something twice");
        }
        if wire.class == Class::InForce {
            return Err("`class` of the selection is not `subject`, `key`, `organization` or `model`");
        }
        Ok(Self { class: wire.class, name: wire.name, model: wire.model, from_ms, to_ms, disclose: wire.disclose })
    }
}

impl From<Selection> for Wire {
    fn from(selection: Selection) -> Self {
        let (from, to) = (to_rfc_3339(selection.from_ms), to_rfc_3339(selection.to_ms));
        Self {
            class: selection.class,
            name: selection.name,
            model: selection.model,
            from,
            to,
            disclose: selection.disclose,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::{option, prelude::*, sample::subsequence};
    use serde_json::json;

    use super::*;

    prop_compose! {
        pub(in crate::production) fn any_selection()(
            class in prop::sample::select(&[Class::Subject, Class::Key, Class::Organization, Class::Model]), name in "[a-z]{1,9}:[a-z0-9.-]{1,9}",
            model in option::of("[a-z0-9.-]{1,9}"), from_ms in 0_u64..2_000_000_000_000, lasts in 1_u64..100_000_000,
            disclose in subsequence(vec![Disclosure::Facts, Disclosure::Digests, Disclosure::Content], 0..=3),
        ) -> Selection {
            Selection { class, name, model, from_ms, to_ms: from_ms + lasts, disclose }
        }
    }

    fn selection() -> Selection {
        serde_json::from_value(json!({
            "class": "organization", "name": "organization:acme", "model": "mythos-5", "from": "1970-01-01T00:00:01Z",
            "to": "1970-01-01T00:00:02Z", "disclose": ["facts"],
        }))
        .unwrap()
    }

    fn entry(kind: Kind, at_ms: u64, opened: Option<u64>) -> Entry {
        Entry { at_ms, opened, model: Some("mythos-5".to_owned()), ..Entry::new(kind) }
    }

    #[test]
    fn a_selection_that_asks_for_nothing_sensible_is_refused() {
        let good = json!({
            "class": "key", "name": "key:1", "model": null, "from": "2026-06-26T00:00:00Z", "to": "2026-06-27T00:00:00Z",
            "disclose": ["facts", "content"],
        });
        assert!(serde_json::from_value::<Selection>(good.clone()).is_ok());
        for (member, value) in [
            ("class", json!("in_force")),
            ("class", json!(2)),
            ("from", json!("2026-06-27T00:00:00Z")),
            ("to", json!("yesterday")),
            ("disclose", json!(["content", "facts"])),
            ("disclose", json!(["facts", "facts"])),
            ("disclose", json!(["all"])),
            ("more", json!(1)),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            assert!(serde_json::from_value::<Selection>(bad.clone()).is_err(), "{bad}");
        }
        for member in ["class", "name", "model", "from", "to", "disclose"] {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(member);
            assert!(serde_json::from_value::<Selection>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn calls_are_asked_for_by_the_time_they_began_and_their_model() {
        let selection = selection();
        for (at_ms, asked) in [(999, false), (1_000, true), (1_999, true), (2_000, false)] {
            assert_eq!(selection.asks_for(&entry(Kind::Open, at_ms, None)), asked, "{at_ms}");
            assert_eq!(selection.asks_for(&entry(Kind::Refusal, at_ms, None)), asked, "{at_ms}");
        }
        let other = Entry { model: Some("ember-2".to_owned()), ..entry(Kind::Open, 1_500, None) };
        assert!(!selection.asks_for(&other));
        assert!(Selection { model: None, ..selection }.asks_for(&other));
    }

    #[test]
    fn what_belongs_to_a_call_that_is_asked_for_is_selected_up_to_a_step_after_its_end() {
        let (selection, mut selected) = (selection(), Selected::default());
        let mut take = |index, entry| (selected.take(&selection, index, &entry), selected.open());
        assert_eq!(take(4, entry(Kind::Open, 900, None)), (false, 0));
        assert_eq!(take(5, entry(Kind::Open, 1_200, None)), (true, 1));
        assert_eq!(take(6, entry(Kind::Lease, 1_300, Some(5))), (true, 1));
        assert_eq!(take(7, entry(Kind::Lease, 1_300, Some(4))), (false, 1));
        assert_eq!(take(8, entry(Kind::Close, 1_400, Some(4))), (false, 1));
        assert_eq!(take(9, entry(Kind::Refusal, 1_400, None)), (true, 1));
        assert_eq!(take(10, entry(Kind::Close, 5_000, Some(5))), (true, 0));
        assert_eq!(take(11, entry(Kind::Redecision, 15_000, Some(5))), (true, 0));
        assert_eq!(take(12, entry(Kind::Redecision, 15_001, Some(5))), (false, 0));
        assert_eq!(take(13, entry(Kind::Redecision, 15_001, Some(4))), (false, 0));
    }

    #[test]
    fn fields_are_shown_together_as_the_format_says() {
        let shown = |disclose: &[Disclosure]| {
            let selection = Selection { disclose: disclose.to_vec(), ..selection() };
            Field::ALL.map(|field| selection.discloses(field))
        };
        assert_eq!(shown(&[]), [false; 6]);
        assert_eq!(shown(&[Disclosure::Facts]), [true, false, false, false, false, false]);
        assert_eq!(shown(&[Disclosure::Digests]), [false, true, true, true, false, false]);
        assert_eq!(shown(&[Disclosure::Content]), [false, false, false, false, true, true]);
    }

    proptest! {
        #[test]
        fn a_selection_reads_back(selection in any_selection()) {
            let json = serde_json::to_value(&selection).unwrap();
            prop_assert_eq!(serde_json::from_value::<Selection>(json).unwrap(), selection);
        }
    }
}
