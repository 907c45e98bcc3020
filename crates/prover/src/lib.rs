//! Does it hold for everybody? Proves properties of a snapshot before it goes live.
//!
//! Tests ask about the people they thought of. Here an SMT solver looks among all questions that could ever be asked
//! for one that the rules answer wrongly; that it finds none is a proof. What it finds is told as an invented person
//! and played through the real decision. [`prove`] is all that an application needs.
//!
//! The solver is a program of its own (cvc5), started, limited and killed here. It is believed only after it answered
//! questions with known answers. What a proof does not say is in ADR 10.

mod assume;
mod bounds;
mod canary;
mod example;
mod fault;
mod invent;
mod minimize;
mod proofs;
mod properties;
mod rulebook;
mod session;
mod solver;
mod versions;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use policy::Snapshot;
use tokio::runtime;

pub use fault::Fault;
pub use proofs::{Answer, Canary, Example, Proofs, Property, SolverIdentity, Verdict};
use rulebook::Rulebook;
pub use rulebook::View;
use session::Session;

/// Address space, not memory: only what is touched is there.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// Which solver to ask, and how long it may take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The program: a path, or a bare name that is looked for on `PATH`.
    pub solver: PathBuf,
    /// The most that one property may take; the solver is interrupted, the translation of the rules is not.
    pub per_property: Duration,
    /// The most that all of them together may take.
    pub total: Duration,
}

impl Default for Settings {
    /// `cvc5` on `PATH`; 5 seconds for a property, 30 for all.
    fn default() -> Self {
        Self { solver: "cvc5".into(), per_property: Duration::from_secs(5), total: Duration::from_secs(30) }
    }
}

/// Returns the solver that [`prove`] would ask, started once to say its version.
///
/// # Errors
///
/// [`Fault::NoSolver`] with what to install; [`Fault::Machine`].
pub fn solver(settings: &Settings) -> Result<SolverIdentity, Fault> {
    apart(|| {
        let binary = solver::find(&settings.solver)?;
        runtime()?.block_on(solver::identify(&binary, settings.per_property))
    })
}

/// Proves the properties of `after`, and of the change from `before` if there is one.
///
/// Blocks until all is settled, at the latest shortly after [`Settings::total`]; no process is left behind. The
/// properties are those of every gate in the snapshot, whether or not its instruments are in force at this moment.
///
/// # Errors
///
/// [`Fault`]: nothing was proved, and `after` must not go live without an explicit, recorded override. A property
/// that was refuted or not settled is no fault: see [`Proofs::passed`].
pub fn prove(before: Option<&Snapshot>, after: &Snapshot, settings: &Settings) -> Result<Proofs, Fault> {
    prove_views(before.map(View::of).as_ref(), &View::of(after), settings)
}

/// As [`prove`], about rules that need not be those of the snapshots: for asking what another policy would do.
///
/// # Errors
///
/// As for [`prove`].
pub fn prove_views(before: Option<&View<'_>>, after: &View<'_>, settings: &Settings) -> Result<Proofs, Fault> {
    apart(|| {
        let started = Instant::now();
        runtime()?.block_on(settle(before, after, settings, started))
    })
}

/// Runs `work` on a thread of its own: a runtime cannot be started where one already runs, and terms are as deep as rules
/// are long.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("prover".to_owned()).stack_size(STACK_BYTES);
        let running = thread.spawn_scoped(scope, work);
        let running = running.map_err(|error| Fault::Machine { why: error.to_string() })?;
        running.join().unwrap_or_else(|_| Err(Fault::Machine { why: "it ended in a panic".to_owned() }))
    })
}

fn runtime() -> Result<runtime::Runtime, Fault> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Fault::Machine { why: error.to_string() })
}

async fn settle(
    before: Option<&View<'_>>,
    after: &View<'_>,
    settings: &Settings,
    started: Instant,
) -> Result<Proofs, Fault> {
    let binary = solver::find(&settings.solver)?;
    let solver = solver::identify(&binary, settings.total).await?;
    let old = before.map(Rulebook::read).transpose()?;
    let new = Rulebook::read(after)?;
    let mut session = Session::new(settings, binary, started);
    session.open().await?;
    let properties = properties::settle_all(&mut session, old.as_ref(), &new).await;
    session.close().await;
    Ok(Proofs {
        solver,
        before: before.map(|before| solver::hex(before.snapshot.digest())),
        after: solver::hex(after.snapshot.digest()),
        canaries: canary::claims(),
        properties: properties?,
    })
}
