//! `license/v1`: an authorization that waives directives for named grantees and their people.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use terms::{EndUse, Engagement, InstrumentId, ModelFamily, Moment, OrganizationId, TieKind};

use super::{
    Faults, InstrumentFault, NationalityRule, Status, explicit, parse_as,
    parts::{Duty, Interpretation, Issuer, Source, check_head, check_remarks, is_false},
};
use crate::{CountryGroup, Obligation, Period};

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
        parse_as::<Document, Self>(json, TYPE)
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

    /// Returns its caps on tokens, each for one kind of period.
    pub fn token_caps(&self) -> impl Iterator<Item = (u64, Period)> {
        self.0.conditions.token_caps.iter().map(|cap| (cap.tokens, cap.per))
    }

    /// Returns the instrument of another id that it replaces when it takes effect, if any.
    #[must_use]
    pub fn supersedes(&self) -> Option<&InstrumentId> {
        self.0.supersedes.as_ref()
    }

    /// Returns since when this version speaks; a version of the same id with a higher number takes over from its own.
    #[must_use]
    pub fn status_since(&self) -> Moment {
        self.0.status_since
    }

    /// Returns true if it also reaches versions that were derived from a family it names.
    #[must_use]
    pub fn reaches_derivatives(&self) -> bool {
        self.0.models.include_derivatives
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

    pub(crate) fn entity_reach(&self) -> EntityReach {
        self.0.entity_scope
    }

    pub(crate) fn nationality_exclude(&self) -> Option<&NationalityExclude> {
        self.0.nationality_exclude.as_ref()
    }

    /// Returns the end uses it is limited to; empty if to none.
    pub(crate) fn end_uses(&self) -> &BTreeSet<EndUse> {
        &self.0.end_uses
    }

    /// Returns every country group that it names.
    pub(crate) fn groups(&self) -> BTreeSet<CountryGroup> {
        let nationals = self.0.nationality_exclude.iter().flat_map(|exclude| &exclude.groups);
        let places = self.0.territory.exclude_groups.union(&self.0.territory.unsettled_groups);
        places.chain(nationals).copied().collect()
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

/// How far beyond the grantees it names a license reaches.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntityReach {
    /// To those it names, and to nobody else.
    #[default]
    Named,
    /// Also to their branches and offices.
    Branches,
    /// Also to what they own whole.
    WhollyOwned,
    /// Also to what they own by more than half.
    MajorityOwned,
}

impl EntityReach {
    pub(crate) fn covers(self, tie: TieKind) -> bool {
        match self {
            Self::Named => false,
            Self::Branches => tie <= TieKind::Branch,
            Self::WhollyOwned => tie <= TieKind::WhollyOwned,
            Self::MajorityOwned => tie <= TieKind::MajorityOwned,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_named(&self) -> bool {
        *self == Self::Named
    }
}

/// Foreign persons whom a license leaves out by their nationality.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NationalityExclude {
    pub(crate) groups: BTreeSet<CountryGroup>,
    pub(crate) rule: NationalityRule,
}

/// What no license under the export regulations waives; a document may repeat it, and may not shorten it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
enum NonWaivable {
    Ofac,
    EntityList,
    DeniedPersons,
    Embargo,
    Certification,
}

const NEVER: [NonWaivable; 5] = [
    NonWaivable::Ofac,
    NonWaivable::EntityList,
    NonWaivable::DeniedPersons,
    NonWaivable::Embargo,
    NonWaivable::Certification,
];

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Models {
    families: BTreeSet<ModelFamily>,
    #[serde(default, skip_serializing_if = "is_false")]
    include_derivatives: bool,
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
    /// Each period at most once.
    token_caps: Vec<TokenCap>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct TokenCap {
    tokens: u64,
    per: Period,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    supersedes: Option<InstrumentId>,
    kind: LicenseKind,
    issuer: Issuer,
    under: BTreeSet<InstrumentId>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    never_waives: BTreeSet<NonWaivable>,
    models: Models,
    grantees: Grantees,
    #[serde(default, skip_serializing_if = "EntityReach::is_named")]
    entity_scope: EntityReach,
    beneficiaries: Beneficiaries,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nationality_exclude: Option<NationalityExclude>,
    tenant_binding: bool,
    territory: Territory,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    end_uses: BTreeSet<EndUse>,
    conditions: Conditions,
    valid: Validity,
    status: Status,
    status_since: Moment,
    obligations: BTreeSet<Obligation>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reporting: Vec<Duty>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    interpretation: Vec<Interpretation>,
    /// Years for which its records must be kept; 15 CFR 762.6 asks for five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recordkeeping_years: Option<u32>,
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
    let mut faults = Faults::default();
    check_head(&doc.id, doc.version, doc.supersedes.as_ref(), &doc.issuer, &mut faults);
    faults.unless(!doc.models.families.is_empty(), "models.families", "empty: name at least one model family");
    check_waivers(doc, &mut faults);
    check_grantees(doc, &mut faults);
    let settled = doc.territory.exclude_groups.is_disjoint(&doc.territory.unsettled_groups);
    faults.unless(settled, "territory", "a group is both excluded and unsettled: choose one");
    if let Some(exclude) = &doc.nationality_exclude {
        faults.unless(!exclude.groups.is_empty(), "nationality_exclude.groups", "empty: name a group");
    }
    check_caps(&doc.conditions.token_caps, &mut faults);
    let ordered = doc.valid.to.is_none_or(|end| doc.valid.from < end);
    faults.unless(ordered, "valid.to", "not after valid.from: it would never be good");
    let kept = doc.recordkeeping_years.is_none_or(|years| years >= 5);
    faults.unless(kept, "recordkeeping_years", "fewer than the 5 years of 15 CFR 762.6");
    check_remarks(&doc.reporting, &doc.interpretation, &mut faults);
    faults.into_result()
}

fn check_waivers(doc: &Document, faults: &mut Faults) {
    faults.unless(!doc.under.is_empty(), "under", "empty: name the directive it waives");
    for id in doc.under.iter().filter(|id| is_non_waivable(id.as_str())) {
        let why = format!("waives `{id}`, which no license of this kind may: name directives only");
        faults.add(InstrumentFault::new("under", why));
    }
    let whole = doc.never_waives.is_empty() || NEVER.iter().all(|item| doc.never_waives.contains(item));
    let why = "shorter than what no license waives: ofac, entity_list, denied_persons, embargo, certification";
    faults.unless(whole, "never_waives", why);
}

/// Tells whether a name means rules that hold whatever licenses exist.
fn is_non_waivable(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let spelled = NEVER.iter().filter_map(|item| serde_json::to_value(item).ok());
    name.starts_with("base.") || spelled.into_iter().any(|item| item.as_str() == Some(name.as_str()))
}

fn check_grantees(doc: &Document, faults: &mut Faults) {
    let count = doc.grantees.organizations.len() + usize::from(doc.grantees.own_staff);
    faults.unless(count >= 1, "grantees", "nobody: name an organization or set own_staff");
    let one = doc.kind != LicenseKind::Individual || count == 1;
    faults.unless(one, "grantees", "an individual license names exactly one grantee");
}

fn check_caps(caps: &[TokenCap], faults: &mut Faults) {
    let at = "conditions.token_caps";
    let periods: BTreeSet<Period> = caps.iter().map(|cap| cap.per).collect();
    faults.unless(periods.len() == caps.len(), at, "two caps for the same period: keep the lower one");
    for (index, cap) in caps.iter().enumerate() {
        let why = "0 tokens: a license without any use; write at least 1";
        faults.unless(cap.tokens >= 1, format!("{at}[{index}].tokens"), why);
    }
}
