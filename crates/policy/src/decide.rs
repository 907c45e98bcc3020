//! The one decision function.

use terms::{ModelVersionId, Moment};

use crate::{Code, Determination, Facts, Permit, Refusal, Snapshot};

/// Decides one call.
pub fn decide(snapshot: &Snapshot, facts: &Facts) -> Determination {
    if snapshot
        .document()
        .models
        .iter()
        .any(|model| model.id == facts.model)
    {
        return Determination::Permit(Permit {
            model: facts.model.clone(),
            basis: Vec::new(),
            flags: Vec::new(),
            obligations: Vec::new(),
            valid_until: Moment::MAX,
            snapshot: *snapshot.digest(),
        });
    }
    Determination::Refuse(Refusal {
        code: Code::ModelUnknown,
        model: facts.model.clone(),
        denied_by: Vec::new(),
        remedies: Vec::new(),
        valid_until: Moment::MAX,
        snapshot: *snapshot.digest(),
    })
}

/// What a requested name resolved to for one caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolution {
    /// The determination that stands: the first permit, else the refusal of the best version.
    pub determination: Determination,
    /// Better versions that were refused first, best first.
    pub passed_over: Vec<Passed>,
    /// The moment up to which time alone changes neither the determination nor what was passed over.
    pub valid_until: Moment,
}

/// A better version that the caller may not use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Passed {
    /// Which.
    pub model: ModelVersionId,
    /// Why not.
    pub code: Code,
}

/// Resolves a requested name, a version or an alias, to the best version the caller may use.
///
/// `facts.model` is replaced by each candidate in turn; every candidate goes through [`decide`].
/// Returns `None` if the name is neither a version nor an alias.
#[must_use]
pub fn resolve(snapshot: &Snapshot, facts: &Facts, requested: &str) -> Option<Resolution> {
    let model = snapshot
        .document()
        .models
        .iter()
        .find(|model| model.id.as_str() == requested)?;
    let facts = Facts {
        model: model.id.clone(),
        ..facts.clone()
    };
    let determination = decide(snapshot, &facts);
    Some(Resolution { determination, passed_over: Vec::new(), valid_until: Moment::MAX })
}
