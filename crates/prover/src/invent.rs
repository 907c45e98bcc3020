//! Facts about a person who does not exist, such that the decision asks the question that a solver found.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, EvalResult};
use cedar_policy_symcc::Env;
use policy::{Facts, FormalRole, License};
use serde_json::{Value, json};
use terms::{Control, Country, EndUse, Engagement, Moment, OrganizationId, Standing, UsPersonLimb};

use crate::{
    example::Words,
    rulebook::{Gate, Rulebook},
};

const HOUR_MS: i64 = 3_600_000;
const PERSON: &str = "invented-person";
const ORGANIZATION: &str = "invented-organization";
/// Tried first when a country is wanted: outside all groups, inside each of them.
const WELL_KNOWN: [&str; 6] = ["DE", "US", "CN", "IR", "CU", "KP"];

/// An invented person.
pub(crate) struct Invention {
    /// Who it is, in words.
    pub(crate) description: String,
    /// None if no facts of this snapshot lead to the question.
    pub(crate) facts: Option<Facts>,
    /// What of the question the facts do not carry.
    pub(crate) not_carried: Vec<String>,
}

/// Invents somebody to whom output would be released although a directive is in effect.
///
/// `groups` are those by which one country may be told from another.
pub(crate) fn receiver(
    book: &Rulebook<'_>,
    gate: &Gate<'_>,
    groups: &BTreeSet<&String>,
    env: &Env,
    words: &Words,
) -> Invention {
    let mut draft = Draft::new(book, latest_start(book));
    let mut models = book.models(gate).filter(|model| model.control != Control::Published);
    draft.model = models.next().map(|model| model.id.to_string());
    for (name, value) in words {
        let carried = match (name.as_str(), value) {
            ("standing", EvalResult::String(word)) => draft.stands(book, word),
            ("location", EvalResult::EntityUid(country)) => draft.is_in(book, groups, env, country),
            ("headquarters", EvalResult::Set(of)) => draft.is_headquartered(book, groups, &uids(of)),
            ("ear" | "itar", EvalResult::Set(of)) => draft.is_national(book, groups, &uids(of)),
            ("endUse", EvalResult::String(end_use)) => draft.is_for(end_use),
            ("foreignOrganization", EvalResult::Bool(foreign)) => draft.acts_for_foreign(*foreign),
            ("resells", EvalResult::Bool(resells)) => draft.resells(*resells),
            ("roles", EvalResult::Set(roles)) => draft.has_roles(book, &uids(roles)),
            ("spent", EvalResult::Set(spent)) => draft.used_up(book, &uids(spent)),
            _ => is_nothing(value),
        };
        if !carried {
            draft.not_carried.push(format!("{name}: {value}"));
        }
    }
    draft.finish()
}

/// Invents a caller to whom a model would be served.
pub(crate) fn caller(book: &Rulebook<'_>, env: &Env, words: &Words) -> Invention {
    let mut draft = Draft::new(book, latest_start(book));
    draft.model = model_like(book, env);
    for (name, value) in words {
        let carried = match (name.as_str(), value) {
            ("parties", EvalResult::Set(parties)) => parties.iter().all(|word| draft.is_party(word)),
            ("near", EvalResult::Set(groups)) => groups.is_empty() || draft.is_near(book, &uids(groups)),
            _ => is_nothing(value),
        };
        if !carried {
            draft.not_carried.push(format!("{name}: {value}"));
        }
    }
    draft.finish()
}

fn is_nothing(value: &EvalResult) -> bool {
    match value {
        EvalResult::Bool(word) => !word,
        EvalResult::Set(set) => set.is_empty(),
        _ => false,
    }
}

fn uids(set: &cedar_policy::Set) -> Vec<String> {
    set.iter().map(ToString::to_string).collect()
}

/// Returns a moment by which everything in the snapshot has begun.
fn latest_start(book: &Rulebook<'_>) -> Moment {
    let document = book.document();
    let directives = document.directives.iter().flat_map(|d| [d.binds_at(), d.status_since()]);
    let licenses = document.licenses.iter().flat_map(|license| [license.valid_from(), license.status_since()]);
    let starts = directives.chain(licenses);
    let latest = starts.max().unwrap_or_else(|| Moment::from_millis(0));
    Moment::from_millis(latest.as_millis().saturating_add(24 * HOUR_MS))
}

/// Returns a registered model version with the attributes that the solver gave the model.
fn model_like(book: &Rulebook<'_>, env: &Env) -> Option<String> {
    let model = env.entities.get(env.request.resource()?)?;
    let is = |name: &str| matches!(model.attr(name), Some(Ok(EvalResult::Bool(true))));
    let (published, certificate) = (is("published"), is("certificateRequired"));
    let mut alike = book.document().models.iter().filter(|model| {
        (model.control == Control::Published) == published && model.certificate_required == certificate
    });
    alike.next().map(|model| model.id.to_string())
}

/// An invented person under way.
struct Draft {
    at: Moment,
    model: Option<String>,
    standing: Option<&'static str>,
    place: Option<Country>,
    said: Vec<String>,
    claims: Vec<Value>,
    affiliations: Vec<(OrganizationId, Engagement)>,
    screening: &'static str,
    end_use: Option<String>,
    organization: Organization,
    consumed: Vec<Value>,
    not_carried: Vec<String>,
}

/// The one organization that an invented person calls under, if any of it matters.
struct Organization {
    id: Option<String>,
    foreign: bool,
    resells: bool,
    headquarters: Option<Country>,
    screening: &'static str,
    coverage: &'static str,
}

impl Draft {
    fn new(book: &Rulebook<'_>, at: Moment) -> Self {
        let unused = book.document().licenses.iter().flat_map(|license| uses_of(license, 0));
        Self {
            at,
            model: None,
            standing: None,
            place: None,
            said: Vec::new(),
            claims: Vec::new(),
            affiliations: Vec::new(),
            screening: "cleared",
            end_use: None,
            organization: Organization {
                id: None,
                foreign: false,
                resells: false,
                headquarters: None,
                screening: "cleared",
                coverage: "none",
            },
            consumed: unused.collect(),
            not_carried: Vec::new(),
        }
    }

    fn stands(&mut self, book: &Rulebook<'_>, word: &str) -> bool {
        let Some(standing) = book.formal.standings.get(word) else {
            return false;
        };
        match standing {
            Standing::UsPerson(limb) => self.claims.push(json!({"kind": "us_person", "limb": limb})),
            Standing::ForeignPerson => self.claims.push(json!({"kind": "foreign_person"})),
            Standing::Unattested => {}
        }
        self.standing = Some(in_words(*standing));
        true
    }

    fn is_in(&mut self, book: &Rulebook<'_>, groups: &BTreeSet<&String>, env: &Env, country: &EntityUid) -> bool {
        let inside =
            |group: &&&String| group.parse().is_ok_and(|group: EntityUid| env.entities.is_ancestor_of(&group, country));
        let inside: Vec<String> = groups.iter().filter(inside).map(ToString::to_string).collect();
        let found = country_of(book, groups, &inside);
        found.is_some_and(|country| self.is_located(country))
    }

    fn is_near(&mut self, book: &Rulebook<'_>, groups: &[String]) -> bool {
        let found = country_where(book, |of| groups.iter().all(|group| of.contains(group)));
        found.is_some_and(|country| self.is_located(country))
    }

    fn is_headquartered(&mut self, book: &Rulebook<'_>, groups: &BTreeSet<&String>, of: &[String]) -> bool {
        self.organization.headquarters = country_of(book, groups, of);
        if let Some(country) = self.organization.headquarters {
            self.said.push(format!("under the tenant of an organization headquartered in {country}"));
        }
        self.organization.headquarters.is_some()
    }

    fn is_national(&mut self, book: &Rulebook<'_>, groups: &BTreeSet<&String>, of: &[String]) -> bool {
        let Some(country) = country_of(book, groups, of) else {
            return false;
        };
        let claim = json!({"kind": "citizenship", "country": country, "from": null, "until": null});
        if !self.claims.contains(&claim) {
            self.said.push(format!("a citizen of {country}"));
            self.claims.push(claim);
        }
        true
    }

    fn is_for(&mut self, end_use: &str) -> bool {
        self.end_use = Some(end_use.to_owned());
        self.said.push(format!("for the end use `{end_use}`"));
        EndUse::parse(end_use).is_ok()
    }

    fn is_located(&mut self, country: Country) -> bool {
        self.claims.push(json!({"kind": "location", "country": country, "method": "managed"}));
        self.place = Some(country);
        true
    }

    fn acts_for_foreign(&mut self, foreign: bool) -> bool {
        self.organization.foreign = foreign;
        if foreign {
            self.said.push("under the tenant of a foreign organization".to_owned());
        }
        true
    }

    fn resells(&mut self, resells: bool) -> bool {
        self.organization.resells = resells;
        if resells {
            self.said.push("under the tenant of one that resells".to_owned());
        }
        true
    }

    fn is_party(&mut self, word: &EvalResult) -> bool {
        let EvalResult::String(word) = word else {
            return false;
        };
        match word.as_str() {
            "blocked" => self.screening = "blocked",
            "entity_listed" => self.screening = "entity_listed",
            "denied_person" => self.screening = "denied_person",
            "review" => self.organization.screening = "review",
            "covered_blocked" => self.organization.coverage = "blocked",
            "covered_entity_list" => self.organization.coverage = "entity_list",
            "undetermined" => self.organization.coverage = "undetermined",
            _ => return false,
        }
        self.said.push(format!("of whom screening or ownership says `{word}`"));
        true
    }

    /// Gives the person each role that a license of the snapshot has; a role that none has means nothing.
    fn has_roles(&mut self, book: &Rulebook<'_>, roles: &[String]) -> bool {
        let mut carried = true;
        for (license, formal) in book.licenses() {
            for role in formal.roles.iter().filter(|role| roles.contains(&role.uid)) {
                let lab = book.document().lab.as_ref();
                let organization = if role.own_staff { lab } else { license.grantees().first() };
                carried &= organization.is_some_and(|organization| self.acts_for(organization, role, license));
            }
        }
        carried
    }

    fn acts_for(&mut self, organization: &OrganizationId, role: &FormalRole, license: &License) -> bool {
        let affiliation = (organization.clone(), role.engagement);
        if !self.affiliations.contains(&affiliation) {
            let whose = if role.own_staff { "the lab, under" } else { "a grantee of" };
            self.said.push(format!("{} of {whose} {}", capacity(role.engagement), license.id()));
            self.affiliations.push(affiliation);
        }
        self.organization.id.get_or_insert_with(|| organization.to_string());
        true
    }

    fn used_up(&mut self, book: &Rulebook<'_>, spent: &[String]) -> bool {
        let is_spent = book.licenses().map(|(license, formal)| (license, spent.contains(&formal.uid)));
        let uses = is_spent.flat_map(|(license, spent)| uses_of(license, if spent { u64::MAX } else { 0 }));
        self.consumed = uses.collect();
        true
    }

    fn finish(self) -> Invention {
        let description = self.description();
        let mut not_carried = self.not_carried.clone();
        let facts = self.model.as_ref().map(|model| self.facts(model));
        let facts = match facts.map(serde_json::from_value) {
            Some(Ok(facts)) => Some(facts),
            Some(Err(error)) => {
                not_carried.push(format!("everything: {error}"));
                None
            }
            None => {
                not_carried.push("the model: no registered version is like it".to_owned());
                None
            }
        };
        Invention { description, facts, not_carried }
    }

    fn description(&self) -> String {
        let mut who = self.standing.unwrap_or("a caller").to_owned();
        if let Some(country) = self.place {
            who = format!("{who} in {country}");
        }
        [who].into_iter().chain(self.said.iter().cloned()).collect::<Vec<_>>().join(", ")
    }

    fn facts(&self, model: &str) -> Value {
        let tenant = self.tenant();
        json!({
            "at": self.at,
            "model": model,
            "credential": {
                "id": "invented-key", "expires_at": self.later(24), "revoked": false, "organization": tenant,
                "end_use": self.end_use,
            },
            "caller": {"kind": "person", "person": self.person()},
            "organizations": self.organizations(tenant.as_deref()),
            "consumed": self.consumed,
        })
    }

    fn later(&self, hours: i64) -> Moment {
        Moment::from_millis(self.at.as_millis().saturating_add(hours * HOUR_MS))
    }

    /// Returns under whose tenant the person calls: a grantee's, or an invented one where something is said of it.
    fn tenant(&self) -> Option<String> {
        let organization = &self.organization;
        let matters = organization.foreign
            || organization.resells
            || organization.headquarters.is_some()
            || organization.screening != "cleared"
            || organization.coverage != "none";
        organization.id.clone().or_else(|| matters.then(|| ORGANIZATION.to_owned()))
    }

    fn person(&self) -> Value {
        let attestation = |(at, claim): (usize, &Value)| {
            json!({
                "id": format!("invented-{at}"), "person": PERSON, "claim": claim, "issuer": "invented-issuer",
                "evidence": "invented", "assurance": "ial3", "issued_at": self.at, "expires_at": self.later(24),
                "supersedes": null,
            })
        };
        let affiliation = |(at, (organization, engagement)): (usize, &(OrganizationId, Engagement))| {
            json!({
                "id": format!("invented-{at}"), "person": PERSON, "organization": organization,
                "engagement": engagement, "issuer": "invented-issuer", "evidence": "invented",
                "attested_at": self.at, "ends_at": self.later(24),
            })
        };
        json!({
            "id": PERSON, "display_name": "Invented Person", "screening": self.screening, "active": true,
            "attestations": self.claims.iter().enumerate().map(attestation).collect::<Vec<_>>(),
            "affiliations": self.affiliations.iter().enumerate().map(affiliation).collect::<Vec<_>>(),
        })
    }

    fn organizations(&self, tenant: Option<&str>) -> Vec<Value> {
        let worked_for = self.affiliations.iter().map(|(organization, _)| organization.as_str());
        let named: BTreeSet<&str> = worked_for.chain(tenant).collect();
        named.into_iter().map(|id| self.organization(id, tenant == Some(id))).collect()
    }

    fn organization(&self, id: &str, is_tenant: bool) -> Value {
        let organization = &self.organization;
        let foreign = is_tenant && organization.foreign;
        json!({
            "id": id, "legal_name": id,
            "country": if foreign { "DE" } else { "US" }, "kind": if foreign { "foreign" } else { "us" },
            "screening": if is_tenant { organization.screening } else { "cleared" },
            "coverage": if is_tenant { organization.coverage } else { "none" },
            "resells": is_tenant && organization.resells,
            "headquarters": organization.headquarters.filter(|_| is_tenant),
        })
    }
}

/// Returns the use of each cap of a license.
fn uses_of(license: &License, tokens: u64) -> impl Iterator<Item = Value> {
    license.token_caps().map(move |(_, per)| json!({"instrument": license.id(), "per": per, "tokens": tokens}))
}

/// Returns a country that belongs, of these groups, exactly to those of `of`.
fn country_of(book: &Rulebook<'_>, groups: &BTreeSet<&String>, of: &[String]) -> Option<Country> {
    country_where(book, |found| groups.iter().all(|group| found.contains(*group) == of.contains(group)))
}

/// Returns a country whose groups are as wanted, a well-known one if there is one.
fn country_where(book: &Rulebook<'_>, wanted: impl Fn(&BTreeSet<String>) -> bool) -> Option<Country> {
    let none = BTreeSet::new();
    let listed = book.formal.countries.keys().map(String::as_str);
    let mut codes = WELL_KNOWN.into_iter().chain(listed);
    let code = codes.find(|code| wanted(book.formal.countries.get(*code).unwrap_or(&none)))?;
    Country::parse(code).ok()
}

fn capacity(engagement: Engagement) -> &'static str {
    match engagement {
        Engagement::Employee => "employee",
        Engagement::RegularEmployee => "regular employee",
        Engagement::Contractor => "contractor",
        Engagement::Intern => "intern",
    }
}

fn in_words(standing: Standing) -> &'static str {
    match standing {
        Standing::UsPerson(UsPersonLimb::Citizen) => "a citizen of the United States",
        Standing::UsPerson(UsPersonLimb::National) => "a national of the United States",
        Standing::UsPerson(UsPersonLimb::LawfulPermanentResident) => "a lawful permanent resident",
        Standing::UsPerson(UsPersonLimb::TemporaryResident) => "a temporary resident",
        Standing::UsPerson(UsPersonLimb::Refugee) => "a refugee",
        Standing::UsPerson(UsPersonLimb::Asylee) => "an asylee",
        Standing::ForeignPerson => "a foreign person",
        Standing::Unattested => "a person of unattested standing",
    }
}
