//! The organizations of a call, as its facts know them.

use serde::Serialize;
use terms::{Country, Coverage, OrganizationId, OrganizationKind, Screening};

use crate::{Facts, caller::Caller};

/// One organization that a call names.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PartyState {
    /// Its id.
    pub id: OrganizationId,
    /// True if the call uses its tenant.
    pub is_tenant: bool,
    /// False if the facts do not have it: it then counts as not screened.
    pub known: bool,
    /// Where it stands under 15 CFR 772.1, if known.
    pub kind: Option<OrganizationKind>,
    /// Where it is incorporated, if known.
    pub country: Option<Country>,
    /// Where its ultimate parent is headquartered, if known.
    pub headquarters: Option<Country>,
    /// The result of its screening, if known.
    pub screening: Option<Screening>,
    /// What its ownership brings, if known.
    pub coverage: Option<Coverage>,
    /// True if it passes output on to end users it does not identify.
    pub resells: bool,
}

/// Returns every organization that a call names, in order of id.
pub(super) fn states(facts: &Facts, caller: &Caller<'_>) -> Vec<PartyState> {
    let state = |id: &&OrganizationId| {
        let found = facts.organizations.iter().find(|organization| organization.id == **id);
        PartyState {
            id: (*id).clone(),
            is_tenant: caller.tenant == Some(id),
            known: found.is_some(),
            kind: found.map(|organization| organization.kind),
            country: found.map(|organization| organization.country),
            headquarters: found.and_then(|organization| organization.headquarters),
            screening: found.map(|organization| organization.screening),
            coverage: found.map(|organization| organization.coverage),
            resells: found.is_some_and(|organization| organization.resells),
        }
    };
    caller.named().map(|id| state(&id)).collect()
}
