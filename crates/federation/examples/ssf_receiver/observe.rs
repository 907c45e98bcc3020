//! Live calls of people, cut when their accounts say so: the `observe` hook, as `tests/ssf/README.md` describes it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use control::{Effect, FederatedChange, Federation, Publish, Source, View};
use identity::{Change, Directory};
use policy::Snapshot;
use secevent::{Identifier, Subject};
use serde_json::{Value, json};
use terms::{
    Account, AccountState, Channel, ChannelId, ChannelKind, Clock, KeyId, ModelVersionId, Moment, OrganizationId,
    PersonId, SubjectName,
};

use crate::world::{EMPLOYER, World};

/// What is asked.
#[derive(serde::Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Asked {
    /// Put somebody in good standing and begin a live call of theirs.
    Open { subject: Subject },
    /// Tell whether a live call is live, and when it was cut.
    State { id: String },
}

impl World {
    /// Answers what is asked.
    pub(crate) async fn observe(&self, asked: Asked) -> Result<Value> {
        match asked {
            Asked::State { id } => self.calls.state(&id),
            Asked::Open { subject } => {
                let federation = self.federation.clone();
                let known = tokio::task::spawn_blocking(move || restored(&federation, &subject)).await??;
                // Tokens and events are dated in seconds: whoever begins again does so in a second that no event names.
                while known.sessions_end.is_some_and(|end| second(self.federation.now()) <= end) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(json!({ "id": self.calls.begin(known.channel, known.subject) }))
            }
        }
    }
}

/// Live calls of people, decided again with each change of the directory.
pub(crate) struct Calls {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    live: Mutex<BTreeMap<String, Call>>,
}

/// One call, begun with a token of an account.
struct Call {
    channel: ChannelId,
    subject: SubjectName,
    began: Moment,
    cut_at: Option<Moment>,
}

impl Calls {
    pub(crate) fn new(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, clock, live: Mutex::default() }
    }

    fn begin(&self, channel: ChannelId, subject: SubjectName) -> String {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let id = live.len().to_string();
        live.insert(id.clone(), Call { channel, subject, began: second(self.clock.now()), cut_at: None });
        id
    }

    fn state(&self, id: &str) -> Result<Value> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let call = live.get(id).context("there is no such call")?;
        Ok(json!({ "live": self.stands(call), "cut_at_ms": call.cut_at.map(Moment::as_millis) }))
    }

    fn stands(&self, call: &Call) -> bool {
        let person = self.directory.account(&call.channel, &call.subject).and_then(|id| self.directory.person(&id));
        person.is_some_and(|person| person.accounts.iter().all(|account| call.is_good_for(account)))
    }

    /// Cuts what no longer stands; returns how many calls were looked at, and how many were cut.
    fn decide(&self) -> Effect {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let mut effect = Effect::default();
        for call in live.values_mut().filter(|call| call.cut_at.is_none()) {
            effect.examined += 1;
            if !self.stands(call) {
                effect.recalled += 1;
                call.cut_at = Some(self.clock.now());
            }
        }
        effect
    }
}

impl Call {
    fn is_good_for(&self, account: &Account) -> bool {
        account.state == AccountState::Active && account.sessions_end.is_none_or(|end| self.began > end)
    }
}

impl Publish for Calls {
    fn directory(&self, change: Change) -> Effect {
        drop(change);
        self.decide()
    }

    fn snapshot(&self, snapshot: Arc<Snapshot>) -> Effect {
        drop(snapshot);
        self.decide()
    }

    fn live(&self) -> BTreeMap<(KeyId, ModelVersionId), u64> {
        BTreeMap::new()
    }
}

/// Puts the account that a subject names in good standing, as the employer would; returns it.
fn restored(federation: &Federation, subject: &Subject) -> Result<Account> {
    let (channel, issuer, name) = named(subject)?;
    let organization = Some(OrganizationId::parse(EMPLOYER)?);
    let source = Source::own("example.restore");
    let channel = Channel {
        id: channel,
        kind: ChannelKind::Oidc,
        organization: organization.clone(),
        issuer,
        heard_at: federation.now(),
        interval_s: 0,
        grace_s: 0,
        enabled: true,
    };
    federation.commit(&source, |view| {
        // What is over does not return: somebody new will have the name.
        let over = holder(view, &channel.id, &name)?.filter(|(_, account)| account.state == AccountState::Ended);
        let gone = over.map(|(person, account)| FederatedChange::AccountGone { person, account });
        Ok([FederatedChange::Channel(channel.clone())].into_iter().chain(gone).collect())
    })?;
    federation.commit(&source, |view| {
        let known = holder(view, &channel.id, &name)?;
        let sessions_end = known.as_ref().and_then(|(_, account)| account.sessions_end);
        let newcomer = PersonId::parse(&format!("p{}", view.now().as_millis()));
        let newcomer = newcomer.map_err(|bad| control::Fault::Conflict(bad.to_string()))?;
        let display_name = name.as_str().to_owned();
        let (person, new) = match known {
            Some((person, _)) => (person, None),
            None => (newcomer.clone(), Some(FederatedChange::NewPerson { person: newcomer, display_name })),
        };
        let account = Account {
            channel: channel.id.clone(),
            subject: name.clone(),
            organization: organization.clone(),
            state: AccountState::Active,
            sessions_end,
        };
        Ok(new.into_iter().chain([FederatedChange::Account { person, account }]).collect())
    })?;
    let known = federation.read(|view| holder(view, &channel.id, &name))?;
    known.map(|(_, account)| account).context("the account is gone")
}

/// Returns who has an account, and the account.
fn holder(
    view: &View<'_>,
    channel: &ChannelId,
    name: &SubjectName,
) -> Result<Option<(PersonId, Account)>, control::Fault> {
    let Some(id) = view.account(channel, name)? else { return Ok(None) };
    let accounts = view.person(&id)?.map_or_else(Vec::new, |person| person.accounts);
    let own = accounts.into_iter().find(|account| account.channel == *channel && account.subject == *name);
    Ok(own.map(|account| (id, account)))
}

/// Returns where the account of a subject is, and by which name.
fn named(subject: &Subject) -> Result<(ChannelId, Option<String>, SubjectName)> {
    let (channel, issuer, name) = match subject {
        Subject::Simple(Identifier::Email { email }) => ("idp-email", None, email),
        Subject::Simple(Identifier::IssSub { iss, sub }) => ("idp-iss-sub", Some(iss.clone()), sub),
        Subject::Simple(Identifier::Scim { uri, .. }) => ("idp-scim", None, uri),
        _ => bail!("subjects of this format are not observed"),
    };
    Ok((ChannelId::parse(channel)?, issuer, SubjectName::parse(name)?))
}

/// The second of a moment, as tokens are dated.
fn second(at: Moment) -> Moment {
    Moment::from_millis(at.as_millis() / 1_000 * 1_000)
}
