//! Users and groups as they are stored: one document each, a user's attributes sealed under the key of the person.

use control::{Document, View};
use scim::{ExportControl, Lookup, LookupKey, Meta, Resource, ResourceType};
use serde_json::Value;
use terms::{ChannelId, Moment, PersonId};
use zeroize::Zeroizing;

use super::{Scim, refusal::Refusal, statements::is_employed};
use crate::attest::Vault;

/// A user or a group of one channel.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: String,
    /// Who a user is; absent for a group.
    pub(super) person: Option<PersonId>,
    pub(super) facts: Facts,
    pub(super) resource: Resource,
}

/// What is recorded about a resource besides its attributes.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    /// Grows with each change.
    pub(super) revision: u64,
    pub(super) created: Moment,
    pub(super) modified: Moment,
    /// True while the user is missing from the employer's roster.
    pub(super) absent: bool,
    /// When what export control asks was last said otherwise than before.
    pub(super) said_at: Moment,
    /// True if, when it was last written, all of it said that the user is employed and in use.
    pub(super) open: bool,
    /// When that changes without another word, because the employment begins or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Moment>,
}

/// The body of a document.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    facts: Facts,
    /// The resource as JSON; of a user, sealed.
    resource: String,
}

/// The collection of all resources of one type; the ids in it begin with the channel.
pub(super) fn collection(kind: ResourceType) -> &'static str {
    match kind {
        ResourceType::User => "scim.user",
        ResourceType::Group => "scim.group",
    }
}

/// Returns the id of a resource's document.
pub(super) fn document_id(channel: &ChannelId, id: &str) -> String {
    format!("{channel}/{id}")
}

/// The longest resource, in bytes of JSON: what is sealed at once holds 64 KiB, and a document 256 KiB.
const USER_BYTES_MAX: usize = 60 << 10;
const GROUP_BYTES_MAX: usize = 200 << 10;
/// For what a user's attributes are sealed.
const PURPOSE: &str = "scim.user";

impl Record {
    /// Makes the record of a new resource.
    pub(super) fn new(id: String, resource: Resource, now: Moment) -> Self {
        let (open, due) = (is_open(&resource, false, now), due(&resource, now));
        let facts = Facts { revision: 1, created: now, modified: now, absent: false, said_at: now, open, due };
        Self { id, person: None, facts, resource }
    }

    /// Returns the id of a resource out of that of its document.
    pub(super) fn id_in(document_id: &str) -> &str {
        document_id.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the version as an entity tag.
    pub(super) fn etag(&self) -> String {
        format!("W/\"{}\"", self.facts.revision)
    }

    /// Returns the same record with another resource, one revision later; `absent` if the roster lacks the user.
    pub(super) fn changed(&self, resource: Resource, absent: bool, now: Moment) -> Self {
        let says_so = nationality(&resource) == nationality(&self.resource);
        let said_at = if says_so { self.facts.said_at } else { now };
        let (revision, open, due) = (self.facts.revision + 1, is_open(&resource, absent, now), due(&resource, now));
        let facts = Facts { revision, modified: now, said_at, absent, open, due, ..self.facts };
        Self { id: self.id.clone(), person: self.person.clone(), facts, resource }
    }

    /// Returns true if the user was in use when last written and is so now by what was written then.
    pub(super) fn was_open(&self, now: Moment) -> bool {
        self.facts.open && is_open(&self.resource, self.facts.absent, now)
    }

    /// Returns the resource as clients see it.
    pub(super) fn shown(&self, base_url: &str) -> Resource {
        let mut resource = self.resource.clone();
        let meta = Meta {
            created: self.facts.created,
            last_modified: self.facts.modified,
            location: self.location(base_url),
            version: self.etag(),
        };
        resource.stamp(&self.id, &meta);
        resource
    }

    pub(super) fn location(&self, base_url: &str) -> String {
        format!("{base_url}{}/{}", self.resource.resource_type().endpoint(), self.id)
    }
}

impl Scim {
    /// Finds a resource by its id.
    pub(super) fn load(
        &self,
        view: &View<'_>,
        channel: &ChannelId,
        kind: ResourceType,
        id: &str,
    ) -> Result<Option<Record>, Refusal> {
        let found = view.document(collection(kind), &document_id(channel, id))?;
        found.map(|document| self.open(kind, &document)).transpose()
    }

    /// Finds the resources of a channel that have a value; whoever needs exactly these compares once more.
    pub(super) fn look_up(
        &self,
        view: &View<'_>,
        channel: &ChannelId,
        kind: ResourceType,
        wanted: &Lookup,
    ) -> Result<Vec<Record>, Refusal> {
        if wanted.key == LookupKey::Id {
            return Ok(self.load(view, channel, kind, &wanted.value)?.into_iter().collect());
        }
        let documents = view.find(collection(kind), &self.term(channel, kind, wanted))?;
        documents.iter().map(|document| self.open(kind, document)).collect()
    }

    /// Reads a document.
    pub(super) fn open(&self, kind: ResourceType, document: &Document) -> Result<Record, Refusal> {
        let unreadable = |why: String| Refusal::Unreadable(format!("{} {}: {why}", document.collection, document.id));
        let stored = stored(document)?;
        let text = match &document.owner {
            Some(person) => self.vault.open_sealed(person, PURPOSE, &stored.resource),
            None => Ok(Zeroizing::new(stored.resource)),
        };
        let text = text.map_err(|fault| unreadable(fault.to_string()))?;
        let body: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let resource = Resource::parse(kind, &body).map_err(|fault| unreadable(fault.to_string()))?;
        let id = Record::id_in(&document.id).to_owned();
        Ok(Record { id, person: document.owner.clone(), facts: stored.facts, resource })
    }

    /// Reads what is recorded about a resource, and leaves its attributes sealed.
    pub(super) fn facts(&self, document: &Document) -> Result<Facts, Refusal> {
        stored(document).map(|stored| stored.facts)
    }

    /// Makes the document of a record.
    pub(super) fn seal(&self, channel: &ChannelId, record: &Record) -> Result<Document, Refusal> {
        let kind = record.resource.resource_type();
        let text = Zeroizing::new(record.resource.unstamped().to_string());
        let most = if kind == ResourceType::User { USER_BYTES_MAX } else { GROUP_BYTES_MAX };
        if text.len() > most {
            return Err(Refusal::TooLarge);
        }
        let resource = match &record.person {
            Some(person) => self.vault.seal(person, PURPOSE, &text),
            None => Ok(text.to_string()),
        };
        let resource = resource.map_err(|fault| Refusal::Unreadable(fault.to_string()))?;
        let stored = Stored { version: 1, facts: record.facts, resource };
        let lookups = record.resource.lookups();
        let due = record.facts.due.map(due_on);
        Ok(Document {
            collection: collection(kind).to_owned(),
            id: document_id(channel, &record.id),
            owner: record.person.clone(),
            terms: lookups.iter().map(|lookup| self.term(channel, kind, lookup)).chain(due).collect(),
            body: serde_json::to_string(&stored).map_err(|error| Refusal::Unreadable(error.to_string()))?,
        })
    }

    /// Returns the word under which a value of one channel is looked up, which tells nothing of the value.
    pub(super) fn term(&self, channel: &ChannelId, kind: ResourceType, lookup: &Lookup) -> String {
        term(&self.vault, channel, kind, lookup)
    }
}

/// Returns the word under which a value of one channel is looked up in a vault.
pub(super) fn term(vault: &Vault, channel: &ChannelId, kind: ResourceType, lookup: &Lookup) -> String {
    let purpose = format!("{}/{channel}/{}", collection(kind), lookup.key.as_str());
    vault.term(&purpose, &lookup.value)
}

fn stored(document: &Document) -> Result<Stored, Refusal> {
    serde_json::from_str(&document.body)
        .map_err(|error| Refusal::Unreadable(format!("{} {}: {error}", document.collection, document.id)))
}

/// The word under which users are looked up whose employment begins or ends on the day of a moment.
pub(super) fn due_on(at: Moment) -> String {
    let day = at.to_string();
    format!("due/{}", day.get(..10).unwrap_or(&day))
}

fn is_open(resource: &Resource, absent: bool, now: Moment) -> bool {
    resource.is_active() && !absent && is_employed(&ExportControl::of(resource), now)
}

fn due(resource: &Resource, now: Moment) -> Option<Moment> {
    let said = ExportControl::of(resource);
    [said.employment_start, said.employment_end].into_iter().flatten().filter(|at| *at > now).min()
}

/// What export control asks, but for the employment itself: it says nothing about nationality when that changes.
fn nationality(resource: &Resource) -> ExportControl {
    let said = ExportControl::of(resource);
    ExportControl { employment_type: None, employment_start: None, employment_end: None, ..said }
}
