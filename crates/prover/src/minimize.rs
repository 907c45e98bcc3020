//! Takes away from a counterexample what does not matter, so that a reader sees what does.

use cedar_policy::{Context, EvalResult, Request, RestrictedExpression, Schema};
use cedar_policy_symcc::Env;

use crate::example::{Words, words};

/// Leaves out of the question of `env` whatever can be left out so that `holds` still does.
///
/// Each part is tried once; what remains is smaller, and not necessarily smallest.
pub(crate) fn minimize(mut env: Env, schema: &Schema, holds: impl Fn(&Env) -> bool) -> Env {
    let mut words = words(&env);
    let names: Vec<String> = words.keys().cloned().collect();
    for name in names {
        while let Some((smaller, request)) = simpler(&words, &name).into_iter().find_map(|smaller| {
            let request = asking(&env.request, &smaller, schema)?;
            let candidate = Env { request, entities: env.entities.clone() };
            holds(&candidate).then_some((smaller, candidate.request))
        }) {
            (words, env.request) = (smaller, request);
        }
    }
    env
}

/// Returns the questions in which one word says less.
fn simpler(words: &Words, name: &str) -> Vec<Words> {
    let Some(value) = words.get(name) else {
        return Vec::new();
    };
    let mut without = words.clone();
    without.remove(name);
    let with = |value| {
        let mut changed = words.clone();
        changed.insert(name.to_owned(), value);
        changed
    };
    let less: Vec<Words> = match value {
        EvalResult::Bool(true) => vec![with(EvalResult::Bool(false))],
        EvalResult::Set(set) => set.iter().filter_map(|item| smaller_set(set, item)).map(with).collect(),
        _ => Vec::new(),
    };
    [without].into_iter().chain(less).collect()
}

fn smaller_set(set: &cedar_policy::Set, without: &EvalResult) -> Option<EvalResult> {
    let rest = set.iter().filter(|item| *item != without).map(expression).collect::<Option<Vec<_>>>()?;
    Context::from_pairs([("set".to_owned(), RestrictedExpression::new_set(rest))]).ok()?.get("set")
}

/// Returns the same request with another context; `None` if the schema does not allow it.
fn asking(request: &Request, words: &Words, schema: &Schema) -> Option<Request> {
    let pairs = words.iter().map(|(name, value)| Some((name.clone(), expression(value)?)));
    let context = Context::from_pairs(pairs.collect::<Option<Vec<_>>>()?).ok()?;
    let (principal, action, resource) = (request.principal()?, request.action()?, request.resource()?);
    Request::new(principal.clone(), action.clone(), resource.clone(), context, Some(schema)).ok()
}

fn expression(value: &EvalResult) -> Option<RestrictedExpression> {
    Some(match value {
        EvalResult::Bool(value) => RestrictedExpression::new_bool(*value),
        EvalResult::Long(value) => RestrictedExpression::new_long(*value),
        EvalResult::String(value) => RestrictedExpression::new_string(value.clone()),
        EvalResult::EntityUid(uid) => RestrictedExpression::new_entity_uid(uid.clone()),
        EvalResult::Set(set) => RestrictedExpression::new_set(set.iter().map(expression).collect::<Option<Vec<_>>>()?),
        EvalResult::Record(_) | EvalResult::ExtensionValue(_) => return None,
    })
}
