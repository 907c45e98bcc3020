//! Making a token of ours: signed, then recorded, then answered.

use std::fmt::Write;

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use control::{Fault, Once, Source, View};
use identity::Confirmation;
use jose::{NumericDate, base64url, json::Object};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use terms::{ChannelId, Moment, OrganizationId, PersonId, WorkloadId};

use super::{
    TokenService, binding,
    presented::Origin,
    refusal::{Code, Refusal},
};

/// What kind of token it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// One to call with.
    AccessToken,
    /// Word about the person for whom this workload calls; it is sent beside a token of the workload's own.
    EndUserAssertion(WorkloadId),
}

/// A token that is to be issued.
pub(super) struct Draft {
    pub(super) kind: Kind,
    /// Its `sub`.
    pub(super) subject: String,
    /// Its `aud`.
    pub(super) audience: String,
    /// The client it is issued to.
    pub(super) client_id: String,
    /// The tenant.
    pub(super) organization: Option<OrganizationId>,
    /// The token that it is issued for.
    pub(super) origin: Option<Origin>,
    /// Who issued that.
    pub(super) evidence_of: Option<String>,
    pub(super) auth_time: Option<Moment>,
    pub(super) acr: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) bound_to: Vec<Confirmation>,
    pub(super) act: Option<Value>,
    pub(super) owners: Vec<PersonId>,
    /// What was known about whom it is for, as [`super::settle::Grantee::evidence`].
    pub(super) evidence: Option<String>,
    pub(super) expires_at: Moment,
}

/// The claims of a token of ours.
///
/// # Source
///
/// RFC 9068 section 2.2; RFC 8693 section 4.1 (`act`); RFC 7800 section 3.1 (`cnf`);
/// draft-ietf-oauth-transaction-tokens, section 4.2 (`txn`, `req_wl`). The rest are ours.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    client_id: &'a str,
    iat: NumericDate,
    exp: NumericDate,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    txn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    req_wl: Option<&'a WorkloadId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<NumericDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<&'a OrganizationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<&'a Origin>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    owners: &'a [PersonId],
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a str>,
    policy_epoch: u64,
}

/// A token, signed and not yet recorded.
struct Signed {
    text: String,
    jti: String,
}

/// How a token is recorded.
pub(super) struct Recording {
    /// On whose word it is issued.
    pub(super) channel: ChannelId,
    /// Under which name what it rests on is remembered, if that may be used only once.
    pub(super) once: Option<String>,
}

/// A token that may be answered: its entry is durable.
pub(super) struct Issued {
    pub(super) access_token: String,
    pub(super) expires_in: u64,
    pub(super) scopes: Vec<String>,
    /// How it is presented (RFC 6749 section 7.1); `N_A` if it is not presented as a credential.
    pub(super) token_type: &'static str,
    /// What kind of token it is, where the grant answers that (RFC 8693 section 2.2.1).
    pub(super) issued_token_type: Option<&'static str>,
}

impl TokenService {
    /// Signs a token, requires once more that it may be issued, and returns it when its entry is durable.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; of `still` too, which sees the registry while nobody writes.
    pub(super) fn issue(
        &self,
        draft: &Draft,
        recording: &Recording,
        still: impl FnOnce(&View<'_>) -> Result<(), Refusal>,
    ) -> Result<Issued, Refusal> {
        let now = self.now();
        let signed = self.sign(draft, now)?;
        let source = Source::evidence(recording.channel.clone(), "token.issue", self.record(draft, &signed));
        let mut refused = None;
        let decide = |view: &View<'_>| match still(view) {
            Ok(()) => Ok(Vec::new()),
            Err(refusal) => {
                refused = Some(refusal);
                Err(Fault::Conflict("the token may not be issued any more".to_owned()))
            }
        };
        let federation = self.federation();
        let done = match &recording.once {
            None => federation.commit(&source, decide).map(|_| true),
            Some(message) => {
                let once = federation.commit_once(&source, (&recording.channel, message), decide);
                once.map(|once| matches!(once, Once::Done(_)))
            }
        };
        match (refused, done) {
            (Some(refusal), _) => Err(refusal),
            (None, Ok(true)) => Ok(Issued::new(signed.text, draft, now)),
            (None, Ok(false)) => Err(Refusal::grant("the assertion was used before: get a new one")),
            (None, Err(fault)) => Err(fault.into()),
        }
    }

    fn sign(&self, draft: &Draft, now: Moment) -> Result<Signed, Refusal> {
        let broken = |why: String| {
            tracing::error!(why, "no token can be signed");
            Refusal::new(Code::Unavailable, "no token was issued: try again later")
        };
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| broken(error.to_string()))?;
        let jti = base64url::encode(random);
        let (typ, req_wl) = draft.kind.typ();
        let claims = Claims {
            iss: &self.0.settings.issuer,
            aud: &draft.audience,
            sub: &draft.subject,
            client_id: &draft.client_id,
            iat: NumericDate(now),
            exp: NumericDate(draft.expires_at),
            jti: &jti,
            txn: req_wl.map(|_| jti.as_str()),
            req_wl,
            auth_time: draft.auth_time.map(NumericDate),
            acr: draft.acr.as_deref(),
            scope: (!draft.scopes.is_empty()).then(|| draft.scopes.join(" ")),
            cnf: binding::cnf(&draft.bound_to),
            act: draft.act.as_ref(),
            org: draft.organization.as_ref(),
            src: draft.origin.as_ref(),
            owners: &draft.owners,
            evidence: draft.evidence.as_deref(),
            policy_epoch: self.0.control.snapshot().epoch(),
        };
        let key = self.0.keyring.signing(now).map_err(|fault| broken(fault.to_string()))?;
        let text = key.sign(typ, &Object::new(), &claims).map_err(|fault| broken(fault.to_string()))?;
        Ok(Signed { text, jti })
    }

    /// Returns what the ledger keeps of a token: for whom it is, on whose word, and the name that calls with it have in
    /// the record; never the token.
    fn record(&self, draft: &Draft, signed: &Signed) -> String {
        let record = json!({
            "token": name_of(&signed.text), "typ": draft.kind.typ().0, "jti": signed.jti, "sub": draft.subject, "client_id": draft.client_id,
            "org": draft.organization, "src": draft.origin, "iss": draft.evidence_of, "act": draft.act,
            "cnf": binding::cnf(&draft.bound_to), "scope": draft.scopes, "exp": NumericDate(draft.expires_at),
        });
        record.to_string()
    }
}

impl Kind {
    /// Returns the type in the header of such tokens, and the workload that they name.
    ///
    /// # Source
    ///
    /// RFC 9068 section 2.1; draft-ietf-oauth-transaction-tokens, section 4.1.
    fn typ(&self) -> (&'static str, Option<&WorkloadId>) {
        match self {
            Self::AccessToken => ("at+jwt", None),
            Self::EndUserAssertion(workload) => ("txntoken+jwt", Some(workload)),
        }
    }
}

impl Draft {
    fn token_type(&self) -> &'static str {
        let is_dpop = self.bound_to.iter().any(|bound| matches!(bound, Confirmation::Jwk(_)));
        match self.kind {
            Kind::EndUserAssertion(_) => "N_A",
            Kind::AccessToken if is_dpop => "DPoP",
            Kind::AccessToken => "Bearer",
        }
    }
}

impl Issued {
    fn new(access_token: String, draft: &Draft, now: Moment) -> Self {
        Self {
            access_token,
            expires_in: draft.expires_at.since(now).as_secs(),
            scopes: draft.scopes.clone(),
            token_type: draft.token_type(),
            issued_token_type: None,
        }
    }
}

/// RFC 6749 section 5.1; RFC 8693 section 2.2.1; RFC 9449 section 5.
impl IntoResponse for Issued {
    fn into_response(self) -> Response {
        let mut body = json!({
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(self.issued_token_type.map(|kind| ("issued_token_type".to_owned(), json!(kind))));
            if !self.scopes.is_empty() {
                members.insert("scope".to_owned(), json!(self.scopes.join(" ")));
            }
        }
        let mut response = Json(body).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Names a token as the record of calls does: by the first half of the SHA-256 of its text.
fn name_of(token: &str) -> String {
    let mut name = "tok-".to_owned();
    for byte in Sha256::digest(token).iter().take(16) {
        // Writing into a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}
