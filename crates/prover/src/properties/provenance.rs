//! I4: every policy says on what it rests.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy};

use super::{Fault, Property, Rulebook, Session, Verdict};
use crate::session::Heading;

const TITLE: &str = "every permit names its basis and where it stands, every forbid its code, and no id is there twice";

pub(super) async fn settle(session: &mut Session<'_>, book: &Rulebook<'_>) -> Result<Vec<Property>, Fault> {
    let policies = book.all();
    let heading = Heading { id: "I4", title: TITLE, about: format!("all {} policies", policies.len()) };
    Ok(vec![session.settle(heading, async |_| Ok(verdict(&policies))).await?])
}

fn verdict(policies: &[&Policy]) -> Verdict {
    let mut faults: Vec<String> = policies.iter().flat_map(|policy| missing(policy)).collect();
    let mut seen = BTreeSet::new();
    let twice = policies.iter().filter(|policy| !seen.insert(policy.id().clone()));
    faults.extend(twice.map(|policy| format!("two policies have the id `{}`", policy.id())));
    if faults.is_empty() { Verdict::proved("all named") } else { Verdict::failed(faults.join("; ")) }
}

fn missing(policy: &Policy) -> Vec<String> {
    let wanted = match policy.effect() {
        Effect::Permit => ["id", "basis", "cite"],
        Effect::Forbid => ["id", "code", "cite"],
    };
    let is_missing = |name: &&str| policy.annotation(name).is_none_or(|value| value.trim().is_empty());
    let name = match policy.annotation("id") {
        Some(id) if !id.is_empty() => format!("`{id}`"),
        _ => format!("a policy without an id, `{}`", policy.to_cedar().unwrap_or_default()),
    };
    wanted.into_iter().filter(is_missing).map(|wanted| format!("{name} has no `@{wanted}`")).collect()
}
