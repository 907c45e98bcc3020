//! Where there is no meter: what a model server's own counters rose by in an hour. Nobody signs it.
//!
//! # Source
//!
//! Prometheus text exposition format 0.0.4; the metrics of vLLM and of the server of llama.cpp.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use fetch::{Client, Request, Url};
use jose::ticket::Ticket;
use ledger::Reader;
use terms::{Clock, ModelVersionId, Moment};

use crate::{
    schedule::Reconciliations,
    tally::{Hour, Saw},
};

/// How often counters are read.
const READ_EVERY: Duration = Duration::from_secs(60);
/// How long after its end an hour is compared: calls that were under way may end in it.
const GRACE: Duration = Duration::from_secs(150);
/// Hours whose rise is remembered while they wait to be compared.
const HOURS_MAX: usize = 48;

/// The names of the counters of input and output tokens, for each server that has them.
const NAMES: [(&str, &str); 2] = [
    ("vllm:prompt_tokens_total", "vllm:generation_tokens_total"),
    ("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"),
];

/// Tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl Tokens {
    fn plus(self, other: Self) -> Self {
        Self { input: self.input.saturating_add(other.input), output: self.output.saturating_add(other.output) }
    }

    /// Returns by how much counters rose from `before`; all of it if they went back, as after a restart.
    fn since(self, before: Self) -> Self {
        match (self.input.checked_sub(before.input), self.output.checked_sub(before.output)) {
            (Some(input), Some(output)) => Self { input, output },
            _ => self,
        }
    }
}

/// Reads the counters of a model server; none if it is none that is known, or has both kinds.
pub(crate) fn read(text: &str) -> Option<Tokens> {
    let found = NAMES
        .iter()
        .filter_map(|(input, output)| Some(Tokens { input: total(text, input)?, output: total(text, output)? }));
    let found: Vec<Tokens> = found.collect();
    match found[..] {
        [only] => Some(only),
        _ => None,
    }
}

/// Adds up the samples of a counter over all its labels; none if there is no sample, or one is no count.
fn total(text: &str, name: &str) -> Option<u64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let value = match rest.as_bytes().first() {
            Some(b'{') => rest.rsplit_once('}')?.1,
            Some(b' ' | b'\t') => rest,
            _ => continue,
        };
        let value: f64 = value.split_ascii_whitespace().next()?.parse().ok()?;
        sum = Some(whole(value)?.checked_add(sum.unwrap_or(0))?);
    }
    sum
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn whole(value: f64) -> Option<u64> {
    // 2^53: beyond it a double no longer tells counts apart.
    (0.0..=9_007_199_254_740_992.0).contains(&value).then_some(value as u64)
}

/// What counters rose by, hour by hour.
#[derive(Debug, Default)]
pub(crate) struct Rise {
    last: Option<Tokens>,
    /// The first hour that was watched from its beginning.
    whole_from: u64,
    hours: BTreeMap<u64, Tokens>,
}

impl Rise {
    /// Notes a reading made in `hour`: what rose since the last one counts there.
    pub(crate) fn note(&mut self, hour: u64, reading: Tokens) {
        match self.last.replace(reading) {
            None => self.whole_from = hour.saturating_add(1),
            Some(before) => {
                let so_far = self.hours.entry(hour).or_default();
                *so_far = so_far.plus(reading.since(before));
            }
        }
        while self.hours.len() > HOURS_MAX {
            self.hours.pop_first();
        }
    }

    /// Takes an hour before `end` that was watched as a whole, if one is there.
    pub(crate) fn take_before(&mut self, end: u64) -> Option<(u64, Tokens)> {
        while let Some(first) = self.hours.first_entry().filter(|first| *first.key() < end) {
            let (hour, rose) = first.remove_entry();
            if hour >= self.whole_from {
                return Some((hour, rose));
            }
        }
        None
    }
}

/// A model server whose counters are read.
pub struct CounterSource {
    /// Where it shows them.
    pub url: Url,
    /// The model version it serves, and no other.
    pub model: ModelVersionId,
    /// Asks it.
    pub client: Client,
}

impl fmt::Debug for CounterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterSource").field("url", &self.url).field("model", &self.model).finish_non_exhaustive()
    }
}

impl CounterSource {
    async fn read(&self) -> Result<Tokens, String> {
        let response = self.client.send(Request::get(self.url.clone())).await.map_err(|error| error.to_string())?;
        let text = std::str::from_utf8(&response.body).map_err(|_| "it is not text".to_owned())?;
        read(text).ok_or_else(|| "it has the counters of neither vLLM nor llama.cpp".to_owned())
    }
}

/// Reads the counters of a model server and compares them after each hour with what the gateway's log has of the same
/// version, for as long as it is polled. Unsigned: the difference is shown, and never recorded.
pub async fn keep_counting(source: CounterSource, reader: Reader, clock: Arc<dyn Clock>, told: Reconciliations) {
    let mut rise = Rise::default();
    loop {
        match source.read().await {
            Ok(reading) => rise.note(Ticket::hour_of(clock.now()), reading),
            Err(error) => tracing::warn!(url = source.url.as_str(), %error, "counters cannot be read"),
        }
        let closed = Moment::from_millis(0).plus(clock.now().since(Moment::from_millis(0).plus(GRACE)));
        while let Some((hour, rose)) = rise.take_before(Ticket::hour_of(closed)) {
            compare(&source.model, &reader, hour, rose, &told).await;
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

async fn compare(model: &ModelVersionId, reader: &Reader, hour: u64, rose: Tokens, told: &Reconciliations) {
    let (reader, of) = (reader.clone(), model.clone());
    let reading = tokio::task::spawn_blocking(move || Hour::of_gateway(&reader, hour).map(|read| logged(&read, &of)));
    match reading.await {
        Ok(Ok(logged)) => {
            told.unsigned(model, difference(rose.input, logged.input), difference(rose.output, logged.output));
            let agree = rose == logged;
            tracing::info!(target: "exeat::reconciliation", unsigned = true, %model, hour, ?rose, ?logged, agree, "a model server's own counters");
        }
        Ok(Err(error)) => tracing::error!(%error, "the log cannot be read"),
        Err(error) => tracing::error!(%error, "the comparison was abandoned"),
    }
}

/// Adds up what the log has of a version in an hour, however its calls ended.
fn logged(hour: &Hour, model: &ModelVersionId) -> Tokens {
    let of_call = |saw: Saw| Tokens { input: saw.input, output: saw.output };
    hour.calls(model).values().fold(Tokens::default(), |sum, counted| sum.plus(of_call(counted.saw)))
}

fn difference(counters: u64, logged: u64) -> i64 {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    signed(counters).saturating_sub(signed(logged))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VLLM: &str = "\
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine=\"0\",model_name=\"mythos-5\"} 1200.0
vllm:prompt_tokens_total{engine=\"1\",model_name=\"a } b\"} 34.0
vllm:prompt_tokens_total_created{engine=\"0\"} 1.7e9
vllm:generation_tokens_total{engine=\"0\",model_name=\"mythos-5\"} 5.6e3 1781299260000
";
    const LLAMA: &str =
        "llamacpp:prompt_tokens_total 7\nllamacpp:tokens_predicted_total 9\nllamacpp:n_decode_total 3\n";

    fn tokens(input: u64, output: u64) -> Tokens {
        Tokens { input, output }
    }

    #[test]
    fn the_counters_of_each_server_are_read_over_all_labels() {
        assert_eq!(read(VLLM), Some(tokens(1_234, 5_600)));
        assert_eq!(read(LLAMA), Some(tokens(7, 9)));
        let wrong = LLAMA.replace(" 9", " -1");
        for text in
            ["", "llamacpp:prompt_tokens_total 7\n", &format!("{VLLM}{LLAMA}"), &wrong, &LLAMA.replace(" 9", " NaN")]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_rose_counts_in_its_hour_and_a_reset_loses_nothing_that_was_read() {
        let mut rise = Rise::default();
        for (hour, reading) in [
            (9, tokens(100, 1_000)),
            (9, tokens(110, 1_100)),
            (10, tokens(150, 1_500)),
            // Started anew: what it has by now rose since.
            (10, tokens(5, 20)),
            (10, tokens(8, 50)),
            (11, tokens(9, 51)),
        ] {
            rise.note(hour, reading);
        }
        assert_eq!(rise.take_before(11), Some((10, tokens(48, 450))), "the ninth was not watched from its beginning");
        assert_eq!(rise.take_before(11), None);
        assert_eq!(rise.take_before(12), Some((11, tokens(1, 1))));
    }

    #[test]
    fn a_server_that_cannot_be_compared_for_long_takes_no_more_room() {
        let mut rise = Rise::default();
        (0..1_000).for_each(|hour| rise.note(hour, tokens(hour, hour)));
        assert!(rise.hours.len() <= HOURS_MAX);
    }

    #[test]
    fn a_difference_has_a_sign() {
        assert_eq!((difference(5, 7), difference(7, 5), difference(u64::MAX, 0)), (-2, 2, i64::MAX));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(vllm:(prompt|generation)_tokens_total|llamacpp:[a-z_]{0,12}|[{} \\n\"0-9.eE+-]|\\PC){0,40}") {
            let _ = read(&text);
        }
    }
}
