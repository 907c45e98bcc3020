//! A token service over a registry of two employers, with the issuers that they trust; and those who ask it.

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use control::{Actor, NewWorkload, PersonUpdate, Role};
use fetch::{AddressRule, Roots};
use http_body_util::BodyExt;
use jose::{Alg, Object, SigningKey};
use serde_json::{Value, json};
use tempfile::TempDir;
use terms::{Account, AccountState, OrganizationId, PersonId, SubjectName};
use tower::ServiceExt;

use super::super::*;
use crate::world::World;

pub(super) const ISSUER: &str = "https://gateway.example.com";
pub(super) const RESOURCE: &str = "https://gateway.example.com/models";
pub(super) const IDP: &str = "https://idp.larkspur.example";
pub(super) const PLATFORM: &str = "https://k8s.larkspur.example";
pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(super) const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// The service, what it stands on, and the keys of the issuers it trusts.
pub(super) struct Sts {
    pub(super) world: World,
    pub(super) service: TokenService,
    pub(super) idp: SigningKey,
    pub(super) platform: SigningKey,
    keys: TempDir,
}

/// What is wrong with a token.
pub(super) type Change = Box<dyn FnOnce(&mut Value)>;

/// What was answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Reply {
    /// Returns the code of a refusal, or nothing.
    pub(super) fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// Returns the token that was issued.
    pub(super) fn token(&self) -> String {
        self.body["access_token"].as_str().unwrap_or_else(|| panic!("no token: {}", self.body)).to_owned()
    }

    /// Returns the claims of the token that was issued.
    pub(super) fn claims(&self) -> Value {
        claims_of(&self.token())
    }
}

impl Sts {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Starts a service; Ada has an account at the provider of Larkspur, and answers for its workload `api`.
    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (world, keys) = (World::new(), TempDir::new().unwrap());
        let mut settings = Settings::new(ISSUER, RESOURCE, keys.path().to_owned());
        change(&mut settings);
        let client = client();
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        let service = TokenService::open(&world.control, clock, client, settings).unwrap();
        let (idp, platform) = (SigningKey::generate(Alg::Es256).unwrap(), SigningKey::generate(Alg::Rs256).unwrap());
        let sts = Self { world, service, idp, platform, keys };
        register_issuer(&sts.federation(), &sts.provider()).unwrap();
        register_issuer(&sts.federation(), &sts.cluster()).unwrap();
        sts.account("ada", "larkspur-idp", "u-1", AccountState::Active, None);
        sts.workload("api", "larkspur", &["ada"], &[]);
        sts
    }

    pub(super) fn federation(&self) -> Federation {
        self.world.federation()
    }

    /// The provider of Larkspur, which speaks of people.
    pub(super) fn provider(&self) -> TrustedIssuer {
        of(json!({
            "channel": "larkspur-idp", "organization": "larkspur", "issuer": IDP, "audiences": [ISSUER],
            "keys": { "given": jwks_of(&self.idp) }, "algorithms": ["ES256"], "speaks_of": "people",
            "scopes": ["models", "models.batch"],
        }))
    }

    /// The cluster of Larkspur, which speaks of workloads.
    pub(super) fn cluster(&self) -> TrustedIssuer {
        of(json!({
            "channel": "larkspur-k8s", "organization": "larkspur", "issuer": PLATFORM, "audiences": [ISSUER],
            "keys": { "given": jwks_of(&self.platform) }, "algorithms": ["RS256"], "speaks_of": "workloads",
        }))
    }

    /// A rule about tokens of the cluster, with changes.
    pub(super) fn rule(&self, id: &str, change: impl FnOnce(&mut Value)) -> Result<FederationRule, Fault> {
        let mut rule = json!({
            "id": id, "issuer": "larkspur-k8s", "audience": "exeat", "workload": "api", "organization": "larkspur",
            "claims": { "sub": "system:serviceaccount:prod:api" }, "lifetime_s": 300,
        });
        change(&mut rule);
        let rule: FederationRule = of(rule);
        register_rule(&self.federation(), &rule).map(|()| rule)
    }

    /// Registers a client that authenticates by a secret, and returns it.
    pub(super) fn client(&self, id: &str, organization: Option<&str>, scopes: &[&str]) -> String {
        let new = json!({ "id": id, "organization": organization, "scopes": scopes, "lifetime_s": 600 });
        self.service.register_client(&of(new)).unwrap().unwrap().reveal().to_owned()
    }

    pub(super) fn account(&self, id: &str, at: &str, subject: &str, state: AccountState, end: Option<Moment>) {
        let account = Account {
            channel: ChannelId::parse(at).unwrap(),
            subject: SubjectName::parse(subject).unwrap(),
            organization: Some(OrganizationId::parse("larkspur").unwrap()),
            state,
            sessions_end: end,
        };
        let person = PersonId::parse(id).unwrap();
        let change = FederatedChange::Account { person, account };
        self.federation().commit(&Source::own("test.account"), |_| Ok(vec![change])).unwrap();
    }

    pub(super) fn workload(&self, id: &str, organization: &str, owners: &[&str], recipients: &[&str]) {
        let new: NewWorkload = of(json!({
            "id": id, "purpose": "answers", "organization": organization, "owners": owners, "recipients": recipients,
        }));
        self.admin(|admin| admin.registrar().unwrap().add_workload(new).map(drop));
    }

    /// Registers another person with an account at the provider of Larkspur.
    pub(super) fn person(&self, id: &str, subject: &str) {
        let new = of(json!({ "id": id, "display_name": id, "screening": "cleared" }));
        self.admin(|admin| admin.registrar().unwrap().add_person(new).map(drop));
        self.account(id, "larkspur-idp", subject, AccountState::Active, None);
    }

    /// Withdraws a person's access, or restores it.
    pub(super) fn set_active(&self, id: &str, active: bool) {
        let (id, update) = (PersonId::parse(id).unwrap(), of::<PersonUpdate>(json!({ "active": active })));
        self.admin(|admin| admin.registrar().unwrap().update_person(&id, update).map(drop));
    }

    pub(super) fn admin(&self, act: impl FnOnce(&control::Admin<'_>) -> Result<(), Fault>) {
        let actor = Actor::process("test", Role::Root);
        act(&self.world.control.admin(&actor)).unwrap();
    }

    /// What the provider says about Ada, with changes.
    pub(super) fn id_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = seconds(self.world.now());
        let mut claims = json!({
            "iss": IDP, "aud": ISSUER, "sub": "u-1", "iat": now, "exp": now + 3_600, "auth_time": now - 30, "sid": "s-1",
            "azp": "console",
        });
        change(&mut claims);
        self.idp.sign("JWT", &Object::new(), &claims).unwrap()
    }

    /// What the cluster says about the program, with changes.
    pub(super) fn assertion(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = seconds(self.world.now());
        let mut claims = json!({
            "iss": PLATFORM, "aud": ["exeat"], "sub": "system:serviceaccount:prod:api", "iat": now, "exp": now + 3_600,
        });
        change(&mut claims);
        self.platform.sign("JWT", &Object::new(), &claims).unwrap()
    }

    /// Starts a service anew over what is on disk; it remembers nothing else.
    pub(super) fn reopened(self) -> Self {
        let clock = Arc::clone(&self.world.clock) as Arc<dyn Clock>;
        let settings = Settings::new(ISSUER, RESOURCE, self.keys.path().to_owned());
        let service = TokenService::open(&self.world.control, clock, client(), settings).unwrap();
        Self { service, ..self }
    }

    /// Asks at the token endpoint with a form.
    pub(super) async fn ask(&self, form: &[(&str, &str)]) -> Reply {
        self.send("/oauth/token", form_type(), &encoded(form), &[], Presenter::default()).await
    }

    /// Asks with headers beside the form.
    pub(super) async fn ask_with(&self, form: &[(&str, &str)], headers: &[(&str, &str)], who: Presenter) -> Reply {
        self.send("/oauth/token", form_type(), &encoded(form), headers, who).await
    }

    /// Exchanges a token of the provider.
    pub(super) async fn exchange(&self, token: &str) -> Reply {
        self.exchange_with(token, &[]).await
    }

    pub(super) async fn exchange_with(&self, token: &str, more: &[(&str, &str)]) -> Reply {
        self.ask(&exchange_form(token, ID_TOKEN, more)).await
    }

    /// Presents an assertion of the cluster, as SDKs do it: in JSON.
    pub(super) async fn bearer(&self, assertion: &str, rule: Option<&str>) -> Reply {
        let body = json!({ "grant_type": BEARER, "assertion": assertion, "federation_rule_id": rule });
        self.send("/v1/oauth/token", "application/json", &body.to_string(), &[], Presenter::default()).await
    }

    /// Asks as a client what a token is.
    pub(super) async fn introspect(&self, (id, secret): (&str, &str), token: &str) -> Reply {
        let form = encoded(&[("client_id", id), ("client_secret", secret), ("token", token)]);
        self.send("/oauth/introspect", form_type(), &form, &[], Presenter::default()).await
    }

    /// Ends a token as a client.
    pub(super) async fn revoke(&self, (id, secret): (&str, &str), token: &str) -> Reply {
        let form = encoded(&[("client_id", id), ("client_secret", secret), ("token", token)]);
        self.send("/oauth/revoke", form_type(), &form, &[], Presenter::default()).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        let request = Request::get(path).body(Body::empty()).unwrap();
        answered(&self.service, request).await
    }

    pub(super) async fn send(
        &self,
        path: &str,
        media_type: &str,
        body: &str,
        headers: &[(&str, &str)],
        who: Presenter,
    ) -> Reply {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, media_type).extension(who);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answered(&self.service, request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

pub(super) fn form_type() -> &'static str {
    "application/x-www-form-urlencoded"
}

pub(super) fn exchange_form<'a>(token: &'a str, kind: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", kind)];
    form.extend_from_slice(more);
    form
}

/// Spells a form; every byte but letters and digits is escaped.
pub(super) fn encoded(form: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        let byte = |byte: u8| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02x}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    form.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&")
}

pub(super) fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&jose::base64url::decode(payload).unwrap()).unwrap()
}

pub(super) fn jwks_of(key: &SigningKey) -> Value {
    Jwks::from_iter([key.public().clone()]).to_value()
}

pub(super) fn seconds(at: Moment) -> i64 {
    at.as_millis() / 1_000
}

pub(super) fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(super) fn client() -> fetch::Client {
    let rule = AddressRule::allowing(["127.0.0.1"]).unwrap();
    fetch::Client::new(fetch::Settings::new(Roots::native().unwrap(), rule))
}

async fn answered(service: &TokenService, request: Request<Body>) -> Reply {
    let response = router(service.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Reply { status: parts.status, headers: parts.headers, body }
}
