//! The channels of vendors, and what each vendor is to call a person.

use control::{Fault, FederatedChange, Federation, FieldFault, Source, View};
use policy::Lease;
use terms::{Account, AccountState, Channel, ChannelId, ChannelKind, PersonId, SubjectName};

use super::{BadVendor, Webhooks};

/// Puts the channels on record that are not yet, with the lease of their kind.
pub(super) fn register<'a>(federation: &Federation, ids: impl Iterator<Item = &'a ChannelId>) -> Result<(), BadVendor> {
    let lease = federation.freshness().channel(ChannelKind::Webhook);
    for id in ids {
        let known = federation.read(|view| view.channel(id)).map_err(unrecorded)?;
        if known.as_ref().is_some_and(|known| known.kind != ChannelKind::Webhook || known.organization.is_some()) {
            return Err(BadVendor::Taken(id.clone()));
        }
        if known.is_none() {
            let made = |view: &View<'_>| Ok(vec![FederatedChange::Channel(channel(view, id, lease))]);
            federation.commit(&Source::own("webhook.register"), made).map_err(unrecorded)?;
        }
    }
    Ok(())
}

fn channel(view: &View<'_>, id: &ChannelId, lease: Lease) -> Channel {
    Channel {
        id: id.clone(),
        kind: ChannelKind::Webhook,
        organization: None,
        issuer: None,
        heard_at: view.now(),
        interval_s: lease.fresh.as_secs(),
        grace_s: lease.grace.as_secs(),
        enabled: true,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` wants")]
fn unrecorded(fault: Fault) -> BadVendor {
    BadVendor::Registry(fault.to_string())
}

impl Webhooks {
    /// Returns what a vendor is to call a person, such as its `client_reference_id`, and remembers it: what the vendor
    /// verifies under this name is about this person. The person keeps the name that they have. Blocks on disk.
    ///
    /// `subject` is the name that the vendor gave them, for vendors that choose it themselves; without it one is made.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`] if there is no such vendor or person; [`Fault::Invalid`] if the person has another name there, or
    /// the name is another person's; those of [`Federation::commit`].
    pub fn enroll(
        &self,
        channel: &ChannelId,
        person: &PersonId,
        subject: Option<SubjectName>,
    ) -> Result<SubjectName, Fault> {
        if !self.0.vendors.contains_key(channel) {
            return Err(Fault::NotFound { what: "vendor", id: channel.to_string() });
        }
        let mut name = minted()?;
        self.0.federation.commit(&Source::own("webhook.enroll"), |view| {
            let known = view.person(person)?.ok_or_else(|| missing(person))?;
            let held = known.accounts.into_iter().find(|account| account.channel == *channel);
            if let Some(held) = held {
                name = held.subject;
                let same = subject.is_none_or(|wanted| wanted == name);
                return if same { Ok(Vec::new()) } else { Err(other_name()) };
            }
            name = subject.unwrap_or_else(|| name.clone());
            Ok(vec![FederatedChange::Account { person: person.clone(), account: account(channel, &name) }])
        })?;
        Ok(name)
    }
}

fn account(channel: &ChannelId, subject: &SubjectName) -> Account {
    Account {
        channel: channel.clone(),
        subject: subject.clone(),
        organization: None,
        state: AccountState::Active,
        sessions_end: None,
    }
}

/// Makes a name of 128 random bits, which tells the vendor nothing.
fn minted() -> Result<SubjectName, Fault> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    SubjectName::parse(&format!("p-{hex}")).map_err(|bad| Fault::Conflict(bad.to_string()))
}

fn missing(person: &PersonId) -> Fault {
    Fault::NotFound { what: "person", id: person.to_string() }
}

fn other_name() -> Fault {
    Fault::Invalid(vec![FieldFault::new("subject", "is not what the vendor calls this person already")])
}
