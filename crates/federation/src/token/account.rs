//! Who is who: which subject of an issuer is which person.

use control::{Fault, FederatedChange, Federation, Source, View};
use serde::{Deserialize, Serialize};
use terms::{Account, AccountState, ChannelId, PersonId, SubjectName};

use super::{
    book::invalid,
    issuer::{SubjectKind, TrustedIssuer},
};

/// Accounts of one issuer that are read at once.
const PAGE: u32 = 1_000;

/// That an issuer calls a person so: what its tokens say of the subject, they say of the person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedAccount {
    /// The channel of the issuer.
    pub channel: ChannelId,
    /// Its name for the person: `sub` of its tokens.
    pub subject: SubjectName,
    /// The person.
    pub person: PersonId,
    /// What becomes of the account: `active` restores one that is suspended, `ended` locks it for good. Absent, it stays as
    /// it is, and a new one is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AccountState>,
}

/// Links a subject of an issuer that speaks of people to a person. One that is linked to them already stays as it is,
/// suspended too, unless the link says what becomes of it.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::Invalid`] if there is no such issuer or person, the subject is somebody else's, or the account is over and
/// would return; otherwise those of [`Federation::commit`].
pub fn link_account(federation: &Federation, link: &LinkedAccount) -> Result<(), Fault> {
    let committed = federation.commit(&Source::own("token.link_account"), |view| {
        let issuer = TrustedIssuer::of_channel(view, &link.channel)?;
        let issuer = issuer.filter(|issuer| issuer.speaks_of == SubjectKind::People);
        let issuer = issuer.ok_or_else(|| invalid("channel", "is no trusted issuer that speaks of people"))?;
        let known = held(view, &link.channel, &link.subject)?.filter(|(holder, _)| *holder == link.person);
        let known = known.map(|(_, account)| account);
        let account = Account {
            channel: link.channel.clone(),
            subject: link.subject.clone(),
            organization: issuer.organization,
            state: link.state.or_else(|| known.as_ref().map(|known| known.state)).unwrap_or(AccountState::Active),
            sessions_end: known.as_ref().and_then(|known| known.sessions_end),
        };
        let same = known.is_some_and(|known| known.state == account.state);
        Ok(if same { Vec::new() } else { vec![FederatedChange::Account { person: link.person.clone(), account }] })
    });
    committed.map(drop)
}

/// Returns every account at an issuer that speaks of people, in order of channel and subject.
///
/// # Errors
///
/// Those of [`Federation::read`].
pub fn linked_accounts(federation: &Federation) -> Result<Vec<LinkedAccount>, Fault> {
    federation.read(|view| {
        let mut linked = Vec::new();
        for issuer in TrustedIssuer::all(view)? {
            if issuer.speaks_of == SubjectKind::People {
                linked.extend(at(view, &issuer.channel)?);
            }
        }
        Ok(linked)
    })
}

/// Forgets whom a subject of an issuer stands for: tokens about it are nobody's from then on. With the account its lock
/// would go, so only one that is active is forgotten.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::NotFound`]; [`Fault::Conflict`] if the account is suspended or over; otherwise those of [`Federation::commit`].
pub fn unlink_account(federation: &Federation, channel: &ChannelId, subject: &SubjectName) -> Result<(), Fault> {
    let committed = federation.commit(&Source::own("token.unlink_account"), |view| {
        let missing = || Fault::NotFound { what: "account", id: format!("{channel}/{}", subject.as_str()) };
        let (person, account) = held(view, channel, subject)?.ok_or_else(missing)?;
        match account.state {
            AccountState::Active => Ok(vec![FederatedChange::AccountGone { person, account }]),
            AccountState::Suspended => {
                Err(Fault::Conflict("the account is suspended: restore it first, or end it".to_owned()))
            }
            AccountState::Ended => Err(Fault::Conflict("the account is over and stays on record".to_owned())),
        }
    });
    committed.map(drop)
}

/// Returns what an issuer calls by this name: the person, and the account as it is.
fn held(view: &View<'_>, channel: &ChannelId, subject: &SubjectName) -> Result<Option<(PersonId, Account)>, Fault> {
    let Some(id) = view.account(channel, subject)? else { return Ok(None) };
    let accounts = view.person(&id)?.map_or_else(Vec::new, |person| person.accounts);
    let account = accounts.into_iter().find(|held| held.channel == *channel && held.subject == *subject);
    Ok(account.map(|account| (id, account)))
}

fn at(view: &View<'_>, channel: &ChannelId) -> Result<Vec<LinkedAccount>, Fault> {
    let (mut linked, mut after) = (Vec::new(), String::new());
    loop {
        let page = view.accounts(channel, &after, PAGE)?;
        let Some((_, last)) = page.last() else { return Ok(linked) };
        last.subject.as_str().clone_into(&mut after);
        let link = |(person, account): (PersonId, Account)| LinkedAccount {
            channel: account.channel,
            subject: account.subject,
            person,
            state: Some(account.state),
        };
        linked.extend(page.into_iter().map(link));
    }
}
