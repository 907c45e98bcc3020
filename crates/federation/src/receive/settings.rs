//! What an operator settles about one transmitter, and what is remembered of its stream.

use std::time::Duration;

use control::{Document, Fault, FederatedChange, Federation, FieldFault, Source, View};
use fetch::Url;
use jose::Jwks;
use policy::FreshnessTable;
use secevent::stream::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use terms::{Channel, ChannelId, ChannelKind, Moment, OrganizationId};

/// Where what an operator settled is kept, by channel.
const SETTINGS: &str = "ssf.receiver";

/// Where what is known of the stream is kept, by channel.
const STREAM: &str = "ssf.stream";

/// One transmitter that is listened to. Written by an operator; holds no secret, only the names of secrets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SsfReceiver {
    /// Names the channel.
    pub channel: ChannelId,
    /// The organization whose people it may speak about; absent for the laboratory's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The `iss` of its tokens; 1 to 512 bytes.
    pub issuer: String,
    /// The `aud` that names this server on its stream; 1 to 512 bytes.
    pub audience: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// How tokens come.
    pub delivery: Receive,
    /// How its stream is managed; absent if people do that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Management>,
    /// The stream, where it was made by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
    /// What it calls the organization in the member `tenant` of a complex subject; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How often the stream must prove that it works, in seconds, 10 to 86,400; 0 if it need not; 60 unless set.
    #[serde(default = "verify_every_s")]
    pub verify_every_s: u64,
    /// For how many more seconds what rests on the channel counts when it is overdue; 840 unless set.
    #[serde(default = "grace_s")]
    pub grace_s: u64,
}

fn verify_every_s() -> u64 {
    FreshnessTable::bundled().channel(ChannelKind::Ssf).fresh.as_secs()
}

fn grace_s() -> u64 {
    FreshnessTable::bundled().channel(ChannelKind::Ssf).grace.as_secs()
}

/// Where the keys of a transmitter are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// Where its metadata says, found by its issuer.
    Discovered,
    /// At this URL.
    At(String),
    /// Here, as a JWK set.
    Given(Value),
}

/// How tokens come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Receive {
    /// The transmitter pushes them.
    Push {
        /// The secret whose text must come as `Authorization`; absent if pushes are not authorized beyond their signature.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization: Option<String>,
    },
    /// They are fetched.
    Poll {
        /// Where from; absent if the transmitter says so when the stream is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// The secret whose text is sent as `Authorization`; absent for that of the management.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization: Option<String>,
    },
}

/// How a stream is managed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Management {
    /// By what this server is let in.
    pub authorization: Authorization,
    /// The event types to ask for; empty for every type that is understood here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// By what a transmitter lets this server manage its stream and fetch tokens.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// The secret whose text is sent as `Authorization`.
    Secret(String),
    /// An access token, which is asked for with the credentials of this server as a client and renewed when it expires.
    ClientCredentials(ClientCredentials),
}

/// The credentials of this server at an authorization server.
///
/// # Source
/// RFC 6749, section 4.4; CAEP Interoperability Profile 1.0, section 2.7.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Where tokens are asked for.
    pub token_endpoint: String,
    /// What the authorization server calls this server; 1 to 512 bytes.
    pub client_id: String,
    /// The secret whose text is the client's secret.
    pub secret: String,
    /// The scopes to ask for, separated by spaces; absent for what the authorization server gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// What is known of the stream of a channel.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    /// What the transmitter calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream_id: Option<String>,
    /// Its status, by its own word; enabled if it said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Status>,
    /// True if the channel was turned off because the transmitter disabled the stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) turned_itself_off: bool,
    /// Where its tokens are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) poll_endpoint: Option<String>,
    /// The least time between two verifications, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min_verification_s: Option<u64>,
    /// The members of subjects that must be understood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) critical: Vec<String>,
    /// Where the keys are, as its metadata said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_uri: Option<String>,
}

impl Stream {
    pub(crate) fn status(&self) -> Status {
        self.status.unwrap_or(Status::Enabled)
    }

    /// Returns the change that remembers this for a channel.
    pub(crate) fn change(&self, channel: &ChannelId) -> Result<FederatedChange, Fault> {
        document(STREAM, channel, self)
    }
}

/// Everything that is known about one channel at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) settings: SsfReceiver,
    pub(crate) stream: Stream,
    pub(crate) channel: Channel,
}

impl Known {
    /// Reads what is known about a channel; nothing if it is not a transmitter's.
    pub(crate) fn read(view: &View<'_>, id: &ChannelId) -> Result<Option<Self>, Fault> {
        let (settings, channel) = (view.document(SETTINGS, id.as_str())?, view.channel(id)?);
        let (Some(settings), Some(channel)) = (settings, channel) else { return Ok(None) };
        let stream = view.document(STREAM, id.as_str())?;
        let stream = stream.map_or_else(|| Ok(Stream::default()), |stream| parsed(&stream))?;
        Ok(Some(Self { settings: parsed(&settings)?, stream, channel }))
    }

    /// Reads what is known about every transmitter, in order of channel.
    pub(crate) fn all(view: &View<'_>) -> Result<Vec<Self>, Fault> {
        let ids = view.channels()?.into_iter().filter(|channel| channel.kind == ChannelKind::Ssf);
        let known = ids.map(|channel| Self::read(view, &channel.id));
        known.filter_map(Result::transpose).collect()
    }

    /// Returns the stream's name, by whoever knows it.
    pub(crate) fn stream_id(&self) -> Option<&str> {
        self.stream.stream_id.as_deref().or(self.settings.stream_id.as_deref())
    }

    /// Says whether an operator turned the channel off. One that turned itself off is still listened to: its signals only
    /// remove.
    pub(crate) fn is_off(&self) -> bool {
        !self.channel.enabled && !self.stream.turned_itself_off
    }

    /// Says whether a sign of life lets what rests on the channel count for longer.
    pub(crate) fn is_live(&self) -> bool {
        self.channel.enabled && self.stream.status() == Status::Enabled
    }

    /// Returns how often to ask for a verification: three times within the lease, and no more often than allowed.
    pub(crate) fn verify_every(&self) -> Option<Duration> {
        let third = match self.settings.verify_every_s {
            0 => return None,
            every => Duration::from_millis(every.saturating_mul(1_000) / 3),
        };
        Some(third.max(Duration::from_secs(self.stream.min_verification_s.unwrap_or(0))))
    }
}

/// Registers a transmitter, or changes what is settled about one.
///
/// Two organizations may share an issuer and an audience only if a token for the one cannot pass for a token for the other:
/// if the issuer names each as a tenant, or if the pushes of each need a secret of its own.
///
/// Nothing that rests on the channel counts before its stream has proved that it works, unless it need not. A channel that
/// was turned off is turned on again: this is an operator's act.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::Invalid`] names the setting that is wrong; otherwise those of [`Federation::commit`].
pub fn register(federation: &Federation, settings: &SsfReceiver) -> Result<(), Fault> {
    settings.check()?;
    let source = Source::own("channel.register_ssf");
    let commit = federation.commit(&source, |view| {
        let known = view.channel(&settings.channel)?;
        if known.as_ref().is_some_and(|known| known.kind != ChannelKind::Ssf) {
            return Err(invalid("channel", "is taken by a source of another kind: choose another name"));
        }
        settings.check_distinct(view)?;
        let unheard = if settings.verify_every_s == 0 { view.now() } else { Moment::from_millis(0) };
        let channel = settings.channel(known.map_or(unheard, |known| known.heard_at));
        let stream = Known::read(view, &settings.channel)?.map(|known| known.stream).unwrap_or_default();
        let stream = Stream { turned_itself_off: false, ..stream };
        Ok(vec![
            FederatedChange::Channel(channel),
            document(SETTINGS, &settings.channel, settings)?,
            stream.change(&settings.channel)?,
        ])
    });
    commit.map(drop)
}

/// Takes a transmitter back: nothing of it is listened to any more, and nothing that rests on its channel counts.
///
/// The channel stays on record, turned off, since what people were attested through it names it; to register it again turns
/// it on. The stream at the transmitter is not touched; see [`super::Receiver::remove`].
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::NotFound`] if no transmitter is registered under this name; otherwise those of [`Federation::commit`].
pub fn unregister(federation: &Federation, channel: &ChannelId) -> Result<(), Fault> {
    let source = Source::own("channel.unregister_ssf");
    let commit = federation.commit(&source, |view| {
        let known = Known::read(view, channel)?;
        let known = known.ok_or_else(|| Fault::NotFound { what: "transmitter", id: channel.to_string() })?;
        let gone = |collection: &str| FederatedChange::DocumentGone {
            collection: collection.to_owned(),
            id: channel.as_str().to_owned(),
        };
        let off = FederatedChange::Channel(Channel { enabled: false, ..known.channel });
        Ok(vec![off, gone(SETTINGS), gone(STREAM)])
    });
    commit.map(drop)
}

/// A transmitter that is registered, and what is known of its stream.
#[derive(Clone, Debug, Serialize)]
pub struct Registered {
    /// What was settled.
    pub settings: SsfReceiver,
    /// What the transmitter calls the stream; absent if there is none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_id: Option<String>,
    /// The status of the stream, by its transmitter's word.
    pub status: Status,
    /// False if an operator turned the channel off, or its transmitter disabled the stream.
    pub enabled: bool,
    /// When it last proved that it works.
    pub heard_at: Moment,
}

/// Lists every transmitter that is registered, in order of channel. Blocks on the disk.
///
/// # Errors
///
/// [`Fault::Store`] if the registry cannot be read.
pub fn registered(federation: &Federation) -> Result<Vec<Registered>, Fault> {
    let all = federation.read(Known::all)?;
    Ok(all.into_iter().map(Registered::of).collect())
}

impl Registered {
    fn of(known: Known) -> Self {
        Self {
            stream_id: known.stream_id().map(ToOwned::to_owned),
            status: known.stream.status(),
            enabled: known.channel.enabled,
            heard_at: known.channel.heard_at,
            settings: known.settings,
        }
    }
}

impl SsfReceiver {
    fn channel(&self, heard_at: Moment) -> Channel {
        Channel {
            id: self.channel.clone(),
            kind: ChannelKind::Ssf,
            organization: self.organization.clone(),
            issuer: Some(self.issuer.clone()),
            heard_at,
            interval_s: self.verify_every_s,
            grace_s: self.grace_s,
            enabled: true,
        }
    }

    fn check(&self) -> Result<(), Fault> {
        let named = |text: &str| (1..=512).contains(&text.len());
        if !named(&self.issuer) || secevent::stream::well_known(&self.issuer, "ssf-configuration").is_none() {
            return Err(invalid("issuer", "must be a URL of at most 512 bytes without query or fragment"));
        }
        if !named(&self.audience) {
            return Err(invalid("audience", "must be 1 to 512 bytes"));
        }
        if !(self.verify_every_s == 0 || (10..=86_400).contains(&self.verify_every_s)) {
            return Err(invalid("verify_every_s", "must be 0, or 10 to 86400"));
        }
        self.check_keys()?;
        self.check_delivery()?;
        self.management.as_ref().map_or(Ok(()), |management| management.authorization.check())
    }

    fn check_distinct(&self, view: &View<'_>) -> Result<(), Fault> {
        if Known::all(view)?.iter().any(|known| self.is_mistakable_for(&known.settings)) {
            let detail = "is another organization's too, as is the issuer: choose another one, or tell the two apart by \
                          `tenant`, or by a secret of each for its pushes";
            return Err(invalid("audience", detail));
        }
        Ok(())
    }

    fn is_mistakable_for(&self, other: &Self) -> bool {
        let told_apart = self.tenant.is_some() && other.tenant.is_some() && self.tenant != other.tenant;
        let same_word = self.issuer == other.issuer && self.audience == other.audience;
        self.organization != other.organization && same_word && !told_apart && !self.is_closed_to(other)
    }

    /// Says whether each has a secret of its own for pushes, without which nobody sends what the other's key signed. Where
    /// tokens are fetched, pushes are taken too, on their signature alone.
    fn is_closed_to(&self, other: &Self) -> bool {
        let secret = |settings: &Self| match &settings.delivery {
            Receive::Push { authorization } => authorization.clone(),
            Receive::Poll { .. } => None,
        };
        secret(self).zip(secret(other)).is_some_and(|(one, two)| one != two)
    }

    fn check_keys(&self) -> Result<(), Fault> {
        match &self.keys {
            KeySource::Discovered => Ok(()),
            KeySource::At(url) => Url::parse(url).map(drop).map_err(|error| invalid("keys", error.to_string())),
            KeySource::Given(set) => match Jwks::from_value(set) {
                Ok(set) if set.iter().next().is_some() => Ok(()),
                Ok(_) => Err(invalid("keys", "must have a key of a kind that is used here")),
                Err(fault) => Err(invalid("keys", fault.to_string())),
            },
        }
    }

    fn check_delivery(&self) -> Result<(), Fault> {
        match &self.delivery {
            Receive::Poll { endpoint: Some(url), .. } => {
                Url::parse(url).map(drop).map_err(|error| invalid("delivery.endpoint", error.to_string()))
            }
            Receive::Poll { endpoint: None, .. } if self.management.is_none() => {
                Err(invalid("delivery.endpoint", "must be given if the stream is not managed here"))
            }
            _ => Ok(()),
        }
    }
}

impl Authorization {
    fn check(&self) -> Result<(), Fault> {
        let Self::ClientCredentials(credentials) = self else { return Ok(()) };
        if !(1..=512).contains(&credentials.client_id.len()) {
            return Err(invalid("management.client_id", "must be 1 to 512 bytes"));
        }
        let endpoint = Url::parse(&credentials.token_endpoint);
        endpoint.map(drop).map_err(|error| invalid("management.token_endpoint", error.to_string()))
    }
}

fn document(collection: &str, channel: &ChannelId, body: &impl Serialize) -> Result<FederatedChange, Fault> {
    let body = serde_json::to_string(body).map_err(|error| invalid("settings", error.to_string()))?;
    let (collection, id) = (collection.to_owned(), channel.as_str().to_owned());
    Ok(FederatedChange::Document(Document { collection, id, owner: None, terms: Vec::new(), body }))
}

fn parsed<T: serde::de::DeserializeOwned>(document: &Document) -> Result<T, Fault> {
    let unreadable = |error: serde_json::Error| {
        let detail = format!("`{}` cannot be read: {error}: register the channel again", document.id);
        invalid("settings", detail)
    };
    serde_json::from_str(&document.body).map_err(unreadable)
}

fn invalid(field: &str, detail: impl Into<String>) -> Fault {
    Fault::Invalid(vec![FieldFault { field: field.to_owned(), detail: detail.into() }])
}

/// Says whether `given` is `secret`, in a time that does not depend on where they differ: digests are compared.
pub(crate) fn is_secret(given: &[u8], secret: &[u8]) -> bool {
    Sha256::digest(given) == Sha256::digest(secret)
}
