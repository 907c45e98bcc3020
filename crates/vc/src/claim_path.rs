//! Paths that point at claims of a credential.

use serde_json::{Map, Value};

/// Steps of the longest path.
const MAX_STEPS: usize = 16;
/// Bytes of the longest name in a path.
const MAX_NAME: usize = 256;

/// One step of a path.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// The member of this name.
    Name(String),
    /// The element at this index, from zero.
    Index(usize),
    /// Every element.
    All,
}

/// A claims path pointer: from the root of a credential to the values it selects; 1 to 16 steps.
///
/// # Source
/// OpenID for Verifiable Presentations 1.0, section 7.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "Vec<Value>", into = "Vec<Value>")]
pub struct ClaimPath(Vec<Step>);

/// What is wrong with a path.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimPathFault {
    /// Too short or too long.
    #[error("a claim path has {0} steps: use 1 to {MAX_STEPS}")]
    Steps(usize),
    /// A step of another type.
    #[error("step {0} of a claim path is not a name of at most {MAX_NAME} bytes, an index from zero or null")]
    Step(usize),
}

impl ClaimPath {
    /// Makes a path of `steps`.
    ///
    /// # Errors
    ///
    /// [`ClaimPathFault`] if there are none or more than 16, or a name is longer than 256 bytes.
    pub fn new(steps: Vec<Step>) -> Result<Self, ClaimPathFault> {
        if !(1..=MAX_STEPS).contains(&steps.len()) {
            return Err(ClaimPathFault::Steps(steps.len()));
        }
        let long = |step: &Step| matches!(step, Step::Name(name) if name.len() > MAX_NAME);
        match steps.iter().position(long) {
            Some(at) => Err(ClaimPathFault::Step(at)),
            None => Ok(Self(steps)),
        }
    }

    /// Makes the path of one top-level claim.
    #[must_use]
    pub fn named(claim: &'static str) -> Self {
        Self(vec![Step::Name(claim.to_owned())])
    }

    /// Returns the steps, from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Returns every value that the path selects in `claims`; none if a step does not fit what it meets.
    #[must_use]
    pub fn select<'a>(&self, claims: &'a Map<String, Value>) -> Vec<&'a Value> {
        let Some((Step::Name(first), rest)) = self.0.split_first() else { return Vec::new() };
        let mut selected: Vec<&Value> = claims.get(first).into_iter().collect();
        for step in rest {
            match advance(step, &selected) {
                Some(next) => selected = next,
                None => return Vec::new(),
            }
        }
        selected
    }
}

/// Applies one step to all that is selected; `None` if one of the values is of a type that the step does not fit.
fn advance<'a>(step: &Step, selected: &[&'a Value]) -> Option<Vec<&'a Value>> {
    let mut next = Vec::new();
    for value in selected {
        match (step, value) {
            (Step::Name(name), Value::Object(members)) => next.extend(members.get(name)),
            (Step::Index(at), Value::Array(elements)) => next.extend(elements.get(*at)),
            (Step::All, Value::Array(elements)) => next.extend(elements),
            _ => return None,
        }
    }
    Some(next)
}

impl TryFrom<Vec<Value>> for ClaimPath {
    type Error = ClaimPathFault;
    fn try_from(steps: Vec<Value>) -> Result<Self, ClaimPathFault> {
        let read = |(at, step): (usize, &Value)| read_step(step).ok_or(ClaimPathFault::Step(at));
        Self::new(steps.iter().take(MAX_STEPS + 1).enumerate().map(read).collect::<Result<_, _>>()?)
    }
}

fn read_step(step: &Value) -> Option<Step> {
    match step {
        Value::String(name) => Some(Step::Name(name.clone())),
        Value::Null => Some(Step::All),
        Value::Number(at) => at.as_u64().and_then(|at| usize::try_from(at).ok()).map(Step::Index),
        _ => None,
    }
}

impl From<ClaimPath> for Vec<Value> {
    fn from(path: ClaimPath) -> Self {
        path.0.into_iter().map(write_step).collect()
    }
}

fn write_step(step: Step) -> Value {
    match step {
        Step::Name(name) => Value::from(name),
        Step::Index(at) => Value::from(at),
        Step::All => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(steps: Value) -> Result<ClaimPath, String> {
        serde_json::from_value(steps).map_err(|fault| fault.to_string())
    }

    fn selected(steps: Value) -> Vec<Value> {
        let claims = json!({
            "name": "Ada",
            "degrees": [{"type": "BSc"}, {"type": "MSc"}, {}],
            "nationalities": ["US", "KR"],
        });
        path(steps).unwrap().select(claims.as_object().unwrap()).into_iter().cloned().collect()
    }

    #[test]
    fn names_indexes_and_null_select_as_the_specification_says() {
        assert_eq!(selected(json!(["name"])), [json!("Ada")]);
        assert_eq!(selected(json!(["nationalities", null])), [json!("US"), json!("KR")]);
        assert_eq!(selected(json!(["nationalities", 1])), [json!("KR")]);
        assert_eq!(selected(json!(["degrees", null, "type"])), [json!("BSc"), json!("MSc")]);
    }

    #[test]
    fn a_step_that_does_not_fit_selects_nothing() {
        for steps in [json!(["name", 0]), json!(["degrees", "type"]), json!(["nationalities", 2]), json!([null])] {
            assert!(selected(steps.clone()).is_empty(), "{steps}");
        }
    }

    #[test]
    fn a_path_of_other_things_is_refused() {
        let long = vec![json!("a"); 17];
        for steps in [json!([]), json!([-1]), json!([1.5]), json!([true]), json!([["a"]]), Value::Array(long)] {
            assert!(path(steps.clone()).is_err(), "{steps}");
        }
        assert!(path(json!(["a".repeat(257)])).is_err());
    }

    #[test]
    fn a_path_is_written_as_it_was_read() {
        let steps = json!(["a", null, 3, "b"]);
        assert_eq!(serde_json::to_value(path(steps.clone()).unwrap()).unwrap(), steps);
    }
}
