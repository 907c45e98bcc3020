//! A counterexample as a person: what the solver found, told in words, made into facts, and played through the rules.

use std::collections::BTreeMap;

use cedar_policy::{Authorizer, Decision, EvalResult, PolicySet};
use cedar_policy_symcc::Env;
use policy::{Determination, Facts, Snapshot, decide};

use crate::{
    Answer, Example,
    assume::relevant_groups,
    invent::{self, Invention},
    rulebook::{Gate, Rulebook},
};

/// What the solver found.
pub(crate) struct Found<'f> {
    pub(crate) env: &'f Env,
    /// The rules that were asked.
    pub(crate) asked: &'f PolicySet,
    /// The gate it is about, where it is about one.
    pub(crate) gate: Option<&'f Gate<'f>>,
    /// The rules before, where the two are compared.
    pub(crate) before: Option<&'f Rulebook<'f>>,
}

/// The question that the solver found, by the names of the rules' context.
pub(crate) type Words = BTreeMap<String, EvalResult>;

/// Tells it as a person; where real and symbolic rules disagree, says so.
pub(crate) fn tell(book: &Rulebook<'_>, found: &Found<'_>) -> Example {
    let words = words(found.env);
    let invention = match found.gate {
        Some(gate) => {
            let books: Vec<&Rulebook<'_>> = [book].into_iter().chain(found.before).collect();
            invent::receiver(book, gate, &relevant_groups(&books, book), found.env, &words)
        }
        None => invent::caller(book, found.env, &words),
    };
    let Invention { description, facts, not_carried } = invention;
    let cedar = ask_cedar(found);
    let decide = facts.as_ref().map(|facts| ask_decide(book.snapshot, facts));
    let before = found.before.zip(facts.as_ref()).map(|(before, facts)| ask_decide(before.snapshot, facts));
    let refused_before = before.as_ref().is_none_or(|before| !before.permits());
    Example {
        confirmed: cedar.permits() && decide.as_ref().is_some_and(Answer::permits) && refused_before,
        context: words.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        facts: facts.map(Box::new),
        description,
        not_carried,
        cedar,
        decide,
        before,
    }
}

/// Reads the question.
pub(crate) fn words(env: &Env) -> Words {
    let Some(context) = env.request.context() else {
        return Words::new();
    };
    let names = context.clone().into_iter().map(|(name, _)| name);
    names.filter_map(|name| context.get(&name).map(|value| (name, value))).collect()
}

/// Asks the policy engine the very question that the solver found.
fn ask_cedar(found: &Found<'_>) -> Answer {
    let response = Authorizer::new().is_authorized(&found.env.request, found.asked, &found.env.entities);
    let by: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
    if let Some(error) = response.diagnostics().errors().next() {
        return Answer::Errs { why: error.to_string() };
    }
    match response.decision() {
        Decision::Allow => Answer::Permits { by },
        Decision::Deny if by.is_empty() => Answer::Refuses { why: "nothing permits it".to_owned() },
        Decision::Deny => Answer::Refuses { why: format!("forbidden by {}", by.join(", ")) },
    }
}

/// Asks the decision function about the invented person.
fn ask_decide(snapshot: &Snapshot, facts: &Facts) -> Answer {
    match decide(snapshot, facts) {
        Determination::Permit(permit) => {
            Answer::Permits { by: permit.basis().iter().map(ToString::to_string).collect() }
        }
        Determination::Refuse(refusal) => Answer::Refuses { why: refusal.message() },
    }
}
