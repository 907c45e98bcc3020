//! The one way a token is taken in, however it came: opened, judged, made to take effect, and only then acknowledged.
//!
//! A crash before the commit leaves nothing, and the transmitter sends the token again; a crash after it leaves the entry
//! that the answer to the repeated token rests on. Taking in is idempotent by channel and `jti`.

use std::collections::BTreeMap;

use control::{Fault, FederatedChange, Once, Review, Source, View};
use fetch::Url;
use jose::{Jwks, Skew};
use secevent::{
    ErrorCode, Event, Expected, SecurityEvent,
    event::Ssf,
    stream::{SetError, Status},
};
use terms::{ChannelId, Moment, PersonId};

use super::{
    Receiver,
    asked::Echo,
    change::{self, Word},
    effect,
    settings::{KeySource, Known, Stream},
    tenant::{self, Named, Tenant, Whom},
};
use crate::attest::Vault;

/// The most changes of one commit; below what the registry takes at once.
const MOST_CHANGES: usize = 500;

/// The most commits that one word about people, or one page of a tenant, may take.
const MOST_ROUNDS: u32 = 64;

/// The most accounts that one commit reads when a whole tenant is meant.
const ACCOUNTS_A_PAGE: u32 = 64;

/// Why a token was not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The token itself is at fault; to send it again does not help.
    #[error("{0}")]
    Token(#[from] secevent::Fault),
    /// A verification echoes something that nobody asked for.
    #[error("the state is not one that was asked for")]
    State,
    /// An event about a stream names another stream.
    #[error("the subject is not this stream")]
    OtherStream,
    /// An operator turned the channel off.
    #[error("this server does not listen to this transmitter")]
    Off,
    /// It is not known whether the token is good, or it could not be recorded; send it again.
    #[error("this server cannot take it in now: {0}")]
    Unavailable(String),
}

impl Refusal {
    /// Returns what tells the transmitter, unless it is to send the token again.
    pub(crate) fn told(&self) -> Option<SetError> {
        let err = match self {
            Self::Token(fault) => fault.code(),
            Self::State => ErrorCode::InvalidState,
            Self::OtherStream => ErrorCode::InvalidRequest,
            Self::Off => ErrorCode::AccessDenied,
            Self::Unavailable(_) => return None,
        };
        Some(SetError { err, description: self.to_string() })
    }
}

impl Receiver {
    /// Takes in one token of a channel. When this returns `Ok`, what it says is durable and in effect.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing was changed.
    pub(crate) async fn accept(&self, known: &Known, token: &str) -> Result<(), Refusal> {
        if known.is_off() {
            return Err(Refusal::Off);
        }
        let set = self.open(known, token).await?;
        let (this, channel) = (self.clone(), known.channel.id.clone());
        self.blocking(move || this.take_in(&channel, &set)).await?
    }

    async fn open(&self, known: &Known, token: &str) -> Result<SecurityEvent, Refusal> {
        let read = |keys: &Jwks| self.read(known, token, keys);
        Ok(self.with_keys(known, read, |fault| *fault == secevent::Fault::UnknownKey).await??)
    }

    /// Verifies something with the keys of a transmitter, and once more with newer ones if it names another key.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unavailable`] if there are no keys that count.
    pub(crate) async fn with_keys<T, E>(
        &self,
        known: &Known,
        verify: impl Fn(&Jwks) -> Result<T, E>,
        names_another: impl Fn(&E) -> bool,
    ) -> Result<Result<T, E>, Refusal> {
        let url = match &known.settings.keys {
            KeySource::Given(set) => {
                let keys = Jwks::from_value(set).map_err(|fault| Refusal::Unavailable(fault.to_string()))?;
                return Ok(verify(&keys));
            }
            KeySource::At(url) => Some(url),
            KeySource::Discovered => known.stream.jwks_uri.as_ref(),
        };
        let url = url.and_then(|url| Url::parse(url).ok());
        let url = url.ok_or_else(|| Refusal::Unavailable("the keys of the issuer are not found yet".to_owned()))?;
        let unavailable = |error: crate::keys::KeysUnavailable| Refusal::Unavailable(error.to_string());
        let keys = self.keys().keys(&url).await.map_err(unavailable)?;
        match verify(&keys) {
            Err(fault) if names_another(&fault) => {
                Ok(verify(self.keys().newer(&url, &keys).await.map_err(unavailable)?.as_ref()))
            }
            verified => Ok(verified),
        }
    }

    fn read(&self, known: &Known, token: &str, keys: &Jwks) -> Result<SecurityEvent, secevent::Fault> {
        let expected = Expected {
            issuer: &known.settings.issuer,
            audience: &known.settings.audience,
            critical: &known.stream.critical,
            now: self.federation().now(),
            skew: Skew::USUAL,
        };
        SecurityEvent::open(token, keys, &expected)
    }

    /// Makes what a token says take effect, once. Blocks on the disk.
    fn take_in(&self, channel: &ChannelId, set: &SecurityEvent) -> Result<(), Refusal> {
        let code = set.events.first().map_or("signal.unknown", effect::code);
        let source = Source::signal(channel.clone(), code, set.jti.clone());
        match set.events.as_slice() {
            [Event::Ssf(event)] => self.take_in_stream(&source, channel, set, event),
            events => {
                let effects: Vec<_> = events.iter().flat_map(effect::effects).collect();
                let until = occurred(set).min(self.federation().now());
                let word = Word { effects: &effects, until, message: &set.jti };
                self.take_in_word(&source, (channel, &set.jti), &set.subject, &word)
            }
        }
    }

    /// Makes a word about people take effect, once, under the name `message`. Blocks on the disk.
    pub(crate) fn take_in_word(
        &self,
        source: &Source,
        message: (&ChannelId, &str),
        subject: &secevent::Subject,
        word: &Word<'_>,
    ) -> Result<(), Refusal> {
        self.sweep(source, message, subject, word)?;
        for _ in 0..MOST_ROUNDS {
            let mut first = None;
            let once = self.federation().commit_once(source, message, |view| {
                let changes = changes(view, self.vault(), message.0, subject, word)?;
                if changes.len() <= MOST_CHANGES {
                    return Ok(changes);
                }
                first = Some(changes.into_iter().take(MOST_CHANGES).collect::<Vec<_>>());
                Err(Fault::Conflict("there are more changes than fit in one entry".to_owned()))
            });
            match first {
                // What was made so is not found again, so this comes to an end.
                Some(first) => settled(self.federation().commit(source, |_| Ok(first)).map(drop))?,
                None => return settled(once.map(drop)),
            }
        }
        Err(unending(message.0))
    }

    /// Makes a word about everybody of a tenant take effect, page by page; a crash midway leaves the rest to the repeated
    /// token. Does nothing for any other subject, or for a message that was taken in before: whoever was restored since is
    /// left alone.
    fn sweep(
        &self,
        source: &Source,
        (channel, message): (&ChannelId, &str),
        subject: &secevent::Subject,
        word: &Word<'_>,
    ) -> Result<(), Refusal> {
        let look = |view: &View<'_>| {
            let tenant = tenant_of(view, channel)?;
            let everybody = tenant.whom(view, self.vault(), subject)? == Whom::Everybody;
            let ids = tenant.channels().iter().map(|channel| channel.id.clone());
            Ok(if everybody { ids.collect() } else { Vec::new() })
        };
        let channels: Vec<ChannelId> = self.federation().read(look).map_err(unavailable)?;
        if channels.is_empty() || self.is_repeated(source, (channel, message))? {
            return Ok(());
        }
        for at in channels {
            let mut after = String::new();
            loop {
                let look = |view: &View<'_>| view.accounts(&at, &after, ACCOUNTS_A_PAGE);
                let page = self.federation().read(look).map_err(unavailable)?;
                let Some((_, last)) = page.last() else { break };
                after = last.subject.as_str().to_owned();
                let named = page.iter().map(|(person, account)| Named {
                    person: person.clone(),
                    channel: account.channel.clone(),
                    subject: account.subject.clone(),
                    by_directory: false,
                });
                self.sweep_page(source, channel, &named.collect::<Vec<_>>(), word)?;
            }
        }
        Ok(())
    }

    /// Says whether a message was taken in before.
    fn is_repeated(&self, source: &Source, message: (&ChannelId, &str)) -> Result<bool, Refusal> {
        let mut is_new = false;
        let asked = self.federation().commit_once(source, message, |_| {
            is_new = true;
            Err(Fault::Conflict("asked only whether it is new".to_owned()))
        });
        match asked {
            Ok(_) => Ok(true),
            Err(_) if is_new => Ok(false),
            Err(fault) => Err(unavailable(fault)),
        }
    }

    fn sweep_page(
        &self,
        source: &Source,
        channel: &ChannelId,
        named: &[Named],
        word: &Word<'_>,
    ) -> Result<(), Refusal> {
        for _ in 0..MOST_ROUNDS {
            let mut more = false;
            let made = self.federation().commit(source, |view| {
                let mut changes = about_each(view, &tenant_of(view, channel)?, named.iter(), word)?;
                more = changes.len() > MOST_CHANGES;
                changes.truncate(MOST_CHANGES);
                Ok(changes)
            });
            settled(made.map(drop))?;
            if !more {
                return Ok(());
            }
        }
        Err(unending(channel))
    }

    /// Takes in an event about the stream itself.
    fn take_in_stream(
        &self,
        source: &Source,
        channel: &ChannelId,
        set: &SecurityEvent,
        event: &Ssf,
    ) -> Result<(), Refusal> {
        let (mut refused, mut alive_at) = (None, None);
        let once = self.federation().commit_once(source, (channel, &set.jti), |view| {
            let known = Known::read(view, channel)?.ok_or_else(|| not_found(channel))?;
            if known.stream_id().is_some_and(|id| set.subject.stream_id() != Some(id)) {
                refused = Some(Refusal::OtherStream);
                return Err(Fault::Conflict("another stream".to_owned()));
            }
            match event {
                Ssf::StreamUpdated { status, .. } => updated(view, &known, *status),
                Ssf::Verification { state } => {
                    match self.asked().echo(channel, state.as_deref()) {
                        Echo::Asked(at) => alive_at = Some(at),
                        Echo::Unasked => alive_at = Some(set.iat.min(view.now())),
                        Echo::Wrong => {
                            refused = Some(Refusal::State);
                            return Err(Fault::Conflict("another state".to_owned()));
                        }
                    }
                    alive_at = alive_at.filter(|_| known.is_live());
                    Ok(Vec::new())
                }
            }
        });
        if let Some(refused) = refused {
            return Err(refused);
        }
        if let (Ok(Once::Done(_)), Some(at)) = (&once, alive_at) {
            settled(self.federation().heard(channel, at))?;
        }
        settled(once.map(drop))
    }
}

/// When an event happened: as late as the token says, so that nothing begun between event and token is left out, on the
/// clock of the transmitter, which also dated its tokens and sessions.
fn occurred(set: &SecurityEvent) -> Moment {
    let context = |event: &Event| match event {
        Event::Caep(_, context) | Event::Risc(_, context) => context.event_timestamp,
        _ => None,
    };
    set.events.iter().filter_map(context).fold(set.iat, Moment::max)
}

fn tenant_of(view: &View<'_>, channel: &ChannelId) -> Result<Tenant, Fault> {
    let known = Known::read(view, channel)?.ok_or_else(|| not_found(channel))?;
    Tenant::of(view, known.channel, known.settings.tenant)
}

fn not_found(channel: &ChannelId) -> Fault {
    Fault::NotFound { what: "channel", id: channel.to_string() }
}

fn changes(
    view: &View<'_>,
    vault: &Vault,
    channel: &ChannelId,
    subject: &secevent::Subject,
    word: &Word<'_>,
) -> Result<Vec<FederatedChange>, Fault> {
    let tenant = tenant_of(view, channel)?;
    let mut changes = change::session_ends(view, &tenant, word, &tenant::sessions(subject))?;
    if let Whom::Accounts(named) = tenant.whom(view, vault, subject)? {
        changes.extend(about_each(view, &tenant, named.iter(), word)?);
    }
    Ok(changes)
}

fn about_each<'a>(
    view: &View<'_>,
    tenant: &Tenant,
    named: impl Iterator<Item = &'a Named>,
    word: &Word<'_>,
) -> Result<Vec<FederatedChange>, Fault> {
    let mut people: BTreeMap<&PersonId, Vec<&Named>> = BTreeMap::new();
    for one in named {
        people.entry(&one.person).or_default().push(one);
    }
    let mut changes = Vec::new();
    for (person, named) in people {
        changes.extend(change::about(view, tenant, word, (person, &named))?);
    }
    Ok(changes)
}

/// A stream that its transmitter disabled is turned off; that it runs again is noted, and an operator turns it on.
fn updated(view: &View<'_>, known: &Known, status: Status) -> Result<Vec<FederatedChange>, Fault> {
    let turned_off = known.stream.turned_itself_off || (status == Status::Disabled && known.channel.enabled);
    let stream = Stream { status: Some(status), turned_itself_off: turned_off, ..known.stream.clone() };
    let mut changes = vec![stream.change(&known.channel.id)?];
    if status == Status::Disabled && known.channel.enabled {
        let channel = terms::Channel { enabled: false, ..known.channel.clone() };
        changes.push(FederatedChange::Channel(channel));
    }
    if status == Status::Enabled && known.stream.turned_itself_off {
        let what = format!("the transmitter of channel `{}` runs again: register it to rely on it", known.channel.id);
        let id = format!("stream-{}", known.channel.id);
        let id = id.chars().take(64).collect();
        changes.push(FederatedChange::Review(Review {
            id,
            person: None,
            what,
            opened_at: view.now(),
            closed_at: None,
        }));
    }
    Ok(changes)
}

/// What is on record and in effect is taken in, even if the registry has yet to follow.
fn settled(result: Result<(), Fault>) -> Result<(), Refusal> {
    match result {
        Ok(()) | Err(Fault::Behind { .. }) => Ok(()),
        Err(fault) => Err(unavailable(fault)),
    }
}

/// The rest is left to the repeated token.
fn unending(channel: &ChannelId) -> Refusal {
    tracing::error!(%channel, "a signal changes more than {MOST_ROUNDS} entries hold");
    Refusal::Unavailable("there is more to change than is changed at once".to_owned())
}

fn unavailable(fault: Fault) -> Refusal {
    if let Fault::Invalid(fields) = &fault {
        tracing::error!(?fields, "a signal would change what it may not");
    }
    Refusal::Unavailable(fault.to_string())
}
