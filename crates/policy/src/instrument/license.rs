//! `license/v1`: an authorization that waives directives for named grantees and their people.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use terms::{Engagement, InstrumentId, ModelFamily, Moment, OrganizationId};

use super::{InstrumentFault, Issuer, Source, Status, check_head, check_words, explicit, parse_as};
use crate::{CountryGroup, Obligation};

const TYPE: &str = "license/v1";

/// A license: checked, immutable; a change is a new version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct License(Document);

impl License {
    /// Parses one JSON document of type `license/v1`.
    ///
    /// # Errors
    ///
    /// [`InstrumentFault`] names the place and the reason; nothing was changed.
    pub fn parse(json: &[u8]) -> Result<Self, InstrumentFault> {
        parse_as::<Document>(json, TYPE)?.try_into()
    }

    /// Returns its id; the same in all its versions.
    #[must_use]
    pub fn id(&self) -> &InstrumentId {
        &self.0.id
    }

    /// Returns its version; the first is 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// Returns whether it is in force.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// Returns the model families it names; at least one.
    #[must_use]
    pub fn families(&self) -> &BTreeSet<ModelFamily> {
        &self.0.models.families
    }

    /// Returns the directives it waives; at least one.
    #[must_use]
    pub fn under(&self) -> &BTreeSet<InstrumentId> {
        &self.0.under
    }

    /// Returns the organizations it names.
    #[must_use]
    pub fn grantees(&self) -> &BTreeSet<OrganizationId> {
        &self.0.grantees.organizations
    }

    /// Returns true if it also names the lab's own staff.
    #[must_use]
    pub fn own_staff(&self) -> bool {
        self.0.grantees.own_staff
    }

    /// Returns the cap on tokens in a calendar month, if it sets one.
    #[must_use]
    pub fn tokens_per_month(&self) -> Option<u64> {
        self.0.conditions.tokens_per_month
    }

    /// Returns from when it is good.
    #[must_use]
    pub fn valid_from(&self) -> Moment {
        self.0.valid.from
    }

    /// Returns until when it is good, if it ends by its own terms.
    #[must_use]
    pub fn valid_until(&self) -> Option<Moment> {
        self.0.valid.to
    }

    /// Returns the next version: this one with another status, as of `at`.
    #[must_use]
    pub fn with_status(&self, status: Status, at: Moment) -> Self {
        Self(Document { version: self.0.version.saturating_add(1), status, status_since: at, ..self.0.clone() })
    }

    pub(crate) fn kind(&self) -> LicenseKind {
        self.0.kind
    }

    pub(crate) fn agency(&self) -> &str {
        &self.0.issuer.agency
    }

    pub(crate) fn employee_scope(&self) -> Option<EmployeeScope> {
        self.0.beneficiaries.employee_scope
    }

    pub(crate) fn tenant_binding(&self) -> bool {
        self.0.tenant_binding
    }

    pub(crate) fn excluded_groups(&self) -> &BTreeSet<CountryGroup> {
        &self.0.territory.exclude_groups
    }

    pub(crate) fn unsettled_groups(&self) -> &BTreeSet<CountryGroup> {
        &self.0.territory.unsettled_groups
    }

    pub(crate) fn obligations(&self) -> &BTreeSet<Obligation> {
        &self.0.obligations
    }
}

/// What sort of authorization it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LicenseKind {
    /// A list of approved grantees, as an annex to a letter.
    ApprovalList,
    /// A license to one grantee.
    Individual,
    /// A license exception (15 CFR part 740).
    Exception,
}

impl LicenseKind {
    pub(crate) fn as_words(self) -> &'static str {
        match self {
            Self::ApprovalList => "approval list",
            Self::Individual => "individual license",
            Self::Exception => "license exception",
        }
    }
}

/// Which of a grantee's people are covered.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EmployeeScope {
    /// Directly employed.
    Direct,
    /// Regular employees as 22 CFR 120.64 defines them.
    #[serde(rename = "regular_120_64")]
    Regular120_64,
    /// Employees, individual contractors and interns, as 15 CFR 740.17(a)(2) spells them out.
    EmployeesContractorsInterns,
}

impl EmployeeScope {
    pub(crate) fn covers(self, engagement: Engagement) -> bool {
        match self {
            Self::Direct => engagement == Engagement::Employee,
            Self::Regular120_64 => {
                matches!(engagement, Engagement::Employee | Engagement::RegularEmployee)
            }
            Self::EmployeesContractorsInterns => true,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Models {
    families: BTreeSet<ModelFamily>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Grantees {
    organizations: BTreeSet<OrganizationId>,
    own_staff: bool,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Beneficiaries {
    /// `null`: counsel has not ruled beyond direct employees; the others are held.
    #[serde(deserialize_with = "explicit")]
    employee_scope: Option<EmployeeScope>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Territory {
    /// Where the license is not good.
    exclude_groups: BTreeSet<CountryGroup>,
    /// Where the instrument is silent and counsel has not ruled: held.
    unsettled_groups: BTreeSet<CountryGroup>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Conditions {
    #[serde(deserialize_with = "explicit")]
    tokens_per_month: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Validity {
    from: Moment,
    #[serde(deserialize_with = "explicit")]
    to: Option<Moment>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Type {
    #[serde(rename = "license/v1")]
    V1,
}

/// The document as written; a [`License`] is one that passed [`check`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    r#type: Type,
    id: InstrumentId,
    version: u32,
    kind: LicenseKind,
    issuer: Issuer,
    under: BTreeSet<InstrumentId>,
    models: Models,
    grantees: Grantees,
    beneficiaries: Beneficiaries,
    tenant_binding: bool,
    territory: Territory,
    conditions: Conditions,
    valid: Validity,
    status: Status,
    status_since: Moment,
    obligations: BTreeSet<Obligation>,
    source: Source,
}

impl TryFrom<Document> for License {
    type Error = InstrumentFault;
    fn try_from(document: Document) -> Result<Self, InstrumentFault> {
        check(&document)?;
        Ok(Self(document))
    }
}

impl From<License> for Document {
    fn from(license: License) -> Self {
        license.0
    }
}

fn check(doc: &Document) -> Result<(), InstrumentFault> {
    check_head(&doc.id, doc.version, doc.models.families.len())?;
    check_words("issuer.agency", &doc.issuer.agency)?;
    check_words("issuer.official", &doc.issuer.official)?;
    InstrumentFault::unless(!doc.under.is_empty(), "under", "empty: name the directive it waives")?;
    check_grantees(doc)?;
    let settled = doc.territory.exclude_groups.is_disjoint(&doc.territory.unsettled_groups);
    InstrumentFault::unless(settled, "territory", "a group is both excluded and unsettled: choose one")?;
    let ordered = doc.valid.to.is_none_or(|end| doc.valid.from < end);
    InstrumentFault::unless(ordered, "valid.to", "not after valid.from: it would never be good")
}

fn check_grantees(doc: &Document) -> Result<(), InstrumentFault> {
    let count = doc.grantees.organizations.len() + usize::from(doc.grantees.own_staff);
    InstrumentFault::unless(count >= 1, "grantees", "nobody: name an organization or set own_staff")?;
    let one = doc.kind != LicenseKind::Individual || count == 1;
    InstrumentFault::unless(one, "grantees", "an individual license names exactly one grantee")
}
