//! Whose people a channel may speak about, and whom of them a subject names.
//!
//! The channels of one organization are one tenant: its provider of identities, its directory, its transmitter. A subject
//! is looked for among the accounts at those channels and the users of its directories, and nowhere else, so no transmitter
//! can name another tenant's people.

use std::collections::BTreeSet;

use control::{Fault, View};
use secevent::{Complex, Identifier, Member, Subject};
use terms::{Channel, ChannelId, ChannelKind, Person, PersonId, SubjectName};

use crate::{attest::Vault, scim::called};

/// The channels of one organization, and the one that a message came through.
pub(crate) struct Tenant {
    own: Channel,
    channels: Vec<Channel>,
    name: Option<String>,
}

/// Whom a subject names within a tenant.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Whom {
    /// These people, each with the account that was named; none if nobody here is known by it.
    Accounts(BTreeSet<Named>),
    /// Every account of the tenant.
    Everybody,
}

/// One account that a subject names.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Named {
    pub(crate) person: PersonId,
    pub(crate) channel: ChannelId,
    pub(crate) subject: SubjectName,
    /// True if the name is not the account's own, but one that the tenant's directory has for its user.
    pub(crate) by_directory: bool,
}

impl Tenant {
    /// Gathers the channels of the organization of `own`. `name` is what the transmitter calls the tenant, if it says.
    pub(crate) fn of(view: &View<'_>, own: Channel, name: Option<String>) -> Result<Self, Fault> {
        let channels = view.channels()?.into_iter();
        let channels = channels.filter(|channel| channel.organization == own.organization).collect();
        Ok(Self { own, channels, name })
    }

    /// Returns the channel that the message came through.
    pub(crate) fn own(&self) -> &Channel {
        &self.own
    }

    /// Returns every channel of the tenant.
    pub(crate) fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Says whether a channel is one of the tenant's.
    pub(crate) fn has(&self, id: &ChannelId) -> bool {
        self.channels.iter().any(|channel| &channel.id == id)
    }

    /// Says whether a channel is one of the tenant's, of this kind.
    pub(crate) fn has_of(&self, kind: ChannelKind, id: &ChannelId) -> bool {
        self.channels.iter().any(|channel| channel.kind == kind && &channel.id == id)
    }

    /// Returns the accounts of a person in this tenant.
    pub(crate) fn accounts<'a>(&'a self, person: &'a Person) -> impl Iterator<Item = &'a terms::Account> {
        let own =
            |account: &&terms::Account| account.organization == self.own.organization && self.has(&account.channel);
        person.accounts.iter().filter(own)
    }

    /// Returns whom a subject names here.
    ///
    /// A complex subject names whom its user names, or everybody if it names the tenant and no narrower member; a member
    /// that nothing here is known by, such as a group, names nobody. Of another tenant's subject nobody is named.
    pub(crate) fn whom(&self, view: &View<'_>, vault: &Vault, subject: &Subject) -> Result<Whom, Fault> {
        match subject {
            Subject::Simple(identifier) => self.named(view, vault, identifier),
            Subject::Complex(complex) if !self.is_named_by(complex.get(Member::Tenant)) => Ok(Whom::nobody()),
            Subject::Complex(complex) => match complex.get(Member::User) {
                Some(user) => self.named(view, vault, user),
                None if is_whole_tenant(complex) && self.name.is_some() => Ok(Whom::Everybody),
                None => Ok(Whom::nobody()),
            },
        }
    }

    fn is_named_by(&self, identifier: Option<&Identifier>) -> bool {
        match (identifier, &self.name) {
            (None, _) | (_, None) => true,
            (Some(identifier), Some(name)) => identifier.flat().any(|one| tenant_name(one) == Some(name.as_str())),
        }
    }

    fn named(&self, view: &View<'_>, vault: &Vault, identifier: &Identifier) -> Result<Whom, Fault> {
        let mut found = BTreeSet::new();
        for one in identifier.flat() {
            for name in names(one) {
                found.extend(self.holders(view, one, name)?);
                found.extend(self.users(view, vault, one, name)?);
            }
        }
        Ok(Whom::Accounts(found))
    }

    /// Finds the accounts of this name: the very one, or, of an address, one that differs in case alone.
    fn holders(&self, view: &View<'_>, one: &Identifier, name: &str) -> Result<Vec<Named>, Fault> {
        let Ok(subject) = SubjectName::parse(name) else { return Ok(Vec::new()) };
        let is_address = matches!(one, Identifier::Email { .. } | Identifier::Account { .. });
        let mut found = Vec::new();
        for channel in self.channels.iter().filter(|channel| speaks_of(channel, &self.own, one)) {
            let named = |(person, subject)| Named { person, channel: channel.id.clone(), subject, by_directory: false };
            if is_address {
                let called = view.accounts_called(&channel.id, name)?.into_iter();
                found.extend(called.map(|(person, account)| named((person, account.subject))));
            } else {
                found.extend(view.account(&channel.id, &subject)?.map(|person| named((person, subject.clone()))));
            }
        }
        Ok(found)
    }

    /// Finds the users whom a directory of the tenant calls by this name. A subject at an issuer is one of theirs if the
    /// issuer is the tenant's.
    fn users(&self, view: &View<'_>, vault: &Vault, one: &Identifier, name: &str) -> Result<Vec<Named>, Fault> {
        let is_own = |iss: &String| self.channels.iter().any(|channel| channel.issuer.as_ref() == Some(iss));
        if matches!(one, Identifier::IssSub { iss, .. } if !is_own(iss)) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for channel in self.channels.iter().filter(|channel| channel.kind == ChannelKind::Scim) {
            let named = |(person, subject)| Named { person, channel: channel.id.clone(), subject, by_directory: true };
            found.extend(called(view, vault, &channel.id, name)?.into_iter().map(named));
        }
        Ok(found)
    }
}

impl Whom {
    fn nobody() -> Self {
        Self::Accounts(BTreeSet::new())
    }
}

/// A subject at an issuer is looked for where that issuer's accounts are; any other identifier at every channel.
fn speaks_of(channel: &Channel, own: &Channel, identifier: &Identifier) -> bool {
    match identifier {
        Identifier::IssSub { iss, .. } => {
            channel.issuer.as_ref() == Some(iss) || (channel.id == own.id && own.issuer.as_ref() == Some(iss))
        }
        _ => true,
    }
}

fn is_whole_tenant(complex: &Complex) -> bool {
    let narrower = [Member::User, Member::Device, Member::Session, Member::Application, Member::OrgUnit, Member::Group];
    complex.get(Member::Tenant).is_some() && narrower.into_iter().all(|member| complex.get(member).is_none())
}

fn tenant_name(identifier: &Identifier) -> Option<&str> {
    match identifier {
        Identifier::Opaque { id } => Some(id),
        Identifier::IssSub { sub, .. } => Some(sub),
        Identifier::Uri { uri } => Some(uri),
        _ => None,
    }
}

/// The names by which an account may be known here that an identifier stands for.
pub(crate) fn names(identifier: &Identifier) -> Vec<&str> {
    match identifier {
        Identifier::Email { email } => vec![email],
        Identifier::IssSub { sub, .. } => vec![sub],
        Identifier::Opaque { id } => vec![id],
        Identifier::Account { uri } => vec![uri, uri.strip_prefix("acct:").unwrap_or(uri)],
        Identifier::PhoneNumber { phone_number } => vec![phone_number],
        Identifier::Did { url } => vec![url],
        Identifier::Uri { uri } => vec![uri],
        Identifier::Scim { uri, external_id } => {
            let last = uri.trim_end_matches('/').rsplit('/').next().unwrap_or(uri);
            [Some(uri.as_str()), Some(last), external_id.as_deref()].into_iter().flatten().collect()
        }
        Identifier::Aliases { .. }
        | Identifier::JwtId { .. }
        | Identifier::SamlAssertionId { .. }
        | Identifier::IpAddresses { .. }
        | Identifier::Unknown { .. } => Vec::new(),
    }
}

/// Returns what a subject calls a session or a token: its `session`, or the subject itself if it may be one.
pub(crate) fn sessions(subject: &Subject) -> BTreeSet<SubjectName> {
    let identifier = match subject {
        Subject::Simple(identifier) => Some(identifier),
        Subject::Complex(complex) => complex.get(Member::Session),
    };
    let name = |identifier: &Identifier| match identifier {
        Identifier::Opaque { id } | Identifier::JwtId { jti: id, .. } => SubjectName::parse(id).ok(),
        Identifier::SamlAssertionId { assertion_id, .. } => SubjectName::parse(assertion_id).ok(),
        _ => None,
    };
    identifier.into_iter().flat_map(Identifier::flat).filter_map(name).collect()
}
