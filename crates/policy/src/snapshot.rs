//! Everything in force, frozen and compiled under one digest.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use terms::{AliasName, InstrumentId, ModelFamily, ModelVersion, ModelVersionId, OrganizationId};

use crate::{CountryGroup, CountryGroups, Directive, License, Regime, Status, rules::Rules};

/// The version of the format that this release reads and writes.
const VERSION: u32 = 1;

/// What is in force, as data. Serialized into the record; [`Snapshot::compile`] makes it fit to decide.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotDocument {
    /// The version of this format; 1.
    pub version: u32,
    /// Grows by one with each change.
    pub epoch: u64,
    /// The lab's own organization, whose staff an instrument may name.
    pub lab: Option<OrganizationId>,
    /// Which countries belong to which group; [`CountryGroups::bundled`] unless there is a newer table.
    pub country_groups: CountryGroups,
    /// Model versions, in order of id.
    pub models: Vec<ModelVersion>,
    /// Aliases, in order of name.
    pub aliases: Vec<Alias>,
    /// Since when the rules hold that need no instrument; at most one of each id. Without any they always hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regimes: Vec<Regime>,
    /// Directives in force or to come, in order of id and version. Of several versions of one id that governs which
    /// speaks since latest by its number: the highest whose `status_since` has come, else the lowest.
    pub directives: Vec<Directive>,
    /// Licenses in force or to come, in order of id and version; versions govern as those of directives.
    pub licenses: Vec<License>,
}

/// A name that resolves, per caller, to the best version they may use.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name callers use.
    pub name: AliasName,
    /// Versions to try, best first; at least one.
    pub versions: Vec<ModelVersionId>,
}

/// A document that cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct CompileFault {
    /// The place, such as `aliases.assistant` or an instrument's id.
    pub at: String,
    /// What is wrong and what to do.
    pub why: String,
}

impl CompileFault {
    pub(crate) fn new(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self { at: at.into(), why: why.into() }
    }
}

/// Something that compiles and that an operator should nevertheless read before applying it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// The place, such as an instrument's id.
    pub at: String,
    /// What to consider.
    pub why: String,
}

/// What is in force, compiled. Immutable; share it in an `Arc`.
#[derive(Debug)]
pub struct Snapshot {
    document: SnapshotDocument,
    canonical: Vec<u8>,
    digest: [u8; 32],
    rules: Rules,
}

impl Snapshot {
    /// Compiles a document: checks every reference, builds and strictly validates the Cedar policies.
    ///
    /// Lists are put in order first, so that documents that say the same have the same digest.
    ///
    /// # Errors
    ///
    /// Every [`CompileFault`] found; the snapshot in force stays in force.
    pub fn compile(mut document: SnapshotDocument) -> Result<Self, Vec<CompileFault>> {
        put_in_order(&mut document);
        let faults = faults(&document);
        if !faults.is_empty() {
            return Err(faults);
        }
        let canonical =
            serde_json::to_vec(&document).map_err(|e| vec![CompileFault::new("document", e.to_string())])?;
        Ok(Self { rules: Rules::compile(&document)?, digest: Sha256::digest(&canonical).into(), canonical, document })
    }

    /// Returns the document it was compiled from, in order.
    #[must_use]
    pub fn document(&self) -> &SnapshotDocument {
        &self.document
    }

    /// Returns the SHA-256 of the document's canonical bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Returns the epoch of the document.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.document.epoch
    }

    /// Returns the canonical bytes: what the digest covers and what an auditor compiles again.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        self.canonical.clone()
    }

    /// Returns all rules as Cedar text, for people to read and for a prover.
    #[must_use]
    pub fn cedar(&self) -> &str {
        self.rules.text()
    }

    /// Returns what an operator should read before applying this snapshot, in order of the document.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        let known: BTreeSet<&ModelFamily> = self.document.models.iter().map(|m| &m.family).collect();
        let directives = self.document.directives.iter();
        let licenses = self.document.licenses.iter();
        let named = directives.clone().map(|d| (d.id(), d.families()));
        let named = named.chain(licenses.map(|l| (l.id(), l.families())));
        let mut notices = without_model(named, &known);
        notices.extend(directives.filter(|d| d.is_narrower_than_law()).map(|d| {
            Notice {
                at: d.id().to_string(),
                why: "denies permanent residents, refugees and asylees, whom 15 CFR 772.1 does not count as foreign: \
                  consider 8 USC 1324b before applying it to employees"
                    .to_owned(),
            }
        }));
        notices
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }
}

fn without_model<'a>(
    named: impl Iterator<Item = (&'a InstrumentId, &'a BTreeSet<ModelFamily>)>,
    known: &BTreeSet<&ModelFamily>,
) -> Vec<Notice> {
    let missing = named.flat_map(|(id, families)| families.iter().map(move |family| (id, family)));
    let missing = missing.filter(|(_, family)| !known.contains(family));
    let notice = |(id, family): (&InstrumentId, &ModelFamily)| Notice {
        at: id.to_string(),
        why: format!("names the family `{family}`, of which no model version is registered"),
    };
    missing.map(notice).collect()
}

fn put_in_order(document: &mut SnapshotDocument) {
    document.models.sort_by(|a, b| a.id.cmp(&b.id));
    document.aliases.sort_by(|a, b| a.name.cmp(&b.name));
    document.regimes.sort_by(|a, b| a.id().cmp(b.id()));
    document.directives.sort_by(|a, b| (a.id(), a.version()).cmp(&(b.id(), b.version())));
    document.licenses.sort_by(|a, b| (a.id(), a.version()).cmp(&(b.id(), b.version())));
}

fn faults(document: &SnapshotDocument) -> Vec<CompileFault> {
    let mut faults = Vec::new();
    if document.version != VERSION {
        let why = format!("this release reads version {VERSION}, the document has {}", document.version);
        faults.push(CompileFault::new("version", why));
    }
    if document.country_groups.version != VERSION {
        faults.push(CompileFault::new("country_groups.version", "this release reads version 1"));
    }
    faults.extend(repeated("models", document.models.iter().map(|m| m.id.as_str())));
    faults.extend(repeated("aliases", document.aliases.iter().map(|a| a.name.as_str())));
    faults.extend(instrument_faults(document));
    let models: BTreeSet<&str> = document.models.iter().map(|m| m.id.as_str()).collect();
    faults.extend(document.aliases.iter().flat_map(|alias| alias_faults(alias, &models)));
    let directives: BTreeSet<&InstrumentId> = document.directives.iter().map(Directive::id).collect();
    for license in &document.licenses {
        faults.extend(license_faults(license, &directives, document.lab.is_some()));
        faults.extend(contradictions(license, &document.directives));
    }
    faults
}

fn instrument_faults(document: &SnapshotDocument) -> Vec<CompileFault> {
    let directives = document.directives.iter();
    let versions = directives.clone().map(|d| format!("{} version {}", d.id(), d.version()));
    let licenses = document.licenses.iter();
    let versions = versions.chain(licenses.clone().map(|l| format!("{} version {}", l.id(), l.version())));
    let mut faults = repeated("instruments", versions);
    let ids: BTreeSet<&InstrumentId> = directives.clone().map(Directive::id).collect();
    let both = licenses.clone().filter(|license| ids.contains(license.id()));
    faults.extend(both.map(|l| CompileFault::new(l.id().as_str(), "is a directive and a license: rename one")));
    faults.extend(repeated("regimes", document.regimes.iter().map(|r| r.id().to_string())));
    let named = directives.map(|d| (d.id(), d.groups())).chain(licenses.map(|l| (l.id(), l.groups())));
    faults.extend(named.flat_map(|(id, groups)| unknown_groups(id, &groups, &document.country_groups)));
    faults
}

fn unknown_groups(id: &InstrumentId, named: &BTreeSet<CountryGroup>, table: &CountryGroups) -> Vec<CompileFault> {
    let unknown = named.iter().filter(|group| !table.groups.contains_key(group));
    let why = |group| format!("names country group `{group}`, which the table of {} does not have", table.as_of);
    unknown.map(|group| CompileFault::new(id.as_str(), why(group))).collect()
}

/// Finds what two instruments in force say that cannot both be meant.
fn contradictions(license: &License, directives: &[Directive]) -> Vec<CompileFault> {
    let in_force = license.status() == Status::InForce;
    let under = directives.iter().filter(|d| in_force && license.under().contains(d.id()));
    let mut faults = Vec::new();
    for directive in under {
        let fault = |why: String| CompileFault::new(license.id().as_str(), why);
        if directive.is_prohibition() {
            faults.push(fault(format!("waives `{}`, which prohibits: no license waives it", directive.id())));
        }
        if license.families().is_disjoint(directive.families()) {
            let why = format!("waives `{}`, which names none of its model families: correct either", directive.id());
            faults.push(fault(why));
        }
    }
    faults
}

fn repeated<T: Clone + Ord + std::fmt::Display>(list: &str, ids: impl Iterator<Item = T>) -> Vec<CompileFault> {
    let mut seen = BTreeSet::new();
    let twice = ids.filter(|id| !seen.insert(id.clone()));
    twice.map(|id| CompileFault::new(format!("{list}.{id}"), "there twice: keep one")).collect()
}

fn alias_faults(alias: &Alias, models: &BTreeSet<&str>) -> Vec<CompileFault> {
    let at = format!("aliases.{}", alias.name);
    let mut faults = Vec::new();
    if alias.versions.is_empty() {
        faults.push(CompileFault::new(&at, "names no version: name at least one"));
    }
    if models.contains(alias.name.as_str()) {
        faults.push(CompileFault::new(&at, "is the id of a model version: choose another name"));
    }
    let unknown = alias.versions.iter().filter(|id| !models.contains(id.as_str()));
    faults.extend(unknown.map(|id| CompileFault::new(&at, format!("`{id}` is no registered model version"))));
    faults
}

fn license_faults(license: &License, directives: &BTreeSet<&InstrumentId>, has_lab: bool) -> Vec<CompileFault> {
    let unknown = license.under().iter().filter(|id| !directives.contains(id));
    let why = |id: &InstrumentId| format!("waives `{id}`, which is no directive of this snapshot");
    let mut faults: Vec<CompileFault> = unknown.map(|id| CompileFault::new(license.id().as_str(), why(id))).collect();
    if license.own_staff() && !has_lab {
        let why = "names the lab's own staff and `lab` is not set: set it";
        faults.push(CompileFault::new(license.id().as_str(), why));
    }
    faults
}
