//! Whoever calls: an authenticated credential of any kind, and what speaks against it now.

use std::sync::Arc;

use identity::{Confirmation, Directory, Holder, KeyRecord};
use terms::{
    Account, AccountState, ChannelId, EndUse, Freshness, KeyId, Moment, OrganizationId, Person, SubjectName, Workload,
};

/// An authenticated credential. What stands behind it is looked up when it is decided on, each time anew.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    credential: Credential,
    /// For whom a workload calls, if it said so.
    end_user: Option<Arc<EndUser>>,
}

/// What was presented.
#[derive(Clone, Debug)]
enum Credential {
    /// An API key as the directory holds it; it may be expired or revoked, which the decision refuses and records.
    Key(Arc<KeyRecord>),
    /// A verified access token.
    Token(Arc<Token>),
}

/// A token whose issuer, signature, audience and times were verified. What its issuer is worth is looked up later.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// Its id here: `tok-` and 32 hexadecimal digits of the SHA-256 of its text.
    pub(crate) id: KeyId,
    /// The channel of whoever issued it, or of the token that it was exchanged for.
    pub(crate) channel: ChannelId,
    /// What that source calls whom it speaks for.
    pub(crate) subject: SubjectName,
    /// What the source calls the session and the token: either may be ended by a signal.
    pub(crate) sessions: Vec<SubjectName>,
    /// For whom this gateway issued it, if it did.
    pub(crate) issued_to: Option<IssuedTo>,
    /// When the session it belongs to began, as far as the token says.
    pub(crate) began: Moment,
    /// Up to when the authentication behind it is recent and strong enough for a controlled model.
    pub(crate) known_until: Moment,
    /// When it expires.
    pub(crate) expires_at: Moment,
    /// What whoever presents it must prove to hold as well.
    pub(crate) confirmations: Vec<Confirmation>,
}

/// Whom a token of this gateway's own names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct IssuedTo {
    /// Who.
    pub(crate) holder: Holder,
    /// The tenant.
    pub(crate) organization: Option<OrganizationId>,
}

/// For whom a workload calls, as an issuer of its tenant says.
#[derive(Debug)]
pub(crate) struct EndUser {
    /// Names the assertion, which is good for one request of one workload.
    pub(crate) id: KeyId,
    /// The assertion.
    pub(crate) assertion: Arc<Token>,
}

/// What speaks against a credential now, and up to when that holds if nothing changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    /// True if it is over: the credential opens nothing.
    pub(crate) revoked: bool,
    /// True if it establishes who calls.
    pub(crate) establishes: bool,
    /// When this changes with time alone.
    pub(crate) until: Moment,
}

impl Standing {
    const GOOD: Self = Self { revoked: false, establishes: true, until: Moment::MAX };
}

impl Caller {
    /// Returns the caller that presented an API key.
    pub(crate) fn of_key(key: Arc<KeyRecord>) -> Self {
        Self { credential: Credential::Key(key), end_user: None }
    }

    /// Returns the caller that presented an access token.
    pub(crate) fn of_token(token: Arc<Token>) -> Self {
        Self { credential: Credential::Token(token), end_user: None }
    }

    /// Returns the same caller on behalf of an end user.
    pub(crate) fn on_behalf_of(self, end_user: Arc<EndUser>) -> Self {
        Self { end_user: Some(end_user), ..self }
    }

    /// Names what is decided on: the credential, and the end user if there is one.
    pub(crate) fn id(&self) -> &KeyId {
        self.end_user.as_ref().map_or_else(|| self.credential_id(), |end_user| &end_user.id)
    }

    /// Names the credential, as the record does.
    pub(crate) fn credential_id(&self) -> &KeyId {
        match &self.credential {
            Credential::Key(key) => &key.id,
            Credential::Token(token) => &token.id,
        }
    }

    /// Returns the token, if it is one.
    pub(crate) fn token(&self) -> Option<&Token> {
        match &self.credential {
            Credential::Key(_) => None,
            Credential::Token(token) => Some(token),
        }
    }

    /// Returns what an issuer said about the end user of this call, if anything.
    pub(crate) fn assertion(&self) -> Option<&Token> {
        self.end_user.as_ref().map(|end_user| end_user.assertion.as_ref())
    }

    /// Returns every token that the call rests on.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.token().into_iter().chain(self.assertion())
    }

    /// Returns the same credential as the directory holds it now; as it was if the directory holds no such key any
    /// more, which is then over.
    pub(crate) fn renewed(&self, directory: &Directory) -> Self {
        match &self.credential {
            Credential::Key(key) => {
                let now = directory.key(&key.id).unwrap_or_else(|| Arc::clone(key));
                Self { credential: Credential::Key(now), end_user: self.end_user.clone() }
            }
            Credential::Token(_) => self.clone(),
        }
    }

    /// Returns whom the credential belongs to now.
    pub(crate) fn holder(&self, directory: &Directory) -> Holder {
        match &self.credential {
            Credential::Key(key) => key.holder.clone(),
            Credential::Token(token) => token.holder(directory),
        }
    }

    /// Returns whose the output is: the end user's if there is one, else the holder's.
    pub(crate) fn recipient(&self, directory: &Directory) -> Holder {
        self.assertion().map_or_else(|| self.holder(directory), |assertion| assertion.holder(directory))
    }

    /// Returns the tenant.
    pub(crate) fn organization(&self, directory: &Directory) -> Option<OrganizationId> {
        match &self.credential {
            Credential::Key(key) => key.organization.clone(),
            Credential::Token(token) => token.organization(directory),
        }
    }

    /// Returns when what was presented expires.
    pub(crate) fn expires_at(&self) -> Moment {
        let credential = match &self.credential {
            Credential::Key(key) => key.expires_at,
            Credential::Token(token) => token.expires_at,
        };
        self.assertion().map_or(credential, |assertion| credential.min(assertion.expires_at))
    }

    /// Returns the end use that the credential was made for.
    pub(crate) fn end_use(&self) -> Option<EndUse> {
        match &self.credential {
            Credential::Key(key) => key.end_use.clone(),
            Credential::Token(_) => None,
        }
    }

    /// Returns what speaks now against the credential of `person`, or of nobody known. Of a key that is what the
    /// directory holds now, which may be more than when it was presented.
    pub(crate) fn standing(&self, directory: &Directory, person: Option<&Person>, now: Moment) -> Standing {
        match &self.credential {
            Credential::Key(key) => Standing {
                revoked: is_withdrawn(directory, &key.id) || person.is_some_and(|person| is_out_of_use(person, key)),
                ..Standing::GOOD
            },
            Credential::Token(token) => token.standing(directory, person, now),
        }
    }

    /// Returns the same caller as if whoever stands behind it had authenticated just now.
    pub(crate) fn as_if_fresh(&self) -> Self {
        let fresh = |token: &Token| Arc::new(Token { known_until: Moment::MAX, ..token.clone() });
        let credential = match &self.credential {
            Credential::Token(token) => Credential::Token(fresh(token)),
            Credential::Key(key) => Credential::Key(Arc::clone(key)),
        };
        let end_user = self.end_user.as_ref().map(|end_user| {
            let assertion = fresh(&end_user.assertion);
            Arc::new(EndUser { id: end_user.id.clone(), assertion })
        });
        Self { credential, end_user }
    }
}

impl Token {
    /// Returns whom it speaks for, as the directory knows now; nobody if the directory does not know the account.
    pub(crate) fn holder(&self, directory: &Directory) -> Holder {
        match &self.issued_to {
            Some(issued_to) => issued_to.holder.clone(),
            None => directory
                .account(&self.channel, &self.subject)
                .map_or(Holder::Shared, |person| Holder::Person { person }),
        }
    }

    fn organization(&self, directory: &Directory) -> Option<OrganizationId> {
        match &self.issued_to {
            Some(issued_to) => issued_to.organization.clone(),
            None => directory.channel(&self.channel)?.organization.clone(),
        }
    }

    /// Returns what speaks against it, where it speaks for `person` or for nobody known.
    ///
    /// A channel that is not known or was turned off ends its tokens. So does, for a token that this gateway issued to a
    /// person, that the account by which they came is no longer theirs. One that was silent for too long, or an
    /// authentication too long ago, leaves open who calls.
    pub(crate) fn standing(&self, directory: &Directory, person: Option<&Person>, now: Moment) -> Standing {
        let Some(channel) = directory.channel(&self.channel) else {
            return Standing { revoked: true, ..Standing::GOOD };
        };
        let ended = self.sessions.iter().any(|session| directory.session_ended(&self.channel, session));
        let organization = self.organization(directory);
        let barred = person.is_some_and(|person| {
            let mut accounts = person.accounts.iter();
            accounts.any(|account| self.concerned(account, organization.as_ref()) && self.is_ended_by(account))
        });
        let recent = Standing { establishes: now < self.known_until, ..Standing::changing_at(self.known_until, now) };
        let alive = Standing {
            establishes: channel.freshness(now) != Freshness::Stale,
            ..Standing::changing_at(channel.stale_at(), now)
        };
        Standing {
            revoked: !channel.enabled || ended || barred || self.is_detached(directory),
            establishes: recent.establishes && alive.establishes,
            until: recent.until.min(alive.until),
        }
    }

    /// Says whether it was issued to a person by whose account it did not come, as the directory knows now.
    fn is_detached(&self, directory: &Directory) -> bool {
        match self.issued_to.as_ref().map(|issued_to| &issued_to.holder) {
            Some(Holder::Person { person }) => directory.account(&self.channel, &self.subject).as_ref() != Some(person),
            _ => false,
        }
    }

    fn concerned(&self, account: &Account, organization: Option<&OrganizationId>) -> bool {
        account.channel == self.channel || shares_tenant(account, organization)
    }

    fn is_ended_by(&self, account: &Account) -> bool {
        account.state != AccountState::Active || account.sessions_end.is_some_and(|end| self.began <= end)
    }
}

impl EndUser {
    /// Returns the workload with the end user as its only recipient; with none if the assertion establishes nobody, or
    /// somebody who is not among its fixed recipients, or comes from an issuer of another tenant.
    pub(crate) fn narrow(
        assertion: &Token,
        workload: &Workload,
        directory: &Directory,
        standing: Standing,
    ) -> Workload {
        let tenant = directory.channel(&assertion.channel).and_then(|channel| channel.organization.clone());
        let among = |person: &_| workload.recipients.is_empty() || workload.recipients.contains(person);
        let recipient = match assertion.holder(directory) {
            Holder::Person { person } if standing.establishes && among(&person) => Some(person),
            _ => None,
        };
        let recipient = recipient.filter(|_| tenant.as_ref() == Some(&workload.organization));
        Workload { recipients: recipient.into_iter().collect(), ..workload.clone() }
    }
}

impl Standing {
    /// Joins what speaks against a credential and against the assertion of an end user: the latter takes nothing from
    /// who the caller is, only from who receives.
    pub(crate) fn with_end_user(self, end_user: Self) -> Self {
        Self {
            revoked: self.revoked || end_user.revoked,
            establishes: self.establishes,
            until: self.until.min(end_user.until),
        }
    }

    fn changing_at(at: Moment, now: Moment) -> Self {
        Self { until: if now < at { at } else { Moment::MAX }, ..Self::GOOD }
    }
}

/// Says whether the directory holds no such key any more, or one that was revoked.
fn is_withdrawn(directory: &Directory, key: &KeyId) -> bool {
    directory.key(key).is_none_or(|key| key.revoked_at.is_some())
}

/// Says whether an account of the key's tenant is out of use.
fn is_out_of_use(person: &Person, key: &KeyRecord) -> bool {
    let out = |account: &Account| account.state != AccountState::Active;
    person.accounts.iter().any(|account| out(account) && shares_tenant(account, key.organization.as_ref()))
}

fn shares_tenant(account: &Account, organization: Option<&OrganizationId>) -> bool {
    organization.is_some() && account.organization.as_ref() == organization
}
