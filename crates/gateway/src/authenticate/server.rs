//! This gateway as the resource server of OAuth: whose tokens it takes, how it verifies them, and what it remembers.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use fetch::Client;
use jose::{
    Jwks, Unverified,
    dpop::{self, ReplayFault},
    usage,
};
use terms::{ChannelId, Moment, WorkloadId};

use super::{
    cache::{Digest, Entry, Verified},
    caller::{EndUser, Token},
    issuer::{Checked, Issuer, asserted},
    token::{Terms, TokenFault, digest, token_id},
};
use crate::{
    config::{Credentials, TokenSettings},
    metrics::TokenChecks,
};

/// How long a DPoP nonce is taken after it was given out; a new one is given out with every answer.
const NONCE_FOR: Duration = Duration::from_secs(300);
/// DPoP proofs that are remembered at once: at 1,000 calls a second and 120 s that a proof may be remembered, 120,000;
/// eight times that, of about 100 bytes, are 100 MB.
const PROOFS_MAX: usize = 1 << 20;
/// Assertions about end users that are remembered until they expire: 300 s of 1,000 calls a second, of about 100 bytes
/// each, 30 MB.
const ASSERTIONS_MAX: usize = 300_000;

/// The public keys of tokens that this deployment issues itself; they may change while it runs.
pub trait OwnKeys: Send + Sync + fmt::Debug {
    /// Returns the keys of now. Called for each token that was not verified before; must not block.
    fn now(&self) -> Jwks;

    /// Returns a number that differs after every change of the keys. A token that was verified under another one is
    /// verified anew. Called for each token; must not block.
    fn version(&self) -> u64;
}

/// Tokens that this deployment issues itself.
#[derive(Clone, Debug)]
pub struct OwnTokens {
    /// Their `iss`.
    pub issuer: String,
    /// What they are verified with.
    pub keys: Arc<dyn OwnKeys>,
}

/// What this gateway is as the resource server of OAuth.
#[derive(Debug)]
pub(crate) struct ResourceServer {
    /// Where clients reach it.
    pub(super) origin: Option<String>,
    /// Whose word about a client's address and certificate is taken.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// What every token must show.
    pub(super) settings: TokenSettings,
    /// The nonces that proofs must hold, if they must.
    pub(super) nonces: Option<dpop::Nonces>,
    /// Proofs that were used.
    pub(super) replays: dpop::Replays,
    /// Where clients learn who issues tokens (RFC 9728), if it is reached at a known place.
    pub(crate) metadata: Option<String>,
    resource: Option<String>,
    issuers: Vec<Issuer>,
    own: Option<OwnTokens>,
    verified: Verified,
    /// Assertions about end users that were used.
    spent: dpop::Replays,
    client: Client,
    checks: TokenChecks,
}

impl ResourceServer {
    /// Sets it up; reads client secrets.
    ///
    /// # Errors
    ///
    /// What cannot be used and why.
    pub(crate) fn new(
        settings: &Credentials,
        own: Option<OwnTokens>,
        client: Client,
        checks: TokenChecks,
    ) -> Result<Self, String> {
        let resource = settings.resource.as_deref();
        let issuers = settings.issuers.iter().map(|issuer| Issuer::new(issuer, resource, checks.clone()));
        let nonces = settings.tokens.dpop_nonce.then(|| dpop::Nonces::generate(NONCE_FOR));
        Ok(Self {
            metadata: settings.origin.as_ref().map(|origin| format!("{origin}/.well-known/oauth-protected-resource")),
            origin: settings.origin.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            settings: settings.tokens.clone(),
            nonces: nonces.transpose().map_err(|error| error.to_string())?,
            replays: dpop::Replays::with_capacity(PROOFS_MAX),
            resource: settings.resource.clone(),
            issuers: issuers.collect::<Result<_, _>>()?,
            own,
            verified: Verified::default(),
            spent: dpop::Replays::with_capacity(ASSERTIONS_MAX),
            client,
            checks,
        })
    }

    /// Says whether any token could be taken.
    pub(super) fn takes_tokens(&self) -> bool {
        self.own.is_some() || !self.issuers.is_empty()
    }

    /// Fetches the keys of every issuer for as long as the process runs.
    pub(crate) async fn keep_keys(self: Arc<Self>) {
        let mut keeping = tokio::task::JoinSet::new();
        for at in 0..self.issuers.len() {
            let server = Arc::clone(&self);
            keeping.spawn_local(async move {
                if let Some(issuer) = server.issuers.get(at) {
                    issuer.keep_keys(&server.client).await;
                }
            });
        }
        while keeping.join_next().await.is_some() {}
    }

    /// Verifies an access token, or remembers that it was verified.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: refuse it; after [`TokenFault::Unavailable`] it may be tried again.
    pub(super) async fn access_token(&self, text: &str, now: Moment) -> Result<Arc<Token>, TokenFault> {
        let digest = digest(text.as_bytes());
        if let Some(known) = self.known(&digest, now) {
            self.checks.remembered.inc();
            return known.ok_or(TokenFault::Inactive);
        }
        let (issuer, checked) = self.verify(text, &digest, now).await?;
        self.remember(digest, issuer, checked, now).ok_or(TokenFault::Inactive)
    }

    /// Verifies what an issuer says about the person for whom a workload calls. It is good for one request.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: refuse the call.
    pub(super) async fn end_user(&self, workload: &WorkloadId, text: &str, now: Moment) -> Result<EndUser, TokenFault> {
        let assertion = Unverified::parse(text, &usage::END_USER_ASSERTION)?;
        let digest = digest(text.as_bytes());
        let (assertion, message) = self.verify_assertion(assertion, &digest, workload, now).await?;
        self.spent.claim_key(message, assertion.expires_at, now).map_err(|fault| match fault {
            ReplayFault::Repeated => TokenFault::Spent,
            ReplayFault::Full => TokenFault::Unavailable,
        })?;
        Ok(EndUser { id: token_id(&digest)?, assertion: Arc::new(assertion) })
    }

    async fn verify_assertion(
        &self,
        assertion: Unverified<'_>,
        digest: &Digest,
        workload: &WorkloadId,
        now: Moment,
    ) -> Result<(Token, [u8; 32]), TokenFault> {
        if let Some(own) = self.issued_by_us(&assertion) {
            // Scopes are what the workload's own credential is for.
            let settings = TokenSettings { scope: None, ..self.settings.clone() };
            let (verified, token) = self.verify_own(own, assertion, digest, &settings, now)?;
            return asserted(&verified, token, workload, now.plus(settings.skew()));
        }
        let (_, issuer) = self.issuer_of(&assertion).ok_or(TokenFault::Foreign)?;
        issuer.verify_assertion(assertion, digest, workload, &self.settings, now).await
    }

    async fn verify(&self, text: &str, digest: &Digest, now: Moment) -> Result<(usize, Checked), TokenFault> {
        if !is_jwt(text) {
            let (at, issuer) = self.find(|issuer| issuer.may_know(text)).ok_or(TokenFault::Foreign)?;
            return Ok((at, issuer.introspect(&self.client, text, digest, &self.settings, now).await?));
        }
        let token = Unverified::parse(text, &usage::AT_JWT)?;
        if let Some(own) = self.issued_by_us(&token) {
            // Read before the keys: if they change in between, the token is verified once more.
            let version = own.keys.version();
            let (_, token) = self.verify_own(own, token, digest, &self.settings, now)?;
            return Ok((self.issuers.len(), Checked { until: token.expires_at, token: Some(token), version }));
        }
        let (at, issuer) = self.issuer_of(&token).ok_or(TokenFault::Foreign)?;
        Ok((at, issuer.verify(token, digest, &self.settings, now).await?))
    }

    fn verify_own(
        &self,
        own: &OwnTokens,
        token: Unverified<'_>,
        digest: &Digest,
        settings: &TokenSettings,
        now: Moment,
    ) -> Result<(jose::Verified, Token), TokenFault> {
        self.checks.signatures.inc();
        let verified = token.verify(&own.keys.now())?;
        let audience = self.resource.as_deref().ok_or(TokenFault::Foreign)?;
        let channel = ChannelId::parse("own").map_err(|_| TokenFault::Foreign)?;
        let token = Terms { channel: &channel, audience, settings }.read_own(&verified.payload, digest, now)?;
        Ok((verified, token))
    }

    fn issued_by_us(&self, token: &Unverified<'_>) -> Option<&OwnTokens> {
        self.own.as_ref().filter(|own| token.issuer() == Some(&own.issuer))
    }

    /// Returns what is remembered about a token, unless its issuer has other keys by now.
    fn known(&self, digest: &Digest, now: Moment) -> Option<Option<Arc<Token>>> {
        let entry = self.verified.get(digest, now)?;
        let still = match self.issuers.get(entry.issuer) {
            Some(issuer) => issuer.still_has(entry.version),
            None => self.own.as_ref().is_some_and(|own| own.keys.version() == entry.version),
        };
        still.then_some(entry.token)
    }

    fn remember(&self, digest: Digest, issuer: usize, checked: Checked, now: Moment) -> Option<Arc<Token>> {
        let Checked { token, version, until } = checked;
        let token = token.map(Arc::new);
        self.verified.put(digest, Entry { token: token.clone(), issuer, version, until }, now);
        token
    }

    fn issuer_of(&self, token: &Unverified<'_>) -> Option<(usize, &Issuer)> {
        let name = token.issuer()?;
        self.find(|issuer| issuer.name == name)
    }

    fn find(&self, is_it: impl Fn(&Issuer) -> bool) -> Option<(usize, &Issuer)> {
        self.issuers.iter().enumerate().find(|(_, issuer)| is_it(issuer))
    }
}

/// Says whether a token is written as a JWT, whatever it is worth.
fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}
