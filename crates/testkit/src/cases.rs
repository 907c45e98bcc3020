//! The cases: decisions that a lawyer can read and check, run against every layer that decides.
//!
//! `cases/world.yaml` holds what all cases share, every other `cases/*.yaml` is one case.

pub mod variants;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use policy::{
    CallerFacts, Consumed, CountryGroups, CredentialFacts, Determination, Directive, Facts, License, Period, Regime,
    SnapshotDocument,
};
use serde::Deserialize;
use terms::{
    Affiliation, AffiliationId, Assurance, Attestation, AttestationId, Claim, Clearance, Control, Country, Coverage,
    EndUse, Engagement, InstrumentId, IssuerId, KeyId, LocationMethod, ModelFamily, ModelVersion, ModelVersionId,
    Moment, Organization, OrganizationId, OrganizationKind, Person, PersonId, Screening, Tie, UsPersonLimb, Workload,
    WorkloadId,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// One case, ready to be decided under each set of instruments.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, which is its file's.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// Why the expected answers are right.
    pub basis: String,
    /// What to decide; in order of time.
    pub checks: Vec<Check>,
}

/// One call under one set of instruments, and the answer that is expected.
#[derive(Clone, Debug)]
pub struct Check {
    /// `before`, `june_12` or `june_26`.
    pub stage: &'static str,
    /// What is in force.
    pub document: SnapshotDocument,
    /// What is known.
    pub facts: Facts,
    /// What should come out.
    pub expected: Expected,
}

/// An expected answer: a verdict, and the code of the refusal or a basis of the permit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Expected {
    /// The verdict.
    pub verdict: Verdict,
    /// A refusal's code or one of a permit's bases.
    pub reason: String,
}

/// An answer as the cases spell it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The call may proceed.
    Permit,
    /// The call may proceed and somebody should look at it.
    PermitWithFlag,
    /// The call may not proceed until named evidence is there.
    Hold,
    /// The call may not proceed.
    Deny,
}

impl Verdict {
    /// Returns the verdict of a determination.
    #[must_use]
    pub fn of(determination: &Determination) -> Self {
        match determination {
            Determination::Permit(permit) if permit.flags().is_empty() => Self::Permit,
            Determination::Permit(_) => Self::PermitWithFlag,
            Determination::Refuse(refusal) if refusal.is_hold() => Self::Hold,
            Determination::Refuse(_) => Self::Deny,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::PermitWithFlag => "permit_with_flag",
            Self::Hold => "hold",
            Self::Deny => "deny",
        })
    }
}

impl Expected {
    /// Returns true if a determination is what was expected.
    #[must_use]
    pub fn is_met_by(&self, determination: &Determination) -> bool {
        let reason = match determination {
            Determination::Permit(permit) => permit.basis().iter().any(|basis| basis.as_str() == self.reason),
            Determination::Refuse(refusal) => refusal.code().as_str() == self.reason,
        };
        reason && Verdict::of(determination) == self.verdict
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict, self.reason)
    }
}

impl TryFrom<String> for Expected {
    type Error = anyhow::Error;
    fn try_from(text: String) -> anyhow::Result<Self> {
        let (verdict, reason) = text.split_once(' ').context("write a verdict and its reason")?;
        let verdict = match verdict {
            "permit" => Verdict::Permit,
            "permit_with_flag" => Verdict::PermitWithFlag,
            "hold" => Verdict::Hold,
            "deny" => Verdict::Deny,
            other => bail!("`{other}` is no verdict: write permit, permit_with_flag, hold or deny"),
        };
        let reason = reason.to_owned();
        Ok(Self { verdict, reason })
    }
}

/// Returns the directory of the cases of this repository.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cases")
}

/// Loads every case of a directory, in order of name.
///
/// # Errors
///
/// The first file that cannot be read or does not say what a case must say, with its name.
pub fn load(directory: &Path) -> anyhow::Result<Vec<Case>> {
    let world: World = read_yaml(&directory.join("world.yaml"))?;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
        if is_yaml && !path.ends_with("world.yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    let load = |path: &PathBuf| load_case(directory, &world, path);
    paths.iter().map(load).collect()
}

fn load_case(directory: &Path, world: &World, path: &Path) -> anyhow::Result<Case> {
    let lines: CaseLines = read_yaml(path)?;
    let named = path.file_stem().is_some_and(|stem| stem == lines.id.as_str());
    ensure!(named, "{}: the id is not the file's name", path.display());
    let case = Scene { directory, world, lines: &lines }.case();
    case.with_context(|| path.display().to_string())
}

fn read_yaml<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    serde_yaml_ng::from_str(&text).with_context(name)
}

/// One case while it is put together.
struct Scene<'a> {
    directory: &'a Path,
    world: &'a World,
    lines: &'a CaseLines,
}

impl Scene<'_> {
    fn case(&self) -> anyhow::Result<Case> {
        let lines = self.lines;
        let stages = lines.instruments.as_ref().unwrap_or(&self.world.instruments);
        let [before, june_12, june_26] =
            [&Vec::new(), &stages.june_12, &stages.june_26].map(|files| self.document(files));
        let (before, june_12, june_26) = (before?, june_12?, june_26?);
        let expect = &lines.expect;
        let plan = [
            ("before", &before, "mythos-5.0", &expect.before),
            ("before", &before, "fable-5.0", &expect.before),
            ("june_12", &june_12, "mythos-5.0", &expect.june_12),
            ("june_12", &june_12, "fable-5.0", &expect.june_12),
            ("june_26", &june_26, "mythos-5.0", &expect.june_26_mythos),
            ("june_26", &june_26, "fable-5.0", &expect.june_26_fable),
        ];
        let mut checks = Vec::new();
        for (stage, document, model, expected) in plan {
            let model = lines.call.model.clone().map_or_else(|| ModelVersionId::parse(model), Ok)?;
            let (document, expected) = (document.clone(), expected.clone());
            checks.push(Check { stage, document, facts: self.facts(model)?, expected });
        }
        let (id, title, basis) = (lines.id.clone(), lines.title.clone(), lines.basis.clone());
        Ok(Case { id, title, basis, checks })
    }

    fn document(&self, files: &[PathBuf]) -> anyhow::Result<SnapshotDocument> {
        let mut document = SnapshotDocument {
            version: 1,
            epoch: 1,
            lab: Some(self.world.lab.clone()),
            country_groups: CountryGroups::bundled(),
            regimes: vec![Regime::bundled()],
            models: self.world.models.iter().map(|(id, line)| line.model(id)).collect(),
            aliases: Vec::new(),
            directives: Vec::new(),
            licenses: Vec::new(),
        };
        for file in files {
            let path = self.directory.join(file);
            let json = std::fs::read(&path).with_context(|| path.display().to_string())?;
            if file.to_string_lossy().ends_with(".directive.json") {
                document.directives.push(Directive::parse(&json)?);
            } else {
                document.licenses.push(License::parse(&json)?);
            }
        }
        Ok(document)
    }

    fn facts(&self, model: ModelVersionId) -> anyhow::Result<Facts> {
        let at = self.at();
        let organizations = self.world.organizations.iter().chain(&self.lines.organizations);
        let organizations: BTreeMap<&OrganizationId, &OrganizationLine> = organizations.collect();
        let consumed = self.lines.consumed.iter();
        Ok(Facts {
            at,
            model,
            credential: CredentialFacts {
                id: KeyId::parse("key-of-the-case")?,
                expires_at: at.plus(24 * HOUR),
                revoked: false,
                organization: self.lines.call.tenant.clone(),
                end_use: self.lines.call.end_use.clone(),
            },
            caller: self.caller()?,
            organizations: organizations.into_iter().map(|(id, line)| Arc::new(line.organization(id))).collect(),
            consumed: consumed
                .map(|(id, tokens)| Consumed { instrument: id.clone(), per: Period::Month, tokens: *tokens })
                .collect(),
            channels: Vec::new(),
        })
    }

    fn at(&self) -> Moment {
        self.lines.at.unwrap_or(self.world.at)
    }

    fn caller(&self) -> anyhow::Result<CallerFacts> {
        let call = &self.lines.call;
        match (&call.person, &call.workload) {
            (Some(person), None) => Ok(CallerFacts::Person { person: self.person(person)? }),
            (None, Some(workload)) => self.workload(workload),
            (None, None) => Ok(CallerFacts::Unbound),
            (Some(_), Some(_)) => bail!("a call is by a person or by a workload, not both"),
        }
    }

    fn workload(&self, line: &WorkloadLine) -> anyhow::Result<CallerFacts> {
        let people = |ids: &[PersonId]| ids.iter().map(|id| self.person(id)).collect::<anyhow::Result<Vec<_>>>();
        let workload = Workload {
            id: WorkloadId::parse("workload-of-the-case")?,
            purpose: self.lines.title.clone(),
            organization: line.organization.clone(),
            owners: line.owners.clone(),
            recipients: line.recipients.clone(),
            active: true,
        };
        Ok(CallerFacts::Workload {
            workload: Arc::new(workload),
            owners: people(&line.owners)?,
            recipients: people(&line.recipients)?,
        })
    }

    fn person(&self, id: &PersonId) -> anyhow::Result<Arc<Person>> {
        let line = self.lines.people.get(id).with_context(|| format!("`{id}` is not among the people"))?;
        Ok(Arc::new(Person {
            id: id.clone(),
            display_name: line.name.clone(),
            screening: line.screening,
            active: true,
            attestations: self.attestations(id, line)?,
            affiliations: self.affiliations(id, line)?,
            accounts: Vec::new(),
        }))
    }

    /// Makes the attestations of a person: dated six hours before the call unless the case dates them.
    fn attestations(&self, id: &PersonId, line: &PersonLine) -> anyhow::Result<Vec<Attestation>> {
        let usual = Moment::from_millis(self.at().as_millis() - 6 * 3_600_000);
        let mut claims: Vec<(Claim, Moment)> = Vec::new();
        claims.extend(line.standing.map(|standing| (standing.claim(), usual)));
        claims.extend(line.attested.iter().map(|word| (word.standing.claim(), word.at)));
        let citizenship = |country: &Country| Claim::Citizenship { country: *country, from: None, until: None };
        claims.extend(line.citizenships.iter().map(|country| (citizenship(country), usual)));
        let method = LocationMethod::Managed;
        claims.extend(line.location.map(|country| (Claim::Location { country, method }, usual)));
        let attest = |(at, (claim, issued_at)): (usize, (Claim, Moment))| {
            Ok(Attestation {
                id: AttestationId::parse(&format!("{id}-{at}"))?,
                person: id.clone(),
                claim,
                issuer: IssuerId::parse("civic-proof")?,
                evidence: format!("file {id}"),
                assurance: Assurance::Ial2,
                issued_at,
                expires_at: issued_at.plus(30 * 24 * HOUR),
                supersedes: None,
                channel: None,
                fresh_until: None,
                means: None,
            })
        };
        claims.into_iter().enumerate().map(attest).collect()
    }

    fn affiliations(&self, id: &PersonId, line: &PersonLine) -> anyhow::Result<Vec<Affiliation>> {
        let affiliate = |work: &WorkLine| {
            Ok(Affiliation {
                id: AffiliationId::parse(&format!("{id}-at-{}", work.organization))?,
                person: id.clone(),
                organization: work.organization.clone(),
                engagement: work.engagement,
                issuer: IssuerId::parse("personnel")?,
                evidence: format!("roster {}", work.organization),
                attested_at: Moment::from_millis(self.at().as_millis() - 3_600_000),
                ends_at: work.until.unwrap_or_else(|| self.at().plus(30 * 24 * HOUR)),
                channel: None,
            })
        };
        line.works_for.iter().map(affiliate).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    at: Moment,
    lab: OrganizationId,
    models: BTreeMap<ModelVersionId, ModelLine>,
    organizations: BTreeMap<OrganizationId, OrganizationLine>,
    instruments: Stages,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stages {
    june_12: Vec<PathBuf>,
    june_26: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelLine {
    family: ModelFamily,
    control: Control,
    clearance: Clearance,
}

impl ModelLine {
    fn model(&self, id: &ModelVersionId) -> ModelVersion {
        ModelVersion {
            id: id.clone(),
            family: self.family.clone(),
            control: self.control,
            clearance: self.clearance,
            certificate_required: false,
            derived_from: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationLine {
    name: String,
    country: Country,
    kind: OrganizationKind,
    #[serde(default = "cleared")]
    screening: Screening,
    #[serde(default)]
    coverage: Coverage,
    #[serde(default)]
    resells: bool,
    headquarters: Option<Country>,
    #[serde(default)]
    ties: Vec<Tie>,
}

impl OrganizationLine {
    fn organization(&self, id: &OrganizationId) -> Organization {
        Organization {
            id: id.clone(),
            legal_name: self.name.clone(),
            country: self.country,
            kind: self.kind,
            screening: self.screening,
            coverage: self.coverage,
            resells: self.resells,
            headquarters: self.headquarters,
            ties: self.ties.clone(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseLines {
    id: String,
    title: String,
    basis: String,
    #[expect(dead_code, reason = "for the reader of the case")]
    note: Option<String>,
    at: Option<Moment>,
    instruments: Option<Stages>,
    #[serde(default)]
    consumed: BTreeMap<InstrumentId, u64>,
    #[serde(default)]
    organizations: BTreeMap<OrganizationId, OrganizationLine>,
    #[serde(default)]
    people: BTreeMap<PersonId, PersonLine>,
    call: CallLine,
    expect: ExpectLines,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonLine {
    name: String,
    standing: Option<StandingWord>,
    #[serde(default)]
    attested: Vec<DatedStanding>,
    #[serde(default)]
    citizenships: Vec<Country>,
    location: Option<Country>,
    #[serde(default)]
    works_for: Vec<WorkLine>,
    #[serde(default = "cleared")]
    screening: Screening,
}

fn cleared() -> Screening {
    Screening::Cleared
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatedStanding {
    standing: StandingWord,
    at: Moment,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StandingWord {
    Citizen,
    National,
    LawfulPermanentResident,
    TemporaryResident,
    Refugee,
    Asylee,
    ForeignPerson,
}

impl StandingWord {
    fn claim(self) -> Claim {
        let limb = match self {
            Self::Citizen => UsPersonLimb::Citizen,
            Self::National => UsPersonLimb::National,
            Self::LawfulPermanentResident => UsPersonLimb::LawfulPermanentResident,
            Self::TemporaryResident => UsPersonLimb::TemporaryResident,
            Self::Refugee => UsPersonLimb::Refugee,
            Self::Asylee => UsPersonLimb::Asylee,
            Self::ForeignPerson => return Claim::ForeignPerson,
        };
        Claim::UsPerson { limb }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkLine {
    organization: OrganizationId,
    #[serde(rename = "as")]
    engagement: Engagement,
    until: Option<Moment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadLine {
    organization: OrganizationId,
    owners: Vec<PersonId>,
    recipients: Vec<PersonId>,
}

/// By a person, by a workload, or with a shared key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallLine {
    person: Option<PersonId>,
    workload: Option<WorkloadLine>,
    tenant: Option<OrganizationId>,
    model: Option<ModelVersionId>,
    end_use: Option<EndUse>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectLines {
    before: Expected,
    june_12: Expected,
    june_26_mythos: Expected,
    june_26_fable: Expected,
}
