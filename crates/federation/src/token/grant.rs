//! The token endpoint: what is asked for, and by which grant.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use jose::{base64url, usage::WORKLOAD_ASSERTION};
use sha2::{Digest, Sha256};
use terms::{FederationRuleId, Moment};

use super::{
    TokenService,
    binding::{Held, Presenter},
    client::Authenticated,
    issue::{Draft, Issued, Kind, Recording},
    issuer::{SubjectKind, TrustedIssuer},
    limit,
    params::{BODY_BYTES_MAX, Params},
    presented::{Presented, issuer_of},
    refusal::{Code, Refusal},
    rule::{FederationRule, Registered},
    settle,
};

const CLIENT_CREDENTIALS: &str = "client_credentials";
/// RFC 7523 section 2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// RFC 8693 section 2.1.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Every grant that there is.
pub(super) const GRANTS: [&str; 3] = [CLIENT_CREDENTIALS, JWT_BEARER, TOKEN_EXCHANGE];
const NO_RULE: &str = "the assertion fits no federation rule of that name, organization and workload";

/// What came with a request to one of our endpoints.
pub(super) struct Asked {
    pub(super) params: Params,
    pub(super) client: Option<Authenticated>,
    pub(super) held: Held,
}

/// Answers a request for a token.
///
/// # Source
///
/// RFC 6749 section 5; RFC 7523 section 2.1; RFC 8693 section 2.
pub(super) async fn token(State(service): State<TokenService>, request: Request<Body>) -> Response {
    let issued = match service.asked(request).await {
        Ok(asked) => service.granted(asked).await,
        Err(refusal) => Err(refusal),
    };
    issued.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
}

impl TokenService {
    /// Reads a request of an address that has not asked too often, and authenticates its client if it says to be one.
    pub(super) async fn asked(&self, request: Request<Body>) -> Result<Asked, Refusal> {
        let presenter = request.extensions().get::<Presenter>().copied().unwrap_or_default();
        if !self.0.addresses.allows(&limit::asker(presenter.address), self.now()) {
            return Err(Refusal::new(Code::SlowDown, "too many requests: wait a little"));
        }
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
        let body = body.map_err(|_| Refusal::request(format!("the body must have at most {BODY_BYTES_MAX} bytes")))?;
        let params = Params::read(&parts.headers, &body)?;
        let held = self.held(&parts.headers, parts.uri.path(), presenter)?;
        let client = self.client(&parts.headers, &params).await?;
        Ok(Asked { params, client, held })
    }

    async fn granted(&self, asked: Asked) -> Result<Issued, Refusal> {
        match asked.params.required("grant_type")? {
            CLIENT_CREDENTIALS => self.client_credentials(asked).await,
            JWT_BEARER => self.jwt_bearer(asked).await,
            TOKEN_EXCHANGE => self.token_exchange(asked).await,
            _ => Err(Refusal::new(Code::UnsupportedGrantType, "the grant type is not one of those in the metadata")),
        }
    }

    /// RFC 6749 section 4.4: a token for our own interfaces, of which only a client's scopes tell what it opens.
    async fn client_credentials(&self, asked: Asked) -> Result<Issued, Refusal> {
        let Authenticated { client, message } = asked.client.ok_or_else(Refusal::client)?;
        let settings = &self.0.settings;
        self.require_target(&asked.params, &settings.issuer)?;
        let draft = Draft {
            kind: Kind::AccessToken,
            subject: format!("client:{}", client.id),
            audience: settings.issuer.clone(),
            client_id: client.id.to_string(),
            organization: client.organization.clone(),
            origin: None,
            evidence_of: None,
            auth_time: None,
            acr: None,
            scopes: narrowed(&asked.params, &client.scopes)?,
            bound_to: asked.held.confirmations(),
            act: None,
            owners: Vec::new(),
            evidence: None,
            expires_at: self.now().plus(Duration::from_secs(client.lifetime_s)),
        };
        self.claim(&asked.held)?;
        let recording = Recording { channel: self.0.own.clone(), once: message };
        let service = self.clone();
        self.blocking(move || service.issue(&draft, &recording, |_| Ok(()))).await
    }

    /// RFC 7523 section 2.1: the assertion of a platform, for a token of the workload that a rule names.
    async fn jwt_bearer(&self, asked: Asked) -> Result<Issued, Refusal> {
        self.require_target(&asked.params, &self.0.settings.resource)?;
        let (registered, presented) = self.workload(&asked.params).await?;
        let rule = &registered.rule;
        self.require_proof(&asked.held, &presented)?;
        self.count(rule.issuer.as_str())?;
        let (read_rule, read_presented) = (registered.clone(), presented.clone());
        let grantee = self.read(move |view| settle::of_rule(view, &read_rule, &read_presented)).await?;
        let lifetime = rule.lifetime_s.min(self.0.settings.lifetime_s);
        let draft = Draft {
            kind: Kind::AccessToken,
            subject: grantee.subject(),
            audience: self.0.settings.resource.clone(),
            client_id: format!("rule:{}", rule.id),
            organization: grantee.organization.clone(),
            origin: Some(presented.passed_on([registered.name.clone()])?),
            evidence_of: Some(presented.issuer.clone()),
            auth_time: None,
            acr: None,
            scopes: narrowed(&asked.params, &rule.scopes)?,
            bound_to: asked.held.confirmations(),
            act: None,
            owners: grantee.owners.clone(),
            evidence: Some(grantee.evidence.clone()),
            expires_at: self.expiry(lifetime, [&presented])?,
        };
        let once = (!rule.reusable).then(|| once(&asked.params, &presented)).transpose()?;
        let recording = Recording { channel: rule.issuer.clone(), once };
        self.claim(&asked.held)?;
        let service = self.clone();
        let still =
            move |view: &control::View<'_>| unchanged(&grantee, &settle::of_rule(view, &registered, &presented)?);
        self.blocking(move || service.issue(&draft, &recording, still)).await
    }

    /// Verifies an assertion, and finds the one rule that it fits.
    async fn workload(&self, params: &Params) -> Result<(Registered, Presented), Refusal> {
        let assertion = params.required("assertion")?;
        let trusted = self.platform(params, issuer_of(assertion, &WORKLOAD_ASSERTION)?).await?;
        let verified = self.signed_by(assertion, &WORKLOAD_ASSERTION, &trusted).await?;
        let channel = trusted.channel.clone();
        let mut rules = self.read(move |view| Ok(Registered::of_issuer(view, &channel)?)).await?;
        for (name, field) in FIELDS {
            if let Some(wanted) = params.one(name)? {
                rules.retain(|registered| field(&registered.rule) == wanted);
            }
        }
        rules.retain(|Registered { rule, .. }| {
            let fits = verified.is_for(&rule.audience).unwrap_or(false);
            let mismatch = if fits { rule.mismatch(&verified.payload) } else { Some("aud") };
            tracing::debug!(rule = %rule.id, mismatch, "a federation rule was tried");
            mismatch.is_none()
        });
        match <[Registered; 1]>::try_from(rules) {
            Ok([rule]) => Ok((rule, Presented::of_issuer(verified, &trusted, self.now())?)),
            Err(rules) if rules.is_empty() => Err(Refusal::grant(NO_RULE)),
            Err(_) => Err(Refusal::request("several federation rules fit: name one as `federation_rule_id`")),
        }
    }

    /// Returns the issuer of an assertion: that of the rule which is named, or the only one of that `iss`.
    async fn platform(&self, params: &Params, issuer: String) -> Result<TrustedIssuer, Refusal> {
        let rule = params.one("federation_rule_id")?.map(FederationRuleId::parse).transpose();
        let rule = rule.map_err(|_| Refusal::grant(NO_RULE))?;
        self.read(move |view| {
            let Some(rule) = rule else {
                let named = TrustedIssuer::named(view, &issuer, SubjectKind::Workloads)?;
                return <[TrustedIssuer; 1]>::try_from(named).map(|[only]| only).map_err(|_| Refusal::grant(NO_RULE));
            };
            let Registered { rule, .. } = Registered::of_id(view, &rule)?.ok_or_else(|| Refusal::grant(NO_RULE))?;
            TrustedIssuer::of_channel(view, &rule.issuer)?.ok_or_else(|| Refusal::grant(NO_RULE))
        })
        .await
    }

    /// Requires that whoever presents a token proves all that it is bound to.
    pub(super) fn require_proof(&self, held: &Held, presented: &Presented) -> Result<(), Refusal> {
        let proved = held.proves(&presented.bound_to);
        proved
            .then_some(())
            .ok_or_else(|| Refusal::grant("the token is bound to a key that this request does not prove"))
    }

    /// Requires that a token is asked for `target` and nothing else, if it is said for what.
    ///
    /// # Source
    ///
    /// RFC 8707 section 2; RFC 8693 section 2.2.2.
    pub(super) fn require_target(&self, params: &Params, target: &str) -> Result<(), Refusal> {
        let mut named = params.all("resource").chain(params.all("audience"));
        if named.all(|named| named == target) {
            return Ok(());
        }
        Err(Refusal::new(Code::InvalidTarget, format!("tokens are issued for `{target}` only")))
    }

    /// Counts a token for an issuer's.
    pub(super) fn count(&self, issuer: &str) -> Result<(), Refusal> {
        let allowed = self.0.issuers.allows(issuer, self.now());
        allowed.then_some(()).ok_or_else(|| Refusal::new(Code::SlowDown, "too many tokens for that issuer's: wait"))
    }

    /// Returns when a token expires: never later than those that it is issued for.
    pub(super) fn expiry<'a>(
        &self,
        lifetime_s: u64,
        presented: impl IntoIterator<Item = &'a Presented>,
    ) -> Result<Moment, Refusal> {
        let now = self.now();
        let at = now.plus(Duration::from_secs(lifetime_s));
        let at = presented.into_iter().map(|presented| presented.expires_at).fold(at, Moment::min);
        if at.since(now) < Duration::from_secs(1) { Err(Refusal::grant("the token has expired")) } else { Ok(at) }
    }
}

/// Requires that what was found out before signing is still so.
pub(super) fn unchanged(before: &settle::Grantee, now: &settle::Grantee) -> Result<(), Refusal> {
    let same = before == now;
    same.then_some(()).ok_or_else(|| Refusal::new(Code::Unavailable, "what is known has just changed: try again"))
}

/// Returns the scopes of a token: those asked for, all of which must be allowed, or all that are allowed.
///
/// # Source
///
/// RFC 6749 section 3.3.
pub(super) fn narrowed(params: &Params, allowed: &[String]) -> Result<Vec<String>, Refusal> {
    let Some(asked) = params.one("scope")? else { return Ok(allowed.to_vec()) };
    let asked: Vec<String> = asked.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    match asked.iter().all(|scope| allowed.contains(scope)) {
        true => Ok(asked),
        false => Err(Refusal::new(Code::InvalidScope, "a scope is asked for that is not granted here")),
    }
}

/// Names an assertion that may be used only once: by its `jti`, or by all of it but the signature, of which there may be
/// several that are good.
fn once(params: &Params, presented: &Presented) -> Result<String, Refusal> {
    if let Some(jti) = &presented.jti {
        return Ok(format!("assertion:{}", jti.as_str()));
    }
    let signed = params.required("assertion")?.rsplit_once('.').map(|(signed, _)| signed).unwrap_or_default();
    Ok(format!("assertion-sha256:{}", base64url::encode(Sha256::digest(signed))))
}

type Field = fn(&FederationRule) -> &str;

/// What a request may say of the rule that it is about, and what in the rule must be so.
const FIELDS: [(&str, Field); 3] = [
    ("federation_rule_id", |rule| rule.id.as_str()),
    ("organization_id", |rule| rule.organization.as_str()),
    ("service_account_id", |rule| rule.workload.as_str()),
];
