//! What a person is shown: what they can use, why not, and how long each piece of evidence still counts.

use std::{collections::BTreeSet, sync::Arc};

use control::{Ended, Ending, Fault, Federation, View};
use identity::KeyRecord;
use policy::{
    CallerFacts, Code, Consumed, CredentialFacts, Determination, Facts, Refusal, Reliance, Remedy, Snapshot, decide,
};
use terms::{
    AccountState, Attestation, Channel, ChannelId, Claim, Freshness, IssuerId, KeyId, ModelVersionId, Moment,
    Organization, OrganizationId, Person, PersonId, UsPersonLimb,
};

use crate::attest::ClaimKind;

/// Tenants that one page shows; a person with more sees the first.
const MAX_TENANTS: usize = 8;

/// Everything that one page says.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) at: Moment,
    pub(super) name: String,
    pub(super) active: bool,
    pub(super) access: Vec<Access>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) employment: Vec<Evidence>,
    /// What ended and has not returned, latest first.
    pub(super) endings: Vec<Over>,
    /// What would restore access, without repetition.
    pub(super) steps: BTreeSet<Step>,
}

/// One model through one tenant.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) tenant: String,
    pub(super) model: ModelVersionId,
    /// In words; `None` if the model can be used.
    pub(super) refused: Option<String>,
    /// The stable reason, for whoever helps.
    pub(super) code: Option<&'static str>,
    /// Up to when time alone does not change this.
    pub(super) until: Option<Moment>,
}

/// One thing that somebody attested, and how long it counts.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) what: String,
    pub(super) issuer: IssuerId,
    pub(super) state: Freshness,
    /// When that changes, unless it is renewed before; for what is stale, since when it is.
    pub(super) until: Moment,
}

/// Something that ended, by the word of the record.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) at: Moment,
    pub(super) what: String,
    /// Who said so.
    pub(super) by: String,
    /// The stable verb of the entry and its index, for whoever helps.
    pub(super) entry: (String, u64),
}

/// What a person can do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Step {
    /// Show a credential from a wallet, or be proofed again.
    Prove,
    /// Have the employer confirm employment or location.
    AskEmployer,
    /// Sign in again, for a credential that has not ended.
    SignIn,
    /// Wait for, or ask, those who run the service.
    AskOperator,
}

/// What is on record about a person, taken from the registry at one moment.
#[derive(Debug)]
pub(crate) struct Known {
    at: Moment,
    person: Arc<Person>,
    keys: Vec<KeyRecord>,
    channels: Vec<Channel>,
    organizations: Vec<Arc<Organization>>,
    endings: Vec<Ending>,
}

impl Known {
    /// Looks a person up with what ended; `None` if there is none of this id. Blocks on disk.
    pub(crate) fn find(federation: &Federation, id: &PersonId) -> Result<Option<Self>, Fault> {
        let Some(known) = federation.read(|view| Self::of(view, id))? else { return Ok(None) };
        Ok(Some(Self { endings: federation.endings(id)?, ..known }))
    }

    fn of(view: &View<'_>, id: &PersonId) -> Result<Option<Self>, Fault> {
        let Some(person) = view.person(id)? else { return Ok(None) };
        let keys = view.keys_of(id)?;
        let mut organizations = Vec::new();
        for tenant in tenants(&person, &keys).into_iter().flatten() {
            organizations.extend(view.organization(&tenant)?.map(Arc::new));
        }
        let (at, channels) = (view.now(), view.channels()?);
        Ok(Some(Self { at, person: Arc::new(person), keys, channels, organizations, endings: Vec::new() }))
    }

    /// Decides what the person can use, as the gateway would.
    pub(super) fn shown(&self, snapshot: &Snapshot) -> Shown {
        let decided = self.decided(snapshot);
        let steps = decided.iter().flat_map(|(_, determination)| steps_after(determination)).collect();
        let access = decided.iter().map(|(tenant, determination)| said(tenant.as_ref(), determination)).collect();
        Shown {
            at: self.at,
            name: self.person.display_name.clone(),
            active: self.person.active,
            access,
            evidence: self.evidence(),
            employment: self.employment(),
            endings: self
                .endings
                .iter()
                .filter(|ending| self.is_over(ending))
                .map(|ending| self.over(ending))
                .collect(),
            steps,
        }
    }

    /// Decides every model through every tenant, now.
    pub(crate) fn decided(&self, snapshot: &Snapshot) -> Vec<(Option<OrganizationId>, Determination)> {
        let mut decided = Vec::new();
        for tenant in tenants(&self.person, &self.keys) {
            let Some(credential) = credential(&self.keys, tenant.as_ref()) else { continue };
            for model in &snapshot.document().models {
                let determination = decide(snapshot, &self.facts(snapshot, credential.clone(), &model.id));
                decided.push((tenant.clone(), determination));
            }
        }
        decided
    }

    /// Returns false for what something else has taken the place of: a newer key of the same tenant, newer word of the same
    /// issuer, the same word of another.
    fn is_over(&self, ending: &Ending) -> bool {
        match &ending.what {
            Ended::Person | Ended::Account(_) => true,
            Ended::Key(id) => {
                let tenant = self.keys.iter().find(|key| key.id == *id).map(|key| &key.organization);
                let live = |key: &KeyRecord| key.revoked_at.is_none() && key.expires_at > self.at;
                !self.keys.iter().any(|key| live(key) && Some(&key.organization) == tenant)
            }
            Ended::Attestation { attestation: gone, .. } => {
                let kind = ClaimKind::of(&gone.claim);
                let replaces = |held: &Attestation| {
                    held.claim == gone.claim || (held.issuer == gone.issuer && ClaimKind::of(&held.claim) == kind)
                };
                !self.person.attestations.iter().any(|held| replaces(held) && held.expires_at > self.at)
            }
        }
    }

    fn over(&self, ending: &Ending) -> Over {
        let what = match &ending.what {
            Ended::Person => "your access as a whole".to_owned(),
            Ended::Account(account) => {
                let at = account.organization.as_ref().map_or_else(|| account.channel.to_string(), ToString::to_string);
                let state = if account.state == AccountState::Suspended { "is suspended" } else { "is over" };
                format!("your account at {at} {state}")
            }
            Ended::Attestation { attestation, reason } => {
                format!("the statement “{}” by {}: {reason}", words(&attestation.claim), attestation.issuer)
            }
            Ended::Key(id) => format!("your key {id}"),
        };
        Over { at: ending.at, what, by: self.who(ending.source.as_ref()), entry: (ending.code.clone(), ending.index) }
    }

    /// Names a source by whose it is; one that is nobody's of the person's own organizations, by its name.
    fn who(&self, source: Option<&ChannelId>) -> String {
        let Some(id) = source else { return "those who run this service".to_owned() };
        let known = self.channels.iter().find(|channel| channel.id == *id);
        let of = known.and_then(|channel| channel.organization.as_ref());
        of.map_or_else(|| id.to_string(), |organization| format!("{organization}, through {id}"))
    }

    fn facts(&self, snapshot: &Snapshot, credential: CredentialFacts, model: &ModelVersionId) -> Facts {
        let caller = CallerFacts::Person { person: Arc::clone(&self.person) };
        let involved = caller.organizations(credential.organization.as_ref());
        let organizations = self.organizations.iter().filter(|known| involved.contains(&known.id)).cloned().collect();
        let rested = caller.channels();
        let relied = self.channels.iter().filter(|channel| rested.contains(&channel.id));
        let channels = relied.map(|channel| Reliance { channel: channel.id.clone(), until: channel.stale_at() });
        let channels = channels.collect();
        let consumed = unused(snapshot);
        Facts { at: self.at, model: model.clone(), credential, caller, organizations, consumed, channels }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let held = self.person.attestations.iter().map(|held| {
            let own = lease(held.fresh_until.unwrap_or(held.expires_at), held.expires_at, self.at);
            let (state, until) = worse(own, self.rests(held.channel.as_ref()).freshness(self.at));
            Evidence { what: words(&held.claim), issuer: held.issuer.clone(), state, until }
        });
        held.collect()
    }

    fn employment(&self) -> Vec<Evidence> {
        let held = self.person.affiliations.iter().map(|held| {
            let own = lease(held.ends_at, held.ends_at, self.at);
            let (state, until) = worse(own, self.rests(held.channel.as_ref()).freshness(self.at));
            Evidence { what: format!("work for {}", held.organization), issuer: held.issuer.clone(), state, until }
        });
        held.collect()
    }

    fn rests(&self, id: Option<&ChannelId>) -> Rests<'_> {
        let Some(id) = id else { return Rests::Itself };
        self.channels.iter().find(|channel| channel.id == *id).map_or(Rests::Nothing, Rests::Channel)
    }
}

/// Returns every tenant that a key or an employment leads to; none at all leads to the service itself.
fn tenants(person: &Person, keys: &[KeyRecord]) -> Vec<Option<OrganizationId>> {
    let of_keys = keys.iter().map(|key| key.organization.clone());
    let of_work = person.affiliations.iter().map(|held| Some(held.organization.clone()));
    let found: BTreeSet<Option<OrganizationId>> = of_keys.chain(of_work).collect();
    if found.is_empty() { vec![None] } else { found.into_iter().take(MAX_TENANTS).collect() }
}

/// Returns the key of a tenant that lasts longest, live ones first; without any, that of a session that would begin now.
fn credential(keys: &[KeyRecord], tenant: Option<&OrganizationId>) -> Option<CredentialFacts> {
    let own = keys.iter().filter(|key| key.organization.as_ref() == tenant);
    let best = own.max_by_key(|key| (key.revoked_at.is_none(), key.expires_at));
    let of_key = |key: &KeyRecord| CredentialFacts {
        id: key.id.clone(),
        expires_at: key.expires_at,
        revoked: key.revoked_at.is_some(),
        organization: key.organization.clone(),
        end_use: key.end_use.clone(),
    };
    let session = || {
        let (id, organization) = (KeyId::parse("session").ok()?, tenant.cloned());
        Some(CredentialFacts { id, expires_at: Moment::MAX, revoked: false, organization, end_use: None })
    };
    best.map(of_key).or_else(session)
}

/// Counts nothing as used under any cap: what is used up is shown by the answer to a call, and is nobody's evidence.
fn unused(snapshot: &Snapshot) -> Vec<Consumed> {
    let caps = snapshot.document().licenses.iter().flat_map(|license| {
        license.token_caps().map(|(_, per)| Consumed { instrument: license.id().clone(), per, tokens: 0 })
    });
    caps.collect()
}

fn said(tenant: Option<&OrganizationId>, determination: &Determination) -> Access {
    let tenant = tenant.map_or_else(String::new, ToString::to_string);
    let until = |moment: Moment| (moment < Moment::MAX).then_some(moment);
    match determination {
        Determination::Permit(permit) => {
            let (model, until) = (permit.model().clone(), until(permit.valid_until()));
            Access { tenant, model, refused: None, code: None, until }
        }
        Determination::Refuse(refusal) => Access {
            tenant,
            model: refusal.model().clone(),
            refused: Some(why(refusal)),
            code: Some(refusal.code().as_str()),
            until: until(refusal.valid_until()),
        },
    }
}

/// Returns why, and what would clear it; that it was refused, and which model, is told beside it.
fn why(refusal: &Refusal) -> String {
    let message = refusal.message();
    let why = message.split_once(": ").map_or(message.as_str(), |(_, why)| why);
    why.to_owned()
}

/// Returns what the person can do about a refusal.
fn steps_after(determination: &Determination) -> Vec<Step> {
    let Determination::Refuse(refusal) = determination else { return Vec::new() };
    let by_code = match refusal.code() {
        Code::CredentialEnded => Some(Step::SignIn),
        Code::CallerInactive => Some(Step::AskOperator),
        _ => None,
    };
    let by_remedy = refusal.remedies().iter().map(|remedy| match remedy {
        Remedy::AttestStanding | Remedy::AttestNationality => Step::Prove,
        Remedy::AttestLocation
        | Remedy::AttestEmployment
        | Remedy::DeclareEndUse
        | Remedy::IdentifyEndUsers
        | Remedy::NameRecipients
        | Remedy::ResolveOwnership => Step::AskEmployer,
        Remedy::CounselRuling | Remedy::AdjudicateScreening => Step::AskOperator,
    });
    by_code.into_iter().chain(by_remedy).collect()
}

/// On what a piece of evidence rests besides itself.
#[derive(Clone, Copy)]
enum Rests<'a> {
    Itself,
    Channel(&'a Channel),
    /// On a channel that is not known: it establishes nothing.
    Nothing,
}

impl Rests<'_> {
    /// Returns how well it can be relied on, and when that changes.
    fn freshness(self, now: Moment) -> (Freshness, Moment) {
        match self {
            Self::Itself => (Freshness::Fresh, Moment::MAX),
            Self::Nothing => (Freshness::Stale, now),
            Self::Channel(channel) => match channel.freshness(now) {
                Freshness::Fresh => (Freshness::Fresh, channel.fresh_until()),
                late => (late, channel.stale_at()),
            },
        }
    }
}

fn lease(fresh_until: Moment, expires_at: Moment, now: Moment) -> (Freshness, Moment) {
    match now {
        now if now >= expires_at => (Freshness::Stale, expires_at),
        now if now >= fresh_until => (Freshness::Grace, expires_at),
        _ => (Freshness::Fresh, fresh_until),
    }
}

/// Returns the worse of two states; of two alike, the one that changes first.
fn worse(one: (Freshness, Moment), other: (Freshness, Moment)) -> (Freshness, Moment) {
    match one.0.cmp(&other.0) {
        std::cmp::Ordering::Greater => one,
        std::cmp::Ordering::Less => other,
        std::cmp::Ordering::Equal => (one.0, one.1.min(other.1)),
    }
}

/// Says a claim to the person whom it is about.
fn words(claim: &Claim) -> String {
    let ended = |until: &Option<Moment>| until.map_or_else(String::new, |until| format!(", until {until}"));
    match claim {
        Claim::UsPerson { limb } => format!("U.S. person: {}", limb_words(*limb)),
        Claim::ForeignPerson => "foreign person under 15 CFR 772.1".to_owned(),
        Claim::Citizenship { country, until, .. } => format!("citizen of {country}{}", ended(until)),
        Claim::PermanentResidency { country, until, .. } => format!("permanent resident of {country}{}", ended(until)),
        Claim::Stateless => "citizen of no country".to_owned(),
        Claim::Location { country, .. } => format!("in {country}"),
    }
}

fn limb_words(limb: UsPersonLimb) -> &'static str {
    match limb {
        UsPersonLimb::Citizen => "citizen",
        UsPersonLimb::National => "national",
        UsPersonLimb::LawfulPermanentResident => "lawful permanent resident",
        UsPersonLimb::TemporaryResident => "temporary resident",
        UsPersonLimb::Refugee => "refugee",
        UsPersonLimb::Asylee => "asylee",
    }
}
