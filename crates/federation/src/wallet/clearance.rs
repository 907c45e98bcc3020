//! A credential of our own: where its holder stands and for whom they act, to be verified by others without asking us.
//!
//! It is bound to a key of its holder, good for at most a week, and revoked for good as soon as what it says is no
//! longer so: others see that in our status list ([`super::publish`]).

use std::{collections::BTreeSet, time::Duration};

use control::{Document, Fault, FederatedChange, Source};
use identity::Directory;
use jose::{
    Jwk, NumericDate, Object, SigningKey, Unverified,
    dpop::{self, Htu},
    usage::DPOP,
};
use policy::{Reliance, standing_at};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use terms::{AccountState, Channel, ChannelId, Clearance, Moment, OrganizationId, Person, PersonId, Standing};
use vc::{claim_path::ClaimPath, sd_jwt_vc};

use super::{
    Wallet,
    evidence::stored,
    fault::WalletFault,
    names::{CLEARANCE_VCT, CLEARANCES},
};

/// The longest that a credential is good.
pub(super) const LIFE: Duration = Duration::from_hours(7 * 24);
/// How far the time of a holder's proof may lie from ours.
const PROOF_WINDOW: Duration = Duration::from_secs(60);
/// Entries of our status list: twice as many as are ever used, so that a free one is found by chance.
pub(super) const ENTRIES: u32 = 1 << 20;
/// Tries to find a free entry.
const MAX_TRIES: usize = 64;

/// Asks for a clearance credential, beside a proof of the key that it will be bound to (RFC 9449).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClearanceRequest {
    /// The secret of a link that was given to the person.
    pub(super) link: String,
}

/// A credential that was issued.
#[derive(Serialize)]
pub(super) struct Issued {
    /// The credential, an SD-JWT VC with all its disclosures.
    credential: String,
    /// Until when it is good, unless it is revoked.
    expires_at: Moment,
}

/// What a credential says, as it was when it was issued.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cleared {
    /// `us_person` or `foreign_person`.
    standing: String,
    organizations: BTreeSet<OrganizationId>,
}

/// A credential that was issued, as it is stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) cleared: Cleared,
    pub(super) expires_at: Moment,
    pub(super) revoked: bool,
}

/// On what sources a look at people relies.
pub(super) struct Sources {
    channels: Vec<Reliance>,
    now: Moment,
}

impl Wallet {
    /// Issues a credential to the person of a link, bound to the key that `proof` proves.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`] for a link that is used up, [`WalletFault::Proof`], [`WalletFault::Unattested`] if nothing is
    /// established about the person; nothing is issued.
    pub(super) async fn issue_clearance(&self, asked: ClearanceRequest, proof: &str) -> Result<Issued, WalletFault> {
        let holder = self.proved_key(proof)?;
        let wallet = self.clone();
        let issue = move || {
            let person = wallet.redeem(&asked.link)?.ok_or(WalletFault::Gone)?;
            let (idx, record) = wallet.enter(&person)?.ok_or(WalletFault::Unattested)?;
            let credential = wallet.clearance_of(idx, &record, &holder)?;
            Ok(Issued { credential, expires_at: record.expires_at })
        };
        tokio::task::spawn_blocking(issue).await.unwrap_or(Err(WalletFault::Closed))
    }

    fn proved_key(&self, proof: &str) -> Result<Jwk, WalletFault> {
        let target = Htu::parse(&format!("{}/wallet/clearances", self.0.settings.origin));
        let target = target.map_err(|_| WalletFault::Proof)?;
        let request = dpop::Request { method: "POST", target: &target, access_token: None };
        let rules = dpop::Rules { window: PROOF_WINDOW, nonces: None };
        dpop::verify(proof, &request, &rules, self.now()).map_err(|_| WalletFault::Proof)?;
        let token = Unverified::parse(proof, &DPOP).map_err(|_| WalletFault::Proof)?;
        let key = token.header().get("jwk").ok_or(WalletFault::Proof)?;
        Jwk::from_value(key).map_err(|_| WalletFault::Proof)
    }

    /// Records a credential to be issued, under an index that nobody can guess; `None` if there is nothing to say.
    fn enter(&self, person: &PersonId) -> Result<Option<(u32, Record)>, Fault> {
        let mut entered = None;
        self.federation().commit(&Source::own("clearance.issued"), |view| {
            let directory = self.0.control.directory();
            let sources = Sources::of(&directory, view.now());
            let Some((cleared, _)) = sources.cleared(&directory, person) else { return Ok(Vec::new()) };
            // Should a source fall silent meanwhile, the status list says so: the credential itself may live on.
            let until = sources.all_alive().cleared(&directory, person).map_or_else(|| view.now(), |(_, until)| until);
            let record = Record { cleared, expires_at: until.min(view.now().plus(LIFE)), revoked: false };
            let idx = free(|id| Ok(view.document(CLEARANCES, id)?.is_none()))?;
            let change = document(idx, person.clone(), &record)?;
            entered = Some((idx, record));
            Ok(vec![FederatedChange::Document(change)])
        })?;
        Ok(entered)
    }

    fn clearance_of(&self, idx: u32, record: &Record, holder: &Jwk) -> Result<String, WalletFault> {
        let claims = self.claims(idx, record, holder);
        let withheld = [ClaimPath::named("standing"), ClaimPath::named("organizations")];
        let mut salts = [[0; 16]; 2];
        for salt in &mut salts {
            getrandom::fill(salt).map_err(Fault::Random)?;
        }
        let mut salts = salts.into_iter();
        let key = self.signing_key()?;
        let issued = sd_jwt_vc::issue(&key, &Object::new(), claims, &withheld, || salts.next().unwrap_or_default())?;
        Ok(issued.to_string())
    }

    fn claims(&self, idx: u32, record: &Record, holder: &Jwk) -> Map<String, Value> {
        let Record { cleared, expires_at, .. } = record;
        Map::from_iter([
            ("iss".to_owned(), json!(self.0.settings.origin)),
            ("vct".to_owned(), json!(CLEARANCE_VCT)),
            ("iat".to_owned(), json!(NumericDate(self.now()))),
            ("exp".to_owned(), json!(NumericDate(*expires_at))),
            ("cnf".to_owned(), json!({ "jwk": holder.to_value() })),
            ("status".to_owned(), json!({ "status_list": { "idx": idx, "uri": self.list_uri() } })),
            ("clearance".to_owned(), json!(Clearance::Attested)),
            ("standing".to_owned(), json!(cleared.standing)),
            ("organizations".to_owned(), json!(cleared.organizations)),
        ])
    }

    /// Returns the key that signs now. May write files: call it from a thread that may block.
    pub(super) fn signing_key(&self) -> Result<std::sync::Arc<SigningKey>, WalletFault> {
        Ok(self.0.keyring.signing(self.now())?)
    }
}

impl Sources {
    /// Returns the sources as they can be relied on at `now`.
    pub(super) fn of(directory: &Directory, now: Moment) -> Self {
        let mut channels = Vec::new();
        directory.for_each_channel(|channel| channels.extend(channel.enabled.then(|| reliance(channel))));
        channels.sort();
        Self { channels, now }
    }

    /// Returns the same sources as if each had been heard now, but for those that were turned off.
    pub(super) fn all_alive(&self) -> Self {
        let alive = |one: &Reliance| Reliance { channel: one.channel.clone(), until: Moment::MAX };
        Self { channels: self.channels.iter().map(alive).collect(), now: self.now }
    }

    /// Says where a person stands and for whom they act, and until when that is so if nothing changes and nobody falls
    /// silent; `None` if nothing is established, or an administrator withdrew their access.
    pub(super) fn cleared(&self, directory: &Directory, person: &PersonId) -> Option<(Cleared, Moment)> {
        let person = directory.person(person).filter(|person| person.active)?;
        let (standing, until) = standing_at(&person, &self.channels, self.now);
        let standing = match standing {
            Standing::UsPerson(_) => "us_person",
            Standing::ForeignPerson => "foreign_person",
            Standing::Unattested => return None,
        };
        let (organizations, ends_at) = self.organizations(&person);
        Some((Cleared { standing: standing.to_owned(), organizations }, until.min(ends_at)))
    }

    /// Returns the organizations for which a person acts, by sources that are alive, with no account suspended there; and
    /// until when.
    fn organizations(&self, person: &Person) -> (BTreeSet<OrganizationId>, Moment) {
        let shut = |organization: &OrganizationId| {
            let mut accounts = person.accounts.iter();
            accounts.any(|one| one.organization.as_ref() == Some(organization) && one.state != AccountState::Active)
        };
        let (mut found, mut until) = (BTreeSet::new(), Moment::MAX);
        for one in person.affiliations.iter().filter(|one| !shut(&one.organization)) {
            let relied = one.channel.as_ref().map_or(Moment::MAX, |id| self.relied_until(id));
            let ends_at = one.ends_at.min(relied);
            if one.attested_at <= self.now && ends_at > self.now {
                found.insert(one.organization.clone());
                until = until.min(ends_at);
            }
        }
        (found, until)
    }

    fn relied_until(&self, id: &ChannelId) -> Moment {
        let relied = self.channels.iter().find(|one| one.channel == *id);
        relied.map_or_else(|| Moment::from_millis(0), |one| one.until)
    }
}

fn reliance(channel: &Channel) -> Reliance {
    Reliance { channel: channel.id.clone(), until: channel.stale_at() }
}

fn free(mut is_free: impl FnMut(&str) -> Result<bool, Fault>) -> Result<u32, Fault> {
    for _ in 0..MAX_TRIES {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes)?;
        let idx = u32::from_le_bytes(bytes) % ENTRIES;
        if is_free(&id_of(idx))? {
            return Ok(idx);
        }
    }
    Err(Fault::Conflict("the status list of clearance credentials is full".to_owned()))
}

fn id_of(idx: u32) -> String {
    format!("{idx:07}")
}

fn document(idx: u32, owner: PersonId, record: &Record) -> Result<Document, Fault> {
    let (collection, id, body) = (CLEARANCES.to_owned(), id_of(idx), stored(record)?);
    Ok(Document { collection, id, owner: Some(owner), terms: Vec::new(), body })
}
