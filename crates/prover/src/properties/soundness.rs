//! V1 and V2: the policies mean something, whatever is asked.

use cedar_policy::{Policy, PolicySet, ValidationMode, Validator, ffi::DetailedError};

use super::{Asker, Broken, Fault, Found, Property, Rulebook, Session, Verdict, example};
use crate::{rulebook, session::Heading};

const WELL_TYPED: &str = "every policy is well typed under the schema, strictly";
const NEVER_ERRS: &str = "no policy fails to evaluate, whatever is asked";

pub(super) async fn settle(session: &mut Session<'_>, book: &Rulebook<'_>) -> Result<Vec<Property>, Fault> {
    let policies = book.all();
    let about = format!("all {} policies", policies.len());
    let heading = Heading { id: "V1", title: WELL_TYPED, about: about.clone() };
    let well_typed = session.settle(heading, async |_| Ok(validated(book, &policies))).await?;
    let heading = Heading { id: "V2", title: NEVER_ERRS, about };
    let never_errs = session.settle(heading, async |asker| never_err(asker, book, &policies).await).await?;
    Ok(vec![well_typed, never_errs])
}

fn validated(book: &Rulebook<'_>, policies: &[&Policy]) -> Verdict {
    let validator = Validator::new(book.schema.clone());
    let faults: Vec<String> = policies.iter().flat_map(|policy| type_faults(&validator, policy)).collect();
    if faults.is_empty() { Verdict::proved("no fault") } else { Verdict::failed(faults.join("; ")) }
}

fn type_faults(validator: &Validator, policy: &Policy) -> Vec<String> {
    let result = validator.validate(&rulebook::set([policy].into_iter()), ValidationMode::Strict);
    let text = policy.to_cedar().unwrap_or_default();
    result.validation_errors().map(|error| placed(&DetailedError::from(error), &text)).collect()
}

/// Says where in the text of a policy a fault is, by line and column, each from 1.
fn placed(error: &DetailedError, text: &str) -> String {
    let start = error.source_locations.first().and_then(|place| text.get(..place.loc.start));
    match start {
        Some(head) => {
            let column = head.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("{} (line {} column {column})", error.message, head.matches('\n').count() + 1)
        }
        None => error.message.clone(),
    }
}

async fn never_err(asker: &mut Asker, book: &Rulebook<'_>, policies: &[&Policy]) -> Result<Verdict, Broken> {
    for policy in policies {
        for shape in [&book.serve_shape, &book.release_shape] {
            let found = asker.find_error(policy, shape, &book.schema).await;
            let found = found.map_err(|why| Broken(format!("`{}`: {}", policy.id(), why.0)))?;
            if let Some(env) = found {
                let asked = PolicySet::from_policies([(*policy).clone()]).map_err(Broken::because)?;
                let found = Found { env: &env, asked: &asked, gate: None, before: None };
                return Ok(Verdict::Refuted { counterexample: Box::new(example::tell(book, &found)) });
            }
        }
    }
    Ok(Verdict::proved("none can fail"))
}
