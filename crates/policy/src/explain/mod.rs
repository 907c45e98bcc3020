//! Why an answer is what it is, for an operator: everything that [`crate::decide`] looked at, and the nearest change
//! after which it would answer otherwise.
//!
//! Nothing here decides. Outcome, code and basis come from [`crate::decide`] itself; standing, location, nationality and
//! the conditions of licenses come from the functions that it asks; and every change that is suggested was tried by
//! deciding again. An explanation names people, organizations and evidence by id, and holds neither names of people nor
//! where evidence is kept. It is for operators, never for callers.

mod answer;
mod apply;
mod ending;
mod instruments;
mod licenses;
mod menu;
mod nearest;
mod parties;
mod people;
mod scene;

use serde::Serialize;
use terms::{EndUse, KeyId, ModelVersionId, Moment, OrganizationId};

use crate::{
    Determination, Facts, Snapshot,
    decide::{Inquiry, candidates, decide},
};

pub use answer::{Answer, Outcome, ProvisionNote};
pub use ending::Boundary;
pub use instruments::{Force, InstrumentVersion, RuleForce, instruments_at};
pub use licenses::{Clause, Condition, LicenseTest};
pub use menu::Step;
pub use nearest::{Nearest, NearestStep, WouldBe};
pub use parties::PartyState;
pub use people::{AffiliationState, EvidenceState, PersonState, Reading};

/// Everything that one answer rests on.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The moment it is about.
    pub at: Moment,
    /// The epoch of the snapshot.
    pub epoch: u64,
    /// The digest of the snapshot, in hexadecimal.
    pub snapshot: String,
    /// The name that was asked for.
    pub requested: String,
    /// The credential.
    pub credential: CredentialState,
    /// Every version that the name stands for, best first, up to and with the first that is permitted.
    pub tried: Vec<Tried>,
    /// Everybody behind the call, in order of id.
    pub people: Vec<PersonState>,
    /// Every organization that the call names, in order of id.
    pub organizations: Vec<PartyState>,
    /// Every version of every instrument of the snapshot: which governs, and why the others do not.
    pub instruments: Vec<InstrumentVersion>,
    /// The provisions that need no instrument and have dates of their own.
    pub rules: Vec<RuleForce>,
}

impl Explanation {
    /// Returns the version whose answer stands: the one that is permitted, else the best.
    #[must_use]
    pub fn decisive(&self) -> Option<&Tried> {
        let permitted = |tried: &&Tried| tried.answer.code.is_none();
        self.tried.iter().find(permitted).or_else(|| self.tried.first())
    }
}

/// One model version that the requested name stands for.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// Which.
    pub model: ModelVersionId,
    /// What [`crate::decide`] says about it.
    pub answer: Answer,
    /// Which licenses were asked about whom, and what each of their conditions says.
    pub licenses: Vec<LicenseTest>,
    /// The smallest changes after which the answer would be another; the smallest first. Of a refusal: what would
    /// permit; of a permit: what would end it.
    pub nearest: Vec<Nearest>,
}

/// The credential of a call.
#[derive(Clone, Debug, Serialize)]
pub struct CredentialState {
    /// Its public id.
    pub id: KeyId,
    /// When it expires.
    pub expires_at: Moment,
    /// True if it was revoked.
    pub revoked: bool,
    /// The organization whose tenant it belongs to.
    pub organization: Option<OrganizationId>,
    /// The end use it was made for.
    pub end_use: Option<EndUse>,
}

/// Explains what [`crate::resolve`] answers to a requested name; `None` if the name is neither a version nor an alias.
///
/// Agrees with [`crate::decide`] by construction: the same outcome, code and basis for every version it tries. Tries at
/// most some hundreds of changes, of which a few dozen compile a snapshot, so it belongs off the data path.
#[must_use]
pub fn explain(snapshot: &Snapshot, facts: &Facts, requested: &str) -> Option<Explanation> {
    let instruments = instruments_at(snapshot, facts.at);
    let mut tried = Vec::new();
    for model in candidates(snapshot.document(), requested)? {
        let facts = Facts { model: model.clone(), ..facts.clone() };
        let determination = decide(snapshot, &facts);
        let permitted = matches!(determination, Determination::Permit(_));
        tried.push(Tried {
            model: model.clone(),
            answer: Answer::of(snapshot, &facts, &instruments, &determination),
            licenses: licenses::tested(snapshot, &facts),
            nearest: nearest::search(snapshot, &facts),
        });
        if permitted {
            break;
        }
    }
    let mut inquiry = Inquiry::begin(snapshot, facts);
    let caller = inquiry.caller();
    let models: Vec<&ModelVersionId> = tried.iter().map(|tried| &tried.model).collect();
    Some(Explanation {
        at: facts.at,
        epoch: snapshot.epoch(),
        snapshot: hex(snapshot.digest()),
        requested: requested.to_owned(),
        credential: credential(facts),
        people: people::states(snapshot, facts, &models),
        organizations: parties::states(facts, &caller),
        rules: instruments::rules_at(snapshot, facts.at),
        instruments,
        tried,
    })
}

fn credential(facts: &Facts) -> CredentialState {
    let credential = facts.credential.clone();
    CredentialState {
        id: credential.id,
        expires_at: credential.expires_at,
        revoked: credential.revoked,
        organization: credential.organization,
        end_use: credential.end_use,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
