//! The one decision function.

use std::collections::BTreeSet;

use terms::{
    Clearance, Control, Country, ModelVersion, ModelVersionId, Moment, OrganizationId, ProvisionId, Standing, Tie,
};

use crate::{
    CallerFacts, Code, CountryGroup, Determination, Directive, Facts, License, Obligation, Permit, Refusal, Remedy,
    Snapshot, SnapshotDocument, Status,
    caller::{Caller, Gap, Headquarters, Subject},
    evidence::{self, Bar, Horizon},
    instrument::NationalityRule,
    nationality::{self, Nationality},
    rules::{Gate, ModelRules, Release, Role, Ruling, Serve, Side, Tenure},
    why::{self, Finding},
};

/// Decides one call: pure, so that admission, simulation and replay agree.
///
/// The determination holds until its `valid_until` as long as the snapshot and everything in `facts` but the time
/// stay the same. Whatever cannot be established or evaluated refuses.
///
/// # Source
/// 15 CFR 734.13, 734.18(a)(2), 772.1, part 744; 31 CFR chapter V.
pub fn decide(snapshot: &Snapshot, facts: &Facts) -> Determination {
    decide_for(snapshot, facts, &facts.model)
}

/// What a requested name resolved to for one caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolution {
    /// The determination that stands: the first permit, else the refusal of the best version.
    pub determination: Determination,
    /// Better versions that were refused first, best first.
    pub passed_over: Vec<Passed>,
    /// The moment up to which time alone changes neither the determination nor what was passed over.
    pub valid_until: Moment,
}

/// A better version that the caller may not use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Passed {
    /// Which.
    pub model: ModelVersionId,
    /// Why not.
    pub code: Code,
}

/// Resolves a requested name, a version or an alias, to the best version the caller may use.
///
/// `facts.model` is replaced by each candidate in turn; every candidate goes through [`decide`].
/// Returns `None` if the name is neither a version nor an alias.
#[must_use]
pub fn resolve(snapshot: &Snapshot, facts: &Facts, requested: &str) -> Option<Resolution> {
    let mut valid_until = Moment::MAX;
    let mut passed_over = Vec::new();
    let mut best = None;
    for model in candidates(snapshot.document(), requested)? {
        match decide_for(snapshot, facts, model) {
            Determination::Permit(permit) => {
                valid_until = valid_until.min(permit.valid_until);
                let determination = Determination::Permit(permit);
                return Some(Resolution { determination, passed_over, valid_until });
            }
            Determination::Refuse(refusal) => {
                valid_until = valid_until.min(refusal.valid_until);
                passed_over.push(Passed { model: model.clone(), code: refusal.code });
                best.get_or_insert(refusal);
            }
        }
    }
    let determination = Determination::Refuse(best?);
    Some(Resolution { determination, passed_over: Vec::new(), valid_until })
}

/// Returns the versions that a name stands for, best first.
pub(crate) fn candidates<'a>(document: &'a SnapshotDocument, requested: &str) -> Option<Vec<&'a ModelVersionId>> {
    if let Some(model) = document.models.iter().find(|m| m.id.as_str() == requested) {
        return Some(vec![&model.id]);
    }
    let alias = document.aliases.iter().find(|a| a.name.as_str() == requested)?;
    Some(alias.versions.iter().collect())
}

fn decide_for(snapshot: &Snapshot, facts: &Facts, model: &ModelVersionId) -> Determination {
    let mut inquiry = Inquiry::begin(snapshot, facts);
    let answer = inquiry.answer(model);
    let valid_until = inquiry.horizon.until();
    match answer {
        Ok(grounds) => Determination::Permit(Permit {
            model: model.clone(),
            basis: grounds.basis.into_iter().collect(),
            flags: grounds.flags,
            obligations: tightest(grounds.obligations),
            valid_until,
            snapshot: *snapshot.digest(),
        }),
        Err(findings) => {
            let summary = why::sum_up(findings);
            Determination::Refuse(Refusal {
                code: summary.code,
                model: model.clone(),
                denied_by: summary.denied_by,
                remedies: summary.remedies,
                valid_until,
                snapshot: *snapshot.digest(),
            })
        }
    }
}

/// Keeps, of several caps on output, the lowest.
fn tightest(obligations: BTreeSet<Obligation>) -> Vec<Obligation> {
    let mut capped = false;
    let keep = |obligation: &Obligation| match obligation {
        Obligation::MaxOutputTokens(_) => !std::mem::replace(&mut capped, true),
        Obligation::StripLogprobs | Obligation::StripReasoning => true,
    };
    obligations.into_iter().filter(keep).collect()
}

/// One decision under way.
pub(crate) struct Inquiry<'a> {
    snapshot: &'a Snapshot,
    document: &'a SnapshotDocument,
    facts: &'a Facts,
    horizon: Horizon<'a>,
}

/// What a permit rests on.
#[derive(Default)]
struct Grounds {
    basis: BTreeSet<ProvisionId>,
    flags: Vec<crate::Flag>,
    obligations: BTreeSet<Obligation>,
}

impl Grounds {
    fn add(&mut self, basis: Vec<ProvisionId>, obligations: impl IntoIterator<Item = Obligation>) {
        self.basis.extend(basis);
        self.obligations.extend(obligations);
    }
}

impl<'a> Inquiry<'a> {
    pub(crate) fn begin(snapshot: &'a Snapshot, facts: &'a Facts) -> Self {
        Self { horizon: Horizon::of(facts.now()), document: snapshot.document(), snapshot, facts }
    }

    /// Returns who stands behind the call.
    pub(crate) fn caller(&mut self) -> Caller<'a> {
        Caller::gather(self.facts, &mut self.horizon)
    }

    /// Returns the directives in effect on a model version; none if it is not known.
    pub(crate) fn gates(&mut self, id: &ModelVersionId) -> Vec<(&'a Gate, &'a Directive)> {
        let Some(rules) = self.snapshot.rules().model(id) else {
            return Vec::new();
        };
        let model = self.document.models.get(rules.index);
        model.map_or_else(Vec::new, |model| self.effective_gates(model, rules))
    }

    fn answer(&mut self, id: &ModelVersionId) -> Result<Grounds, Vec<Finding>> {
        self.check_credential()?;
        let rules = self.snapshot.rules().model(id);
        let unknown = || vec![Finding::deny(Code::ModelUnknown, None)];
        let rules = rules.ok_or_else(unknown)?;
        let model = self.document.models.get(rules.index).ok_or_else(unknown)?;
        let caller = self.caller();
        let gates = self.effective_gates(model, rules);
        let mut grounds = Grounds::default();
        let mut findings = self.serve(rules, &caller, !gates.is_empty(), &mut grounds);
        findings.extend(self.clearance(model, &caller));
        if findings.iter().all(Finding::is_hold) && !gates.is_empty() {
            findings.extend(self.pass_gates(&gates, &caller, &mut grounds));
        }
        self.conclude(grounds, findings, &caller)
    }

    fn conclude(
        &mut self,
        mut grounds: Grounds,
        findings: Vec<Finding>,
        caller: &Caller<'_>,
    ) -> Result<Grounds, Vec<Finding>> {
        if !findings.is_empty() {
            return Err(findings);
        }
        if grounds.basis.is_empty() {
            return Err(vec![Finding::deny(Code::NoLegalBasis, None)]);
        }
        let red_flagged = self.document.country_groups.members(CountryGroup::D5);
        grounds.flags = caller.flags(red_flagged);
        Ok(grounds)
    }

    fn check_credential(&mut self) -> Result<(), Vec<Finding>> {
        let credential = &self.facts.credential;
        if credential.revoked || self.facts.is_locked_out() || self.horizon.reached(credential.expires_at) {
            return Err(vec![Finding::deny(Code::CredentialEnded, None)]);
        }
        let active = match &self.facts.caller {
            CallerFacts::Person { person } => person.active,
            CallerFacts::Workload { workload, .. } => workload.active,
            CallerFacts::Unbound => true,
        };
        if active {
            return Ok(());
        }
        Err(vec![Finding::deny(Code::CallerInactive, None)])
    }

    /// Returns the directives in effect on a model; none reaches a published one (15 CFR 734.7).
    fn effective_gates(&mut self, model: &ModelVersion, rules: &'a ModelRules) -> Vec<(&'a Gate, &'a Directive)> {
        if model.control == Control::Published {
            return Vec::new();
        }
        let directives = &self.document.directives;
        let gates = rules.gates.iter();
        let gates = gates.filter_map(|gate| Some((gate, directives.get(gate.directive)?)));
        gates.filter(|(gate, directive)| self.is_effective(&gate.tenure, directive)).collect()
    }

    /// Tells whether a directive of this tenure binds now.
    pub(crate) fn is_effective(&mut self, tenure: &Tenure, directive: &Directive) -> bool {
        self.speaks(tenure)
            && directive.status() == Status::InForce
            && self.horizon.reached(directive.binds_at())
            && !directive.expires_at().is_some_and(|end| self.horizon.reached(end))
    }

    /// Tells whether a version governs now, beside the other versions of its instrument.
    pub(crate) fn speaks(&mut self, tenure: &Tenure) -> bool {
        !self.is_replaced(tenure) && tenure.since.is_none_or(|since| self.horizon.reached(since))
    }

    /// Tells whether a version with a higher number speaks.
    pub(crate) fn is_replaced(&mut self, tenure: &Tenure) -> bool {
        tenure.later.iter().any(|since| self.horizon.reached(*since))
    }

    /// Tells whether a moment is still to come.
    pub(crate) fn is_before(&mut self, moment: Moment) -> bool {
        !self.horizon.reached(moment)
    }

    /// Tells whether a license, by its place in the document, authorizes anything now.
    pub(crate) fn is_valid(&mut self, at: usize, license: &License) -> bool {
        let tenure = self.snapshot.rules().tenure(at);
        tenure.is_some_and(|tenure| self.speaks(tenure))
            && license.status() == Status::InForce
            && self.horizon.reached(license.valid_from())
            && !license.valid_until().is_some_and(|end| self.horizon.reached(end))
    }

    /// Asks what no license waives: parties, embargoes, the model itself.
    fn serve(
        &mut self,
        rules: &ModelRules,
        caller: &Caller<'_>,
        controlled: bool,
        grounds: &mut Grounds,
    ) -> Vec<Finding> {
        let countries = caller.countries();
        let question =
            Serve { parties: caller.parties().into_iter().collect(), near: self.embargoes(&countries), controlled };
        match self.snapshot.rules().serve(rules, self.era(), &question) {
            Ok(Ruling::Permit(basis)) => {
                grounds.add(basis, []);
                Vec::new()
            }
            Ok(Ruling::Forbid(findings)) => findings,
            Ok(Ruling::Silent) => Vec::new(),
            Err(failed) => vec![failed],
        }
    }

    /// Returns the number of the era of the rules that need no instrument.
    fn era(&mut self) -> usize {
        let boundaries = self.snapshot.rules().boundaries();
        boundaries.fold(0, |era, boundary| era + usize::from(self.horizon.reached(boundary)))
    }

    fn embargoes(&self, countries: &BTreeSet<Country>) -> Vec<Side> {
        let groups = &self.document.country_groups;
        let near = |side: &Side| countries.iter().any(|country| side.has(groups, *country));
        Side::EMBARGOED.into_iter().filter(near).collect()
    }

    fn clearance(&mut self, model: &ModelVersion, caller: &Caller<'_>) -> Option<Finding> {
        let missing = match model.clearance {
            Clearance::Open => return None,
            Clearance::Identified if caller.identified => return None,
            Clearance::Identified => None,
            Clearance::Attested => match caller.gap {
                Some(Gap::Unbound) => None,
                Some(Gap::Recipients) => Some(Remedy::NameRecipients),
                None if self.all_attested(caller) => return None,
                None => Some(Remedy::AttestStanding),
            },
        };
        let mut finding = Finding::deny(Code::ClearanceRequired, None);
        finding.remedies.extend(missing);
        Some(finding)
    }

    fn all_attested(&mut self, caller: &Caller<'_>) -> bool {
        let horizon = &mut self.horizon;
        let mut attested = |s: &Subject<'_>| evidence::standing(s.person, Bar::IAL2, horizon) != Standing::Unattested;
        caller.people.iter().all(&mut attested)
    }

    /// Asks each directive in effect about each person who would receive the output.
    fn pass_gates(
        &mut self,
        gates: &[(&Gate, &Directive)],
        caller: &Caller<'_>,
        grounds: &mut Grounds,
    ) -> Vec<Finding> {
        let mut findings: Vec<Finding> = caller.gap.map(why::gap).into_iter().collect();
        for (gate, directive) in gates {
            for subject in &caller.people {
                let passed = self.pass(gate, directive, caller, subject, grounds);
                findings.extend(passed.err().into_iter().flatten());
            }
            if caller.people.is_empty() && caller.resells() {
                findings.extend(self.unidentified(gate));
            }
        }
        findings
    }

    /// Asks what forbids a release to nobody in particular.
    fn unidentified(&self, gate: &Gate) -> Vec<Finding> {
        let question = Release {
            standing: Standing::Unattested,
            location: None,
            foreign_organization: false,
            resells: true,
            roles: Vec::new(),
            spent: Vec::new(),
            end_use: None,
            headquarters: Headquarters::Unknown,
            ear: Nationality::Unknown,
            itar: Nationality::Unknown,
        };
        match self.snapshot.rules().release(gate, &question) {
            Ok(Ruling::Forbid(findings)) => findings,
            Ok(Ruling::Permit(_) | Ruling::Silent) => Vec::new(),
            Err(failed) => vec![failed],
        }
    }

    fn pass(
        &mut self,
        gate: &Gate,
        directive: &Directive,
        caller: &Caller<'_>,
        subject: &Subject<'_>,
        grounds: &mut Grounds,
    ) -> Result<(), Vec<Finding>> {
        let mut question = self.question(directive, caller, subject);
        let rules = self.snapshot.rules();
        let forbidden = match rules.release(gate, &question).map_err(|failed| vec![failed])? {
            Ruling::Permit(basis) => {
                grounds.add(basis, directive.obligations().iter().copied());
                return Ok(());
            }
            Ruling::Forbid(findings) => findings,
            Ruling::Silent => Vec::new(),
        };
        let groups = &self.document.country_groups;
        let mut routes = vec![why::own_terms(directive, &question, groups)];
        let offer = self.best_offer(gate, caller, subject, &mut question, &mut routes)?;
        if let (true, Some(offer)) = (forbidden.is_empty(), offer) {
            grounds.add(offer.basis, offer.obligations);
            grounds.add(Vec::new(), directive.obligations().iter().copied());
            return Ok(());
        }
        let mut findings = forbidden;
        findings.extend(why::shortest(routes));
        if findings.is_empty() {
            findings.push(Finding::deny(Code::NoLegalBasis, None));
        }
        Err(findings)
    }

    /// Returns the license that covers a person and demands least; the first that demands nothing ends the search.
    fn best_offer(
        &mut self,
        gate: &Gate,
        caller: &Caller<'_>,
        subject: &Subject<'_>,
        question: &mut Release,
        routes: &mut Vec<Vec<Finding>>,
    ) -> Result<Option<Offer>, Vec<Finding>> {
        let mut best: Option<Offer> = None;
        for at in &gate.licenses {
            let offered = self.try_license(gate, *at, caller, subject, question, routes);
            let Some(offer) = offered.map_err(|failed| vec![failed])? else {
                continue;
            };
            let demands = offer.obligations.len();
            if best.as_ref().is_none_or(|best| demands < best.obligations.len()) {
                best = Some(offer);
            }
            if demands == 0 {
                break;
            }
        }
        Ok(best)
    }

    /// Returns what one directive asks about one person.
    pub(crate) fn question(&mut self, directive: &Directive, caller: &Caller<'_>, subject: &Subject<'_>) -> Release {
        let bar = Bar { min_assurance: directive.min_assurance(), max_age: Some(directive.max_age()) };
        let asks = self.snapshot.rules().asks();
        let horizon = &mut self.horizon;
        let mut national = |rule| match asks.nationality {
            true => nationality::nationality(subject.person, rule, bar, horizon),
            false => Nationality::Unknown,
        };
        Release {
            ear: national(NationalityRule::Ear),
            itar: national(NationalityRule::Itar),
            headquarters: if asks.headquarters { caller.headquarters() } else { Headquarters::Unknown },
            standing: evidence::standing(subject.person, bar, &mut self.horizon),
            location: evidence::whereabouts(subject.person, bar, &mut self.horizon).established,
            foreign_organization: caller.acts_for_foreign_organization(),
            resells: caller.resells(),
            end_use: self.facts.credential.end_use.clone(),
            roles: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// Asks one license about one person; adds to `routes` what stands in the way if it is about them at all.
    fn try_license(
        &mut self,
        gate: &Gate,
        at: usize,
        caller: &Caller<'_>,
        subject: &Subject<'_>,
        question: &mut Release,
        routes: &mut Vec<Vec<Finding>>,
    ) -> Result<Option<Offer>, Finding> {
        let Some(license) = self.document.licenses.get(at) else {
            return Ok(None);
        };
        if !self.is_valid(at, license) {
            return Ok(None);
        }
        let obstacles = self.terms(gate, at, license, caller, subject, question);
        let is_open = obstacles.as_ref().is_some_and(Vec::is_empty);
        routes.extend(obstacles);
        // Where something stands in the way the rules would say nothing; where nothing does, they must permit.
        if !is_open {
            return Ok(None);
        }
        let ruling = self.snapshot.rules().licensed(gate, at, question)?;
        let Ruling::Permit(basis) = ruling else {
            return Ok(None);
        };
        Ok(Some(Offer { basis, obligations: license.obligations().clone() }))
    }

    /// Reads one license for one person into `question`, and returns what stands in the way; `None` if it is not about
    /// them at all.
    pub(crate) fn terms(
        &mut self,
        gate: &Gate,
        at: usize,
        license: &License,
        caller: &Caller<'_>,
        subject: &Subject<'_>,
        question: &mut Release,
    ) -> Option<Vec<Finding>> {
        let lab = self.document.lab.as_ref();
        let held = self.roles(license, at, gate, caller, subject);
        question.roles = held.current;
        let is_spent = self.is_spent(license);
        question.spent = is_spent.then_some(at).into_iter().collect();
        let named = caller.tenant.is_some_and(|tenant| names(license, caller, tenant, lab));
        let unplaced = why::is_unplaced(subject, named, held.is_stale);
        let groups = &self.document.country_groups;
        why::license_terms(license, &question.roles, unplaced, question, groups, is_spent)
    }

    /// Tells whether a cap of a license is reached in its current period; what is not counted counts as used up.
    fn is_spent(&mut self, license: &License) -> bool {
        license.token_caps().fold(false, |spent, (cap, per)| {
            // With the next period the count begins anew.
            self.horizon.reached(per.end(self.facts.at));
            let counts = self.facts.consumed.iter().filter(|c| c.instrument == *license.id() && c.per == per);
            counts.map(|c| c.tokens).max().unwrap_or(cap) >= cap || spent
        })
    }

    /// Returns the roles of a person under a license; where it binds the tenant, only under the tenant of the same
    /// organization; where the directive limits the age of evidence of employment, only on evidence that young.
    fn roles(&mut self, license: &License, at: usize, gate: &Gate, caller: &Caller<'_>, subject: &Subject<'_>) -> Held {
        let max_age = self.document.directives.get(gate.directive).and_then(Directive::employment_max_age);
        let lab = self.document.lab.as_ref();
        let mut held = Held::default();
        for affiliation in &subject.affiliations {
            let organization = &affiliation.organization;
            if license.tenant_binding() && caller.tenant != Some(organization) {
                continue;
            }
            let ways = [(grants(license, caller, organization), false), (is_own(license, organization, lab), true)];
            let ways = ways.into_iter().filter(|(named, _)| *named);
            let role = |(_, own_staff)| Role { license: at, own_staff, engagement: affiliation.engagement };
            if max_age.is_some_and(|age| self.horizon.reached(affiliation.attested_at.plus(age))) {
                held.is_stale |= ways.count() > 0;
            } else {
                held.current.extend(ways.map(role));
            }
        }
        held
    }
}

/// What a person can be under a license.
#[derive(Default)]
struct Held {
    current: Vec<Role>,
    /// True if the evidence of some role is too old.
    is_stale: bool,
}

/// A license that covers a person.
struct Offer {
    basis: Vec<ProvisionId>,
    obligations: BTreeSet<Obligation>,
}

/// Tells whether a license names an organization as a grantee, or reaches it through one that it names.
fn grants(license: &License, caller: &Caller<'_>, organization: &OrganizationId) -> bool {
    let reaches = |tie: &Tie| license.entity_reach().covers(tie.kind) && license.grantees().contains(&tie.to);
    license.grantees().contains(organization) || caller.ties(organization).iter().any(reaches)
}

fn is_own(license: &License, organization: &OrganizationId, lab: Option<&OrganizationId>) -> bool {
    license.own_staff() && lab == Some(organization)
}

fn names(license: &License, caller: &Caller<'_>, organization: &OrganizationId, lab: Option<&OrganizationId>) -> bool {
    grants(license, caller, organization) || is_own(license, organization, lab)
}
