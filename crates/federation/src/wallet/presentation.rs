//! One presentation: asked of a person, answered by their wallet, verified and recorded.

use std::{sync::Arc, time::Duration};

use jose::{
    Unverified,
    jwe::{self, DecryptionKey},
    usage::SD_JWT_VC,
};
use proof::hex;
use sha2::{Digest as _, Sha256};
use terms::{IssuerId, Moment, PersonId};
use vc::{
    dcql::Query,
    openid4vp::{
        self, Answer, ClientId, Posted, Presentation, PresentationFault, Request, RequestFault, ResponseMode, VpToken,
        by_reference,
    },
    pid,
    sd_jwt::{SdJwt, key_binding::Expected},
    sd_jwt_vc::{SdJwtVc, VcFault},
    status_list::Status,
    trust::{Trust, TrustFault},
};

use super::{
    Wallet,
    evidence::Evidence,
    fault::WalletFault,
    issuer::{self, CredentialIssuer},
    lists::{At, status_at},
    settings::Identification,
    shelf::random,
};

/// How long a person has to answer.
const LIFE: Duration = Duration::from_secs(300);
/// Answers that one request takes, wrong ones included.
const MAX_ANSWERS: u8 = 5;
/// The longest that a credential without status may be good for: it cannot be revoked.
const MAX_WITHOUT_STATUS: Duration = Duration::from_hours(24);

/// A request that waits for its answer.
pub(super) struct Pending {
    person: PersonId,
    query: Arc<Query>,
    nonce: String,
    state: String,
    key: Option<Arc<DecryptionKey>>,
    issued_at: Moment,
    answers: u8,
    outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Outcome {
    /// No answer yet, or none that counted.
    Waiting,
    /// An answer is being verified.
    Answering,
    /// What was presented is attested.
    Accepted,
    /// The person or their wallet said no.
    Refused {
        /// The wallet's error code.
        error: String,
    },
}

/// What a person needs to present credentials.
#[derive(serde::Serialize)]
pub(super) struct Begun {
    /// Names the presentation; a secret of the person and their wallet.
    pub(super) id: String,
    /// What the person's wallet opens, as a link or a QR code.
    pub(super) wallet_url: String,
    /// Until when it can be answered.
    pub(super) expires_at: Moment,
}

impl Wallet {
    /// Asks `person`, who was authenticated before, for the credentials of our query; they have 300 s.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Person`], [`WalletFault::NoIssuer`], [`WalletFault::Shelf`], [`WalletFault::Signing`],
    /// [`WalletFault::Registry`].
    pub(super) async fn begin(&self, person: PersonId) -> Result<Begun, WalletFault> {
        let asked = person.clone();
        let found =
            self.blocking(move |federation| federation.read(|view| Ok((view.person(&asked)?, issuer::all(view)?))));
        let (known, issuers) = found.await?;
        if known.is_none_or(|known| !known.active) {
            return Err(WalletFault::Person(person));
        }
        let query = Arc::new(issuer::query(&issuers).ok_or(WalletFault::NoIssuer)?);
        let now = self.now();
        let key = if self.0.settings.encrypted { Some(Arc::new(DecryptionKey::generate()?)) } else { None };
        let (nonce, state) = (random::<32>()?, random::<16>()?);
        let outcome = Outcome::Waiting;
        let owner = person.clone();
        let pending = Pending { person, query, nonce, state, key, issued_at: now, answers: 0, outcome };
        let id = self.0.pending.put(&owner, pending, now.plus(LIFE), now)?;
        let wallet_url = self.wallet_url(&id)?;
        Ok(Begun { id, wallet_url, expires_at: now.plus(LIFE) })
    }

    /// Returns what opens a wallet that answers request `id`.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`].
    pub(super) fn wallet_url(&self, id: &str) -> Result<String, WalletFault> {
        match &self.0.identification {
            Identification::Certificate { client_id, .. } => {
                Ok(by_reference(client_id, &format!("{}/wallet/requests/{id}", self.0.settings.origin)))
            }
            Identification::ResponseUri => Ok(self.request(id)?.by_value()),
        }
    }

    /// Signs the request `id`, as often as its wallet fetches it.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`], [`WalletFault::Request`].
    pub(super) fn signed_request(&self, id: &str, wallet_nonce: Option<&str>) -> Result<String, WalletFault> {
        match &self.0.identification {
            Identification::Certificate { key, chain, .. } => Ok(self.request(id)?.sign(key, chain, wallet_nonce)?),
            Identification::ResponseUri => Err(WalletFault::Request(RequestFault::Unsigned)),
        }
    }

    /// Takes what a wallet posts as the answer to request `id`. Returns once what it brings is recorded and in effect.
    ///
    /// # Errors
    ///
    /// [`WalletFault`]: nothing was attested; the request takes another answer until it ends, five in all.
    pub(super) async fn answer(&self, id: &str, body: &[u8]) -> Result<(), WalletFault> {
        let now = self.now();
        let opened = self.0.pending.with(id, now, Pending::open).ok_or(WalletFault::Gone)??;
        let settled = self.settle(id, &opened, body).await;
        let outcome = settled.as_ref().map_or(Outcome::Waiting, Clone::clone);
        self.0.pending.with(id, now, |pending| pending.outcome = outcome);
        settled.map(drop)
    }

    /// Returns what became of request `id`.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`].
    pub(super) fn outcome(&self, id: &str) -> Result<Outcome, WalletFault> {
        self.0.pending.with(id, self.now(), |pending| pending.outcome.clone()).ok_or(WalletFault::Gone)
    }

    /// Returns about whom request `id` is.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`].
    pub(super) fn asked_of(&self, id: &str) -> Result<PersonId, WalletFault> {
        self.0.pending.with(id, self.now(), |pending| pending.person.clone()).ok_or(WalletFault::Gone)
    }

    async fn settle(&self, id: &str, opened: &Opened, body: &[u8]) -> Result<Outcome, WalletFault> {
        let answer = opened.read(Posted::parse(body)?)?;
        if answer.state().map(Sha256::digest) != Some(Sha256::digest(&opened.state)) {
            return Err(WalletFault::State);
        }
        let vp_token = match answer {
            Answer::Refused { error, .. } => return Ok(Outcome::Refused { error }),
            Answer::Presented { vp_token, .. } => vp_token,
        };
        for evidence in self.verified(id, opened, &vp_token).await? {
            let wallet = self.clone();
            self.blocking(move |federation| {
                evidence.commit(federation, &wallet.0.trust, || !wallet.is_known_invalid(&evidence))
            })
            .await?;
        }
        Ok(Outcome::Accepted)
    }

    /// Verifies what was presented, each credential's status included.
    async fn verified(&self, id: &str, opened: &Opened, vp_token: &VpToken) -> Result<Vec<Evidence>, WalletFault> {
        let (candidates, presented) = self.presented(id, opened, vp_token).await?;
        let mut found = Vec::with_capacity(presented.len());
        for one in presented {
            let issuer = candidates.iter().find(|candidate| candidate.issuer.id == one.issuer);
            self.require_valid(&one, &issuer.ok_or(WalletFault::Status)?.issuer).await?;
            found.push(Evidence {
                person: opened.person.clone(),
                claims: pid::nationalities(&one.credential)?,
                reference: hex(&one.credential.digest),
                holder: hex(&one.credential.holder.ok_or(WalletFault::Unbound)?.thumbprint()),
                status: one.credential.status,
                expires_at: one.credential.times.exp,
                issuer: one.issuer,
            });
        }
        Ok(found)
    }

    /// Verifies signatures, holders and the query; with the keys of now, should one be unknown.
    async fn presented(
        &self,
        id: &str,
        opened: &Opened,
        vp_token: &VpToken,
    ) -> Result<(Vec<Candidate>, Vec<Presentation<IssuerId>>), WalletFault> {
        let (now, client_id) = (self.now(), self.client_id(id).to_string());
        let expected = Expected { audience: &client_id, nonce: &opened.nonce };
        let verify = |candidates: &[Candidate]| {
            openid4vp::verify(vp_token, &opened.query, &expected, |sd_jwt| issued_by(candidates, sd_jwt, now), now)
        };
        let candidates = self.candidates(vp_token, false).await?;
        match verify(&candidates) {
            Err(fault) if is_unknown_key(&fault) && candidates.iter().any(|one| one.issuer.is_discovered()) => {
                let anew = self.candidates(vp_token, true).await?;
                let presented = verify(&anew)?;
                Ok((anew, presented))
            }
            verified => Ok((candidates, verified?)),
        }
    }

    /// Returns every issuer that one of the credentials says it is of, or may be of.
    async fn candidates(&self, vp_token: &VpToken, anew: bool) -> Result<Vec<Candidate>, WalletFault> {
        let issuers = self.blocking(|federation| federation.read(issuer::all)).await?;
        let said: Vec<Option<String>> = vp_token.values().flatten().filter_map(|text| said_issuer(text)).collect();
        let mut candidates = Vec::new();
        for issuer in issuers {
            if said.iter().any(|iss| issuer.speaks_as(iss.as_deref())) {
                let trust = self.trust_of(&issuer, anew).await?;
                candidates.push(Candidate { issuer, trust });
            }
        }
        Ok(candidates)
    }

    async fn require_valid(&self, one: &Presentation<IssuerId>, issuer: &CredentialIssuer) -> Result<(), WalletFault> {
        let Some(status) = &one.credential.status else {
            let ends_soon = one.credential.times.exp.is_some_and(|exp| exp <= self.now().plus(MAX_WITHOUT_STATUS));
            return if ends_soon { Ok(()) } else { Err(WalletFault::Irrevocable) };
        };
        let list = self.current_list(issuer, &status.uri).await?;
        let valid = status_at(&list.token, status.idx) == Some(Status::Valid);
        if valid { Ok(()) } else { Err(WalletFault::Status) }
    }

    fn is_known_invalid(&self, evidence: &Evidence) -> bool {
        let invalid = |status: &vc::status_list::Reference| {
            self.0.lists.is_known_invalid(At { issuer: &evidence.issuer, uri: &status.uri }, status.idx)
        };
        evidence.status.as_ref().is_some_and(invalid)
    }

    fn client_id(&self, id: &str) -> ClientId {
        match &self.0.identification {
            Identification::Certificate { client_id, .. } => client_id.clone(),
            Identification::ResponseUri => ClientId::RedirectUri(self.response_uri(id)),
        }
    }

    /// Returns the page on which a person sees what became of request `id`.
    pub(super) fn page_of(&self, id: &str) -> String {
        format!("{}/wallet/present/{id}", self.0.settings.origin)
    }

    fn response_uri(&self, id: &str) -> String {
        format!("{}/wallet/responses/{id}", self.0.settings.origin)
    }

    fn request(&self, id: &str) -> Result<Request, WalletFault> {
        let request = |pending: &mut Pending| Request {
            client_id: self.client_id(id),
            response_uri: self.response_uri(id),
            response_mode: match &pending.key {
                Some(key) => ResponseMode::DirectPostJwt(key.public().clone()),
                None => ResponseMode::DirectPost,
            },
            nonce: pending.nonce.clone(),
            state: pending.state.clone(),
            query: pending.query.as_ref().clone(),
            issued_at: pending.issued_at,
            expires_at: pending.issued_at.plus(LIFE),
        };
        self.0.pending.with(id, self.now(), request).ok_or(WalletFault::Gone)
    }
}

/// An issuer that a credential may be of, and by what that is known.
struct Candidate {
    issuer: CredentialIssuer,
    trust: Trust,
}

/// What verifying one answer needs of its request.
struct Opened {
    person: PersonId,
    query: Arc<Query>,
    nonce: String,
    state: String,
    key: Option<Arc<DecryptionKey>>,
}

impl Pending {
    /// Takes the request for one answer, so that no second one is verified meanwhile.
    fn open(&mut self) -> Result<Opened, WalletFault> {
        if self.outcome != Outcome::Waiting || self.answers >= MAX_ANSWERS {
            return Err(WalletFault::Closed);
        }
        self.answers += 1;
        self.outcome = Outcome::Answering;
        Ok(Opened {
            person: self.person.clone(),
            query: Arc::clone(&self.query),
            nonce: self.nonce.clone(),
            state: self.state.clone(),
            key: self.key.clone(),
        })
    }
}

impl Opened {
    fn read(&self, posted: Posted) -> Result<Answer, WalletFault> {
        match (posted, &self.key) {
            (Posted::Open(answer), None) => Ok(answer),
            // An error may come in the open: it discloses nothing (section 8.3.1).
            (Posted::Open(answer @ Answer::Refused { .. }), Some(_)) => Ok(answer),
            (Posted::Encrypted(token), Some(key)) => {
                let decrypted = jwe::decrypt(&token, key).map_err(|_| WalletFault::Encryption)?;
                Ok(Answer::of_decrypted(&decrypted.plaintext)?)
            }
            _ => Err(WalletFault::Encryption),
        }
    }
}

/// Verifies a credential by the one issuer that it can be of, and says who that is.
fn issued_by(candidates: &[Candidate], sd_jwt: &SdJwt, now: Moment) -> Result<(IssuerId, SdJwtVc), VcFault> {
    let mut why = VcFault::Unauthorized;
    for Candidate { issuer, trust } in candidates {
        match SdJwtVc::verify(sd_jwt, trust, now) {
            Ok(credential) if issuer.issues(&credential) => return Ok((issuer.id.clone(), credential)),
            Ok(_) => why = VcFault::Unauthorized,
            // Another issuer's key or authority says least of why.
            Err(fault @ VcFault::Trust(_)) if why != VcFault::Unauthorized => drop(fault),
            Err(fault) => why = fault,
        }
    }
    Err(why)
}

/// Returns whose credential a presentation says it is, before anything in it is verified; `None` if it is none.
fn said_issuer(presentation: &str) -> Option<Option<String>> {
    let jwt = presentation.split('~').next().unwrap_or_default();
    Unverified::parse(jwt, &SD_JWT_VC).ok().map(|token| token.issuer().map(str::to_owned))
}

fn is_unknown_key(fault: &PresentationFault) -> bool {
    let unknown = VcFault::Trust(TrustFault::Token(jose::Fault::UnknownKey));
    matches!(fault, PresentationFault::Credential { cause, .. } if *cause == unknown)
}
