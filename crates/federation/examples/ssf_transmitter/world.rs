//! A control plane of two employers, one person, and whoever listens.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use control::{Actor, Control, FederatedChange, NewOrganization, Role, Source};
use federation::{
    Retry, SsfAccess, SsfClient, Transmitter, TransmitterParts, TransmitterSettings, Vault,
    token::{self, NewClient, TokenService},
};
use fetch::{AddressRule, Client, Roots};
use secevent::stream::DefaultSubjects;
use serde_json::json;
use terms::{
    Account, AccountState, Channel, ChannelId, ChannelKind, ClientId, Clock, OrganizationId, PersonId, SubjectName,
    SystemClock,
};

use crate::common;

/// What the employer calls the person.
pub(crate) const ADDRESS: &str = "ada@example.com";

const EMPLOYER: &str = "larkspur";
const CHANNEL: &str = "larkspur-hr";
const PERSON: &str = "ada";

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) tokens: TokenService,
    pub(crate) transmitter: Transmitter,
    pub(crate) channel: ChannelId,
    pub(crate) person: PersonId,
    pub(crate) employer: OrganizationId,
}

impl World {
    pub(crate) fn open(folder: &Path, origin: &str) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let control = common::control(folder, Arc::clone(&clock))?;
        let client = Client::new(fetch::Settings::new(Roots::native()?, AddressRule::allowing(["127.0.0.1"])?));
        let settings =
            token::Settings { per_address: 60_000, ..token::Settings::new(origin, origin, folder.join("tokens")) };
        let tokens = TokenService::open(&control, clock, client.clone(), settings)?;
        let vault = folder.join("vault");
        std::fs::create_dir_all(&vault).context("cannot make a folder")?;
        let transmitter = Transmitter::open(TransmitterParts {
            federation: control.federation(),
            tokens: Some(tokens.clone()),
            vault: Arc::new(Vault::open(&vault)?),
            client,
            data_dir: folder.join("transmitter"),
            settings: settings_of(origin),
        })?;
        let world = Self {
            control,
            tokens,
            transmitter,
            channel: ChannelId::parse(CHANNEL)?,
            person: PersonId::parse(PERSON)?,
            employer: OrganizationId::parse(EMPLOYER)?,
        };
        world.fill()?;
        Ok(world)
    }

    /// Registers a receiver that shows tokens of the token service; returns its secret there.
    pub(crate) fn token_client(&self, id: &str, scopes: &[&str]) -> Result<String> {
        let new = NewClient {
            id: ClientId::parse(id)?,
            organization: Some(self.employer.clone()),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            lifetime_s: 600,
            keys: None,
        };
        let secret = self.tokens.register_client(&new)?.context("a client without a secret")?;
        self.transmitter.register(&receiver(id, EMPLOYER, SsfAccess::Token)?)?;
        Ok(secret.reveal().to_owned())
    }

    /// Registers a receiver of another employer that shows a secret; returns it.
    pub(crate) fn secret_client(&self, id: &str, organization: &str) -> Result<String> {
        let secret = self.transmitter.register(&receiver(id, organization, SsfAccess::Secret)?)?;
        Ok(secret.context("a receiver without a secret")?.reveal().to_owned())
    }

    /// The account by which the employer knows the person.
    pub(crate) fn account(&self) -> Result<Account> {
        Ok(Account {
            channel: self.channel.clone(),
            subject: SubjectName::parse(ADDRESS)?,
            organization: Some(self.employer.clone()),
            state: AccountState::Active,
            sessions_end: None,
        })
    }

    /// Makes changes in the server's own name.
    pub(crate) fn change(&self, changes: Vec<FederatedChange>) -> Result<()> {
        self.control.federation().commit(&Source::own("example.change"), |_| Ok(changes))?;
        Ok(())
    }

    fn fill(&self) -> Result<()> {
        let actor = Actor::process("example", Role::Root);
        let admin = self.control.admin(&actor);
        for id in [EMPLOYER, "umbra"] {
            let new: NewOrganization = serde_json::from_value(json!({
                "id": id, "legal_name": id, "country": "US", "kind": "us", "screening": "cleared", "coverage": "none",
            }))?;
            admin.registrar()?.add_organization(new)?;
        }
        let channel = Channel {
            id: self.channel.clone(),
            kind: ChannelKind::Scim,
            organization: Some(self.employer.clone()),
            issuer: None,
            heard_at: self.control.federation().now(),
            interval_s: 0,
            grace_s: 0,
            enabled: true,
        };
        self.change(vec![FederatedChange::Channel(channel)])?;
        let new = FederatedChange::NewPerson { person: self.person.clone(), display_name: "Ada".to_owned() };
        self.change(vec![new])?;
        self.change(vec![FederatedChange::Account { person: self.person.clone(), account: self.account()? }])
    }
}

fn settings_of(origin: &str) -> TransmitterSettings {
    let retry =
        Retry { first: Duration::from_millis(100), most: Duration::from_secs(1), give_up: Duration::from_hours(1) };
    TransmitterSettings {
        min_verification_s: 1,
        heartbeat_s: None,
        inactivity_s: None,
        long_poll: Duration::from_secs(10),
        retry,
        ..TransmitterSettings::new(origin)
    }
}

fn receiver(id: &str, organization: &str, access: SsfAccess) -> Result<SsfClient> {
    Ok(SsfClient {
        id: ClientId::parse(id)?,
        organization: Some(OrganizationId::parse(organization)?),
        audience: format!("https://{id}.example"),
        subjects: DefaultSubjects::All,
        access,
    })
}
