//! What a gateway and a meter tell each other about the calls of an hour.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

use proof::entry::Outcome;
use serde::{Deserialize, Serialize};
use terms::{CallId, ModelVersionId};

use crate::tally::{Counted, Hour, Saw};

/// Calls of one page.
pub(crate) const PAGE_CALLS: usize = 20_000;

/// Bytes of a question: 20,000 calls take 700,000.
pub(crate) const QUESTION_BYTES_MAX: usize = 1 << 20;

/// The calls of an hour as the meter has them, in order of calls; a page of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// The origin of the meter's log.
    pub(crate) origin: String,
    /// Milliseconds divided by 3,600,000.
    pub(crate) hour: u64,
    /// At most [`PAGE_CALLS`].
    pub(crate) calls: Vec<Line>,
    /// Where the next page begins: after this call. None on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Hex<16>>,
}

/// One call of a page.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Line(Hex<16>, ModelVersionId, Option<u8>, u64, u64, u64, Option<(u64, Hex<32>)>);

/// A question for the signed sums of a model-hour, or the beginning of one: which calls the gateway's log puts into the other
/// tree than the outcome in the meter's log says. Where there are more than fit, several questions follow one another.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) hour: u64,
    pub(crate) model: ModelVersionId,
    /// The last call of the question before this one; none in the first.
    pub(crate) after: Option<Hex<16>>,
    /// At most [`PAGE_CALLS`], in rising order.
    pub(crate) moved: Vec<Hex<16>>,
    /// Whether another question follows: then this one is only taken note of.
    pub(crate) more: bool,
}

/// Bytes in lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

/// A page, or a question, that contradicts itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadPage {
    #[error("not {0} lower-case hexadecimal digits")]
    Hex(usize),
    #[error("{0} is no outcome")]
    Outcome(u8),
    #[error("its calls are not in rising order")]
    Order,
    #[error("it has more than {PAGE_CALLS} calls")]
    TooLong,
    #[error("it is about another hour or from another log")]
    Foreign,
}

impl Page {
    /// Writes the page of the calls that come after `after`, of one model version or of all.
    pub(crate) fn of(origin: &str, hour: u64, counted: &Hour, after: Option<CallId>) -> Self {
        let from = after.map_or(Unbounded, Excluded);
        let mut calls: Vec<(CallId, &ModelVersionId, &Counted)> = Vec::new();
        for model in counted.models() {
            let of_model = counted.calls(model).range((from, Unbounded)).take(PAGE_CALLS + 1);
            calls.extend(of_model.map(|(call, counted)| (*call, model, counted)));
        }
        calls.sort_by_key(|(call, ..)| *call);
        let more = calls.len() > PAGE_CALLS;
        calls.truncate(PAGE_CALLS);
        let next = calls.last().filter(|_| more).map(|(call, ..)| Hex(call.0));
        let lines = calls.into_iter().map(|(call, model, counted)| Line::of(call, model.clone(), counted)).collect();
        Self { origin: origin.to_owned(), hour, calls: lines, next }
    }

    /// Puts the calls of the page into `found`. Returns after which call to ask for the next page, if there is one.
    pub(crate) fn read(
        self,
        origin: &str,
        hour: u64,
        after: Option<CallId>,
        found: &mut Hour,
    ) -> Result<Option<CallId>, BadPage> {
        if self.origin != origin || self.hour != hour {
            return Err(BadPage::Foreign);
        }
        let mut last = after;
        for line in self.calls {
            let call = CallId(line.0.0);
            if last.is_some_and(|last| call <= last) {
                return Err(BadPage::Order);
            }
            last = Some(call);
            let counted = line.counted()?;
            found.insert(line.1, call, counted);
        }
        match (self.next, last) {
            (None, _) => Ok(None),
            (Some(next), Some(last)) if next.0 == last.0 && Some(last) != after => Ok(Some(last)),
            (Some(_), _) => Err(BadPage::Order),
        }
    }
}

impl Line {
    fn of(call: CallId, model: ModelVersionId, counted: &Counted) -> Self {
        let Saw { outcome, input, output, events } = counted.saw;
        let opened = counted.opened.map(|(index, leaf)| (index, Hex(leaf)));
        Self(Hex(call.0), model, outcome.map(Outcome::ordinal), input, output, events, opened)
    }

    fn counted(&self) -> Result<Counted, BadPage> {
        let outcome = self.2.map(outcome).transpose()?;
        let saw = Saw { outcome, input: self.3, output: self.4, events: self.5 };
        Ok(Counted { saw, opened: self.6.map(|(index, leaf)| (index, leaf.0)), meter: None })
    }
}

impl Asked {
    /// Writes the questions for one model-hour, one at least.
    pub(crate) fn all(hour: u64, model: &ModelVersionId, moved: &BTreeSet<CallId>) -> Vec<Self> {
        let moved: Vec<Hex<16>> = moved.iter().map(|call| Hex(call.0)).collect();
        let mut pages: Vec<&[Hex<16>]> = moved.chunks(PAGE_CALLS).collect();
        if pages.is_empty() {
            pages.push(&[]);
        }
        let (last, mut after) = (pages.len(), None);
        let question = |(number, page): (usize, &[Hex<16>])| {
            let asked = Self { hour, model: model.clone(), after, moved: page.to_vec(), more: number < last };
            after = page.last().copied();
            asked
        };
        (1..).zip(pages).map(question).collect()
    }

    /// Returns the calls, which must rise from the question before.
    pub(crate) fn moved(&self) -> Result<BTreeSet<CallId>, BadPage> {
        if self.moved.len() > PAGE_CALLS {
            return Err(BadPage::TooLong);
        }
        let rising: Vec<[u8; 16]> = self.after.iter().chain(&self.moved).map(|call| call.0).collect();
        if !rising.is_sorted_by(|a, b| a < b) {
            return Err(BadPage::Order);
        }
        Ok(self.moved.iter().map(|call| CallId(call.0)).collect())
    }
}

fn outcome(ordinal: u8) -> Result<Outcome, BadPage> {
    Outcome::from_ordinal(ordinal).ok_or(BadPage::Outcome(ordinal))
}

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = BadPage;

    fn try_from(text: String) -> Result<Self, BadPage> {
        let bad = BadPage::Hex(2 * N);
        let digit = |byte: &u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(bad),
        };
        if text.len() != 2 * N {
            return Err(bad);
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let [high, low] = pair else { return Err(bad) };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Ok(Self(bytes))
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(hex: Hex<N>) -> Self {
        hex.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model(name: &str) -> ModelVersionId {
        ModelVersionId::parse(name).unwrap()
    }

    fn hour_of(calls: u32) -> Hour {
        let mut hour = Hour::default();
        for call in 0..calls {
            let saw = Saw { outcome: Some(Outcome::Completed), input: 1, output: 2, events: u64::from(call) };
            let name = if call % 3 == 0 { "ember-2" } else { "mythos-5" };
            let id = CallId((u128::from(call) << 64).to_be_bytes());
            hour.insert(model(name), id, Counted { saw, opened: Some((u64::from(call), [9; 32])), meter: None });
        }
        hour
    }

    #[test]
    fn an_hour_reads_back_page_by_page() {
        let hour = hour_of(45_000);
        let (mut found, mut after, mut pages) = (Hour::default(), None, 0);
        loop {
            let page = serde_json::to_vec(&Page::of("meter", 7, &hour, after)).unwrap();
            assert!(page.len() < 4 << 20, "{}", page.len());
            let page: Page = serde_json::from_slice(&page).unwrap();
            pages += 1;
            after = page.read("meter", 7, after, &mut found).unwrap();
            if after.is_none() {
                break;
            }
        }
        assert_eq!((pages, found), (3, hour));
    }

    #[test]
    fn a_page_that_would_never_end_or_is_foreign_is_refused() {
        let page = Page::of("meter", 7, &hour_of(3), None);
        let read = |page: &Page, after| page.clone().read("meter", 7, after, &mut Hour::default());
        assert_eq!(read(&page, None), Ok(None));
        assert_eq!(read(&page, Some(CallId([0; 16]))), Err(BadPage::Order));
        assert_eq!(read(&Page { next: Some(Hex([9; 16])), ..page.clone() }, None), Err(BadPage::Order));
        assert_eq!(
            read(&Page { calls: Vec::new(), next: Some(Hex([9; 16])), ..page.clone() }, None),
            Err(BadPage::Order)
        );
        assert_eq!(page.clone().read("meter", 8, None, &mut Hour::default()), Err(BadPage::Foreign));
        assert_eq!(page.read("other", 7, None, &mut Hour::default()), Err(BadPage::Foreign));
    }

    #[test]
    fn a_question_of_many_calls_comes_in_parts_of_a_bounded_size() {
        let moved: BTreeSet<CallId> = (0..45_000_u128).map(|call| CallId((call << 64).to_be_bytes())).collect();
        let asked = Asked::all(7, &model("mythos-5"), &moved);
        assert_eq!(
            asked.iter().map(|one| (one.moved.len(), one.more)).collect::<Vec<_>>(),
            [(20_000, true), (20_000, true), (5_000, false)]
        );
        assert!(asked.iter().all(|one| serde_json::to_vec(one).unwrap().len() < QUESTION_BYTES_MAX));
        assert!(asked.windows(2).all(|pair| pair[1].after == pair[0].moved.last().copied()));
        let read: BTreeSet<CallId> = asked.iter().flat_map(|one| one.moved().unwrap()).collect();
        assert_eq!(read, moved);
        let none = Asked::all(7, &model("mythos-5"), &BTreeSet::new());
        assert_eq!(
            none.iter().map(|one| (one.after, one.moved.len(), one.more)).collect::<Vec<_>>(),
            [(None, 0, false)]
        );
    }

    #[test]
    fn a_question_out_of_order_or_too_long_is_refused() {
        let with = |after: Option<u8>, moved: &[u8]| {
            let hex = |call: u8| Hex([call; 16]);
            let moved = moved.iter().copied().map(hex).collect();
            Asked { hour: 7, model: model("mythos-5"), after: after.map(hex), moved, more: false }.moved()
        };
        assert!(with(Some(1), &[2, 3]).is_ok());
        for (after, moved) in [(Some(2), &[2, 3][..]), (None, &[2, 2]), (None, &[3, 2])] {
            assert_eq!(with(after, moved), Err(BadPage::Order), "{after:?} {moved:?}");
        }
        assert_eq!(with(None, &[0; PAGE_CALLS + 1]), Err(BadPage::TooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>, text in "\\PC{0,60}") {
            let _ = serde_json::from_slice::<Page>(&bytes);
            let _ = serde_json::from_slice::<Asked>(&bytes);
            let _ = Hex::<16>::try_from(text);
        }
    }
}
