//! Where word about people comes from, and for how long it can be relied on without hearing from there.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use crate::{ChannelId, Moment, OrganizationId, text::spelled};

/// The text does not name anybody at a source.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a subject's name at its source has 1 to 255 characters and no control character")]
pub struct BadSubjectName;

/// What a source calls one of its subjects, exactly as it writes it: 1 to 255 characters, no control character.
///
/// # Source
/// OpenID Connect Core 1.0 section 2 (`sub`, at most 255 ASCII characters); RFC 7643 section 3.1 (`id`).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
#[serde(into = "String")]
pub struct SubjectName(Arc<str>);

impl SubjectName {
    /// Takes the text as it is.
    ///
    /// # Errors
    ///
    /// [`BadSubjectName`]; refuse what carries it.
    pub fn parse(text: &str) -> Result<Self, BadSubjectName> {
        let is_name = (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if is_name { Ok(Self(Arc::from(text))) } else { Err(BadSubjectName) }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

spelled!(SubjectName);

impl FromStr for SubjectName {
    type Err = BadSubjectName;
    fn from_str(text: &str) -> Result<Self, BadSubjectName> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SubjectName {
    type Error = BadSubjectName;
    fn try_from(text: String) -> Result<Self, BadSubjectName> {
        Self::parse(&text)
    }
}

impl From<SubjectName> for String {
    fn from(name: SubjectName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Debug for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By what protocol a channel speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// An issuer of tokens (OpenID Connect Core 1.0, RFC 9068).
    Oidc,
    /// A transmitter of security events (Shared Signals Framework 1.0).
    Ssf,
    /// An employer's directory (RFC 7644).
    Scim,
    /// A list of the status of credentials (Token Status List).
    StatusList,
    /// A proofing vendor that calls back.
    Webhook,
    /// Credentials that a holder presents (`OpenID4VP` 1.0).
    Wallet,
    /// People who enter what they have seen.
    Manual,
}

/// A source of word about people. What rests on it is relied on only while the source is known to be alive.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Names the channel.
    pub id: ChannelId,
    /// How it speaks.
    pub kind: ChannelKind,
    /// The organization whose people it may speak about; nobody's if absent.
    pub organization: Option<OrganizationId>,
    /// The `iss` of what it sends, where its protocol has one. At most 512 characters.
    pub issuer: Option<String>,
    /// When it last proved to be alive.
    pub heard_at: Moment,
    /// Within how many seconds it is to be heard again; 0 if it need not be.
    pub interval_s: u64,
    /// For how many more seconds what rests on it still counts.
    pub grace_s: u64,
    /// False once it was turned off, by an operator or by itself.
    pub enabled: bool,
}

/// How well what rests on a channel can be relied on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Heard of in time.
    Fresh,
    /// Overdue, and still counted.
    Grace,
    /// Overdue for too long, or turned off: establishes nothing.
    Stale,
}

impl Channel {
    /// Returns from when on it is overdue unless it is heard before; [`Moment::MAX`] if it need not be heard.
    #[must_use]
    pub fn fresh_until(&self) -> Moment {
        self.due(self.interval_s)
    }

    /// Returns from when on what rests on it establishes nothing, unless it is heard before.
    #[must_use]
    pub fn stale_at(&self) -> Moment {
        self.due(self.interval_s.saturating_add(self.grace_s))
    }

    /// Returns how well it can be relied on at a moment.
    #[must_use]
    pub fn freshness(&self, at: Moment) -> Freshness {
        match at {
            at if at >= self.stale_at() => Freshness::Stale,
            at if at >= self.fresh_until() => Freshness::Grace,
            _ => Freshness::Fresh,
        }
    }

    fn due(&self, seconds: u64) -> Moment {
        match (self.enabled, self.interval_s) {
            (false, _) => self.heard_at,
            (true, 0) => Moment::MAX,
            (true, _) => self.heard_at.plus(Duration::from_secs(seconds)),
        }
    }
}

/// What an account at a source still opens.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// In use.
    Active,
    /// Out of use for now: credentials of the same tenant open nothing.
    Suspended,
    /// Over: credentials of the same tenant open nothing, and the account does not return.
    Ended,
}

/// That a subject at a source is a certain person.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The source.
    pub channel: ChannelId,
    /// What the source calls the person.
    pub subject: SubjectName,
    /// The tenant whose credentials depend on it, if any.
    pub organization: Option<OrganizationId>,
    /// What it opens.
    pub state: AccountState,
    /// Sessions and tokens that began at this moment or before are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_end: Option<Moment>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(interval_s: u64, grace_s: u64, enabled: bool) -> Channel {
        Channel {
            id: ChannelId::parse("acme-hr").unwrap(),
            kind: ChannelKind::Scim,
            organization: None,
            issuer: None,
            heard_at: Moment::from_millis(0),
            interval_s,
            grace_s,
            enabled,
        }
    }

    #[test]
    fn a_silent_channel_is_fresh_then_in_grace_then_stale() {
        let channel = channel(60, 30, true);
        let at = |seconds: i64| channel.freshness(Moment::from_millis(seconds * 1_000));
        assert_eq!(
            [at(59), at(60), at(89), at(90)],
            [Freshness::Fresh, Freshness::Grace, Freshness::Grace, Freshness::Stale]
        );
    }

    #[test]
    fn a_channel_that_need_not_be_heard_stays_fresh_and_one_turned_off_is_stale_at_once() {
        assert_eq!(channel(0, 0, true).freshness(Moment::from_millis(4_102_444_800_000)), Freshness::Fresh);
        assert_eq!(channel(60, 30, false).freshness(Moment::from_millis(0)), Freshness::Stale);
    }

    #[test]
    fn a_subject_is_named_in_a_line_of_text_and_nothing_else() {
        assert!(SubjectName::parse("Ada@Example.com").is_ok());
        assert!(["", "a\nb", "\0", &"x".repeat(256)].iter().all(|text| SubjectName::parse(text).is_err()));
    }
}
