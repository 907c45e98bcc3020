//! The rules as Cedar policies: compiled once per snapshot, asked per call, nothing parsed in between.
//!
//! Whether a model may be served to the parties at all (`serve`) is one question; whether its output may be released
//! to one person (`release`) is one question per directive in effect, so that two directives need two legal bases.
//! The policies of an instrument are evaluated only where its own conditions can hold: a license is asked only about
//! a person who has a role under it. A test compares that with asking everything at once.

#[cfg(test)]
mod tests;
mod text;
mod vocabulary;

use std::collections::BTreeMap;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression, Schema,
    ValidationMode, Validator,
};
use terms::{Country, Engagement, ModelVersion, ModelVersionId, ProvisionId, Standing};

use crate::{Code, CompileFault, Directive, License, SnapshotDocument, why::Finding};

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
    serve: PolicySet,
    models: BTreeMap<ModelVersionId, ModelRules>,
    licenses: Vec<LicenseRules>,
    text: String,
}

/// A policy as a determination names it: for a forbid, with the finding it makes.
#[derive(Debug)]
struct Provision {
    id: ProvisionId,
    finding: Option<Finding>,
}

/// One model version, and the directives that name its family.
#[derive(Debug)]
pub(crate) struct ModelRules {
    uid: EntityUid,
    /// Where it stands in the document.
    pub(crate) index: usize,
    /// In order of the directives.
    pub(crate) gates: Vec<Gate>,
    /// What `serve` says where nothing speaks against any party: uncontrolled, controlled. Asked once, at compile.
    clear: Option<[Ruling; 2]>,
}

/// One model version under one directive.
#[derive(Debug)]
pub(crate) struct Gate {
    uid: EntityUid,
    rules: PolicySet,
    /// Where the directive stands in the document.
    pub(crate) directive: usize,
    /// Where the licenses stand in the document that waive the directive for the model's family.
    pub(crate) licenses: Vec<usize>,
}

#[derive(Debug)]
struct LicenseRules {
    uid: EntityUid,
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
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) standing: Standing,
    pub(crate) location: Option<Country>,
    pub(crate) foreign_organization: bool,
    pub(crate) resells: bool,
    /// Roles under licenses in force.
    pub(crate) roles: Vec<Role>,
    /// Licenses whose cap is used up or whose use is not known.
    pub(crate) spent: Vec<usize>,
}

/// How a license, by its place in the document, names a person, and in what capacity they act for a grantee.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

    /// Asks whether a model may be served to the parties at all.
    pub(crate) fn serve(&self, model: &ModelRules, question: &Serve) -> Result<Ruling, Finding> {
        let is_clear = question.parties.is_empty() && question.near.is_empty();
        match &model.clear {
            Some([uncontrolled, _]) if is_clear && !question.controlled => Ok(uncontrolled.clone()),
            Some([_, controlled]) if is_clear => Ok(controlled.clone()),
            _ => self.ask_serve(model, question),
        }
    }

    fn ask_serve(&self, model: &ModelRules, question: &Serve) -> Result<Ruling, Finding> {
        let context = self.words.serve_context(question);
        self.ask(self.words.serve.clone(), &model.uid, context, &self.serve)
    }

    /// Asks ahead what most calls ask: nothing speaks against any party.
    fn answer_ahead(mut self) -> Result<Self, CompileFault> {
        let clear = |controlled| Serve { parties: Vec::new(), near: Vec::new(), controlled };
        let failed = |_| CompileFault::new("rules", "cannot be evaluated");
        let mut answers = Vec::new();
        for model in self.models.values() {
            let uncontrolled = self.ask_serve(model, &clear(false)).map_err(failed)?;
            answers.push([uncontrolled, self.ask_serve(model, &clear(true)).map_err(failed)?]);
        }
        for (model, answer) in self.models.values_mut().zip(answers) {
            model.clear = Some(answer);
        }
        Ok(self)
    }

    /// Asks whether a directive lets output go to one person by its own terms.
    pub(crate) fn release(&self, gate: &Gate, question: &Release) -> Result<Ruling, Finding> {
        let context = self.release_context(question);
        self.ask(self.words.release.clone(), &gate.uid, context, &gate.rules)
    }

    /// Asks whether one license lets output go to one person whom nothing forbids.
    pub(crate) fn licensed(&self, gate: &Gate, license: usize, question: &Release) -> Result<Ruling, Finding> {
        let Some(license) = self.licenses.get(license) else {
            return Ok(Ruling::Silent);
        };
        let context = self.release_context(question);
        self.ask(self.words.release.clone(), &gate.uid, context, &license.rules)
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
        let words = Vocabulary::new()?;
        Ok(Self {
            entities: words.countries(&document.country_groups),
            words,
            document,
            all: PolicySet::new(),
            provisions: BTreeMap::new(),
            text: String::new(),
        })
    }

    fn finish(mut self) -> Result<Rules, CompileFault> {
        let base = self.admit("base", BASE)?;
        let serve = self.only(&base, "serve")?;
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
            text: self.text,
            serve,
            models,
            licenses,
        };
        rules.answer_ahead()
    }

    /// Parses policies, names each by its `@id`, and files them as provisions.
    fn admit(&mut self, at: &str, text: &str) -> Result<PolicySet, CompileFault> {
        let parsed: PolicySet = text.parse().map_err(|e| CompileFault::new(at, format!("{e}")))?;
        let mut named = PolicySet::new();
        for policy in parsed.policies() {
            let id = policy.annotation("id").unwrap_or_default();
            let provision = ProvisionId::parse(id).map_err(|e| CompileFault::new(at, e.to_string()))?;
            let policy = policy.new_id(cedar_policy::PolicyId::new(id));
            let finding = text::finding(&policy, &provision)?;
            self.provisions.insert(id.to_owned(), Provision { id: provision, finding });
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
        Ok(LicenseRules {
            uid: self.words.license(license.id()),
            roles: self.words.roles(license.id()),
            rules: self.admit(license.id().as_str(), &text::license(license))?,
        })
    }

    fn directive(&mut self, directive: &Directive, release: &PolicySet) -> Result<PolicySet, CompileFault> {
        let mut rules = self.admit(directive.id().as_str(), &text::directive(directive))?;
        for policy in release.policies() {
            rules.add(policy.clone()).map_err(|e| internal(&e))?;
        }
        Ok(rules)
    }

    fn model(&mut self, index: usize, model: &ModelVersion, rules: &[PolicySet]) -> Result<ModelRules, CompileFault> {
        let entity = self.words.model_entity(model)?;
        let uid = entity.uid();
        self.entities.push(entity);
        let directives = self.document.directives.iter().zip(rules).enumerate();
        let naming = directives.filter(|(_, (d, _))| d.families().contains(&model.family));
        let mut gates = Vec::new();
        for (at, (directive, rules)) in naming {
            let entity = self.words.gate_entity(model, directive);
            gates.push(Gate {
                uid: entity.uid(),
                rules: rules.clone(),
                directive: at,
                licenses: waiving(&self.document.licenses, directive, model),
            });
            self.entities.push(entity);
        }
        Ok(ModelRules { uid, index, gates, clear: None })
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

fn waiving(licenses: &[License], directive: &Directive, model: &ModelVersion) -> Vec<usize> {
    let waives = |l: &License| l.under().contains(directive.id()) && l.families().contains(&model.family);
    let licenses = licenses.iter().enumerate();
    licenses.filter(|(_, l)| waives(l)).map(|(at, _)| at).collect()
}

fn internal(error: &dyn std::fmt::Display) -> CompileFault {
    CompileFault::new("rules", error.to_string())
}
