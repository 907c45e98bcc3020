//! What a token of ours is, and the end of it, for clients that may know.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{FederatedChange, Source, View};
use identity::SessionEnd;
use jose::Verified;
use serde_json::{Value, json};
use terms::{ChannelId, ClientId, SubjectName};

use super::{
    TokenService,
    client::{self, INTROSPECT, REVOKE, RegisteredClient},
    presented::Presented,
    refusal::{Code, Refusal},
    settle,
};

/// The claims of a token that an answer about it repeats.
const TOLD: [&str; 13] =
    ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "cnf", "act", "org", "auth_time", "acr"];

/// Answers what a token is, to a client that may ask and only about tokens of its own organization.
///
/// # Source
///
/// RFC 7662 sections 2.1 and 2.2.
pub(super) async fn introspect(State(service): State<TokenService>, request: Request<Body>) -> Response {
    match service.introspection(request).await {
        Ok(body) => uncached(Json(body).into_response()),
        Err(refusal) => refusal.into_response(),
    }
}

/// Ends a token: of the client itself, or of its organization if it may.
///
/// # Source
///
/// RFC 7009 sections 2.1 and 2.2.
pub(super) async fn revoke(State(service): State<TokenService>, request: Request<Body>) -> Response {
    match service.revocation(request).await {
        Ok(()) => uncached(StatusCode::OK.into_response()),
        Err(refusal) => refusal.into_response(),
    }
}

impl TokenService {
    async fn introspection(&self, request: Request<Body>) -> Result<Value, Refusal> {
        let (client, token) = self.about(request).await?;
        if !client.may(INTROSPECT) {
            return Err(Refusal::new(Code::UnauthorizedClient, format!("the client lacks the scope `{INTROSPECT}`")));
        }
        let inactive = json!({ "active": false });
        let Some(verified) = token.and_then(|token| self.own_claims(&token).ok().map(|verified| (token, verified)))
        else {
            return Ok(inactive);
        };
        let (token, verified) = verified;
        if !is_of(&client, &verified) || !self.is_active(&token, &verified).await? {
            return Ok(inactive);
        }
        let told = TOLD.into_iter().filter_map(|name| Some((name.to_owned(), verified.payload.get(name)?.clone())));
        let mut answer = json!({ "active": true, "token_type": token_type(&verified) });
        if let Some(members) = answer.as_object_mut() {
            members.extend(told);
        }
        Ok(answer)
    }

    async fn revocation(&self, request: Request<Body>) -> Result<(), Refusal> {
        let (client, token) = self.about(request).await?;
        let verified = token.and_then(|token| self.own_claims(&token).ok());
        let Some(verified) = verified.filter(|verified| is_of(&client, verified)) else { return Ok(()) };
        let issued_to_it = verified.text("client_id") == Some(client.id.as_str());
        if !issued_to_it && !client.may(REVOKE) {
            return Err(Refusal::new(Code::UnauthorizedClient, "the token was issued to another client"));
        }
        let jti = verified.text("jti").and_then(|jti| SubjectName::parse(jti).ok());
        let Some(jti) = jti else { return Ok(()) };
        let source: Option<ChannelId> =
            verified.payload.get("src").and_then(|src| ChannelId::parse(src.get("channel")?.as_str()?).ok());
        let service = self.clone();
        self.blocking(move || service.end(&jti, source)).await
    }

    /// Ends a token at our own channel, and at the source whose word it rests on, where calls with it are found.
    fn end(&self, jti: &SubjectName, source: Option<ChannelId>) -> Result<(), Refusal> {
        let own = self.0.own.clone();
        let decide = |view: &View<'_>| {
            let ended = |channel| SessionEnd { channel, session: jti.clone(), at: view.now() };
            let channels = std::iter::once(own).chain(source);
            Ok(channels.map(ended).map(FederatedChange::SessionEnd).collect())
        };
        self.federation().commit(&Source::own("token.revoke"), decide)?;
        Ok(())
    }

    /// Reads a request about a token of a client that authenticated. A token longer than any of ours is none.
    async fn about(&self, request: Request<Body>) -> Result<(RegisteredClient, Option<String>), Refusal> {
        let asked = self.asked(request).await?;
        let client = asked.client.ok_or_else(Refusal::client)?.client;
        if asked.params.one("token_type_hint")?.is_some_and(|hint| !["access_token", "refresh_token"].contains(&hint)) {
            return Err(Refusal::new(Code::UnsupportedTokenType, "only access tokens are issued here"));
        }
        Ok((client, Some(asked.params.required("token")?.to_owned())))
    }

    /// Tells whether a verified token still opens what it did when it was issued.
    async fn is_active(&self, token: &str, verified: &Verified) -> Result<bool, Refusal> {
        let jti = verified.text("jti").and_then(|jti| SubjectName::parse(jti).ok());
        let presented = self.own_token(token)?;
        let client = verified.text("sub").and_then(|sub| ClientId::parse(sub.strip_prefix("client:")?).ok());
        let own = self.0.own.clone();
        self.read(move |view| {
            if let Some(jti) = jti
                && view.session_ended(&own, &jti)?
            {
                return Ok(false);
            }
            match (presented, client) {
                (Some(presented), _) => still_granted(view, &presented),
                (None, Some(client)) => Ok(client::registered(view, &client)?.is_some()),
                (None, None) => Ok(false),
            }
        })
        .await
    }
}

fn still_granted(view: &View<'_>, presented: &Presented) -> Result<bool, Refusal> {
    match settle::grantee(view, presented) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.code == Code::InvalidGrant => Ok(false),
        Err(refusal) => Err(refusal),
    }
}

/// Tells whether a token belongs to the organization of a client; the laboratory's own clients know of all.
fn is_of(client: &RegisteredClient, verified: &Verified) -> bool {
    client.organization.as_ref().is_none_or(|organization| verified.text("org") == Some(organization.as_str()))
}

fn token_type(verified: &Verified) -> &'static str {
    let is_dpop = verified.payload.get("cnf").is_some_and(|cnf| cnf.get("jkt").is_some());
    if is_dpop { "DPoP" } else { "Bearer" }
}

fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
