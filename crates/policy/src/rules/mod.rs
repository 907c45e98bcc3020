//! The rules as Cedar policies: compiled once per snapshot, asked per call, nothing parsed in between.
//!
//! Whether a model may be served to the parties at all (`serve`) is one question; whether its output may be released
//! to one person (`release`) is one question per directive in effect, so that two directives need two legal bases.
//! The policies of an instrument are evaluated only where its own conditions can hold: a license is asked only about
//! a person who has a role under it. A test compares that with asking everything at once.

mod answers;
mod formal;
#[cfg(test)]
mod tests;
mod text;
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression, Schema,
    ValidationMode, Validator,
};
use terms::{Country, EndUse, Engagement, ModelFamily, ModelVersion, ModelVersionId, Moment, ProvisionId, Standing};

use crate::{
    Code, CompileFault, Directive, License, Regime, SnapshotDocument,
    caller::Headquarters,
    instrument::{NationalityRule, PersonScope},
    nationality::Nationality,
    why::Finding,
};

use answers::Answers;
pub use formal::{Formal, FormalEra, FormalGate, FormalLicense, FormalRole};
pub(crate) use text::is_covered;
pub(crate) use vocabulary::Side;
use vocabulary::Vocabulary;

const SCHEMA: &str = include_str!("schema.cedarschema");
const BASE: &str = include_str!("base.cedar");

/// The compiled rules of one snapshot.
#[derive(Debug)]
pub(crate) struct Rules {
    authorizer: Authorizer,
    words: Vocabulary,
    entities: Entities,
    provisions: BTreeMap<String, Provision>,
    /// In order; the first began before anything that is decided.
    eras: Vec<Era>,
    models: BTreeMap<ModelVersionId, ModelRules>,
    licenses: Vec<LicenseRules>,
    asks: Asks,
    text: String,
}

/// What rules hold from one moment to the next boundary of a regime.
#[derive(Debug)]
struct Era {
    from: Moment,
    serve: PolicySet,
}

/// What the instruments of a snapshot ask that most do not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    pub(crate) headquarters: bool,
    pub(crate) nationality: bool,
}

/// A policy as a determination names it: for a forbid, with the finding it makes.
#[derive(Debug)]
pub(crate) struct Provision {
    id: ProvisionId,
    finding: Option<Finding>,
    /// What it rests on, in words; absent where the policy does not say.
    pub(crate) basis: Option<String>,
    /// Where that stands.
    pub(crate) cite: Option<String>,
}

/// One model version, and the directives that name its family.
#[derive(Debug)]
pub(crate) struct ModelRules {
    uid: EntityUid,
    /// Where it stands in the document.
    pub(crate) index: usize,
    /// In order of the directives.
    pub(crate) gates: Vec<Gate>,
    /// What `serve` says in each era where nothing speaks against any party: uncontrolled, controlled. Asked once, at
    /// compile.
    clear: Vec<[Ruling; 2]>,
}

/// One model version under one directive.
#[derive(Debug)]
pub(crate) struct Gate {
    uid: EntityUid,
    rules: PolicySet,
    pub(crate) tenure: Tenure,
    /// Where the directive stands in the document.
    pub(crate) directive: usize,
    /// Where the licenses stand in the document that waive the directive for the model's family.
    pub(crate) licenses: Vec<usize>,
    answers: Answers,
}

/// When one version of an instrument speaks, beside the other versions of the snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenure {
    /// Since when; absent for the lowest version, which speaks until another does.
    pub(crate) since: Option<Moment>,
    /// Since when versions with a higher number speak.
    pub(crate) later: Vec<Moment>,
}

#[derive(Debug)]
struct LicenseRules {
    uid: EntityUid,
    tenure: Tenure,
    rules: PolicySet,
    /// What a person can be under it, by how it names them and in what capacity.
    roles: BTreeMap<(bool, Engagement), EntityUid>,
}

/// What Cedar says.
#[derive(Clone, Debug)]
pub(crate) enum Ruling {
    /// Permitted, on these bases.
    Permit(Vec<ProvisionId>),
    /// Forbidden, for these reasons.
    Forbid(Vec<Finding>),
    /// Nothing permits and nothing forbids.
    Silent,
}

/// What `serve` asks about.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) parties: Vec<&'static str>,
    pub(crate) near: Vec<Side>,
    pub(crate) controlled: bool,
}

/// What `release` asks about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Release {
    pub(crate) standing: Standing,
    pub(crate) location: Option<Country>,
    pub(crate) foreign_organization: bool,
    pub(crate) resells: bool,
    /// Roles under licenses in force.
    pub(crate) roles: Vec<Role>,
    /// Licenses whose cap is used up or whose use is not known.
    pub(crate) spent: Vec<usize>,
    /// The end use that the credential was made for.
    pub(crate) end_use: Option<EndUse>,
    /// Where the tenant's ultimate parent is headquartered; not known unless [`Asks`] says that somebody asks.
    pub(crate) headquarters: Headquarters,
    /// Nationality under 15 CFR 734.13(b), likewise.
    pub(crate) ear: Nationality,
    /// Nationality under 22 CFR 120.51(b), likewise.
    pub(crate) itar: Nationality,
}

impl Release {
    pub(crate) fn nationality(&self, rule: NationalityRule) -> &Nationality {
        match rule {
            NationalityRule::Ear => &self.ear,
            NationalityRule::Itar => &self.itar,
        }
    }
}

/// How a license, by its place in the document, names a person, and in what capacity they act for a grantee.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Role {
    pub(crate) license: usize,
    pub(crate) own_staff: bool,
    pub(crate) engagement: Engagement,
}

impl Rules {
    pub(crate) fn compile(document: &SnapshotDocument) -> Result<Self, Vec<CompileFault>> {
        Compiler::new(document).and_then(Compiler::finish).map_err(|fault| vec![fault])
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn model(&self, id: &ModelVersionId) -> Option<&ModelRules> {
        self.models.get(id)
    }

    /// Returns a policy by its name: its id, and of an instrument's also the version, as in `DIR-1.us-person@2`.
    pub(crate) fn provision(&self, name: &str) -> Option<&Provision> {
        self.provisions.get(name)
    }

    pub(crate) fn asks(&self) -> Asks {
        self.asks
    }

    /// Returns when each era but the first begins, in order.
    pub(crate) fn boundaries(&self) -> impl Iterator<Item = Moment> {
        self.eras.iter().skip(1).map(|era| era.from)
    }

    /// Returns when a license, by its place in the document, speaks.
    pub(crate) fn tenure(&self, license: usize) -> Option<&Tenure> {
        self.licenses.get(license).map(|rules| &rules.tenure)
    }

    /// Asks whether a model may be served to the parties at all, in an era by its number.
    pub(crate) fn serve(&self, model: &ModelRules, era: usize, question: &Serve) -> Result<Ruling, Finding> {
        let is_clear = question.parties.is_empty() && question.near.is_empty();
        match model.clear.get(era) {
            Some([uncontrolled, _]) if is_clear && !question.controlled => Ok(uncontrolled.clone()),
            Some([_, controlled]) if is_clear => Ok(controlled.clone()),
            _ => self.ask_serve(model, era, question),
        }
    }

    fn ask_serve(&self, model: &ModelRules, era: usize, question: &Serve) -> Result<Ruling, Finding> {
        let era = self.eras.get(era).ok_or_else(|| Finding::deny(Code::EvaluationFailed, None))?;
        let context = self.words.serve_context(question);
        self.ask(self.words.serve.clone(), &model.uid, context, &era.serve)
    }

    /// Asks ahead what most calls ask: nothing speaks against any party.
    fn answer_ahead(mut self) -> Result<Self, CompileFault> {
        let clear = |controlled| Serve { parties: Vec::new(), near: Vec::new(), controlled };
        let failed = |_| CompileFault::new("rules", "cannot be evaluated");
        let mut answers = Vec::new();
        for model in self.models.values() {
            let ask = |era| {
                let uncontrolled = self.ask_serve(model, era, &clear(false))?;
                Ok([uncontrolled, self.ask_serve(model, era, &clear(true))?])
            };
            answers.push((0..self.eras.len()).map(ask).collect::<Result<Vec<_>, Finding>>().map_err(failed)?);
        }
        for (model, answer) in self.models.values_mut().zip(answers) {
            model.clear = answer;
        }
        Ok(self)
    }

    /// Asks whether a directive lets output go to one person by its own terms.
    pub(crate) fn release(&self, gate: &Gate, question: &Release) -> Result<Ruling, Finding> {
        self.ask_release(gate, None, &gate.rules, question)
    }

    /// Asks whether one license lets output go to one person whom nothing forbids.
    pub(crate) fn licensed(&self, gate: &Gate, license: usize, question: &Release) -> Result<Ruling, Finding> {
        let Some(rules) = self.licenses.get(license).map(|license| &license.rules) else {
            return Ok(Ruling::Silent);
        };
        self.ask_release(gate, Some(license), rules, question)
    }

    fn ask_release(
        &self,
        gate: &Gate,
        license: Option<usize>,
        rules: &PolicySet,
        question: &Release,
    ) -> Result<Ruling, Finding> {
        gate.answers.get_or_ask(license, question, || {
            let context = self.release_context(question);
            self.ask(self.words.release.clone(), &gate.uid, context, rules)
        })
    }

    fn release_context(&self, question: &Release) -> Vec<(String, RestrictedExpression)> {
        let role = |role: &Role| self.licenses.get(role.license)?.roles.get(&(role.own_staff, role.engagement));
        let roles = question.roles.iter().filter_map(role).cloned().collect();
        let spent = question.spent.iter().filter_map(|at| self.licenses.get(*at));
        let spent = spent.map(|license| license.uid.clone()).collect();
        self.words.release_context(question, roles, spent)
    }

    fn ask(
        &self,
        action: EntityUid,
        resource: &EntityUid,
        context: Vec<(String, RestrictedExpression)>,
        rules: &PolicySet,
    ) -> Result<Ruling, Finding> {
        let failed = || Finding::deny(Code::EvaluationFailed, None);
        let context = Context::from_pairs(context).map_err(|_| failed())?;
        let request =
            Request::new(self.words.caller.clone(), action, resource.clone(), context, None).map_err(|_| failed())?;
        let response = self.authorizer.is_authorized(&request, rules, &self.entities);
        // Cedar skips a policy that errs, so an erring forbid would let through.
        if response.diagnostics().errors().next().is_some() {
            return Err(failed());
        }
        let reasons = response.diagnostics().reason();
        let provisions: Option<Vec<&Provision>> =
            reasons.map(|id| self.provisions.get(AsRef::<str>::as_ref(id))).collect();
        Ok(ruled(response.decision(), &provisions.ok_or_else(failed)?))
    }
}

impl Provision {
    pub(crate) fn is_permit(&self) -> bool {
        self.finding.is_none()
    }
}

fn ruled(decision: Decision, provisions: &[&Provision]) -> Ruling {
    if decision == Decision::Allow {
        let mut bases: Vec<ProvisionId> = provisions.iter().map(|p| p.id.clone()).collect();
        bases.sort();
        return Ruling::Permit(bases);
    }
    if provisions.is_empty() {
        return Ruling::Silent;
    }
    let unnamed = || Finding::deny(Code::EvaluationFailed, None);
    let finding = |p: &&Provision| p.finding.clone().unwrap_or_else(unnamed);
    Ruling::Forbid(provisions.iter().map(finding).collect())
}

/// Builds [`Rules`] step by step.
struct Compiler<'a> {
    document: &'a SnapshotDocument,
    words: Vocabulary,
    all: PolicySet,
    provisions: BTreeMap<String, Provision>,
    entities: Vec<Entity>,
    text: String,
}

impl<'a> Compiler<'a> {
    fn new(document: &'a SnapshotDocument) -> Result<Self, CompileFault> {
        let words = Vocabulary::new(&document.country_groups)?;
        Ok(Self {
            entities: words.countries(),
            words,
            document,
            all: PolicySet::new(),
            provisions: BTreeMap::new(),
            text: String::new(),
        })
    }

    fn finish(mut self) -> Result<Rules, CompileFault> {
        let base = self.admit("base", BASE, None)?;
        let serve = self.only(&base, "serve")?;
        let eras = self.eras(&serve)?;
        let release = self.only(&base, "release")?;
        let licenses = self.document.licenses.iter();
        let licenses = licenses.map(|l| self.license(l)).collect::<Result<Vec<_>, _>>()?;
        let directives = self.document.directives.iter();
        let gates = directives.map(|d| self.directive(d, &release)).collect::<Result<Vec<_>, _>>()?;
        let models = self.document.models.iter().enumerate();
        let models = models.map(|(at, m)| Ok((m.id.clone(), self.model(at, m, &gates)?)));
        let models = models.collect::<Result<BTreeMap<_, _>, CompileFault>>()?;
        let schema = self.validate()?;
        let entities = std::mem::take(&mut self.entities);
        let rules = Rules {
            entities: Entities::from_entities(entities, Some(&schema)).map_err(|e| internal(&e))?,
            authorizer: Authorizer::new(),
            words: self.words,
            provisions: self.provisions,
            asks: asks(self.document),
            text: self.text,
            eras,
            models,
            licenses,
        };
        rules.answer_ahead()
    }

    /// Cuts time where a regime changes what holds, and keeps of the base rules what each era has in force.
    fn eras(&self, serve: &PolicySet) -> Result<Vec<Era>, CompileFault> {
        let regimes = &self.document.regimes;
        for id in regimes.iter().flat_map(Regime::provisions) {
            let known = serve.policies().any(|policy| AsRef::<str>::as_ref(policy.id()) == id.as_str());
            if !known {
                let why = "a regime gives it dates, and no base rule has this id: correct the id";
                return Err(CompileFault::new(id.as_str(), why));
            }
        }
        let boundaries: BTreeSet<Moment> = regimes.iter().flat_map(Regime::boundaries).collect();
        let starts = std::iter::once(Moment::from_millis(0)).chain(boundaries);
        starts.map(|from| Ok(Era { from, serve: self.in_force(serve, from)? })).collect()
    }

    fn in_force(&self, serve: &PolicySet, at: Moment) -> Result<PolicySet, CompileFault> {
        let holds = |id: &str| {
            let provision = self.provisions.get(id).map(|provision| &provision.id);
            provision.is_some_and(|id| self.document.regimes.iter().all(|regime| regime.is_in_force(id, at)))
        };
        let mut some = PolicySet::new();
        for policy in serve.policies().filter(|policy| holds(policy.id().as_ref())) {
            some.add(policy.clone()).map_err(|e| internal(&e))?;
        }
        Ok(some)
    }

    /// Parses policies, names each by its `@id` and the version of its instrument, and files them as provisions.
    fn admit(&mut self, at: &str, text: &str, version: Option<u32>) -> Result<PolicySet, CompileFault> {
        let parsed: PolicySet = text.parse().map_err(|e| CompileFault::new(at, format!("{e}")))?;
        let mut named = PolicySet::new();
        for policy in parsed.policies() {
            let id = policy.annotation("id").unwrap_or_default();
            let provision = ProvisionId::parse(id).map_err(|e| CompileFault::new(at, e.to_string()))?;
            let name = version.map_or_else(|| id.to_owned(), |version| format!("{id}@{version}"));
            let policy = policy.new_id(cedar_policy::PolicyId::new(&name));
            let finding = text::finding(&policy, &provision)?;
            let said = |key| policy.annotation(key).map(str::to_owned);
            let (basis, cite) = (said("basis"), said("cite"));
            self.provisions.insert(name, Provision { id: provision, finding, basis, cite });
            named.add(policy.clone()).map_err(|e| internal(&e))?;
            self.all.add(policy).map_err(|e| internal(&e))?;
        }
        self.text.push_str(text);
        self.text.push('\n');
        Ok(named)
    }

    fn only(&self, set: &PolicySet, action: &str) -> Result<PolicySet, CompileFault> {
        let mut some = PolicySet::new();
        let wanted = self.words.action(action);
        for policy in set.policies().filter(|p| p.action_constraint() == wanted) {
            some.add(policy.clone()).map_err(|e| internal(&e))?;
        }
        Ok(some)
    }

    fn license(&mut self, license: &License) -> Result<LicenseRules, CompileFault> {
        let versions = self.document.licenses.iter().filter(|other| other.id() == license.id());
        Ok(LicenseRules {
            uid: self.words.license(license),
            tenure: tenure(license.version(), versions.map(|other| (other.version(), other.status_since()))),
            roles: self.words.roles(license),
            rules: self.admit(license.id().as_str(), &text::license(license), Some(license.version()))?,
        })
    }

    fn directive(&mut self, directive: &Directive, release: &PolicySet) -> Result<PolicySet, CompileFault> {
        let text = text::directive(directive);
        let mut rules = self.admit(directive.id().as_str(), &text, Some(directive.version()))?;
        for policy in release.policies() {
            rules.add(policy.clone()).map_err(|e| internal(&e))?;
        }
        self.entities.push(self.words.directive_entity(directive));
        Ok(rules)
    }

    fn model(&mut self, index: usize, model: &ModelVersion, rules: &[PolicySet]) -> Result<ModelRules, CompileFault> {
        let entity = self.words.model_entity(model)?;
        let uid = entity.uid();
        self.entities.push(entity);
        let directives = self.document.directives.iter().zip(rules).enumerate();
        let naming = directives.filter(|(_, (d, _))| reaches(d.families(), d.reaches_derivatives(), model));
        let mut gates = Vec::new();
        for (at, (directive, rules)) in naming {
            let entity = self.words.gate_entity(model, directive);
            let versions = self.document.directives.iter().filter(|other| other.id() == directive.id());
            gates.push(Gate {
                uid: entity.uid(),
                rules: rules.clone(),
                tenure: tenure(directive.version(), versions.map(|other| (other.version(), other.status_since()))),
                directive: at,
                licenses: waiving(&self.document.licenses, directive, model),
                answers: Answers::default(),
            });
            self.entities.push(entity);
        }
        Ok(ModelRules { uid, index, gates, clear: Vec::new() })
    }

    fn validate(&self) -> Result<Schema, CompileFault> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| internal(&e))?;
        let report = Validator::new(schema.clone()).validate(&self.all, ValidationMode::Strict);
        match report.validation_errors().next() {
            Some(error) => Err(CompileFault::new("rules", error.to_string())),
            None => Ok(schema),
        }
    }
}

/// Returns when a version speaks beside all versions of its instrument.
pub(crate) fn tenure(version: u32, versions: impl Iterator<Item = (u32, Moment)> + Clone) -> Tenure {
    let lowest = versions.clone().all(|(other, _)| other >= version);
    let since = versions.clone().find(|(other, _)| *other == version && !lowest).map(|(_, since)| since);
    Tenure { since, later: versions.filter(|(other, _)| *other > version).map(|(_, since)| since).collect() }
}

fn waiving(licenses: &[License], directive: &Directive, model: &ModelVersion) -> Vec<usize> {
    let waives =
        |l: &License| l.under().contains(directive.id()) && reaches(l.families(), l.reaches_derivatives(), model);
    let licenses = licenses.iter().enumerate();
    licenses.filter(|(_, l)| waives(l)).map(|(at, _)| at).collect()
}

/// Tells whether an instrument that names these families reaches a model version.
fn reaches(families: &BTreeSet<ModelFamily>, derivatives: bool, model: &ModelVersion) -> bool {
    let derived = derivatives && model.derived_from.as_ref().is_some_and(|from| families.contains(from));
    families.contains(&model.family) || derived
}

fn asks(document: &SnapshotDocument) -> Asks {
    let by_nationality = |d: &Directive| matches!(d.person_scope(), PersonScope::NationalsOf { .. });
    let directives = &document.directives;
    Asks {
        headquarters: directives.iter().any(|d| !d.entity_scope().headquartered_in().is_empty()),
        nationality: directives.iter().any(by_nationality)
            || document.licenses.iter().any(|license| license.nationality_exclude().is_some()),
    }
}

fn internal(error: &dyn std::fmt::Display) -> CompileFault {
    CompileFault::new("rules", error.to_string())
}
