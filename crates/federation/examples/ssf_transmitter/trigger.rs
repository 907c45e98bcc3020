//! Makes something happen in the registry of which the transmitter must then tell.

use axum::{Json, extract::State, http::StatusCode};
use control::{Actor, FederatedChange, NewKey, Role};
use secevent::stream::Status;
use serde::Deserialize;
use serde_json::json;
use terms::{
    Account, AccountState, Assurance, Attestation, AttestationId, Claim, Country, IssuerId, LocationMethod, Moment,
};

use crate::world::World;

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";

/// The event types that can be triggered: every one that the transmitter knows.
pub(crate) const EVENTS: [&str; 7] = [
    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
    "https://schemas.openid.net/secevent/caep/event-type/token-claims-change",
    "https://schemas.openid.net/secevent/caep/event-type/credential-change",
    "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change",
    "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-enabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-purged",
];

/// What is asked. The event's claims and its subject are for the registry to say.
#[derive(Deserialize)]
pub(crate) struct Asked {
    action: String,
    stream_id: String,
    #[serde(default)]
    event: String,
}

pub(crate) async fn trigger(State(world): State<World>, Json(asked): Json<Asked>) -> (StatusCode, String) {
    let done = tokio::task::spawn_blocking(move || world.make_happen(&asked)).await;
    match done {
        Ok(Ok(true)) => (StatusCode::OK, "{}".to_owned()),
        Ok(Ok(false)) => (StatusCode::NOT_IMPLEMENTED, "{}".to_owned()),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

impl World {
    /// Makes it happen; false if it is nothing that can be triggered.
    fn make_happen(&self, asked: &Asked) -> anyhow::Result<bool> {
        match (asked.action.as_str(), asked.event.strip_prefix(CAEP), asked.event.strip_prefix(RISC)) {
            ("pause", ..) => self.transmitter.set_status(&asked.stream_id, Status::Paused, Some("maintenance"))?,
            ("event", Some("session-revoked"), _) => self.end_sessions()?,
            ("event", Some("credential-change"), _) => self.revoke_a_key()?,
            ("event", Some("token-claims-change"), _) => self.withdraw(Assurance::None)?,
            ("event", Some("assurance-level-change"), _) => self.withdraw(Assurance::Ial2)?,
            ("event", _, Some("account-disabled" | "account-enabled")) => self.suspend_and_restore()?,
            ("event", _, Some("account-purged")) => self.detach_and_attach()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn put(&self, account: Account) -> anyhow::Result<()> {
        self.change(vec![FederatedChange::Account { person: self.person.clone(), account }])
    }

    fn held(&self) -> anyhow::Result<Account> {
        let person = self.control.federation().read(|view| view.person(&self.person))?;
        let held = person.and_then(|person| person.accounts.into_iter().next());
        held.map_or_else(|| self.account(), Ok)
    }

    fn end_sessions(&self) -> anyhow::Result<()> {
        let held = self.held()?;
        // Two in one millisecond are two all the same.
        let after = held.sessions_end.map(|last| Moment::from_millis(last.as_millis() + 1));
        let sessions_end = after.max(Some(self.control.federation().now()));
        self.put(Account { sessions_end, ..held })
    }

    fn suspend_and_restore(&self) -> anyhow::Result<()> {
        let held = self.held()?;
        self.put(Account { state: AccountState::Suspended, ..held.clone() })?;
        self.put(Account { state: AccountState::Active, ..held })
    }

    fn detach_and_attach(&self) -> anyhow::Result<()> {
        let held = self.held()?;
        self.change(vec![FederatedChange::AccountGone { person: self.person.clone(), account: held.clone() }])?;
        self.put(held)
    }

    fn revoke_a_key(&self) -> anyhow::Result<()> {
        let actor = Actor::process("example", Role::Root);
        let holder = json!({ "kind": "person", "person": self.person.as_str() });
        let new: NewKey = serde_json::from_value(json!({ "holder": holder, "organization": self.employer.as_str() }))?;
        let key = self.control.admin(&actor).registrar()?.mint_key(new)?.key.id();
        self.change(vec![FederatedChange::RevokeKey(key)])
    }

    /// Attests something with this assurance, and takes it back.
    fn withdraw(&self, assurance: Assurance) -> anyhow::Result<()> {
        let now = self.control.federation().now();
        let id = AttestationId::parse(&format!("example-{}-{}", now.as_millis(), self.index()?))?;
        let attestation = Attestation {
            id: id.clone(),
            person: self.person.clone(),
            claim: Claim::Location { country: Country::parse("US")?, method: LocationMethod::Declared },
            issuer: IssuerId::parse("proofing-desk")?,
            evidence: "case 4711".to_owned(),
            assurance,
            issued_at: now,
            expires_at: now.plus(std::time::Duration::from_hours(24)),
            supersedes: None,
            means: None,
            fresh_until: None,
            channel: None,
        };
        self.change(vec![FederatedChange::Attestation(attestation)])?;
        self.change(vec![FederatedChange::Withdrawal { attestation: id, reason: "it was a mistake".to_owned() }])
    }

    /// Where the record stands.
    fn index(&self) -> anyhow::Result<u64> {
        let committed = self.control.federation().commit(&control::Source::own("example.index"), |_| Ok(Vec::new()))?;
        Ok(committed.index)
    }
}
