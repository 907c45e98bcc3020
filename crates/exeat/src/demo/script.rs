//! The whole story by itself: admit, route, order, cut, license, record, verify. Every step asserts what it shows.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use terms::{Clock, Moment, PersonId, SystemClock};

use super::{
    ALIAS, Demo, EMBER, MYTHOS,
    chat::{self, Ask, Ended, Heard},
    desk::Desk,
    proofs,
    show::{Show, seconds},
    world::Caller,
};
use crate::{
    client::Server,
    commands::{Exit, admin::Call},
    serve::Running,
};

const DIRECTIVE: &str = include_str!("../../../../examples/june-12.directive.json");
const LICENSE: &str = include_str!("../../../../examples/annex-a.license.json");

/// Pieces that both must have received before the order is applied.
const UNDER_WAY: u64 = 12;
/// A cut must arrive within this time of the order; it takes milliseconds, a busy machine is granted much more.
const CUT_WITHIN: Duration = Duration::from_secs(2);

/// Plays the story.
///
/// # Errors
///
/// The first step that did not hold, and how.
pub(super) fn play(demo: &Demo, running: &Running, show: &Show) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let story = Story::open(demo, show)?;
    story.admits_both().context("step 1 did not hold")?;
    story.routes_by_tier().context("step 2 did not hold")?;
    story.cuts_one_stream().context("step 3 did not hold")?;
    story.refuses_and_falls_back().context("step 4 did not hold")?;
    let receipt = story.licenses().context("step 5 did not hold")?;
    story.proves_one_call(&receipt, running).context("step 6 did not hold")?;
    story.proves_the_record(running).context("step 7 did not hold")?;
    show.say("")?;
    show.held(&format!(
        "every step, in {}. The record of this run: {}",
        seconds(began.elapsed()),
        demo.run_dir.display()
    ))?;
    Ok(Exit::Done)
}

/// What happens to two people in the course of one order.
pub(super) struct Story<'a> {
    demo: &'a Demo,
    show: &'a Show,
    desk: Desk<'a>,
    gateway: Server,
}

impl<'a> Story<'a> {
    /// Registers those who approve.
    ///
    /// # Errors
    ///
    /// What the admin API refused.
    pub(super) fn open(demo: &'a Demo, show: &'a Show) -> anyhow::Result<Self> {
        let desk = Desk::open(&demo.admin)?;
        Ok(Self { demo, show, desk, gateway: Server::at(&demo.base_url)? })
    }

    /// Writes the keys of those who approve into the folder of this run.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(super) fn keep_keys(&self) -> anyhow::Result<Vec<(PersonId, PathBuf)>> {
        self.desk.keep_keys(&self.demo.run_dir)
    }

    /// Both people are admitted while no order is in force.
    ///
    /// # Errors
    ///
    /// If one is not.
    pub(super) fn admits_both(&self) -> anyhow::Result<()> {
        self.show.heading(1, "Two people ask the same controlled model")?;
        self.show.say(&format!(
            "{MYTHOS} asks for a person whose standing is attested. Both are, and no order is in force."
        ))?;
        for caller in [&self.demo.world.ada, &self.demo.world.minh] {
            let heard = self.short(caller, MYTHOS)?;
            served(&heard, MYTHOS, None)?;
            self.show.say(&format!("{}: \"{}\"", caller.name, first_words(&heard.text)))?;
            self.show.held(&format!(
                "{} was admitted; receipt {}",
                caller.name,
                heard.receipt.as_deref().unwrap_or("-")
            ))?;
        }
        Ok(())
    }

    fn routes_by_tier(&self) -> anyhow::Result<()> {
        self.show.heading(2, &format!("One name, `{ALIAS}`, and each gets the best they may use"))?;
        served(&self.short(&self.demo.world.ada, ALIAS)?, MYTHOS, None)?;
        self.show.held(&format!("ada asked for `{ALIAS}` and was served by {MYTHOS}"))?;
        let shared = self.short(&self.demo.world.shared, ALIAS)?;
        served(&shared, EMBER, Some(MYTHOS))?;
        let why = shared.fallback.unwrap_or_default();
        self.show.held(&format!(
            "a shared key, with nobody behind it, was served by {EMBER}; the answer says so: x-exeat-fallback: {why}"
        ))?;
        Ok(())
    }

    /// The order is applied while both stream: one is cut and the other goes on.
    ///
    /// # Errors
    ///
    /// If it is otherwise.
    pub(super) fn cuts_one_stream(&self) -> anyhow::Result<()> {
        self.show.heading(3, "The order of June 12 arrives while both stream")?;
        self.show.say("\"No foreign person\": it must reach the streams that run, not only the next request.")?;
        let order = self.approved("directives", DIRECTIVE)?;
        let (ada, minh, applied) = self.both_stream_and_the_order_comes(&order)?;
        ensure!(ada.ended == Ended::Whole, "ada's stream did not finish: {:?}", ada.ended);
        let Ended::Cut(code, message) = &minh.ended else {
            anyhow::bail!("minh's stream was not cut: {:?}", minh.ended)
        };
        ensure!(code.contains(BARRED), "minh's stream was cut for another reason: {code}");
        let late = minh.last_output.saturating_duration_since(applied.sent);
        ensure!(late < CUT_WITHIN, "minh received output {} after the order", seconds(late));
        let recalled = applied.answer.pointer("/effect/recalled").and_then(Value::as_u64);
        ensure!(recalled == Some(1), "the order recalled {recalled:?} calls, not 1");
        self.show.held(&format!("minh's stream was cut: \"{message}\""))?;
        self.show.held(&format!(
            "last output {} after the order was sent, stream ended after {}; the admin API answered after {} that 1 call was recalled",
            seconds(late), seconds(minh.over.saturating_duration_since(applied.sent)), seconds(applied.took),
        ))?;
        self.show.held(&format!(
            "ada's stream went on to its end, {} after",
            seconds(ada.over.saturating_duration_since(applied.sent))
        ))?;
        Ok(())
    }

    fn both_stream_and_the_order_comes(&self, order: &str) -> anyhow::Result<(Heard, Heard, Applied)> {
        let counts = [AtomicU64::new(0), AtomicU64::new(0)];
        let [adas, minhs] = &counts;
        thread::scope(|scope| {
            let ada = scope.spawn(|| self.long(&self.demo.world.ada, adas));
            let minh = scope.spawn(|| self.long(&self.demo.world.minh, minhs));
            let deadline = Instant::now() + super::PATIENCE;
            let few = || adas.load(Ordering::Relaxed).min(minhs.load(Ordering::Relaxed)) < UNDER_WAY;
            while few() && !ada.is_finished() && !minh.is_finished() && Instant::now() < deadline {
                self.tick(adas, minhs);
            }
            ensure!(!few(), "the streams did not get under way");
            let applied = self.apply(order)?;
            while !ada.is_finished() || !minh.is_finished() {
                self.tick(adas, minhs);
            }
            self.show.settle();
            let joined = |result: thread::Result<anyhow::Result<Heard>>| {
                result.unwrap_or_else(|_| Err(anyhow::anyhow!("a stream's thread ended")))
            };
            Ok((joined(ada.join())?, joined(minh.join())?, applied))
        })
    }

    fn tick(&self, adas: &AtomicU64, minhs: &AtomicU64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        self.show.moving(&format!("ada {:4} tokens    minh {:4} tokens", count(adas), count(minhs)));
        thread::sleep(Duration::from_millis(20));
    }

    /// Under the order one is refused, and served by the other model under the alias.
    ///
    /// # Errors
    ///
    /// If it is otherwise.
    pub(super) fn refuses_and_falls_back(&self) -> anyhow::Result<()> {
        self.show.heading(4, "From now on")?;
        let refused = self.short(&self.demo.world.minh, MYTHOS)?;
        let Ended::Refused(code, message) = &refused.ended else {
            anyhow::bail!("minh was admitted to {MYTHOS} under the order")
        };
        ensure!(refused.status == 403 && code.contains(BARRED), "minh got {} {code}, not 403 {BARRED}", refused.status);
        self.show.held(&format!("minh asked for {MYTHOS}: 403, \"{message}\""))?;
        let fallen = self.short(&self.demo.world.minh, ALIAS)?;
        served(&fallen, EMBER, Some(MYTHOS))?;
        self.show.held(&format!(
            "minh asked for `{ALIAS}` and keeps working on {EMBER}: x-exeat-fallback: {}",
            fallen.fallback.unwrap_or_default()
        ))?;
        served(&self.short(&self.demo.world.ada, MYTHOS)?, MYTHOS, None)?;
        self.show.held(&format!("ada is still served by {MYTHOS}"))?;
        Ok(())
    }

    /// Applies the license and returns the receipt of the call it permits.
    fn licenses(&self) -> anyhow::Result<String> {
        self.show.heading(5, "A license: the lab's own staff")?;
        let license = self.approved("licenses", LICENSE)?;
        let applied = self.apply(&license)?;
        self.show.say(&format!(
            "applied in {}; it is entry {} of the ledger",
            seconds(applied.took),
            applied.answer.get("receipt").unwrap_or(&Value::Null)
        ))?;
        let heard = self.short(&self.demo.world.minh, MYTHOS)?;
        served(&heard, MYTHOS, None)?;
        self.show.held(&format!("minh, an employee of the lab, is served by {MYTHOS} again"))?;
        heard.receipt.context("the answer carries no receipt")
    }

    fn proves_one_call(&self, receipt: &str, running: &Running) -> anyhow::Result<()> {
        self.show.heading(6, "Proof of one call")?;
        let proven = proofs::one_call(&self.gateway, &self.demo.world.minh, receipt, running)?;
        self.show.held(&format!("receipt {receipt}: {proven}"))?;
        Ok(())
    }

    fn proves_the_record(&self, running: &Running) -> anyhow::Result<()> {
        self.show.heading(7, "Proof of everything, offline")?;
        let record = proofs::whole_record(self.demo, running)?;
        self.show.held(&record.verified)?;
        self.show.held(&record.tampered)?;
        self.show.say(&format!(
            "by hand: exeat-verify bundle {} --key '{}'",
            record.bundle.display(),
            running.ledger.verifier_key()
        ))?;
        Ok(())
    }

    /// Files an instrument and has it signed; returns the path under which it can be applied.
    fn approved(&self, kind: &str, document: &str) -> anyhow::Result<String> {
        let document = serde_json::from_str(document).context("an embedded document is not JSON")?;
        let path = self.desk.approved(kind, begun(document, SystemClock::default().now()))?;
        self.show.held("filed, and refused until two people had signed it: iris (counsel) and otto (security)")?;
        Ok(path)
    }

    /// Applies an instrument through the admin API, as an officer does.
    fn apply(&self, path: &str) -> anyhow::Result<Applied> {
        let sent = Instant::now();
        let answer = self.demo.admin.ask(&Call::post(format!("{path}/apply"), serde_json::json!({})))?;
        Ok(Applied { sent, took: sent.elapsed(), answer })
    }

    /// Asks for one sentence.
    ///
    /// # Errors
    ///
    /// If the gateway cannot be reached, or the answer breaks.
    pub(super) fn short(&self, caller: &Caller, model: &str) -> anyhow::Result<Heard> {
        let ask = Ask { model, prompt: "In one sentence: why do rivers meander?", max_tokens: 24, go_on: false };
        chat::ask(&self.gateway, caller, &ask, &AtomicU64::new(0))
    }

    fn long(&self, caller: &Caller, pieces: &AtomicU64) -> anyhow::Result<Heard> {
        let prompt = "Write a long story about a river and the people along it, from the spring to the sea.";
        let ask = Ask { model: MYTHOS, prompt, max_tokens: 200, go_on: self.demo.ignores_eos };
        chat::ask(&self.gateway, caller, &ask, pieces)
    }
}

/// Returns the order, as it would be filed now.
///
/// # Errors
///
/// Never: the order is part of the program.
pub(super) fn order() -> anyhow::Result<String> {
    let document = serde_json::from_str(DIRECTIVE).context("the embedded order is not JSON")?;
    Ok(begun(document, SystemClock::default().now()).to_string())
}

/// Returns a moment after every entry of now, and waits until it is over: times of entries are whole milliseconds.
pub(super) fn later() -> Moment {
    thread::sleep(Duration::from_millis(3));
    let now = SystemClock::default().now();
    thread::sleep(Duration::from_millis(3));
    now
}

/// Lets a document begin now at the latest, for a machine whose clock is behind the events it is about.
fn begun(mut document: Value, now: Moment) -> Value {
    for at in ["/received_at", "/effective_at", "/status_since", "/valid/from"] {
        let Some(field) = document.pointer_mut(at) else {
            continue;
        };
        if field.as_str().and_then(|text| Moment::parse(text).ok()).is_some_and(|begins| begins > now) {
            *field = Value::String(now.to_string());
        }
    }
    document
}

const BARRED: &str = "foreign_person_barred";

/// What applying an instrument took and did.
struct Applied {
    sent: Instant,
    took: Duration,
    answer: Value,
}

/// Holds an answer to the version that must have served and to the one that must have been passed over.
///
/// # Errors
///
/// If another served, or the answer did not come to its end.
pub(super) fn served(heard: &Heard, model: &str, passed_over: Option<&str>) -> anyhow::Result<()> {
    ensure!(heard.ended == Ended::Whole, "status {}: {:?}", heard.status, heard.ended);
    ensure!(heard.model == model, "served by `{}`, not by `{model}`", heard.model);
    let passed = heard.fallback.as_deref().and_then(|fallback| fallback.split(';').next());
    ensure!(passed == passed_over, "the answer says that {passed:?} was passed over, not {passed_over:?}");
    ensure!(heard.receipt.is_some(), "the answer carries no receipt");
    Ok(())
}

fn first_words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(14).collect();
    words.join(" ").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_documents_are_in_force_on_a_clock_of_any_year() {
        for (text, field) in [(DIRECTIVE, "/effective_at"), (LICENSE, "/valid/from")] {
            let document: Value = serde_json::from_str(text).unwrap();
            let early = Moment::parse("2026-01-01T00:00:00Z").unwrap();
            let late = Moment::parse("2027-01-01T00:00:00Z").unwrap();
            assert_eq!(begun(document.clone(), early).pointer(field).unwrap(), "2026-01-01T00:00:00Z");
            assert_eq!(begun(document.clone(), late), document);
        }
    }

    #[test]
    fn the_embedded_documents_are_instruments() {
        policy::Directive::parse(DIRECTIVE.as_bytes()).unwrap();
        policy::License::parse(LICENSE.as_bytes()).unwrap();
    }
}
