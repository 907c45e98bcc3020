//! One sitting with the solver: limits on every question, canaries first, and no process left behind.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use cedar_policy::{Policy, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use tokio::time::timeout;

use crate::{
    Fault, Property, Settings, Verdict, canary, rulebook,
    solver::{Process, Trace},
};

/// What a property is called and what it is about.
pub(crate) struct Heading {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: String,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Broken {
    pub(crate) fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}

/// The claim that whoever `claim` permits is also permitted by `bound`.
pub(crate) struct Question<'q> {
    pub(crate) schema: &'q Schema,
    pub(crate) shape: &'q RequestEnv,
    pub(crate) claim: &'q PolicySet,
    pub(crate) bound: &'q PolicySet,
    /// Forbids of every question that cannot come up.
    pub(crate) assumed: &'q [Policy],
}

/// One sitting with the solver.
pub(crate) struct Session<'s> {
    settings: &'s Settings,
    binary: PathBuf,
    deadline: Instant,
    asker: Option<Asker>,
}

impl<'s> Session<'s> {
    /// Begins; the total limit runs from `started`.
    pub(crate) fn new(settings: &'s Settings, binary: PathBuf, started: Instant) -> Self {
        Self { settings, binary, deadline: started + settings.total, asker: None }
    }

    /// Settles one property by `work` within the limits; what does not end in time is killed and has failed.
    ///
    /// # Errors
    ///
    /// [`Fault`]: a new solver process was needed and could not be had, or failed its canaries.
    pub(crate) async fn settle(
        &mut self,
        heading: Heading,
        work: impl AsyncFnOnce(&mut Asker) -> Result<Verdict, Broken>,
    ) -> Result<Property, Fault> {
        let started = Instant::now();
        let (verdict, trace) = match self.limit() {
            Some(limit) => {
                let asker = self.checked_asker(limit).await?;
                self.work_within(limit, asker, work).await
            }
            None => (Verdict::failed(self.out_of_time()), None),
        };
        let trace = trace.unwrap_or_else(Trace::nothing);
        Ok(Property {
            id: heading.id.to_owned(),
            title: heading.title.to_owned(),
            about: heading.about,
            verdict,
            asked: trace.asked,
            smt_sha256: trace.smt_sha256,
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// Makes sure that the solver runs and answers its canaries.
    ///
    /// # Errors
    ///
    /// [`Fault::NoSolver`] and [`Fault::Canary`].
    pub(crate) async fn open(&mut self) -> Result<(), Fault> {
        let limit = self.limit().unwrap_or_default();
        self.asker = Some(self.checked_asker(limit).await?);
        Ok(())
    }

    /// Ends the solver.
    pub(crate) async fn close(&mut self) {
        if let Some(asker) = self.asker.take() {
            asker.end().await;
        }
    }

    async fn work_within(
        &mut self,
        limit: Duration,
        mut asker: Asker,
        work: impl AsyncFnOnce(&mut Asker) -> Result<Verdict, Broken>,
    ) -> (Verdict, Option<Trace>) {
        let outcome = timeout(limit, work(&mut asker)).await;
        let trace = asker.take_trace();
        let why = match outcome {
            Ok(Ok(verdict)) => {
                self.asker = Some(asker);
                return (verdict, Some(trace));
            }
            Ok(Err(broken)) => broken.0,
            Err(_) => format!("no answer within {} ms; the solver was killed", limit.as_millis()),
        };
        asker.end().await;
        (Verdict::failed(why), Some(trace))
    }

    /// Returns the process in use, or a new one that answered its canaries.
    async fn checked_asker(&mut self, limit: Duration) -> Result<Asker, Fault> {
        if let Some(asker) = self.asker.take() {
            return Ok(asker);
        }
        let unusable = |why: String| Fault::NoSolver { solver: self.binary.clone(), why };
        let process = Process::start(&self.binary).map_err(|error| unusable(error.to_string()))?;
        let mut asker = Asker::new(process).map_err(|broken| unusable(broken.0))?;
        let checked = timeout(limit, canary::ask(&mut asker)).await;
        let why = || format!("no answer within {} ms; it was killed", limit.as_millis());
        let checked = checked.unwrap_or_else(|_| Err(Fault::Canary { canary: "either", why: why() }));
        match checked {
            Ok(()) => Ok(asker),
            Err(fault) => {
                asker.end().await;
                Err(fault)
            }
        }
    }

    /// Returns how long the next property may take; none if all the time is used up.
    fn limit(&self) -> Option<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.min(self.settings.per_property))
    }

    fn out_of_time(&self) -> String {
        format!("not asked: all proofs together may take {} ms", self.settings.total.as_millis())
    }
}

/// A solver process that is being asked.
pub(crate) struct Asker {
    compiler: CedarSymCompiler<Process>,
}

impl Asker {
    fn new(process: Process) -> Result<Self, Broken> {
        Ok(Self { compiler: CedarSymCompiler::new(process).map_err(Broken::because)? })
    }

    /// Looks for somebody whom the claim permits and the bound does not; `None` is a proof that there is nobody.
    ///
    /// # Errors
    ///
    /// [`Broken`]: the rules do not compile, or the solver gave no usable answer; nothing is known.
    pub(crate) async fn refute(&mut self, question: &Question<'_>) -> Result<Option<Env>, Broken> {
        let claim = rulebook::set(question.claim.policies().chain(question.assumed));
        let compile = |rules| CompiledPolicySet::compile(rules, question.shape, question.schema).map_err(explained);
        let (claim, bound) = (compile(&claim)?, compile(question.bound)?);
        self.compiler.check_implies_with_counterexample_opt(&claim, &bound).await.map_err(explained)
    }

    /// Looks for a question that one policy cannot answer; `None` is a proof that there is none.
    ///
    /// # Errors
    ///
    /// As for [`Asker::refute`].
    pub(crate) async fn find_error(
        &mut self,
        policy: &Policy,
        shape: &RequestEnv,
        schema: &Schema,
    ) -> Result<Option<Env>, Broken> {
        let policy = CompiledPolicy::compile(policy, shape, schema).map_err(explained)?;
        self.compiler.check_never_errors_with_counterexample_opt(&policy).await.map_err(explained)
    }

    /// Returns what was written to the solver since the last time.
    pub(crate) fn take_trace(&mut self) -> Trace {
        self.compiler.solver_mut().take_trace()
    }

    async fn end(mut self) {
        self.compiler.solver_mut().end().await;
    }
}

/// Writes an error with its causes.
fn explained(error: cedar_policy_symcc::err::Error) -> Broken {
    use cedar_policy_symcc::err::Error;
    match &error {
        Error::PolicyNotWellTyped { errs } => {
            let whys: BTreeSet<String> = errs.iter().map(ToString::to_string).collect();
            Broken(format!("{error}: {}", whys.into_iter().collect::<Vec<_>>().join("; ")))
        }
        _ => Broken::because(error),
    }
}
