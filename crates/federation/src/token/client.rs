//! RegisteredClient clients: receivers of our signals, and whoever may ask what a token is.

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use control::{Fault, Federation, Source, View};
use hmac::{Hmac, KeyInit, Mac};
use jose::{Audience, base64url, usage::CLIENT_ASSERTION};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use terms::{ClientId, OrganizationId};
use zeroize::Zeroizing;

use super::{
    TokenService,
    book::{self, invalid},
    issuer::{Algorithm, IssuerKeys},
    params::{Params, form_decoded},
    refusal::{Code, Refusal},
};

/// Where clients are kept, by id.
const COLLECTION: &str = "token.client";
/// How client secrets begin, so that whoever finds one knows what it is.
const SECRET_PREFIX: &str = "ex_client_";
/// What `client_assertion_type` must be (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The scopes that a client may have.
pub(super) const SCOPES: [&str; 4] = ["ssf.manage", "ssf.read", INTROSPECT, REVOKE];
/// Allows to ask what a token is.
pub(super) const INTROSPECT: &str = "token.introspect";
/// Allows to end tokens of the client's own organization that were issued to others.
pub(super) const REVOKE: &str = "token.revoke";

/// A client as an operator registers it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// Names the client.
    pub id: ClientId,
    /// The organization it belongs to; absent for the laboratory's own. It learns of no other's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What it may ask for: `ssf.read`, `ssf.manage`, `token.introspect`, `token.revoke`.
    pub scopes: Vec<String>,
    /// How long its tokens live, in seconds; 60 to 3,600.
    pub lifetime_s: u64,
    /// The keys that its assertions are signed with; without them it gets a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<ClientKeys>,
}

/// The keys of a client that authenticates by assertions.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKeys {
    /// Where they are; a client has no metadata to discover them by.
    pub keys: IssuerKeys,
    /// What `alg` of its assertions may be; at least one.
    pub algorithms: Vec<Algorithm>,
}

/// A client's secret, to be shown to its holder once. Cleared when dropped, never printed.
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// Returns the secret.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSecret(..)")
    }
}

/// A client as it is kept.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Client {
    registered: RegisteredClient,
    authentication: Authentication,
}

/// What was settled about a client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredClient {
    /// Names the client.
    pub id: ClientId,
    /// The organization it belongs to; absent for the laboratory's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// How long its tokens live, in seconds.
    pub lifetime_s: u64,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Authentication {
    /// HMAC-SHA-256 of the secret under the service's key, in base64url.
    Secret(String),
    /// Assertions signed with these.
    Keys(ClientKeys),
}

/// What a request says to be a client.
enum Credentials<'a> {
    Secret { id: String, secret: Zeroizing<String> },
    Assertion { id: Option<&'a str>, assertion: &'a str },
}

/// A client that authenticated.
pub(super) struct Authenticated {
    pub(super) client: RegisteredClient,
    /// The name under which its assertion is remembered, if it used one.
    pub(super) message: Option<String>,
}

impl RegisteredClient {
    /// Tells whether the client was granted a scope.
    pub(super) fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }
}

impl TokenService {
    /// Registers a client and returns its secret, if it authenticates by one: it is shown this once. A client that is
    /// registered again has a new secret.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] names the setting that is wrong; otherwise those of [`control::Federation::commit`].
    pub fn register_client(&self, new: &NewClient) -> Result<Option<ClientSecret>, Fault> {
        check(new)?;
        let secret = if new.keys.is_none() { Some(mint()?) } else { None };
        let authentication = match (&new.keys, &secret) {
            (Some(keys), _) => Authentication::Keys(keys.clone()),
            (None, secret) => Authentication::Secret(self.digest(secret.as_ref().map_or("", |secret| secret.reveal()))),
        };
        let registered = RegisteredClient {
            id: new.id.clone(),
            organization: new.organization.clone(),
            scopes: new.scopes.clone(),
            lifetime_s: new.lifetime_s,
        };
        let client = Client { registered, authentication };
        self.federation().commit(&Source::own("token.register_client"), |view| {
            let organization = new.organization.as_ref();
            if organization.is_some_and(|id| !matches!(view.organization(id), Ok(Some(_)))) {
                return Err(invalid("organization", "is not known"));
            }
            Ok(vec![book::keep(COLLECTION, new.id.as_str(), Vec::new(), &client)?])
        })?;
        Ok(secret)
    }

    /// Returns the client that a request authenticates as; nothing if it does not try to.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]: `invalid_client`, or `invalid_request` if it tries in two ways.
    ///
    /// # Source
    ///
    /// RFC 6749 section 2.3.1; RFC 7523 sections 2.2 and 3.
    pub(super) async fn client(&self, headers: &HeaderMap, params: &Params) -> Result<Option<Authenticated>, Refusal> {
        match credentials(headers, params)? {
            None => self.public(params).await.map(|()| None),
            Some(Credentials::Secret { id, secret }) => {
                let client = self.known_client(&id).await?;
                let held = match client.as_ref().map(|client| &client.authentication) {
                    Some(Authentication::Secret(digest)) => digest.as_str(),
                    // The same work as for a known client, so that time does not tell which exist.
                    _ => "",
                };
                let matches = self.matches(&secret, held);
                let client = client.filter(|_| matches).ok_or_else(Refusal::client)?.registered;
                Ok(Some(Authenticated { client, message: None }))
            }
            Some(Credentials::Assertion { id, assertion }) => self.asserted(id, assertion).await.map(Some),
        }
    }

    /// Whoever is not registered may call itself what it likes: nothing rests on it. A registered client must prove it.
    async fn public(&self, params: &Params) -> Result<(), Refusal> {
        let Some(id) = params.one("client_id")? else { return Ok(()) };
        self.known_client(id).await?.map_or(Ok(()), |_| Err(Refusal::client()))
    }

    async fn asserted(&self, id: Option<&str>, assertion: &str) -> Result<Authenticated, Refusal> {
        let said = jose::Unverified::parse(assertion, &CLIENT_ASSERTION).map_err(|_| Refusal::client())?;
        let issuer = said.issuer().unwrap_or_default().to_owned();
        if id.is_some_and(|id| id != issuer) {
            return Err(Refusal::client());
        }
        let client = self.known_client(&issuer).await?.ok_or_else(Refusal::client)?;
        let Authentication::Keys(keys) = &client.authentication else { return Err(Refusal::client()) };
        if !keys.algorithms.iter().any(|allowed| allowed.alg() == said.header().alg()) {
            return Err(Refusal::client());
        }
        let verified = self.verified(assertion, &CLIENT_ASSERTION, &issuer, &keys.keys).await;
        let verified = verified.map_err(|refusal| match refusal.code {
            Code::Unavailable => refusal,
            _ => Refusal::client(),
        })?;
        let message = self.first_use(&client.registered.id, &verified)?;
        Ok(Authenticated { client: client.registered, message: Some(message) })
    }

    /// Requires that an assertion is for this server, short-lived, and was not used before.
    fn first_use(&self, client: &ClientId, verified: &jose::Verified) -> Result<String, Refusal> {
        let now = self.now();
        let audience = Audience::of(&verified.payload).map_err(|_| Refusal::client())?;
        if !self.names().any(|name| audience.contains(name)) {
            return Err(Refusal::client());
        }
        let times = verified.times().map_err(|_| Refusal::client())?;
        times.check(now, super::SKEW).map_err(|_| Refusal::client())?;
        let until = times.exp.ok_or_else(Refusal::client)?.plus(super::SKEW.by());
        let jti = verified.text("jti").filter(|jti| (1..=256).contains(&jti.len())).ok_or_else(Refusal::client)?;
        if until > now.plus(super::ASSERTION_MAX) {
            return Err(Refusal::client());
        }
        let message = format!("client:{client}:{jti}");
        self.remember(&message, until).map_err(|_| Refusal::client())?;
        Ok(message)
    }

    async fn known_client(&self, id: &str) -> Result<Option<Client>, Refusal> {
        let Ok(id) = ClientId::parse(id) else { return Ok(None) };
        self.read(move |view: &View<'_>| Ok(book::kept(view, COLLECTION, id.as_str())?)).await
    }

    fn digest(&self, secret: &str) -> String {
        base64url::encode(self.mac(secret).finalize().into_bytes())
    }

    /// Compares in constant time.
    fn matches(&self, secret: &str, digest: &str) -> bool {
        let digest = base64url::decode(digest).unwrap_or_default();
        self.mac(secret).verify_slice(&digest).is_ok()
    }

    fn mac(&self, secret: &str) -> Hmac<Sha256> {
        // A key shorter than a block is padded with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(self.client_key()).for_each(|(to, from)| *to = *from);
        Hmac::<Sha256>::new((&*block).into()).chain_update(secret.as_bytes())
    }
}

/// Returns every client that is registered, in order of id.
///
/// # Errors
///
/// Those of [`Federation::read`].
pub fn clients(federation: &Federation) -> Result<Vec<RegisteredClient>, Fault> {
    let clients: Vec<Client> = federation.read(|view| book::all(view, COLLECTION))?;
    Ok(clients.into_iter().map(|client| client.registered).collect())
}

/// Forgets a client: from now on it gets no token, and those it has are answered as inactive.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::NotFound`]; otherwise those of [`Federation::commit`].
pub fn remove_client(federation: &Federation, id: &ClientId) -> Result<(), Fault> {
    let removed = federation.commit(&Source::own("token.remove_client"), |view| {
        Ok(vec![book::gone(view, COLLECTION, "client", id.as_str())?])
    });
    removed.map(drop)
}

/// Returns what was settled about a client, if there is one of that id.
pub(super) fn registered(view: &View<'_>, id: &ClientId) -> Result<Option<RegisteredClient>, Fault> {
    Ok(book::kept::<Client>(view, COLLECTION, id.as_str())?.map(|client| client.registered))
}

fn check(new: &NewClient) -> Result<(), Fault> {
    if new.scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) || new.scopes.len() > SCOPES.len() {
        return Err(invalid("scopes", format!("must be among `{}`", SCOPES.join("`, `"))));
    }
    if !(60..=3_600).contains(&new.lifetime_s) {
        return Err(invalid("lifetime_s", "must be 60 to 3600"));
    }
    match &new.keys {
        Some(ClientKeys { keys: IssuerKeys::Discovered, .. }) => {
            Err(invalid("keys", "must be given, or be at a URL: a client has no metadata"))
        }
        Some(keys) if keys.algorithms.is_empty() => Err(invalid("keys.algorithms", "must name at least one")),
        Some(keys) => keys.keys.check(),
        None => Ok(()),
    }
}

fn mint() -> Result<ClientSecret, Fault> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())?;
    let text = Zeroizing::new(base64url::encode(bytes.as_slice()));
    Ok(ClientSecret(Zeroizing::new(format!("{SECRET_PREFIX}{}", *text))))
}

fn credentials<'a>(headers: &HeaderMap, params: &'a Params) -> Result<Option<Credentials<'a>>, Refusal> {
    let basic = headers.get(header::AUTHORIZATION).map(|value| basic(value.as_bytes()).ok_or_else(Refusal::client));
    let id = params.one("client_id")?;
    let secret = params.one("client_secret")?;
    let assertion = params.one("client_assertion")?;
    if usize::from(basic.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(Refusal::request("the client authenticates in more than one way"));
    }
    if let Some(basic) = basic {
        let (named, secret) = basic?;
        let same = id.is_none_or(|id| id == named);
        return if same { Ok(Some(Credentials::Secret { id: named, secret })) } else { Err(Refusal::client()) };
    }
    if let Some(assertion) = assertion {
        if params.required("client_assertion_type")? != ASSERTION_TYPE {
            return Err(Refusal::request(format!("`client_assertion_type` must be `{ASSERTION_TYPE}`")));
        }
        return Ok(Some(Credentials::Assertion { id, assertion }));
    }
    let secret = secret.map(|secret| Zeroizing::new(secret.to_owned()));
    match (id, secret) {
        (Some(id), Some(secret)) => Ok(Some(Credentials::Secret { id: id.to_owned(), secret })),
        (None, Some(_)) => Err(Refusal::client()),
        (_, None) => Ok(None),
    }
}

/// Reads `Basic`, in which both halves are spelled as in a form (RFC 6749 section 2.3.1).
fn basic(value: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
    let (id, secret) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    Some((form_decoded(id)?.to_string(), form_decoded(secret)?))
}
