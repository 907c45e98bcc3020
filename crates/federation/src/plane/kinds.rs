//! What administrators set, kind by kind.

use std::time::Duration;

use control::{Fault, FieldFault, SourcePlaced};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use terms::{ChannelId, ClientId, FederationRuleId, IssuerId, PersonId, SubjectName};

use super::Plane;
use crate::{NewTenant, receive, token, wallet::CredentialIssuer};

/// The longest setting, in bytes: a key set of 64 KiB and room around it.
const JSON_BYTES_MAX: usize = 128 << 10;

/// One kind of setting.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) set: fn(&Plane, &[u8]) -> Result<SourcePlaced, Fault>,
    pub(super) list: fn(&Plane) -> Result<Vec<Value>, Fault>,
    pub(super) remove: fn(&Plane, &str) -> Result<(), Fault>,
}

/// Every kind, in order.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "credential_issuer",
        set: |plane, json| placed(json, |issuer: &CredentialIssuer| plane.0.wallet.set_issuer(issuer)),
        list: |plane| each(plane.0.wallet.issuers()?),
        remove: |plane, id| plane.0.wallet.remove_issuer(&named::<IssuerId>(id)?),
    },
    Kind {
        name: "page_link",
        set: |plane, json| plane.link(json, |person| plane.0.pages.link(person)),
        list: |_| Ok(Vec::new()),
        remove: |_, id| Err(kept(id)),
    },
    Kind {
        name: "personal_values",
        set: |_, _| Err(Fault::Conflict("personal values come from their sources; to forget them, remove them".into())),
        list: Plane::forgotten,
        remove: |plane, id| plane.0.vault.forget(&plane.0.federation, &named::<PersonId>(id)?),
    },
    Kind {
        name: "scim_tenant",
        set: |plane, json| {
            let tenant: NewTenant = parse(json)?;
            let token = plane.0.scim.register(&tenant)?;
            let item = json!({ "tenant": tenant, "base_url": plane.0.scim.base_url(&tenant.channel) });
            Ok(SourcePlaced { item, secret: Some(token.reveal().to_owned()) })
        },
        list: |plane| each(plane.0.scim.tenants()?),
        remove: |plane, id| plane.0.scim.remove(&named::<ChannelId>(id)?),
    },
    Kind {
        name: "scim_token",
        set: |plane, json| {
            let Rotation { channel, overlap_s } = parse(json)?;
            let token = plane.0.scim.rotate_token(&channel, Duration::from_secs(overlap_s))?;
            let item = json!({ "channel": channel, "overlap_s": overlap_s });
            Ok(SourcePlaced { item, secret: Some(token.reveal().to_owned()) })
        },
        list: |_| Ok(Vec::new()),
        remove: |_, id| Err(kept(id)),
    },
    Kind {
        name: "ssf_receiver",
        set: |plane, json| {
            let client = parse(json)?;
            let secret = plane.0.transmitter.register(&client)?;
            Ok(SourcePlaced { item: shown(&client)?, secret: secret.map(|secret| secret.reveal().to_owned()) })
        },
        list: |plane| each(plane.0.transmitter.clients()?),
        remove: |plane, id| plane.0.transmitter.remove(&named::<ClientId>(id)?),
    },
    Kind {
        name: "ssf_transmitter",
        set: |plane, json| placed(json, |settings| receive::register(&plane.0.federation, settings)),
        list: |plane| each(receive::registered(&plane.0.federation)?),
        remove: |plane, id| receive::unregister(&plane.0.federation, &named::<ChannelId>(id)?),
    },
    Kind {
        name: "token_account",
        set: |plane, json| placed(json, |link| token::link_account(&plane.0.federation, link)),
        list: |plane| each(token::linked_accounts(&plane.0.federation)?),
        remove: |plane, id| {
            let (channel, subject) = id.split_once('/').ok_or_else(|| malformed("write `CHANNEL/SUBJECT`"))?;
            token::unlink_account(&plane.0.federation, &named::<ChannelId>(channel)?, &named::<SubjectName>(subject)?)
        },
    },
    Kind {
        name: "token_client",
        set: |plane, json| {
            let client = parse(json)?;
            let secret = plane.0.tokens.register_client(&client)?;
            Ok(SourcePlaced { item: shown(&client)?, secret: secret.map(|secret| secret.reveal().to_owned()) })
        },
        list: |plane| each(token::clients(&plane.0.federation)?),
        remove: |plane, id| token::remove_client(&plane.0.federation, &named::<ClientId>(id)?),
    },
    Kind {
        name: "token_issuer",
        set: |plane, json| placed(json, |issuer| token::register_issuer(&plane.0.federation, issuer)),
        list: |plane| each(token::issuers(&plane.0.federation)?),
        remove: |plane, id| token::remove_issuer(&plane.0.federation, &named::<ChannelId>(id)?),
    },
    Kind {
        name: "token_rule",
        set: |plane, json| placed(json, |rule| token::register_rule(&plane.0.federation, rule)),
        list: |plane| each(token::rules(&plane.0.federation)?),
        remove: |plane, id| token::remove_rule(&plane.0.federation, &named::<FederationRuleId>(id)?),
    },
    Kind {
        name: "vendor_account",
        set: |plane, json| {
            let Enrollment { channel, person, subject } = parse(json)?;
            let subject = plane.0.webhooks.enroll(&channel, &person, subject)?;
            let item = json!({ "channel": channel, "person": person, "subject": subject });
            Ok(SourcePlaced { item, secret: None })
        },
        list: |_| Ok(Vec::new()),
        remove: |_, id| Err(kept(id)),
    },
    Kind {
        name: "wallet_link",
        set: |plane, json| plane.link(json, |person| plane.0.wallet.link(person)),
        list: |_| Ok(Vec::new()),
        remove: |_, id| Err(kept(id)),
    },
];

/// A person for whom a link is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Linked {
    person: PersonId,
}

/// A token to take the place of a directory's newest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    channel: ChannelId,
    #[serde(default)]
    overlap_s: u64,
}

/// A person whom a proofing vendor is to look at, and what the vendor calls them if it chose the name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrollment {
    channel: ChannelId,
    person: PersonId,
    #[serde(default)]
    subject: Option<SubjectName>,
}

/// Finds a kind.
///
/// # Errors
///
/// [`Fault::NotFound`].
pub(super) fn find(name: &str) -> Result<&'static Kind, Fault> {
    let missing = || Fault::NotFound { what: "kind of source", id: name.to_owned() };
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(missing)
}

impl Plane {
    fn link(&self, json: &[u8], make: impl FnOnce(&PersonId) -> Result<String, Fault>) -> Result<SourcePlaced, Fault> {
        let Linked { person } = parse(json)?;
        let path = make(&person)?;
        Ok(SourcePlaced { item: json!({ "person": person }), secret: Some(format!("{}{path}", self.0.origin)) })
    }

    fn forgotten(&self) -> Result<Vec<Value>, Fault> {
        let forgotten = crate::Vault::forgotten(&self.0.federation)?;
        Ok(forgotten.into_iter().map(|(person, at)| json!({ "person": person, "forgotten_at": at })).collect())
    }
}

/// Parses and registers a setting that holds no secret.
fn placed<T: DeserializeOwned + Serialize>(
    json: &[u8],
    register: impl FnOnce(&T) -> Result<(), Fault>,
) -> Result<SourcePlaced, Fault> {
    let setting: T = parse(json)?;
    register(&setting)?;
    Ok(SourcePlaced { item: shown(&setting)?, secret: None })
}

/// Reads a document that names no member twice.
fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Fault> {
    let object = jose::json::parse_object(json, JSON_BYTES_MAX).map_err(|fault| malformed(&fault.to_string()))?;
    serde_json::from_value(Value::Object(object)).map_err(|error| malformed(&error.to_string()))
}

/// Reads an id out of a path.
fn named<T: DeserializeOwned>(id: &str) -> Result<T, Fault> {
    serde_json::from_value(Value::String(id.to_owned())).map_err(|error| malformed(&error.to_string()))
}

fn each(settings: impl IntoIterator<Item = impl Serialize>) -> Result<Vec<Value>, Fault> {
    settings.into_iter().map(|setting| shown(&setting)).collect()
}

fn shown(setting: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(setting).map_err(|error| malformed(&error.to_string()))
}

fn malformed(detail: &str) -> Fault {
    Fault::Malformed(FieldFault::new("", detail))
}

/// Refuses to remove what ends by itself.
fn kept(id: &str) -> Fault {
    Fault::Conflict(format!("`{id}` ends by itself: nothing is kept that could be removed"))
}
