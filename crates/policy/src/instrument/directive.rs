//! `directive/v1`: an order that bars persons, destinations or organizations from model families.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use terms::{Assurance, InstrumentId, ModelFamily, Moment};

use super::{
    Faults, InstrumentFault, NationalityRule, Status, explicit, parse_as,
    parts::{
        Authority, Confidentiality, Duty, Interpretation, Issuer, Source, check_head, check_remarks, check_words,
        is_false,
    },
};
use crate::{CountryGroup, Obligation};

const TYPE: &str = "directive/v1";
const MAX_AGE_HOURS: u32 = 24 * 366;
const GRACE_MAX_MINUTES: u32 = 60 * 24 * 31;

/// A directive: checked, immutable; a change is a new version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct Directive(Document);

impl Directive {
    /// Parses one JSON document of type `directive/v1`.
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

    /// Returns when the letter came.
    #[must_use]
    pub fn received_at(&self) -> Moment {
        self.0.received_at
    }

    /// Returns the moment from which it is the law.
    #[must_use]
    pub fn effective_at(&self) -> Moment {
        self.0.effective_at
    }

    /// Returns the moment by which its addressee must comply, if the letter names one.
    #[must_use]
    pub fn comply_by(&self) -> Option<Moment> {
        self.0.comply_by
    }

    /// Returns the moment from which it is enforced while in force: when it takes effect and its grace is over.
    #[must_use]
    pub fn binds_at(&self) -> Moment {
        let grace = u64::from(self.0.grace_minutes.unwrap_or(0)) * 60;
        self.0.effective_at.plus(Duration::from_secs(grace))
    }

    /// Returns true if no license can waive it.
    #[must_use]
    pub fn is_prohibition(&self) -> bool {
        self.0.effect == Effect::Prohibit
    }

    /// Returns true if it also reaches versions that were derived from a family it names.
    #[must_use]
    pub fn reaches_derivatives(&self) -> bool {
        self.0.models.include_derivatives
    }

    /// Returns the moment at which it ends by its own terms, if it does.
    #[must_use]
    pub fn expires_at(&self) -> Option<Moment> {
        self.0.expires_at
    }

    /// Returns the next version: this one with another status, as of `at`.
    #[must_use]
    pub fn with_status(&self, status: Status, at: Moment) -> Self {
        Self(Document { version: self.0.version.saturating_add(1), status, status_since: at, ..self.0.clone() })
    }

    /// Returns true if it denies people whom 15 CFR 772.1 does not count as foreign.
    pub(crate) fn is_narrower_than_law(&self) -> bool {
        let definition = PersonDefinition::CitizensNationalsOnly;
        matches!(self.person_scope(), PersonScope::ForeignPerson { definition: d, .. } if *d == definition)
    }

    pub(crate) fn person_scope(&self) -> &PersonScope {
        &self.0.person_scope
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.0.destination_scope
    }

    pub(crate) fn entity_scope(&self) -> &EntityScope {
        &self.0.entity_scope
    }

    /// Returns how old the evidence of an affiliation may be, if it says so.
    pub(crate) fn employment_max_age(&self) -> Option<Duration> {
        let minutes = self.0.evidence.employment_max_age_minutes?;
        Some(Duration::from_secs(u64::from(minutes) * 60))
    }

    /// Returns every country group that it names.
    pub(crate) fn groups(&self) -> BTreeSet<CountryGroup> {
        let persons = match &self.0.person_scope {
            PersonScope::NationalsOf { groups, .. } => groups.clone(),
            PersonScope::None {} | PersonScope::Everyone {} | PersonScope::ForeignPerson { .. } => BTreeSet::new(),
        };
        let destinations = match &self.0.destination_scope {
            Destination::Groups { groups, .. } => groups.clone(),
            Destination::None {} | Destination::AllForeign { .. } => BTreeSet::new(),
        };
        persons.into_iter().chain(destinations).chain(self.0.entity_scope.headquartered_in().iter().copied()).collect()
    }

    pub(crate) fn min_assurance(&self) -> Assurance {
        self.0.evidence.min_assurance
    }

    pub(crate) fn max_age(&self) -> Duration {
        Duration::from_secs(u64::from(self.0.evidence.max_age_hours) * 3_600)
    }

    pub(crate) fn obligations(&self) -> &BTreeSet<Obligation> {
        &self.0.obligations
    }

    /// Returns the provisions of law it rests on, in one line.
    pub(crate) fn cite(&self) -> String {
        let cites: Vec<&str> = self.0.authority.iter().map(|a| a.cite.as_str()).collect();
        cites.join("; ")
    }
}

/// What it takes to be let through although a directive bars.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// A license that names the directive.
    #[default]
    RequireLicense,
    /// Nothing: no license waives it.
    Prohibit,
}

impl Effect {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_default(&self) -> bool {
        *self == Self::RequireLicense
    }
}

/// What an order reaches, in the words of 15 CFR 734.13 to 734.16; remote access as 50 USC 4801 would define it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Export,
    Reexport,
    TransferInCountry,
    DeemedExport,
    DeemedReexport,
    RemoteAccess,
}

/// Whom a directive bars by what they are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "deny", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PersonScope {
    /// Nobody.
    None {},
    /// Everybody, whoever they are.
    Everyone {},
    /// Foreign persons.
    ForeignPerson {
        /// Who is not one.
        definition: PersonDefinition,
        /// What becomes of a person whose standing is not attested.
        unknown: Unknown,
    },
    /// Foreign persons who are nationals of a country of these groups.
    NationalsOf {
        /// Which groups; at least one.
        groups: BTreeSet<CountryGroup>,
        /// Which nationality counts.
        rule: NationalityRule,
        /// What becomes of a person whose standing or nationality is not attested.
        unknown: Unknown,
    },
}

/// Who is not a foreign person.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PersonDefinition {
    /// Everyone whom 15 CFR 772.1 excepts: citizens, nationals, permanent residents, protected individuals.
    #[serde(rename = "ear_772")]
    Ear772,
    /// Citizens and nationals only; narrower than 15 CFR 772.1, see 8 USC 1324b.
    CitizensNationalsOnly,
}

/// What becomes of a person whose standing is not attested.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unknown {
    /// Denied: treated as foreign.
    Deny,
    /// Held until attested.
    Hold,
}

/// Which destinations a directive bars. `unsettled` means that counsel has not ruled whether it bars a person for
/// the destination alone: such a person is held, not denied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "deny", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Destination {
    /// None.
    None {},
    /// Everywhere outside the United States (15 CFR 734.13(a)(1)).
    AllForeign { unsettled: bool },
    /// Countries of these groups.
    Groups { groups: BTreeSet<CountryGroup>, unsettled: bool },
}

/// Which organizations a directive bars when a call is made under their tenant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "deny", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum EntityScope {
    /// None.
    None {},
    /// Organizations that are foreign persons (15 CFR 772.1, second sentence); also those with their headquarters, or
    /// their ultimate parent's, in a country of these groups (as 15 CFR 744.23(a)(3) does).
    ForeignOrganization {
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        headquartered_in: BTreeSet<CountryGroup>,
    },
    /// Only organizations with their headquarters, or their ultimate parent's, in a country of these groups.
    Headquarters { headquartered_in: BTreeSet<CountryGroup> },
}

impl EntityScope {
    pub(crate) fn bars_foreign(&self) -> bool {
        matches!(self, Self::ForeignOrganization { .. })
    }

    pub(crate) fn headquartered_in(&self) -> &BTreeSet<CountryGroup> {
        const NOWHERE: &BTreeSet<CountryGroup> = &BTreeSet::new();
        match self {
            Self::None {} => NOWHERE,
            Self::ForeignOrganization { headquartered_in } | Self::Headquarters { headquartered_in } => {
                headquartered_in
            }
        }
    }
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Models {
    families: BTreeSet<ModelFamily>,
    #[serde(default, skip_serializing_if = "is_false")]
    include_derivatives: bool,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    min_assurance: Assurance,
    max_age_hours: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    employment_max_age_minutes: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Type {
    #[serde(rename = "directive/v1")]
    V1,
}

/// The document as written; a [`Directive`] is one that passed [`check`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    r#type: Type,
    id: InstrumentId,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    supersedes: Option<InstrumentId>,
    issuer: Issuer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    addressee: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidentiality: Option<Confidentiality>,
    authority: Vec<Authority>,
    received_at: Moment,
    effective_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grace_minutes: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comply_by: Option<Moment>,
    #[serde(deserialize_with = "explicit")]
    expires_at: Option<Moment>,
    status: Status,
    status_since: Moment,
    models: Models,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    actions: BTreeSet<Action>,
    #[serde(default, skip_serializing_if = "Effect::is_default")]
    effect: Effect,
    person_scope: PersonScope,
    destination_scope: Destination,
    entity_scope: EntityScope,
    evidence: Evidence,
    obligations: BTreeSet<Obligation>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reporting: Vec<Duty>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    interpretation: Vec<Interpretation>,
    source: Source,
}

impl TryFrom<Document> for Directive {
    type Error = InstrumentFault;
    fn try_from(document: Document) -> Result<Self, InstrumentFault> {
        check(&document)?;
        Ok(Self(document))
    }
}

impl From<Directive> for Document {
    fn from(directive: Directive) -> Self {
        directive.0
    }
}

fn check(doc: &Document) -> Result<(), InstrumentFault> {
    let mut faults = Faults::default();
    check_head(&doc.id, doc.version, doc.supersedes.as_ref(), &doc.issuer, &mut faults);
    faults.unless(!doc.models.families.is_empty(), "models.families", "empty: name at least one model family");
    if let Some(addressee) = &doc.addressee {
        check_words("addressee", addressee, &mut faults);
    }
    faults.unless(!doc.authority.is_empty(), "authority", "empty: cite what it rests on");
    for (at, authority) in doc.authority.iter().enumerate() {
        check_words(&format!("authority[{at}].cite"), &authority.cite, &mut faults);
    }
    check_times(doc, &mut faults);
    check_scopes(doc, &mut faults);
    check_actions(doc, &mut faults);
    check_evidence(&doc.evidence, &mut faults);
    check_remarks(&doc.reporting, &doc.interpretation, &mut faults);
    faults.into_result()
}

fn check_times(doc: &Document, faults: &mut Faults) {
    let ordered = doc.expires_at.is_none_or(|end| doc.effective_at < end);
    faults.unless(ordered, "expires_at", "not after effective_at: it would never bind");
    let grace = doc.grace_minutes.unwrap_or(0);
    faults.unless(grace <= GRACE_MAX_MINUTES, "grace_minutes", "more than 31 days: set effective_at");
    let binds = doc.effective_at.plus(Duration::from_secs(u64::from(grace) * 60));
    let complies = doc.comply_by.is_none_or(|by| binds <= by);
    faults.unless(complies, "comply_by", "before it would be enforced: shorten grace_minutes");
    let known = doc.comply_by.is_none_or(|by| doc.received_at <= by);
    faults.unless(known, "comply_by", "before received_at: check both dates");
}

fn check_scopes(doc: &Document, faults: &mut Faults) {
    let bars = doc.person_scope != PersonScope::None {}
        || doc.destination_scope != Destination::None {}
        || doc.entity_scope != EntityScope::None {};
    faults.unless(bars, "person_scope", "bars nobody, and no other scope does: state whom it bars");
    if let PersonScope::NationalsOf { groups, .. } = &doc.person_scope {
        faults.unless(!groups.is_empty(), "person_scope.groups", "empty: name a group");
    }
    if let Destination::Groups { groups, .. } = &doc.destination_scope {
        faults.unless(!groups.is_empty(), "destination_scope.groups", "empty: name a group or deny `none`");
    }
    if let EntityScope::Headquarters { headquartered_in } = &doc.entity_scope {
        let named = !headquartered_in.is_empty();
        faults.unless(named, "entity_scope.headquartered_in", "empty: name a group or deny `none`");
    }
}

/// An order that lists its actions must list those through which its scopes bite.
fn check_actions(doc: &Document, faults: &mut Faults) {
    let lists = |any: &[Action]| doc.actions.is_empty() || any.iter().any(|action| doc.actions.contains(action));
    let persons = doc.person_scope == PersonScope::None {} || lists(&[Action::DeemedExport, Action::DeemedReexport]);
    let why = "person_scope bars persons, and neither deemed_export nor deemed_reexport is listed: add it";
    faults.unless(persons, "actions", why);
    let places = doc.destination_scope == Destination::None {}
        || lists(&[Action::Export, Action::Reexport, Action::RemoteAccess]);
    let why = "destination_scope bars places, and none of export, reexport and remote_access is listed: add one";
    faults.unless(places, "actions", why);
}

fn check_evidence(evidence: &Evidence, faults: &mut Faults) {
    let usable = (1..=MAX_AGE_HOURS).contains(&evidence.max_age_hours);
    faults.unless(usable, "evidence.max_age_hours", "write 1 to 8784");
    let usable = evidence.employment_max_age_minutes.is_none_or(|age| (1..=MAX_AGE_HOURS * 60).contains(&age));
    faults.unless(usable, "evidence.employment_max_age_minutes", "write 1 to 527040");
}
