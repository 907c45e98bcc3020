//! What a plan says: data only, in a fixed order, so that the same inputs give the same bytes.
//!
//! Every list is sorted, every count is exact, every share is a whole number. Nothing here names a person; tenants
//! are named by the ids of their organizations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use terms::{InstrumentId, ModelVersionId, Moment, OrganizationId, ProvisionId, UsPersonLimb};

use crate::{Code, Flag, Obligation, Remedy, Status};

/// The format of [`Report`] that this release writes.
pub const FORMAT: &str = "exeat-plan/v1";

/// What would happen if one snapshot replaced another at one moment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// The version of this crate that decided.
    pub engine: String,
    /// The moment that was planned for: all evidence and all dates are read as of then.
    pub at: Moment,
    /// What is in force now.
    pub before: SnapshotMark,
    /// What would be in force.
    pub after: SnapshotMark,
    /// Whom it was planned for.
    pub population: PopulationMark,
    /// Everyone who would lose the use of at least one model version.
    pub cut: Reach,
    /// One entry for each model version of either snapshot, in order of id.
    pub models: Vec<ModelReport>,
    /// How counts change with the reading of the instruments; absent if none was asked for.
    pub matrix: Option<Matrix>,
    /// What somebody should think about before approving.
    pub warnings: Vec<Warning>,
    /// When what happens.
    pub schedule: Schedule,
    /// What a prover found; made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proofs: Option<Vec<Proof>>,
    /// Who signed the report, over its bytes without this field; made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// Which snapshot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotMark {
    /// SHA-256 of its canonical bytes, 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Its epoch.
    pub epoch: u64,
}

/// Which population.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PopulationMark {
    /// SHA-256 over everything known about every key, whatever the order of arrival; 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Credentials.
    pub keys: u64,
    /// Distinct natural persons who hold a key in their own name.
    pub persons: u64,
    /// Distinct workloads that hold a key.
    pub workloads: u64,
    /// Distinct organizations under whose tenant a key calls.
    pub tenants: u64,
    /// Groups of keys that no rule of the snapshots can tell apart at the moment planned for.
    pub classes: u64,
}

/// How many are concerned. A person is counted once, and counts if at least one of their keys is concerned.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// Organizations under whose tenant at least one concerned key calls.
    pub tenants: u64,
    /// Natural persons.
    pub persons: u64,
    /// Workloads.
    pub workloads: u64,
    /// Credentials, shared ones too.
    pub keys: u64,
    /// Streams open now.
    pub open_streams: u64,
    /// Tokens a minute now.
    pub tokens_per_minute: u64,
    /// Calls in the window over which traffic was measured.
    pub calls: u64,
    /// Share of the tokens a minute of the same model version (of all, where no model version is meant), in
    /// thousandths, rounded down.
    pub share_per_mille: u64,
}

/// Permitted, held and denied.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// May use the model.
    pub permit: Reach,
    /// May not until named evidence is there.
    pub hold: Reach,
    /// May not.
    pub deny: Reach,
}

/// An answer, without whom it is for.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// May use the model.
    Permit {
        /// On these legal bases.
        basis: Vec<ProvisionId>,
        /// What an operator should look at.
        flags: Vec<Flag>,
        /// What the permit demands.
        obligations: Vec<Obligation>,
    },
    /// May not until the evidence is there.
    Hold {
        /// Why.
        code: Code,
        /// The provisions that hold it.
        denied_by: Vec<ProvisionId>,
        /// The evidence that would clear it.
        remedies: Vec<Remedy>,
    },
    /// May not.
    Deny {
        /// Why.
        code: Code,
        /// The provisions that deny it; empty if nothing permitted and nothing forbade.
        denied_by: Vec<ProvisionId>,
    },
}

/// Everything about one model version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModelReport {
    /// Which.
    pub model: ModelVersionId,
    /// Under what is in force now.
    pub before: Split,
    /// Under what would be in force.
    pub after: Split,
    /// Who would be cut.
    pub turn_off: TurnOff,
    /// Who would go on, or begin, and on what legal basis; most keys first.
    pub keeps: Vec<Keep>,
    /// Who could be restored by which evidence; most tokens a minute first, then most keys.
    pub holds: Vec<Hold>,
    /// What changes.
    pub diff: Diff,
}

/// Who has the use of a model version now and would not have it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TurnOff {
    /// All of them.
    pub reach: Reach,
    /// By the reason that would be given; most keys first.
    pub reasons: Vec<TurnOffReason>,
    /// By tenant, most tokens a minute first, then most keys; at most as many as the options say.
    pub tenants: Vec<TenantRow>,
    /// Tenants concerned that are not listed.
    pub tenants_left_out: u64,
    /// What the largest groups have in common, most keys first; at most as many as the options say.
    pub examples: Vec<Example>,
}

/// A reason for which a model version is lost.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TurnOffReason {
    /// The answer they would get.
    pub answer: Answer,
    /// How many.
    pub reach: Reach,
}

/// One tenant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TenantRow {
    /// Its organization; absent for keys without a tenant.
    pub tenant: Option<OrganizationId>,
    /// What of it is concerned; `share_per_mille` is of the tenant's own tokens a minute on the model version.
    pub reach: Reach,
    /// Its keys that have the use of the model version now.
    pub permitted_before: u64,
}

/// What a group of keys has in common: attributes only, never a name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Its attributes, each a few words.
    pub attributes: Vec<String>,
    /// Keys in the group.
    pub keys: u64,
    /// Their tokens a minute on the model version.
    pub tokens_per_minute: u64,
    /// The answer they would get.
    pub answer: Answer,
}

/// Who would have the use of a model version, on one set of legal bases.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The bases, in order.
    pub basis: Vec<ProvisionId>,
    /// How many.
    pub reach: Reach,
}

/// Who would be held for the same evidence.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// What is missing, in order.
    pub remedies: Vec<Remedy>,
    /// How many.
    pub reach: Reach,
    /// How many of them have the use of the model version now.
    pub lost: Reach,
    /// What would become of them with the evidence supplied, as decided group by group.
    pub supplied: Vec<Supplied>,
    /// Remedies that are no evidence about the caller and were not supplied: see the matrix for rulings of counsel.
    pub not_simulated: Vec<Remedy>,
}

/// What becomes of those who are held if evidence is supplied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Supplied {
    /// What was supplied, in order.
    pub evidence: Vec<Evidence>,
    /// The answers that follow.
    pub result: Split,
}

/// Evidence as a plan can suppose it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Each statement of standing on file, attested again now at the highest assurance.
    StandingRenewed,
    /// Citizen of the United States, attested beside what is on file.
    StandingCitizen,
    /// Foreign person, attested beside what is on file.
    StandingForeign,
    /// Each statement of location on file, attested again now at the highest assurance.
    LocationRenewed,
    /// In the United States, attested beside what is on file.
    LocationUnitedStates,
    /// Each statement of nationality on file, attested again now at the highest assurance.
    NationalityRenewed,
    /// Citizen of a country that no list names, attested beside what is on file.
    NationalityOrdinary,
    /// Directly employed by the tenant's organization.
    Employed,
    /// Every screening that awaits adjudication cleared.
    ScreeningCleared,
    /// Ownership that is undetermined found not to matter.
    OwnershipCleared,
    /// All recipients of a workload named, known and active.
    RecipientsNamed,
    /// The key made for the first end use that a license names.
    EndUseDeclared,
}

/// What changes for one model version. Each key is in exactly one of the counts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// Permitted or held now, denied then.
    pub newly_denied: Reach,
    /// Permitted or denied now, held then.
    pub newly_held: Reach,
    /// Held or denied now, permitted then.
    pub newly_allowed: Reach,
    /// Permitted now and then, on another basis or with other obligations.
    pub basis_changed: Reach,
    /// Held or denied now and in the same way then, for another reason.
    pub reason_changed: Reach,
    /// The same answer.
    pub unchanged: Reach,
    /// Each pair of different answers, most keys first.
    pub transitions: Vec<Transition>,
}

/// From one answer to another.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// Now.
    pub before: Answer,
    /// Then.
    pub after: Answer,
    /// How many.
    pub reach: Reach,
}

/// Counts for every combination of readings.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The questions, in order, each with the answers compared.
    pub knobs: Vec<KnobMark>,
    /// One entry for each combination, the last question varying fastest.
    pub cells: Vec<MatrixCell>,
}

/// A question that the wording of instruments leaves open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KnobMark {
    /// The question, such as `person_definition`.
    pub name: String,
    /// The instruments it is asked of.
    pub instruments: Vec<InstrumentId>,
    /// The answers compared.
    pub choices: Vec<String>,
}

/// One combination of readings.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixCell {
    /// The answer to each question, by its name.
    pub readings: BTreeMap<String, String>,
    /// True for the combination that the documents state.
    pub as_written: bool,
    /// The counts by model version; a person counts once, by the best answer any of their keys gets. Of each
    /// [`Reach`] `tenants` is 0: it is not counted here.
    pub models: BTreeMap<ModelVersionId, Split>,
    /// Why these readings make no valid document, if so; there are no counts then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// What somebody should think about before approving.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// What about.
    pub kind: WarningKind,
    /// The model version, if one is meant.
    pub model: Option<ModelVersionId>,
    /// How many.
    pub reach: Reach,
    /// One sentence.
    pub message: String,
    /// The provision of law to consider, if one is meant.
    pub cite: Option<String>,
}

/// What a warning is about.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "about", rename_all = "snake_case", deny_unknown_fields)]
pub enum WarningKind {
    /// A directive bars everyone but citizens and nationals.
    CitizensOnly {
        /// Which.
        directive: InstrumentId,
    },
    /// People whom 15 CFR 772.1 does not count as foreign would be denied as foreign.
    ProtectedDenied {
        /// The limb under which they are protected.
        limb: UsPersonLimb,
    },
    /// U.S. persons would lose the model only because their evidence is old or weak.
    UsPersonsHeld,
    /// A whole tenant would be cut although most of those cut are U.S. persons.
    TenantCut {
        /// Which.
        tenant: OrganizationId,
    },
    /// A notice of the snapshot that would be in force.
    Notice {
        /// The place, such as an instrument's id.
        at: String,
    },
}

/// When what happens.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The instruments that change, in order of id.
    pub instruments: Vec<InstrumentTimes>,
    /// Everything that fires by itself after the moment planned for, in order; past the window too.
    pub moments: Vec<Firing>,
    /// Until when lapses of evidence were followed.
    pub lapses_until: Moment,
    /// Permits that end because evidence or a key gets too old, if nothing is renewed; by quarter hour, in order.
    pub lapses: Vec<Lapse>,
    /// What undoes the change.
    pub rollback: Rollback,
}

/// The dates of one instrument that is added, removed or changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentTimes {
    /// Which.
    pub id: InstrumentId,
    /// Its version now, if it is there.
    pub before: Option<u32>,
    /// Its version then, if it is there.
    pub after: Option<u32>,
    /// Its status then, or now if it is gone.
    pub status: Status,
    /// When the letter came, if the document says so.
    pub received_at: Option<Moment>,
    /// From when it binds or is good.
    pub effective_at: Moment,
    /// By when its addressee must comply, if the document says so.
    pub comply_by: Option<Moment>,
    /// Milliseconds that applying and cutting took when last measured, if given.
    pub apply_and_cut_ms: Option<u64>,
    /// Milliseconds left between the end of applying at the moment planned for, and `comply_by` (else
    /// `effective_at`); negative if late. Absent without a measurement.
    pub margin_ms: Option<i64>,
}

/// Something that takes or loses force by its own date.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    /// When.
    pub at: Moment,
    /// The instruments and which of their dates, such as `DIR-1 expires_at`; in order.
    pub what: Vec<String>,
    /// Keys that lose at least one model version at that moment, were all evidence still as good as at the moment
    /// planned for. Absent for moments after the first twelve: they are not decided.
    pub losing: Option<Reach>,
    /// Keys that gain at least one.
    pub gaining: Option<Reach>,
}

/// Permits that end by lapse of time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lapse {
    /// The first of them.
    pub first: Moment,
    /// The last of them; within the same quarter hour.
    pub last: Moment,
    /// The model version lost.
    pub model: ModelVersionId,
    /// The reason that would be given.
    pub code: Code,
    /// Keys.
    pub keys: u64,
    /// Their tokens a minute on the model version now.
    pub tokens_per_minute: u64,
}

/// What undoes the change.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The snapshot to go back to.
    pub snapshot: SnapshotMark,
    /// Instruments to set back, and the version that was in force; absent versions were not there.
    pub instruments: BTreeMap<InstrumentId, Option<u32>>,
}

/// What a prover found about the rules.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The property.
    pub property: String,
    /// True if it holds for every possible caller.
    pub holds: bool,
    /// A caller for whom it does not hold, in words.
    pub counterexample: Option<String>,
}

/// A signature over a report.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Names the key.
    pub key: String,
    /// The signature, base64.
    pub value: String,
}
