//! Credentials other than plain API keys, from outside: who is let in, what the others are told, and what ends a stream.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its world fails"
)]

mod accounts;
mod aside;
mod certificates;
mod dpop;
mod introspection;
mod issuer;
mod signals;
mod tokens;
mod workloads;

use std::sync::Arc;

use gateway::Settings;
use identity::{Change, Confirmation, Holder, KeyRecord, KeyText};
use serde_json::Value;
use terms::{Account, AccountState, Channel, ChannelKind, Moment, OrganizationId, PersonId};
use testkit::http::{self, Answer, Head};

use self::issuer::{ISSUER, Issuer, RESOURCE};
use crate::world::{CHAT, Issuing, World, body, chat, now, person};

/// A gateway that takes the tokens of one issuer, which knows `ada`.
struct Trusting {
    world: World,
    issuer: Issuer,
}

impl Trusting {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let issuer = Issuer::start();
        let settings = issuer.settings();
        Self::of(issuer, |all| {
            all.issuers = vec![settings];
            change(all);
        })
    }

    fn of(issuer: Issuer, change: impl FnOnce(&mut Settings)) -> Self {
        Self::issuing(issuer, change, Issuing::default())
    }

    fn issuing(issuer: Issuer, change: impl FnOnce(&mut Settings), issuing: Issuing) -> Self {
        let set = |settings: &mut Settings| {
            settings.external_origin = Some(RESOURCE.to_owned());
            change(settings);
        };
        let world = World::issuing(set, issuing);
        world.change(Change::Channel(Arc::new(channel("idp", 0))));
        let trusting = Self { world, issuer };
        trusting.account(AccountState::Active, None);
        trusting
    }

    /// Lets the issuer's account of `ada` be in this state.
    fn account(&self, state: AccountState, sessions_end: Option<Moment>) -> gateway::Effect {
        let mut ada = person("ada", true);
        ada.accounts = vec![Account {
            channel: "idp".parse().unwrap(),
            subject: "ada@idp".parse().unwrap(),
            organization: Some(lab()),
            state,
            sessions_end,
        }];
        self.world.change(Change::Person(Arc::new(ada)))
    }

    /// Asks the controlled model with these headers.
    fn ask(&self, headers: &[(&str, &str)]) -> Told {
        self.ask_for("mythos-5", headers)
    }

    fn ask_for(&self, model: &str, headers: &[(&str, &str)]) -> Told {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        let answer = http::send(self.world.gateway.addresses()[0], "POST", CHAT, &all, &body(&chat(model, false)));
        Told::from(answer.unwrap())
    }

    /// Asks the controlled model with a bearer token.
    fn bear(&self, token: &str) -> Told {
        self.ask(&[("authorization", &format!("Bearer {token}"))])
    }

    /// Opens a stream that would go on for a minute, and reads its first event.
    fn stream(&self, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/json"), ("x-fake", "slow-1200-50")];
        all.extend_from_slice(headers);
        let body = body(&chat("mythos-5", true));
        let mut answer = http::send(self.world.gateway.addresses()[0], "POST", CHAT, &all, &body).unwrap();
        assert_eq!(answer.head.status, 200);
        answer.next_piece().unwrap().unwrap();
        answer
    }

    /// Returns what a counter of the gateway stands at.
    fn counted(&self, name: &str) -> u64 {
        let metrics = self.world.gateway.metrics();
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("exeat_{name}_total ")));
        line.expect("a counter").parse().unwrap()
    }

    /// Registers a key that is bound, and returns it.
    fn bound_key(&self, holder: Holder, confirmation: Confirmation) -> String {
        let key = KeyText::mint().unwrap();
        let record = KeyRecord {
            id: key.id(),
            holder,
            organization: Some(lab()),
            digest: self.world.pepper.digest(&key),
            created_at: now(),
            expires_at: now().plus(std::time::Duration::from_secs(86_400)),
            revoked_at: None,
            end_use: None,
            confirmation: Some(confirmation),
        };
        self.world.change(Change::Key(Arc::new(record)));
        key.reveal().to_owned()
    }
}

/// What a caller was told.
#[derive(Debug)]
struct Told {
    status: u16,
    /// The stable code in the body, if it is an error.
    code: String,
    message: String,
    head: Head,
}

impl Told {
    fn from(answer: Answer) -> Self {
        let (status, head) = (answer.head.status, answer.head.clone());
        let body: Value = serde_json::from_str(&answer.text().unwrap()).unwrap_or_default();
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        Self { status, code: text("code"), message: text("message"), head }
    }

    /// Returns every challenge, in order.
    fn challenges(&self) -> Vec<&str> {
        let named = self.head.headers.iter().filter(|(name, _)| name == "www-authenticate");
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Requires a refusal of the credential with this code.
    #[track_caller]
    fn refused(&self, code: &str) {
        assert_eq!((self.status, self.code.as_str()), (401, code), "{self:?}");
        let error = format!(r#"error="{code}""#);
        assert!(self.challenges().iter().any(|challenge| challenge.contains(&error)), "{self:?}");
    }

    #[track_caller]
    fn served(&self) {
        assert_eq!(self.status, 200, "{self:?}");
    }
}

fn lab() -> OrganizationId {
    OrganizationId::parse("larkspur-labs").unwrap()
}

fn ada() -> Holder {
    Holder::Person { person: PersonId::parse("ada").unwrap() }
}

/// Returns a channel of the lab's that must be heard every `interval_s` seconds, and half as long again at the latest.
fn channel(id: &str, interval_s: u64) -> Channel {
    Channel {
        id: id.parse().unwrap(),
        kind: ChannelKind::Oidc,
        organization: Some(lab()),
        issuer: Some(ISSUER.to_owned()),
        heard_at: now(),
        interval_s,
        grace_s: interval_s / 2,
        enabled: true,
    }
}
