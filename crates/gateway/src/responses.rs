//! Who owns which stored response, so that nobody reaches another person's through its id.
//!
//! A response kept by an upstream (OpenAI's `/v1/responses`) is output: fetching it, or continuing it, passes the
//! same decision again, for its owner only. Ownership is held in memory; after a restart old ids are not known.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use identity::Holder;
use policy::Determination;
use terms::ModelVersionId;

use crate::{Call, Problem, Worker, admit, authenticate::Caller, dialect::Operation};

/// Stored responses whose owner is remembered; the oldest are forgotten first.
/// 65,536 of about 200 bytes are 13 MB.
const REMEMBERED_MAX: usize = 65_536;

/// Owners of stored responses.
#[derive(Debug, Default)]
pub(crate) struct Responses(Mutex<Owners>);

#[derive(Debug, Default)]
struct Owners {
    by_id: BTreeMap<String, (Holder, ModelVersionId)>,
    oldest: VecDeque<String>,
}

impl Responses {
    /// Remembers whose a stored response is and which version made it. The first to be told stands.
    pub(crate) fn keep(&self, id: String, holder: Holder, model: ModelVersionId) {
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.by_id.contains_key(&id) {
            return;
        }
        if owners.oldest.len() >= REMEMBERED_MAX
            && let Some(oldest) = owners.oldest.pop_front()
        {
            owners.by_id.remove(&oldest);
        }
        owners.oldest.push_back(id.clone());
        owners.by_id.insert(id, (holder, model));
    }

    /// Returns the version that made a stored response, if `holder` owns it.
    pub(crate) fn owned(&self, id: &str, holder: &Holder) -> Option<ModelVersionId> {
        let owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (owner, model) = owners.by_id.get(id)?;
        (owner == holder && *owner != Holder::Shared).then(|| model.clone())
    }
}

/// Returns the name that a call asks for: the one in its body, or the version that made the stored response.
///
/// # Errors
///
/// [`Problem::PermissionDenied`] if it continues a response of a version that the caller may not use now.
/// [`Problem::NotFound`] if the call refers to a stored response that the caller does not own, or that this
/// process does not remember: the two are told apart to nobody.
pub(crate) fn requested(worker: &Worker, caller: &Caller, call: &Call) -> Result<String, Problem> {
    let recipient = caller.recipient(worker.directory());
    let owned = |id: &str| worker.shared().responses.owned(id, &recipient).ok_or(Problem::NotFound);
    match &call.route.operation {
        Operation::ResponseGet { id }
        | Operation::ResponseDelete { id }
        | Operation::ResponseCancel { id }
        | Operation::ResponseInputItems { id } => owned(id).map(|model| model.as_str().to_owned()),
        _ => {
            let peek = call.peek.as_ref().ok_or(Problem::NotFound)?;
            if let Some(previous) = &peek.previous_response_id {
                permitted(worker, caller, &owned(previous)?)?;
            }
            Ok(peek.model.clone())
        }
    }
}

/// Refuses to continue a response of a version that the caller may not use now: what it says would be read again.
fn permitted(worker: &Worker, caller: &Caller, made_by: &ModelVersionId) -> Result<(), Problem> {
    let decided = admit::decide(worker, caller, made_by.as_str())?;
    match &decided.resolution.determination {
        Determination::Permit(_) => Ok(()),
        Determination::Refuse(refusal) => Err(admit::problem(caller, refusal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terms::PersonId;

    fn person(id: &str) -> Holder {
        Holder::Person { person: PersonId::parse(id).unwrap() }
    }

    #[test]
    fn a_stored_response_is_found_by_its_owner_only() {
        let responses = Responses::default();
        let model = ModelVersionId::parse("mythos-5").unwrap();
        responses.keep("resp_1".to_owned(), person("ada"), model.clone());
        responses.keep("resp_1".to_owned(), person("eve"), model.clone());
        assert_eq!(responses.owned("resp_1", &person("ada")), Some(model));
        assert_eq!(responses.owned("resp_1", &person("eve")), None);
        assert_eq!(responses.owned("resp_2", &person("ada")), None);
    }

    #[test]
    fn a_shared_key_owns_nothing() {
        let responses = Responses::default();
        responses.keep("resp_1".to_owned(), Holder::Shared, ModelVersionId::parse("ember-2").unwrap());
        assert_eq!(responses.owned("resp_1", &Holder::Shared), None);
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_is_no_room() {
        let responses = Responses::default();
        let model = ModelVersionId::parse("ember-2").unwrap();
        for n in 0..=REMEMBERED_MAX {
            responses.keep(format!("resp_{n}"), person("ada"), model.clone());
        }
        assert_eq!(responses.owned("resp_0", &person("ada")), None);
        assert!(responses.owned("resp_1", &person("ada")).is_some());
    }
}
