//! What an administrator sends. Unknown fields are refused; each type is also its own description in the OpenAPI
//! document.

use std::time::Duration;

use identity::Holder;
use proof::production::Disclosure;
use serde::Deserialize;
use terms::{
    AffiliationId, Assurance, AttestationId, Claim, Country, Coverage, EndUse, Engagement, IssuerId, ModelVersionId,
    Moment, OrganizationId, OrganizationKind, PersonId, Screening, Tie, WorkloadId,
};
use utoipa::ToSchema;

use super::BoundTo;
use crate::{ApprovalAct, ApproverRole, HoldScope, PublicKey, Role, schema};

/// A new organization.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// Its id, chosen by the registrar.
    #[schema(value_type = String, example = "larkspur-labs")]
    pub id: OrganizationId,
    /// Its legal name; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub legal_name: String,
    /// Where it is incorporated, by ISO 3166-1 alpha-2 code.
    #[schema(value_type = String, example = "US")]
    pub country: Country,
    /// Where it stands under 15 CFR 772.1.
    #[schema(schema_with = schema::organization_kind)]
    pub kind: OrganizationKind,
    /// The result of screening; `review` if absent.
    #[serde(default)]
    #[schema(schema_with = schema::screening, required = false)]
    pub screening: Screening,
    /// What its ownership brings. There is no default: what nobody computed is `undetermined`.
    #[schema(schema_with = schema::coverage)]
    pub coverage: Coverage,
    /// True if it passes the model on to end users it does not identify.
    #[serde(default)]
    pub resells: bool,
    /// Where its ultimate parent is headquartered, or itself if it has none; absent if not known.
    #[schema(value_type = Option<String>, example = "US")]
    pub headquarters: Option<Country>,
    /// To whom it belongs, with how close a tie; through how many steps does not matter.
    #[serde(default)]
    #[schema(schema_with = schema::ties, required = false)]
    pub ties: Vec<Tie>,
}

/// A change of an organization; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationUpdate {
    /// Its legal name; 1 to 256 characters.
    pub legal_name: Option<String>,
    /// The result of screening.
    #[schema(schema_with = schema::screening, required = false)]
    pub screening: Option<Screening>,
    /// What its ownership brings.
    #[schema(schema_with = schema::coverage, required = false)]
    pub coverage: Option<Coverage>,
    /// True if it passes the model on to end users it does not identify.
    pub resells: Option<bool>,
    /// Where its ultimate parent is headquartered.
    #[schema(value_type = Option<String>)]
    pub headquarters: Option<Country>,
    /// To whom it belongs; replaces what was known.
    #[schema(schema_with = schema::ties, required = false)]
    pub ties: Option<Vec<Tie>>,
}

/// A new person, without any evidence yet.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// Their id, chosen by the registrar; not a name or an address.
    #[schema(value_type = String, example = "ada")]
    pub id: PersonId,
    /// What to call them, for operators only; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub display_name: String,
    /// The result of screening; `review` if absent.
    #[serde(default)]
    #[schema(schema_with = schema::screening, required = false)]
    pub screening: Screening,
}

/// A change of a person; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonUpdate {
    /// What to call them; 1 to 256 characters.
    pub display_name: Option<String>,
    /// The result of screening.
    #[schema(schema_with = schema::screening, required = false)]
    pub screening: Option<Screening>,
    /// False withdraws access at once.
    pub active: Option<bool>,
}

/// A new attestation. It is never edited: a later one supersedes it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAttestation {
    /// Its id; made by the server if absent.
    #[schema(value_type = Option<String>)]
    pub id: Option<AttestationId>,
    /// Whom it is about.
    #[schema(value_type = String)]
    pub person: PersonId,
    /// What it states.
    #[schema(schema_with = schema::claim)]
    pub claim: Claim,
    /// Who states it.
    #[schema(value_type = String)]
    pub issuer: IssuerId,
    /// Where the issuer keeps the evidence, never the evidence itself; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub evidence: String,
    /// How well it was proofed.
    #[schema(schema_with = schema::assurance)]
    pub assurance: Assurance,
    /// When it was issued; not in the future.
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Moment,
    /// When it stops being good; at most two years (731 days) after it was issued.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Moment,
    /// The attestation it replaces: about the same person, by the same issuer, and still held.
    #[schema(value_type = Option<String>)]
    pub supersedes: Option<AttestationId>,
}

/// Why an attestation no longer holds.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalReason {
    /// In the issuer's words; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub reason: String,
}

/// A new affiliation.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAffiliation {
    /// Its id; made by the server if absent.
    #[schema(value_type = Option<String>)]
    pub id: Option<AffiliationId>,
    /// Who.
    #[schema(value_type = String)]
    pub person: PersonId,
    /// For whom.
    #[schema(value_type = String)]
    pub organization: OrganizationId,
    /// In what capacity.
    #[schema(schema_with = schema::engagement)]
    pub engagement: Engagement,
    /// Who attests it.
    #[schema(value_type = String)]
    pub issuer: IssuerId,
    /// Where the issuer keeps the evidence; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub evidence: String,
    /// When it was attested; not in the future.
    #[schema(value_type = String, format = DateTime)]
    pub attested_at: Moment,
    /// When it ends or must be attested again; at most two years (731 days) after it was attested.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Moment,
}

/// The end of an affiliation.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AffiliationEnd {
    /// When it ends; now if absent, and never later than it would have ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Moment>,
}

/// A new workload.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWorkload {
    /// Its id, chosen by the registrar.
    #[schema(value_type = String)]
    pub id: WorkloadId,
    /// What it does; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub purpose: String,
    /// The organization it runs for.
    #[schema(value_type = String)]
    pub organization: OrganizationId,
    /// People who answer for it; 1 to 64, registered and active.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 64)]
    pub owners: Vec<PersonId>,
    /// Everyone who receives its output, if that is a fixed set; up to 64, registered.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 64)]
    pub recipients: Vec<PersonId>,
}

/// A change of a workload; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadUpdate {
    /// What it does; 1 to 256 characters.
    pub purpose: Option<String>,
    /// People who answer for it; 1 to 64, registered and active.
    #[schema(value_type = Option<Vec<String>>)]
    pub owners: Option<Vec<PersonId>>,
    /// Everyone who receives its output; empty means not established.
    #[schema(value_type = Option<Vec<String>>)]
    pub recipients: Option<Vec<PersonId>>,
    /// False withdraws access at once.
    pub active: Option<bool>,
}

/// A new API key.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whom it belongs to.
    #[schema(schema_with = schema::holder)]
    pub holder: Holder,
    /// The organization whose tenant it belongs to; that of the workload for a workload's key.
    #[schema(value_type = Option<String>)]
    pub organization: Option<OrganizationId>,
    /// When it expires; 30 days from now if absent, at most 90.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_after: Option<Moment>,
    /// The end use it is made for (15 CFR 772.1), as licenses name it.
    #[schema(value_type = Option<String>, example = "cyber_defence")]
    pub end_use: Option<EndUse>,
    /// What its holder must prove to hold with each call: the key of a client certificate, or a key for DPoP proofs.
    /// Nothing if absent.
    #[schema(schema_with = schema::confirmation)]
    pub confirmation: Option<BoundTo>,
}

/// A new approver, or a new key of one whose key was revoked.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApprover {
    /// The natural person, who signs as this.
    #[schema(value_type = String, example = "iris")]
    pub id: PersonId,
    /// In which capacity they approve.
    pub role: ApproverRole,
    /// Their Ed25519 public key: 32 bytes in base64url without padding, the `x` of a JWK (RFC 8037).
    #[schema(value_type = String)]
    pub public_key: PublicKey,
}

/// A signed act.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedAct {
    /// What was signed: `{"type": "approval/v1", "act", "kind", "id", "version", "document_sha256", "valid_until"}`.
    #[schema(value_type = Object)]
    pub act: ApprovalAct,
    /// The signature: JWS in compact form with a detached payload (`header..signature`), `alg` `EdDSA`, `kid` the
    /// approver, `typ` `exeat-approval+jws`; the payload is the act in the canonical spelling of RFC 8785.
    pub jws: String,
}

/// A legal hold to be placed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// Whose records it keeps: `"everything"`, `{"organization": ID}` or `{"person": ID}`.
    pub scope: HoldScope,
    /// Which agency or court asked, formally or not, and how; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub authority: String,
}

/// The end of a legal hold.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRelease {
    /// The agency's written authorization: which document, of when; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub authorization: String,
}

/// Private parts to be made unreadable for good.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewErasure {
    /// Whose, as the log names callers: `person:ada`, `workload:nightly`, `key:ID`.
    #[schema(example = "person:ada")]
    pub subject: String,
    /// Of which epoch: year x 4 + quarter (0 to 3).
    pub epoch: u32,
    /// Why, and on whose demand; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub reason: String,
}

/// A part of the record to be produced.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProduction {
    /// Whose calls, as the log names it: `organization:acme`, `person:ada`, `workload:nightly`, `key:ID`, `model:mythos-5.0`.
    #[schema(example = "organization:acme")]
    pub name: String,
    /// Only calls on this model version; on any if absent.
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelVersionId>,
    /// Calls that were opened or refused from here on.
    #[schema(value_type = String, format = DateTime)]
    pub from: Moment,
    /// Until here, which is no longer in it; not in the future.
    #[schema(value_type = String, format = DateTime)]
    pub to: Moment,
    /// Which private fields are shown; the facts of the decisions if absent.
    #[serde(default = "facts")]
    #[schema(value_type = Vec<String>, required = false, example = json!(["facts", "digests", "content"]))]
    pub disclose: Vec<Disclosure>,
    /// For whom and on what authority; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub reason: String,
}

fn facts() -> Vec<Disclosure> {
    vec![Disclosure::Facts]
}

/// Why something is done without its approvals, and for how long.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Emergency {
    /// Why it cannot wait; 10 to 500 characters.
    #[schema(min_length = 10, max_length = 500)]
    pub reason: String,
    /// After how many minutes it is undone, if it can give access; 1 to 240.
    #[schema(minimum = 1, maximum = 240)]
    pub minutes: u64,
}

/// A new admin token.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its holder may do.
    pub role: Role,
    /// Who holds it, in words; 1 to 256 characters.
    #[schema(min_length = 1, max_length = 256)]
    pub label: String,
    /// When it expires; 30 days from now if absent, at most 90.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_after: Option<Moment>,
    /// The natural person who holds it, by the id under which they approve: what they propose with it, others approve.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub person: Option<PersonId>,
}

impl NewToken {
    /// The token of the first start.
    pub(crate) fn first_root(now: Moment, life: Duration) -> Self {
        Self { role: Role::Root, label: "first start".to_owned(), not_after: Some(now.plus(life)), person: None }
    }
}
