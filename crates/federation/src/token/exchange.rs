//! Token exchange: a token of a trusted issuer, or of ours, for one of ours (RFC 8693).

use control::View;
use jose::{Use, usage};
use serde_json::{Value, json};

use super::{
    TokenService,
    grant::{Asked, narrowed, unchanged},
    issue::{Draft, Issued, Kind, Recording},
    params::Params,
    presented::Presented,
    refusal::Refusal,
    settle::{self, Grantee},
};

/// The deepest chain of actors that is carried on.
const ACTORS_MAX: usize = 4;

/// The types of tokens that are understood (RFC 8693 section 3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// draft-ietf-oauth-transaction-tokens, section 5.1.
const TXN_TOKEN: &str = "urn:ietf:params:oauth:token-type:txn_token";

/// What an exchange is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    /// A token to call with, and by which name its type was asked for.
    AccessToken(&'static str),
    /// Word about a person, for the workload that calls for them.
    EndUserAssertion,
}

/// The verified tokens of an exchange.
#[derive(Clone, Debug)]
struct Parties {
    subject: Presented,
    actor: Option<Presented>,
}

/// What the registry says about the parties.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Settled {
    grantee: Grantee,
    act: Option<Value>,
    kind: Kind,
}

impl TokenService {
    /// Grants a token for whom the subject token is, and on behalf of whom the actor token is.
    ///
    /// # Source
    ///
    /// RFC 8693 sections 2.1, 2.2.1, 4.1 and 4.4; draft-ietf-oauth-transaction-tokens, section 5.
    pub(super) async fn token_exchange(&self, asked: Asked) -> Result<Issued, Refusal> {
        self.require_target(&asked.params, &self.0.settings.resource)?;
        let wanted = Wanted::read(&asked.params)?;
        let parties = self.parties(&asked.params).await?;
        for presented in parties.all() {
            self.require_proof(&asked.held, presented)?;
            self.count(presented.origin.channel.as_str())?;
        }
        let read = parties.clone();
        let settled = self.read(move |view| settled(view, &read, wanted)).await?;
        let draft = self.exchanged(&asked, &parties, &settled)?;
        let recording = Recording { channel: parties.subject.origin.channel.clone(), once: None };
        self.claim(&asked.held)?;
        let service = self.clone();
        let still = move |view: &View<'_>| settled.require_same(&self::settled(view, &parties, wanted)?);
        let issued = self.blocking(move || service.issue(&draft, &recording, still)).await?;
        Ok(Issued { issued_token_type: Some(wanted.token_type()), ..issued })
    }

    fn exchanged(&self, asked: &Asked, parties: &Parties, settled: &Settled) -> Result<Draft, Refusal> {
        let (subject, grantee) = (&parties.subject, &settled.grantee);
        let is_credential = settled.kind == Kind::AccessToken;
        Ok(Draft {
            kind: settled.kind.clone(),
            subject: grantee.subject(),
            audience: self.0.settings.resource.clone(),
            client_id: client_id(asked, subject),
            organization: grantee.organization.clone(),
            origin: Some(subject.passed_on(parties.actor.iter().flat_map(Presented::rests_on))?),
            evidence_of: Some(subject.issuer.clone()),
            auth_time: subject.auth_time,
            acr: subject.acr.clone(),
            scopes: narrowed(&asked.params, &allowed(subject))?,
            bound_to: if is_credential { asked.held.confirmations() } else { Vec::new() },
            act: settled.act.clone(),
            owners: grantee.owners.clone(),
            evidence: Some(grantee.evidence.clone()),
            expires_at: self.expiry(self.0.settings.lifetime_s, parties.all())?,
        })
    }

    async fn parties(&self, params: &Params) -> Result<Parties, Refusal> {
        let subject = self.party(params, "subject_token").await?;
        let subject = subject.ok_or_else(|| Refusal::request("`subject_token` is missing"))?;
        Ok(Parties { subject, actor: self.party(params, "actor_token").await? })
    }

    /// Verifies the token that a parameter brings, if it does; its type must be said beside it, and only then.
    async fn party(&self, params: &Params, name: &str) -> Result<Option<Presented>, Refusal> {
        let type_name = format!("{name}_type");
        match (params.one(name)?, params.one(&type_name)?) {
            (Some(token), Some(kind)) => self.presented(token, use_of(kind)?).await.map(Some),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Refusal::request(format!("`{type_name}` is missing"))),
            (None, Some(_)) => Err(Refusal::request(format!("`{type_name}` stands without `{name}`"))),
        }
    }
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, Refusal> {
        match params.one("requested_token_type")? {
            None | Some(ACCESS_TOKEN) => Ok(Self::AccessToken(ACCESS_TOKEN)),
            Some(JWT) => Ok(Self::AccessToken(JWT)),
            Some(TXN_TOKEN) => Ok(Self::EndUserAssertion),
            Some(_) => {
                let all = format!("`{ACCESS_TOKEN}`, `{JWT}` or `{TXN_TOKEN}`");
                Err(Refusal::request(format!("`requested_token_type` must be {all}")))
            }
        }
    }

    fn token_type(self) -> &'static str {
        match self {
            Self::AccessToken(name) => name,
            Self::EndUserAssertion => TXN_TOKEN,
        }
    }
}

impl Parties {
    fn all(&self) -> impl Iterator<Item = &Presented> {
        std::iter::once(&self.subject).chain(&self.actor)
    }
}

impl Settled {
    /// Requires that what was found out before signing is still so.
    fn require_same(&self, now: &Self) -> Result<(), Refusal> {
        unchanged(&self.grantee, &now.grantee)?;
        let same = self == now;
        same.then_some(()).ok_or_else(|| Refusal::grant("the actor stands for somebody else now"))
    }
}

/// Finds out for whom a token may be issued, and who acts for them.
fn settled(view: &View<'_>, parties: &Parties, wanted: Wanted) -> Result<Settled, Refusal> {
    let Parties { subject, actor } = parties;
    let grantee = settle::grantee(view, subject)?;
    // Only our own tokens are believed about who acted before.
    let before = subject.claim("act").filter(|_| subject.issued_to.is_some());
    let Some(actor) = actor else {
        let act = before.cloned();
        return match wanted {
            Wanted::AccessToken(_) => Ok(Settled { grantee, act, kind: Kind::AccessToken }),
            Wanted::EndUserAssertion => {
                Err(Refusal::request("`actor_token` is missing: whom the end user's word is for must be proved"))
            }
        };
    };
    require_may_act(subject, actor)?;
    let acting = settle::grantee(view, actor)?;
    if acting.organization != grantee.organization {
        return Err(Refusal::grant("the actor acts for another organization than the subject"));
    }
    let kind = match wanted {
        Wanted::AccessToken(_) => Kind::AccessToken,
        Wanted::EndUserAssertion => Kind::EndUserAssertion(settle::calling_for(view, &acting, &grantee)?),
    };
    Ok(Settled { act: Some(chained(&acting, before)?), grantee, kind })
}

/// Returns the chain of actors with one more at its front.
///
/// # Source
///
/// RFC 8693 section 4.1.
fn chained(acting: &Grantee, before: Option<&Value>) -> Result<Value, Refusal> {
    if before.is_some_and(|before| depth(before) >= ACTORS_MAX) {
        return Err(Refusal::grant(format!("the chain of actors is longer than {ACTORS_MAX}")));
    }
    let mut act = json!({ "sub": acting.subject() });
    if let (Some(members), Some(before)) = (act.as_object_mut(), before) {
        members.insert("act".to_owned(), before.clone());
    }
    Ok(act)
}

/// If a subject token says who may act for its subject, the actor must be that party.
///
/// # Source
///
/// RFC 8693 section 4.4.
fn require_may_act(subject: &Presented, actor: &Presented) -> Result<(), Refusal> {
    let Some(may_act) = subject.claim("may_act") else { return Ok(()) };
    let says = |name: &str, said: &str| may_act.get(name).is_none_or(|value| value.as_str() == Some(said));
    let sub = actor.claim("sub").and_then(Value::as_str).unwrap_or_default();
    let named = may_act.get("sub").is_some() && says("sub", sub) && says("iss", &actor.issuer);
    named.then_some(()).ok_or_else(|| Refusal::grant("the actor is not the one who may act: `may_act`"))
}

fn depth(act: &Value) -> usize {
    std::iter::successors(Some(act), |act| act.get("act")).take(ACTORS_MAX + 1).count()
}

/// Scopes never widen: what the issuer's tokens may have here, and what the token itself has, where it says.
fn allowed(subject: &Presented) -> Vec<String> {
    let held = |scope: &&String| subject.scopes.as_ref().is_none_or(|held| held.contains(scope));
    subject.ceiling.iter().filter(held).cloned().collect()
}

/// Names to whom a token is issued: a client that authenticated here, or else what the issuer calls its own, which cannot
/// be the name of one of ours, because that has no colon.
fn client_id(asked: &Asked, subject: &Presented) -> String {
    match (&asked.client, &subject.client_id) {
        (Some(authenticated), _) => authenticated.client.id.to_string(),
        (None, Some(named_by_us)) if subject.issued_to.is_some() => named_by_us.clone(),
        (None, named) => format!("{}:{}", subject.origin.channel, named.as_deref().unwrap_or("unknown")),
    }
}

fn use_of(kind: &str) -> Result<&'static Use, Refusal> {
    match kind {
        ACCESS_TOKEN => Ok(&usage::AT_JWT),
        ID_TOKEN | JWT => Ok(&usage::ID_TOKEN),
        _ => Err(Refusal::request(format!("a token's type must be `{ACCESS_TOKEN}`, `{ID_TOKEN}` or `{JWT}`"))),
    }
}
