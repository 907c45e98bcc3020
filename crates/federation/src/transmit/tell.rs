//! What there is to tell about what happened, before anybody in particular is told.
//!
//! Values are never told, only that they no longer hold: whoever may know them asks again. A rule that ended a call is not
//! named either, for most rules say something about the person.

use std::collections::BTreeMap;

use control::{Cause, Happened, Happening, View};
use identity::{Holder, KeyRecord, SessionEnd};
use secevent::{
    Event, Subject,
    event::{
        AssuranceChange, AssuranceNamespace, Caep, ChangeType, Context, CredentialChange, CredentialType, Direction,
        InitiatingEntity, Risc, TokenClaimsChange,
    },
};
use serde_json::{Map, Value, json};
use terms::{
    Account, AccountState, Affiliation, Assurance, Attestation, AttestationId, Claim, Moment, OrganizationId, PersonId,
};

use super::{queue::Writing, refusal::Refusal};

/// Cuts that only repeat what is told of the key or of the person.
const TOLD_OTHERWISE: [&str; 3] = ["credential_ended", "caller_inactive", "model_unknown"];

/// One event, and whom it concerns.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    pub(super) about: About,
    pub(super) whose: Whose,
    pub(super) event: Event,
    /// What makes it this event and no other, the same whenever it is made again.
    pub(super) mark: String,
    /// What brought it about, shared with everything else that this did.
    pub(super) cause: String,
}

/// Whom or what an event is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum About {
    /// A person, by this account of theirs if it is about one.
    Person { id: PersonId, account: Option<Account> },
    /// Something that is no person: a session, or a key that belongs to none.
    Thing(Subject),
}

/// Whose receivers may hear of it, besides those who may hear of everybody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// Those of one tenant; of none if it belongs to none.
    Tenant(Option<OrganizationId>),
    /// Those of every organization that the person belongs to.
    Anybody,
}

/// Returns what there is to tell, in order. Remembers what must be known to tell what happens next.
pub(super) fn tellings(view: &View<'_>, writing: &Writing<'_>, happening: &Happening) -> Result<Vec<Telling>, Refusal> {
    let cause = happening.index.to_string();
    let (mark, told) = (String::new(), Vec::new());
    let mut teller = Teller { view, writing, at: happening.at, by: &happening.by, mark, cause, told };
    for (position, what) in happening.what.iter().enumerate() {
        teller.mark = format!("{}/{position}", happening.index);
        teller.tell(what)?;
    }
    Ok(teller.told)
}

/// Returns what there is to tell about an attestation that has expired.
pub(super) fn expiry(
    view: &View<'_>,
    writing: &Writing<'_>,
    id: &AttestationId,
    at: Moment,
) -> Result<Vec<Telling>, Refusal> {
    let mark = format!("expired/{id}");
    let cause = mark.clone();
    let mut teller = Teller { view, writing, at, by: &Cause::Server, mark, cause, told: Vec::new() };
    if writing.expires_no_more(id)? && view.is_held(id)? {
        teller.ended(id, "an attestation expired")?;
    }
    Ok(teller.told)
}

struct Teller<'a> {
    view: &'a View<'a>,
    writing: &'a Writing<'a>,
    at: Moment,
    by: &'a Cause,
    mark: String,
    cause: String,
    told: Vec<Telling>,
}

impl Teller<'_> {
    fn tell(&mut self, what: &Happened) -> Result<(), Refusal> {
        match what {
            Happened::Person { person, active } => self.person(person, *active)?,
            Happened::Account { person, account } => self.account(person, account)?,
            Happened::AccountGone { person, account } => self.account_gone(person, account)?,
            Happened::Attestation(attestation) => self.attestation(attestation)?,
            Happened::Withdrawal { attestation, .. } => {
                self.writing.expires_no_more(attestation)?;
                self.ended(attestation, "an attestation was withdrawn")?;
            }
            Happened::Affiliation(affiliation) => self.affiliation(affiliation),
            Happened::Key(key) => self.key(key),
            Happened::SessionEnd(end) => self.session_end(end)?,
            Happened::Cut { people, organization, code, snapshot } => {
                self.cut(people, organization.as_ref(), code, snapshot);
            }
        }
        Ok(())
    }

    fn person(&mut self, person: &PersonId, active: bool) -> Result<(), Refusal> {
        if !self.writing.person(person, active)? {
            return Ok(());
        }
        let about = || About::Person { id: person.clone(), account: None };
        if active {
            self.risc(about(), Whose::Anybody, Risc::AccountEnabled, "access was given back");
        } else {
            let disabled = Risc::AccountDisabled { reason: None };
            self.risc(about(), Whose::Anybody, disabled, "access was withdrawn");
            self.caep(about(), Whose::Anybody, Caep::SessionRevoked, "access was withdrawn");
        }
        Ok(())
    }

    fn account(&mut self, person: &PersonId, account: &Account) -> Result<(), Refusal> {
        let Some((was, sessions_ended)) = self.writing.account(account)? else { return Ok(()) };
        let about = || About::Person { id: person.clone(), account: Some(account.clone()) };
        let whose = || Whose::Tenant(account.organization.clone());
        let event = match account.state {
            now if now == was => None,
            AccountState::Active => Some((Risc::AccountEnabled, "the account is in use again")),
            AccountState::Suspended => Some((Risc::AccountDisabled { reason: None }, "the account was suspended")),
            AccountState::Ended => Some((Risc::AccountPurged, "the account is over")),
        };
        if let Some((event, reason)) = event {
            self.risc(about(), whose(), event, reason);
        }
        let left = was == AccountState::Active && account.state != AccountState::Active;
        if left || account.sessions_end > sessions_ended {
            self.caep(about(), whose(), Caep::SessionRevoked, "the sessions of the account are over");
        }
        Ok(())
    }

    fn account_gone(&mut self, person: &PersonId, account: &Account) -> Result<(), Refusal> {
        let was = self.writing.account_gone(&account.channel, &account.subject)?;
        if was.is_some_and(|was| was != AccountState::Ended) {
            let about = About::Person { id: person.clone(), account: Some(account.clone()) };
            let whose = Whose::Tenant(account.organization.clone());
            self.risc(about.clone(), whose.clone(), Risc::AccountPurged, "the account no longer stands for the person");
            self.caep(about, whose, Caep::SessionRevoked, "the account no longer stands for the person");
        }
        Ok(())
    }

    fn affiliation(&mut self, affiliation: &Affiliation) {
        if affiliation.ends_at <= self.at {
            let about = About::Person { id: affiliation.person.clone(), account: None };
            let whose = Whose::Tenant(Some(affiliation.organization.clone()));
            self.caep(about, whose, Caep::SessionRevoked, "the affiliation ended");
        }
    }

    fn key(&mut self, key: &KeyRecord) {
        if key.revoked_at.is_none() {
            return;
        }
        let about = match &key.holder {
            Holder::Person { person } => Some(About::Person { id: person.clone(), account: None }),
            Holder::Workload { .. } | Holder::Shared => thing(&json!({"format": "opaque", "id": key.id.as_str()})),
        };
        let change = CredentialChange {
            credential_type: CredentialType::Other("api-key".to_owned()),
            change_type: ChangeType::Revoke,
            friendly_name: Some(key.id.to_string()),
            x509_issuer: None,
            x509_serial: None,
            fido2_aaguid: None,
        };
        if let Some(about) = about {
            let whose = Whose::Tenant(key.organization.clone());
            self.caep(about, whose, Caep::CredentialChange(change), "a key was revoked");
        }
    }

    fn session_end(&mut self, end: &SessionEnd) -> Result<(), Refusal> {
        let channel = self.view.channel(&end.channel)?;
        let session = json!({"format": "opaque", "id": end.session.as_str()});
        let about = thing(&json!({"format": "complex", "session": session}));
        if let (Some(about), Some(channel)) = (about, channel) {
            self.caep(about, Whose::Tenant(channel.organization), Caep::SessionRevoked, "a session is over");
        }
        Ok(())
    }

    /// One act that ends many calls of a person is told once: the rules in force name it.
    fn cut(&mut self, people: &[PersonId], tenant: Option<&OrganizationId>, code: &str, snapshot: &[u8; 32]) {
        if TOLD_OTHERWISE.contains(&code) {
            return;
        }
        let rules: String = snapshot.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        self.mark = format!("cut/{rules}/{code}");
        self.cause = format!("cut/{rules}");
        for person in people {
            let about = About::Person { id: person.clone(), account: None };
            let reason = "a rule in force no longer permits what was under way";
            self.caep(about, Whose::Tenant(tenant.cloned()), Caep::SessionRevoked, reason);
        }
    }

    /// A statement that takes the place of another may say something else, or say it less surely.
    fn attestation(&mut self, new: &Attestation) -> Result<(), Refusal> {
        self.writing.expires(&new.id, &new.person, new.expires_at)?;
        let Some(old) = &new.supersedes else { return Ok(()) };
        self.writing.expires_no_more(old)?;
        let Some(old) = self.view.attestation(old)? else { return Ok(()) };
        let reason = "an attestation was replaced";
        if old.claim != new.claim {
            self.claims_changed(&old, reason)?;
        }
        self.assurance_fell(&old, reason)
    }

    /// A statement that is over, with none in its place.
    fn ended(&mut self, id: &AttestationId, reason: &str) -> Result<(), Refusal> {
        let Some(attestation) = self.view.attestation(id)? else { return Ok(()) };
        self.claims_changed(&attestation, reason)?;
        self.assurance_fell(&attestation, reason)
    }

    fn claims_changed(&mut self, old: &Attestation, reason: &str) -> Result<(), Refusal> {
        let claims = Map::from_iter([(claim_name(&old.claim).to_owned(), Value::Null)]);
        let about = About::Person { id: old.person.clone(), account: None };
        let whose = self.whose(old)?;
        self.caep(about, whose, Caep::TokenClaimsChange(TokenClaimsChange { claims }), reason);
        Ok(())
    }

    fn assurance_fell(&mut self, old: &Attestation, reason: &str) -> Result<(), Refusal> {
        let held = self.view.person(&old.person)?.map_or_else(Vec::new, |person| person.attestations);
        let current = held.iter().filter(|held| held.id != old.id && held.expires_at > self.at);
        let now = current.map(|held| held.assurance).max().unwrap_or(Assurance::None);
        if now >= old.assurance {
            return Ok(());
        }
        let change = AssuranceChange {
            namespace: AssuranceNamespace::NistIal,
            current_level: level(now).to_owned(),
            previous_level: Some(level(old.assurance).to_owned()),
            change_direction: Some(Direction::Decrease),
        };
        let about = About::Person { id: old.person.clone(), account: None };
        let whose = self.whose(old)?;
        self.caep(about, whose, Caep::AssuranceLevelChange(change), reason);
        Ok(())
    }

    /// What one employer attests is told to no other.
    fn whose(&self, attestation: &Attestation) -> Result<Whose, Refusal> {
        let Some(channel) = &attestation.channel else { return Ok(Whose::Anybody) };
        let organization = self.view.channel(channel)?.and_then(|channel| channel.organization);
        Ok(organization.map_or(Whose::Anybody, |organization| Whose::Tenant(Some(organization))))
    }

    fn caep(&mut self, about: About, whose: Whose, event: Caep, reason: &str) {
        let event = Event::Caep(event, self.context(reason));
        self.push(about, whose, event);
    }

    fn risc(&mut self, about: About, whose: Whose, event: Risc, reason: &str) {
        let event = Event::Risc(event, self.context(reason));
        self.push(about, whose, event);
    }

    fn context(&self, reason: &str) -> Context {
        let entity = match self.by {
            Cause::Admin => InitiatingEntity::Admin,
            Cause::Policy => InitiatingEntity::Policy,
            Cause::Server | Cause::Channel(_) => InitiatingEntity::System,
        };
        Context {
            event_timestamp: Some(self.at),
            initiating_entity: Some(entity),
            reason_admin: BTreeMap::from([("en".to_owned(), reason.to_owned())]),
            reason_user: BTreeMap::new(),
        }
    }

    /// Of one thing that happened, nobody is told the same twice; claims that changed are told together.
    fn push(&mut self, about: About, whose: Whose, event: Event) {
        let uri = event.uri();
        let is_one_of_many = matches!(event, Event::Caep(Caep::CredentialChange(_), _));
        let same = |told: &&mut Telling| {
            !is_one_of_many && told.whose == whose && told.event.uri() == uri && is_same(&told.about, &about)
        };
        match (self.told.iter_mut().find(same).map(|told| &mut told.event), event) {
            (None, event) => {
                let (mark, cause) = (self.mark.clone(), self.cause.clone());
                self.told.push(Telling { about, whose, event, mark, cause });
            }
            (Some(Event::Caep(Caep::TokenClaimsChange(told), _)), Event::Caep(Caep::TokenClaimsChange(more), _)) => {
                told.claims.extend(more.claims)
            }
            (Some(_), _) => {}
        }
    }
}

fn is_same(one: &About, two: &About) -> bool {
    match (one, two) {
        (About::Person { id: one, .. }, About::Person { id: two, .. }) => one == two,
        (one, two) => one == two,
    }
}

fn thing(subject: &Value) -> Option<About> {
    Subject::read(subject).ok().map(About::Thing)
}

/// The claims by which OpenID Connect for Identity Assurance and we ourselves call what was attested.
fn claim_name(claim: &Claim) -> &'static str {
    match claim {
        Claim::UsPerson { .. } | Claim::ForeignPerson => "us_person",
        Claim::Citizenship { .. } | Claim::Stateless => "nationalities",
        Claim::PermanentResidency { .. } => "permanent_residencies",
        Claim::Location { .. } => "location",
    }
}

/// The levels as CAEP spells them for its namespace `NIST-IAL`.
fn level(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::None => "nist-ial0",
        Assurance::Ial1 => "nist-ial1",
        Assurance::Ial2 => "nist-ial2",
        Assurance::Ial3 => "nist-ial3",
    }
}
