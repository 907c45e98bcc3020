//! `directive/v1`: an order that bars persons, destinations or organizations from model families.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use terms::{Assurance, InstrumentId, ModelFamily, Moment};

use super::{Authority, InstrumentFault, Issuer, Source, Status, check_head, check_words, explicit, parse_as};
use crate::{CountryGroup, Obligation};

const TYPE: &str = "directive/v1";
const MAX_AGE_HOURS: u32 = 24 * 366;

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

    /// Returns the moment from which it binds while in force.
    #[must_use]
    pub fn effective_at(&self) -> Moment {
        self.0.effective_at
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

    pub(crate) fn bars_foreign_organizations(&self) -> bool {
        matches!(self.0.entity_scope, EntityScope::ForeignOrganization {})
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

/// Whom a directive bars by what they are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "deny", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PersonScope {
    /// Nobody.
    None {},
    /// Foreign persons.
    ForeignPerson {
        /// Who is not one.
        definition: PersonDefinition,
        /// What becomes of a person whose standing is not attested.
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

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "deny", rename_all = "snake_case", deny_unknown_fields)]
enum EntityScope {
    /// No organization.
    None {},
    /// Organizations that are foreign persons (15 CFR 772.1, second sentence).
    ForeignOrganization {},
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Models {
    families: BTreeSet<ModelFamily>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    min_assurance: Assurance,
    max_age_hours: u32,
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
    issuer: Issuer,
    authority: Vec<Authority>,
    received_at: Moment,
    effective_at: Moment,
    #[serde(deserialize_with = "explicit")]
    expires_at: Option<Moment>,
    status: Status,
    status_since: Moment,
    models: Models,
    person_scope: PersonScope,
    destination_scope: Destination,
    entity_scope: EntityScope,
    evidence: Evidence,
    obligations: BTreeSet<Obligation>,
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
    check_head(&doc.id, doc.version, doc.models.families.len())?;
    check_words("issuer.agency", &doc.issuer.agency)?;
    check_words("issuer.official", &doc.issuer.official)?;
    InstrumentFault::unless(!doc.authority.is_empty(), "authority", "empty: cite what it rests on")?;
    for authority in &doc.authority {
        check_words("authority.cite", &authority.cite)?;
    }
    let ordered = doc.expires_at.is_none_or(|end| doc.effective_at < end);
    InstrumentFault::unless(ordered, "expires_at", "not after effective_at: it would never bind")?;
    check_scopes(doc)?;
    let age = doc.evidence.max_age_hours;
    let usable = (1..=MAX_AGE_HOURS).contains(&age);
    InstrumentFault::unless(usable, "evidence.max_age_hours", "write 1 to 8784")
}

fn check_scopes(doc: &Document) -> Result<(), InstrumentFault> {
    let bars = doc.person_scope != PersonScope::None {}
        || doc.destination_scope != Destination::None {}
        || doc.entity_scope != EntityScope::None {};
    InstrumentFault::unless(bars, "person_scope", "bars nobody, and no other scope does: state whom it bars")?;
    let named = match &doc.destination_scope {
        Destination::Groups { groups, .. } => !groups.is_empty(),
        Destination::None {} | Destination::AllForeign { .. } => true,
    };
    InstrumentFault::unless(named, "destination_scope.groups", "empty: name a group or deny `none`")
}
