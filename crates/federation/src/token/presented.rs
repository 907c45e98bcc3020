//! What a verified token says, of a trusted issuer's or of our own, read once into one shape.

use control::View;
use identity::{Confirmation, Holder};
use jose::{Audience, ClaimFault, NumericDate, Object, Unverified, Use, Verified, usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use terms::{ChannelId, Moment, OrganizationId, PersonId, SubjectName, WorkloadId};

use super::{
    SKEW, TokenService, binding,
    issuer::{SubjectKind, TrustedIssuer},
    refusal::Refusal,
};

/// The most names that a token of ours may rest on: tokens that it was exchanged from, and a rule.
const RESTS_ON_MAX: usize = 8;

/// Where a token of ours came from: what a source calls whom it is for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Origin {
    pub(super) channel: ChannelId,
    pub(super) sub: SubjectName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<SubjectName>,
    /// When the session began that it belongs to. It is no time of authentication: nobody may have said one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began: Option<NumericDate>,
    /// The names of the tokens that it was exchanged from, and of the rule by which it was issued: the end of one is its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rests_on: Vec<SubjectName>,
}

impl Origin {
    /// Lets a token of this origin rest on more names.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with `invalid_grant` if they are more than it may rest on.
    pub(super) fn resting_on(mut self, names: impl IntoIterator<Item = SubjectName>) -> Result<Self, Refusal> {
        self.rests_on.extend(names);
        self.rests_on.sort_unstable();
        self.rests_on.dedup();
        match self.rests_on.len() <= RESTS_ON_MAX {
            true => Ok(self),
            false => Err(Refusal::grant(format!("the token would rest on more than {RESTS_ON_MAX} others"))),
        }
    }
}

/// Whom a token of ours names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct IssuedTo {
    pub(super) holder: Holder,
    pub(super) organization: Option<OrganizationId>,
}

/// A verified token.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    /// Its `iss`.
    pub(super) issuer: String,
    /// What a source calls whom it is for.
    pub(super) origin: Origin,
    /// Whom it names, if it is ours.
    pub(super) issued_to: Option<IssuedTo>,
    /// What may have ended it: sessions and tokens, each at its source.
    pub(super) sessions: Vec<(ChannelId, SubjectName)>,
    /// Its own name.
    pub(super) jti: Option<SubjectName>,
    /// When the session it belongs to began, as far as it says.
    pub(super) began: Moment,
    /// When whoever it is for authenticated.
    pub(super) auth_time: Option<Moment>,
    /// How.
    pub(super) acr: Option<String>,
    /// When it expires.
    pub(super) expires_at: Moment,
    /// Its scopes, if it says.
    pub(super) scopes: Option<Vec<String>>,
    /// The scopes that a token which it is exchanged for may have at most.
    pub(super) ceiling: Vec<String>,
    /// What whoever presents it must prove to hold.
    pub(super) bound_to: Vec<Confirmation>,
    /// The client it was issued to.
    pub(super) client_id: Option<String>,
    /// Every claim.
    pub(super) claims: Object,
}

/// The claims that every kind of token may have.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: NumericDate,
    #[serde(default)]
    iat: Option<NumericDate>,
    #[serde(default)]
    jti: Option<String>,
    #[serde(default)]
    auth_time: Option<NumericDate>,
    #[serde(default)]
    acr: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

/// What only our own tokens say.
#[derive(Deserialize)]
struct Own {
    #[serde(default)]
    org: Option<OrganizationId>,
    #[serde(default)]
    src: Option<Origin>,
}

impl TokenService {
    /// Verifies a token about a person by a trusted issuer, or one of our own.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], `invalid_grant` unless the keys cannot be had now.
    pub(super) async fn presented(&self, token: &str, use_: &'static Use) -> Result<Presented, Refusal> {
        let issuer = issuer_of(token, use_)?;
        if issuer == self.0.settings.issuer {
            let own = self.own_token(token)?;
            return own.ok_or_else(|| Refusal::grant("the token is for one of our own clients"));
        }
        let name = issuer.clone();
        let trusted = self.read(move |view| Ok(TrustedIssuer::named(view, &name, SubjectKind::People)?)).await?;
        let [trusted] = trusted.as_slice() else {
            return Err(Refusal::grant("the token's issuer is not trusted here to speak of people"));
        };
        let verified = self.signed_by(token, use_, trusted).await?;
        if !trusted.audiences.iter().any(|audience| verified.is_for(audience).unwrap_or(false)) {
            return Err(Refusal::grant("the token is for another audience"));
        }
        Presented::of_issuer(verified, trusted, self.now())
    }

    /// Verifies a token with the keys of a trusted issuer, as that issuer may sign.
    pub(super) async fn signed_by(
        &self,
        token: &str,
        use_: &'static Use,
        trusted: &TrustedIssuer,
    ) -> Result<Verified, Refusal> {
        let said = Unverified::parse(token, use_).map_err(|fault| Refusal::grant(fault.to_string()))?;
        if said.issuer() != Some(&trusted.issuer) {
            return Err(Refusal::grant("the token is of another issuer"));
        }
        if !trusted.allows(said.header().alg()) {
            return Err(Refusal::grant("the token's `alg` is not one that its issuer may use"));
        }
        self.verified(token, use_, &trusted.issuer, &trusted.keys).await
    }

    /// Verifies a token of our own; nothing if it is one of a client, which stands for nobody.
    pub(super) fn own_token(&self, token: &str) -> Result<Option<Presented>, Refusal> {
        let verified = self.own_claims(token)?;
        let Own { org, src } = verified.claims().map_err(wrong)?;
        let said: Claims = verified.claims().map_err(wrong)?;
        let (Some(origin), Some(holder)) = (src, holder(&said.sub)) else { return Ok(None) };
        let mut presented = Presented::read(verified, said, origin, self.now())?;
        let own = presented.rests_on().into_iter().map(|name| (self.0.own.clone(), name));
        presented.sessions.extend(own);
        presented.ceiling = presented.scopes.clone().unwrap_or_default();
        Ok(Some(Presented { issued_to: Some(IssuedTo { holder, organization: org }), ..presented }))
    }

    /// Verifies signature, times and audience of a token of our own, a client's too.
    pub(super) fn own_claims(&self, token: &str) -> Result<Verified, Refusal> {
        let verified = jose::verify(token, &usage::AT_JWT, &self.jwks());
        let verified = verified.map_err(|fault| Refusal::grant(fault.to_string()))?;
        let settings = &self.0.settings;
        let audience = Audience::of(&verified.payload).map_err(wrong)?;
        if verified.text("iss") != Some(&settings.issuer)
            || !(audience.is_only(&settings.resource) || audience.is_only(&settings.issuer))
        {
            return Err(Refusal::grant("the token is not one of ours"));
        }
        verified.times().and_then(|times| times.check(self.now(), SKEW)).map_err(wrong)?;
        Ok(verified)
    }
}

impl Presented {
    /// Reads a token of a trusted issuer whose signature was verified.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with `invalid_grant`: expired, from the future, or malformed.
    pub(super) fn of_issuer(verified: Verified, trusted: &TrustedIssuer, now: Moment) -> Result<Self, Refusal> {
        let said: Claims = verified.claims().map_err(wrong)?;
        let session = verified.payload.get(&trusted.session_claim);
        let session = session.map(|session| session.as_str().and_then(|text| SubjectName::parse(text).ok()));
        if session == Some(None) {
            return Err(Refusal::grant("the token's session is malformed"));
        }
        let sub = SubjectName::parse(&said.sub).map_err(|fault| Refusal::grant(fault.to_string()))?;
        let (channel, sid) = (trusted.channel.clone(), session.flatten());
        let origin = Origin { channel, sub, sid, began: None, rests_on: Vec::new() };
        let read = Self::read(verified, said, origin, now)?;
        Ok(Self { ceiling: trusted.scopes.clone(), ..read })
    }

    fn read(verified: Verified, said: Claims, origin: Origin, now: Moment) -> Result<Self, Refusal> {
        verified.times().and_then(|times| times.check(now, SKEW)).map_err(wrong)?;
        let iat = said.iat.map_or_else(|| Moment::from_millis(0), |iat| iat.0);
        let auth_time = said.auth_time.map(|auth_time| auth_time.0);
        if auth_time.is_some_and(|at| at > now.plus(SKEW.by())) {
            return Err(Refusal::grant("the token's `auth_time` lies in the future"));
        }
        let jti = said.jti.as_deref().map(SubjectName::parse).transpose();
        let jti = jti.map_err(|_| Refusal::grant("the token's `jti` is malformed"))?;
        let names = origin.sid.iter().chain(&origin.rests_on).chain(&jti);
        let sessions = names.map(|name| (origin.channel.clone(), name.clone())).collect();
        let earlier = auth_time.into_iter().chain(origin.began.map(|began| began.0));
        Ok(Self {
            sessions,
            began: earlier.fold(iat, Moment::min),
            auth_time,
            jti,
            acr: said.acr,
            expires_at: said.exp.0,
            scopes: said.scope.map(|scope| scope.split(' ').map(str::to_owned).collect()),
            ceiling: Vec::new(),
            bound_to: binding::bound_to(verified.payload.get("cnf"))?,
            client_id: said.client_id.or(said.azp),
            issued_to: None,
            issuer: said.iss,
            origin,
            claims: verified.payload,
        })
    }

    /// Returns a claim as it stands.
    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// Returns what a token that is exchanged for it rests on: all that it rests on itself, and itself.
    pub(super) fn rests_on(&self) -> Vec<SubjectName> {
        self.origin.rests_on.iter().chain(&self.jti).cloned().collect()
    }

    /// Returns the origin of a token that is issued for it, and by a rule if that has a name.
    ///
    /// # Errors
    ///
    /// Those of [`Origin::resting_on`].
    pub(super) fn passed_on(&self, more: impl IntoIterator<Item = SubjectName>) -> Result<Origin, Refusal> {
        let origin = Origin { began: Some(NumericDate(self.began)), ..self.origin.clone() };
        origin.resting_on(self.rests_on().into_iter().chain(more))
    }

    /// Requires that neither its session nor itself, nor anything that it rests on, was ended.
    pub(super) fn check_sessions(&self, view: &View<'_>) -> Result<(), Refusal> {
        for (channel, session) in &self.sessions {
            if view.session_ended(channel, session)? {
                return Err(Refusal::grant("the session, or the token, is over"));
            }
        }
        Ok(())
    }
}

/// Returns whom the `sub` of a token of ours names; nothing if nobody who may call a model.
fn holder(sub: &str) -> Option<Holder> {
    match sub.split_once(':')? {
        ("person", id) => Some(Holder::Person { person: PersonId::parse(id).ok()? }),
        ("workload", id) => Some(Holder::Workload { workload: WorkloadId::parse(id).ok()? }),
        _ => None,
    }
}

/// Returns who a token says issued it, before anything of it is believed.
pub(super) fn issuer_of(token: &str, use_: &'static Use) -> Result<String, Refusal> {
    let said = Unverified::parse(token, use_).map_err(|fault| Refusal::grant(fault.to_string()))?;
    said.issuer().map(str::to_owned).ok_or_else(|| Refusal::grant("the token has no `iss`"))
}

fn wrong(fault: ClaimFault) -> Refusal {
    Refusal::grant(fault.to_string())
}
