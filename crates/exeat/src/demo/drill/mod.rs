//! The drill of a directive day: traffic through a meter, a simulated order, its cuts, reconciliation, a production for an
//! agency, and its verification offline. Every step asserts what it shows.

mod commands;
mod front;
mod offline;
mod produced;

use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use terms::{Clock, SystemClock};

pub(super) use self::front::Front;
use self::{commands::Commands, front::Metered};
use super::{
    Demo, EMBER, MYTHOS,
    chat::{Ask, Ended},
    script::{self, Story, served},
    show::{Show, seconds},
    world,
};
use crate::{commands::Exit, serve::Running};

/// Plays the drill behind `front`, before the model server at `upstream`.
///
/// # Errors
///
/// The first step that did not hold, and how.
pub(super) fn play(demo: &Demo, running: &Running, show: &Show, front: &Front, upstream: &str) -> anyhow::Result<Exit> {
    let metered = show.step("starting a meter before the controlled model", || front.start(demo, running, upstream))?;
    let began = Instant::now();
    let commands = Commands::of(demo, show)?;
    let drill = Drill { demo, running, show, story: Story::open(demo, show)?, metered, commands };
    let from = SystemClock::default().now();
    drill.timed("step 1", Drill::traffic)?;
    drill.timed("step 2", Drill::simulates)?;
    drill.timed("step 3", |drill| drill.story.cuts_one_stream())?;
    drill.timed("step 4", |drill| drill.story.refuses_and_falls_back())?;
    let until = script::later();
    drill.timed("step 5", |drill| drill.reconciles(from))?;
    let production = drill.timed("step 6", |drill| drill.produces(from, until))?;
    drill.timed("step 7", |drill| drill.verifies(&production))?;
    drill.timed("step 8", |drill| drill.finds_lies(&production))?;
    show.say("")?;
    show.held(&format!("every step, in {}. The production: {}", seconds(began.elapsed()), production.dir.display()))?;
    Ok(Exit::Done)
}

/// A drill under way.
struct Drill<'a> {
    demo: &'a Demo,
    running: &'a Running,
    show: &'a Show,
    story: Story<'a>,
    metered: Metered,
    commands: Commands<'a>,
}

impl Drill<'_> {
    /// Does one step and says how long it took.
    fn timed<T>(&self, name: &str, step: impl FnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let began = Instant::now();
        let done = step(self).with_context(|| format!("{name} did not hold"))?;
        self.show.say(&format!("{name} took {}", seconds(began.elapsed())))?;
        Ok(done)
    }

    /// Calls of two organizations go through gateway and meter; nobody gets to the model server past the gateway.
    fn traffic(&self) -> anyhow::Result<()> {
        self.story.admits_both()?;
        let noor = world::elsewhere(&self.demo.admin)?;
        served(&self.story.short(&noor, MYTHOS)?, MYTHOS, None)?;
        served(&self.story.short(&noor, EMBER)?, EMBER, None)?;
        self.show.held("noor, of another organization, was admitted too: her calls must not be in the production")?;
        let refused = self.metered.around(&Ask { model: MYTHOS, prompt: "Hello", max_tokens: 8, go_on: false })?;
        let Ended::Refused(code, _) = refused.ended else {
            anyhow::bail!("the meter served a request without a ticket")
        };
        ensure!(refused.status == 401 && code == "ticket_missing", "the meter answered {} {code}", refused.status);
        self.show.held("a request straight to the meter, around the gateway: 401 ticket_missing")?;
        Ok(())
    }

    /// Has the server say what the order would do, before anybody signs it.
    fn simulates(&self) -> anyhow::Result<()> {
        self.show.heading(2, "The order of June 12 is simulated")?;
        let order = self.commands.file("order.json", &script::order()?)?;
        let plan = self.commands.path("plan.json");
        let made = self.commands.json(&["directive", "plan", &order, "--save", &plan])?;
        let models = made.pointer("/report/models").and_then(Value::as_array).into_iter().flatten();
        let mythos = models.into_iter().find(|model| model["model"] == MYTHOS);
        let mythos = mythos.with_context(|| format!("the plan says nothing of {MYTHOS}"))?;
        let keys = |at: &str| mythos.pointer(at).and_then(Value::as_u64);
        let (lose, keep) = (keys("/turn_off/reach/keys"), keys("/after/permit/keys"));
        ensure!(
            (lose, keep) == (Some(1), Some(2)),
            "by the plan {lose:?} keys would lose {MYTHOS} and {keep:?} keep it, not 1 and 2"
        );
        self.show.held(&format!("1 key would lose {MYTHOS}: minh's; 2 keep it; the plan is sealed in the ledger"))?;
        Ok(())
    }
}

/// Returns the member `name` of an answer as text.
fn text<'a>(answer: &'a Value, at: &str) -> anyhow::Result<&'a str> {
    answer.pointer(at).and_then(Value::as_str).with_context(|| format!("the answer has no `{at}`: {answer}"))
}

/// Returns what an officer without any other right is minted with.
fn officer(person: &str) -> Value {
    json!({ "role": "officer", "label": "directive desk", "person": person })
}
