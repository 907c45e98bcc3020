//! Whose tokens are taken: issuers that an operator trusts, each for its own people or workloads only.

use control::{Fault, FederatedChange, Federation, Source, View};
use fetch::Url;
use jose::{Alg, Jwks};
use policy::Lease;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use terms::{Channel, ChannelId, ChannelKind, OrganizationId};

use super::{
    book::{self, invalid},
    rule::Registered,
};

/// Where what an operator settled is kept, by channel.
const COLLECTION: &str = "token.issuer";
/// The longest URL or audience, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// One issuer whose tokens are taken: of the OpenID provider of an organization, or of a platform that runs workloads.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The channel that it is in the registry; made if there is none of this name.
    pub channel: ChannelId,
    /// The organization for whose people or workloads it speaks; absent for the laboratory's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Its `iss`, exactly; a URL of at most 512 bytes.
    pub issuer: String,
    /// What of its tokens' `aud` names this server, exactly; 1 to 8 of them, one must be there. A rule asks for its own.
    pub audiences: Vec<String>,
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// What `alg` of its tokens may be; at least one.
    pub algorithms: Vec<Algorithm>,
    /// What its subjects are.
    pub speaks_of: SubjectKind,
    /// The claim that names a session of its own, which a signal can end.
    #[serde(default = "sid")]
    pub session_claim: String,
    /// The scopes that a token of ours may have that one of its tokens was exchanged for; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Where the keys of an issuer or of a client are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerKeys {
    /// Where its metadata says (OpenID Connect Discovery 1.0, RFC 8414), if that names the very issuer.
    Discovered,
    /// At this URL.
    At(String),
    /// Here, as a JWK set.
    Given(Value),
}

/// What the subjects of an issuer are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// Natural persons, known here by an account at its channel.
    People,
    /// Programs, for which a federation rule names the workload.
    Workloads,
}

/// A signature algorithm by its name in `alg`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Algorithm(Alg);

impl Algorithm {
    /// Returns the algorithm.
    #[must_use]
    pub fn alg(self) -> Alg {
        self.0
    }
}

impl TryFrom<String> for Algorithm {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        let known = || format!("`{name}` is none of RS256, PS256, ES256, ES384, EdDSA");
        Alg::from_name(&name).map(Self).ok_or_else(known)
    }
}

impl From<Algorithm> for String {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.0.name().to_owned()
    }
}

/// Registers an issuer, or changes what is settled about one; a channel that was turned off is turned on again.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::Invalid`] names the setting that is wrong; otherwise those of [`Federation::commit`].
pub fn register_issuer(federation: &Federation, settings: &TrustedIssuer) -> Result<(), Fault> {
    settings.check()?;
    let lease = federation.freshness().channel(ChannelKind::Oidc);
    let committed = federation.commit(&Source::own("token.register_issuer"), |view| {
        settings.check_against(view)?;
        let terms = vec![settings.issuer.clone()];
        Ok(vec![
            FederatedChange::Channel(settings.channel(view, lease)?),
            book::keep(COLLECTION, settings.channel.as_str(), terms, settings)?,
        ])
    });
    committed.map(drop)
}

/// Returns every trusted issuer, in order of channel.
///
/// # Errors
///
/// Those of [`Federation::read`].
pub fn issuers(federation: &Federation) -> Result<Vec<TrustedIssuer>, Fault> {
    federation.read(TrustedIssuer::all)
}

/// Trusts an issuer no more: its channel is turned off, which ends every token that rests on its word at once.
///
/// Blocks on the disk.
///
/// # Errors
///
/// [`Fault::NotFound`]; [`Fault::Conflict`] while a rule is about its tokens; otherwise those of [`Federation::commit`].
pub fn remove_issuer(federation: &Federation, channel: &ChannelId) -> Result<(), Fault> {
    let removed = federation.commit(&Source::own("token.remove_issuer"), |view| {
        let gone = book::gone(view, COLLECTION, "issuer", channel.as_str())?;
        if let Some(rule) = Registered::of_issuer(view, channel)?.first() {
            return Err(Fault::Conflict(format!(
                "the rule `{}` is about tokens of `{channel}`: remove it first",
                rule.rule.id
            )));
        }
        let off = view.channel(channel)?.map(|known| FederatedChange::Channel(Channel { enabled: false, ..known }));
        Ok(off.into_iter().chain([gone]).collect())
    });
    removed.map(drop)
}

impl TrustedIssuer {
    /// Returns every issuer, in order of channel.
    pub(super) fn all(view: &View<'_>) -> Result<Vec<Self>, Fault> {
        book::all(view, COLLECTION)
    }

    /// Returns what is settled about a channel.
    pub(super) fn of_channel(view: &View<'_>, channel: &ChannelId) -> Result<Option<Self>, Fault> {
        book::kept(view, COLLECTION, channel.as_str())
    }

    /// Returns every issuer of that `iss` that speaks of such subjects.
    pub(super) fn named(view: &View<'_>, issuer: &str, speaks_of: SubjectKind) -> Result<Vec<Self>, Fault> {
        let mut found: Vec<Self> = book::found(view, COLLECTION, issuer)?;
        found.retain(|settings| settings.speaks_of == speaks_of);
        Ok(found)
    }

    /// Tells whether its tokens may be signed so.
    pub(super) fn allows(&self, alg: Alg) -> bool {
        self.algorithms.iter().any(|allowed| allowed.0 == alg)
    }

    fn check(&self) -> Result<(), Fault> {
        let short = |text: &str| (1..=TEXT_BYTES_MAX).contains(&text.len());
        if !short(&self.issuer) || Url::parse(&self.issuer).is_err() {
            return Err(invalid("issuer", "must be an absolute URL of at most 512 bytes"));
        }
        if !(1..=8).contains(&self.audiences.len()) || !self.audiences.iter().all(|audience| short(audience)) {
            return Err(invalid("audiences", "must be 1 to 8 texts of 1 to 512 bytes"));
        }
        if self.algorithms.is_empty() {
            return Err(invalid("algorithms", "must name at least one of RS256, PS256, ES256, ES384, EdDSA"));
        }
        if !(1..=64).contains(&self.session_claim.len()) {
            return Err(invalid("session_claim", "must be 1 to 64 bytes"));
        }
        if !book::are_scopes(&self.scopes) {
            return Err(invalid("scopes", "must be at most 16 words of visible ASCII without quotes"));
        }
        self.keys.check()
    }

    /// Of people one `iss` has one meaning only: a subject must not be looked for at two tenants.
    fn check_against(&self, view: &View<'_>) -> Result<(), Fault> {
        if self.organization.as_ref().is_some_and(|id| !matches!(view.organization(id), Ok(Some(_)))) {
            return Err(invalid("organization", "is not known"));
        }
        let others = Self::named(view, &self.issuer, SubjectKind::People)?;
        let shared = others.iter().any(|other| other.channel != self.channel);
        if self.speaks_of == SubjectKind::People && shared {
            return Err(invalid("issuer", "already speaks of people at another channel"));
        }
        Ok(())
    }

    fn channel(&self, view: &View<'_>, lease: Lease) -> Result<Channel, Fault> {
        let known = view.channel(&self.channel)?;
        if known.as_ref().is_some_and(|known| known.kind != ChannelKind::Oidc) {
            return Err(invalid("channel", "is taken by a source of another kind: choose another name"));
        }
        if known.as_ref().is_some_and(|known| known.organization != self.organization) {
            return Err(invalid("organization", "is not that of the channel: choose another channel"));
        }
        let settled = known.map(|known| (known.heard_at, known.interval_s, known.grace_s));
        let by_table = || (view.now(), lease.fresh.as_secs(), lease.grace.as_secs());
        let (heard_at, interval_s, grace_s) = settled.unwrap_or_else(by_table);
        Ok(Channel {
            id: self.channel.clone(),
            kind: ChannelKind::Oidc,
            organization: self.organization.clone(),
            issuer: Some(self.issuer.clone()),
            heard_at,
            interval_s,
            grace_s,
            enabled: true,
        })
    }
}

impl IssuerKeys {
    /// Requires that keys can be had this way.
    pub(super) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Discovered => Ok(()),
            Self::At(url) => Url::parse(url).map(drop).map_err(|error| invalid("keys", error.to_string())),
            Self::Given(set) => match Jwks::from_value(set) {
                Ok(set) if set.iter().next().is_some() => Ok(()),
                Ok(_) => Err(invalid("keys", "must have a key of a kind that is used here")),
                Err(fault) => Err(invalid("keys", fault.to_string())),
            },
        }
    }
}

fn sid() -> String {
    "sid".to_owned()
}
