//! The properties, each in a file of its own.

mod foreign;
mod kill_switch;
mod narrowing;
mod prohibitions;
mod provenance;
mod soundness;

use cedar_policy::{Authorizer, Decision, Policy, PolicySet, RequestEnv};
use cedar_policy_symcc::Env;

use crate::{
    Fault, Property, Verdict,
    example::{self, Found},
    minimize::minimize,
    rulebook::{self, Gate, Rulebook},
    session::{Asker, Broken, Question, Session},
};

/// Settles every property of `after`, in order.
///
/// # Errors
///
/// [`Fault`]: the solver can no longer be believed, or the rules cannot be read.
pub(crate) async fn settle_all(
    session: &mut Session<'_>,
    before: Option<&Rulebook<'_>>,
    after: &Rulebook<'_>,
) -> Result<Vec<Property>, Fault> {
    let mut properties = soundness::settle(session, after).await?;
    properties.extend(foreign::settle(session, after).await?);
    if let Some(before) = before {
        properties.extend(narrowing::settle(session, before, after).await?);
    }
    properties.extend(prohibitions::settle(session, after).await?);
    properties.extend(provenance::settle(session, after).await?);
    properties.extend(kill_switch::settle(session, after).await?);
    properties.sort_by(|a, b| (&a.id, &a.about).cmp(&(&b.id, &b.about)));
    Ok(properties)
}

/// The claim that `claim` permits nobody whom `bound` does not, among the questions that `assumed` leaves step by step.
struct Claim<'c> {
    book: &'c Rulebook<'c>,
    shape: &'c RequestEnv,
    claim: &'c PolicySet,
    bound: &'c PolicySet,
    assumed: &'c [Policy],
    /// The gate it is about, where it is about one.
    gate: Option<&'c Gate<'c>>,
    /// The snapshot before, where the two are compared.
    before: Option<&'c Rulebook<'c>>,
}

impl Claim<'_> {
    /// Asks the solver; a counterexample is told as a person and played through the real rules.
    async fn settle(&self, asker: &mut Asker, finding: &str) -> Result<Verdict, Broken> {
        Ok(match self.find(asker).await? {
            None => Verdict::proved(finding),
            Some(counterexample) => Verdict::Refuted { counterexample: Box::new(counterexample) },
        })
    }

    async fn find(&self, asker: &mut Asker) -> Result<Option<crate::Example>, Broken> {
        let mut found = None;
        for steps in 1..=self.assumed.len() {
            let question = Question {
                schema: &self.book.schema,
                shape: self.shape,
                claim: self.claim,
                bound: self.bound,
                assumed: self.assumed.get(..steps).unwrap_or(self.assumed),
            };
            found = asker.refute(&question).await?;
            if found.is_none() {
                return Ok(None);
            }
        }
        Ok(found.map(|env| self.tell(env)))
    }

    fn tell(&self, env: Env) -> crate::Example {
        let claim = rulebook::set(self.claim.policies().chain(self.assumed));
        let is_counterexample = |env: &Env| {
            let decision = |rules| Authorizer::new().is_authorized(&env.request, rules, &env.entities).decision();
            (decision(&claim), decision(self.bound)) == (Decision::Allow, Decision::Deny)
        };
        let env = minimize(env, &self.book.schema, is_counterexample);
        let found = Found { env: &env, asked: self.claim, gate: self.gate, before: self.before };
        example::tell(self.book, &found)
    }
}

/// Claims that no model is served, in any era, where `assumed` leaves a question, even with `more` policies.
async fn nobody_is_served(
    asker: &mut Asker,
    book: &Rulebook<'_>,
    assumed: &[Policy],
    more: &[Policy],
    finding: &str,
) -> Result<Verdict, Broken> {
    for era in &book.eras {
        let claim = Claim {
            book,
            shape: &book.serve_shape,
            claim: &rulebook::set(era.iter().chain(book.instruments()).chain(more)),
            bound: &permits(&[])?,
            assumed,
            gate: None,
            before: None,
        };
        let verdict = claim.settle(asker, finding).await?;
        if !verdict.is_proved() {
            return Ok(verdict);
        }
    }
    Ok(Verdict::proved(finding))
}

/// Parses permits that nobody signs: a bound, not a rule.
fn permits(texts: &[String]) -> Result<PolicySet, Broken> {
    texts.concat().parse().map_err(Broken::because)
}
