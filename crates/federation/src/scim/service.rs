//! What each request does: read, decide what changes, commit it whole.

use control::{Fault, FederatedChange, Source, View};
use scim::{ExportControl, LookupKey, Named, Patch, Resource, ResourceType};
use serde_json::Value;
use terms::{AccountState, ChannelId, PersonId, SubjectName};

use super::{
    Scim,
    effects::{Held, display_name, of_deletion, of_user, renamed},
    random_id,
    record::{Record, collection, document_id},
    refusal::Refusal,
    statements::check_times,
    taken,
    tenant::Tenant,
};

/// What a request made.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) record: Record,
    /// What its answer shows though it is shown on request only.
    pub(super) named: Named,
}

/// Which version a client wants to change, as in `If-Match`.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected(pub(super) Option<String>);

impl Expected {
    pub(super) fn check(&self, record: &Record) -> Result<(), Refusal> {
        let Some(wanted) = &self.0 else { return Ok(()) };
        let etag = record.etag();
        let mut tags = wanted.split(',').map(str::trim);
        let is_wanted = tags.any(|tag| tag == "*" || weak(tag) == weak(&etag));
        if is_wanted { Ok(()) } else { Err(Refusal::Outdated) }
    }
}

/// Versions are compared weakly: some clients leave out the `W/`.
fn weak(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// What a commit is to change, and what the client is answered if it succeeds.
type Decision<T> = (Vec<FederatedChange>, T);

/// A resource as a request makes it.
struct New {
    resource: Resource,
    /// True if the request says anew that the user is active: it brings back what a signal suspended.
    activates: bool,
    named: Named,
}

/// How many changes a commit of several users may hold before the rest waits for the next: with those of one more user,
/// some 400 where every attribute is full, they stay below the 512 that a commit may have.
const ROOM: usize = 100;

impl Scim {
    pub(super) fn create(&self, channel: &ChannelId, kind: ResourceType, body: &Value) -> Result<Written, Refusal> {
        let (resource, named) = (Resource::parse(kind, body)?, Named::in_body(kind, body));
        let id = random_id()?;
        self.commit(channel, code(kind, "create"), |view| {
            let tenant = self.tenant(view, channel)?;
            let mut record = Record::new(id, resource, view.now());
            self.check_unique(view, channel, &record)?;
            let mut changes = Vec::new();
            if kind == ResourceType::User {
                let (person, new) = person_for(view, &tenant, &record)?;
                changes.extend(new);
                record.person = Some(person);
            }
            changes.extend(self.consequences(view, &tenant, &record, true)?);
            Ok((changes, Written { record, named }))
        })
    }

    pub(super) fn replace(
        &self,
        channel: &ChannelId,
        (kind, id): (ResourceType, &str),
        expected: &Expected,
        body: &Value,
    ) -> Result<Written, Refusal> {
        let change = |old: &Resource| {
            let resource = old.replaced_by(body)?;
            // Directories repeat `active` in every PUT, whatever changed: it is news only of a user whom they had taken out.
            let activates = resource.says_active() && !old.is_active();
            Ok(New { activates, resource, named: Named::in_body(kind, body) })
        };
        self.change(channel, (kind, id), code(kind, "replace"), expected, change)
    }

    pub(super) fn patch(
        &self,
        channel: &ChannelId,
        (kind, id): (ResourceType, &str),
        expected: &Expected,
        body: &Value,
    ) -> Result<Written, Refusal> {
        let patch = Patch::parse(body)?;
        let change = |old: &Resource| {
            Ok(New { resource: patch.apply(old)?, activates: patch.activates(old), named: patch.named(kind) })
        };
        self.change(channel, (kind, id), code(kind, "patch"), expected, change)
    }

    /// Ends what the user opened, for good, and forgets the resource.
    pub(super) fn delete(
        &self,
        channel: &ChannelId,
        (kind, id): (ResourceType, &str),
        expected: &Expected,
    ) -> Result<(), Refusal> {
        self.commit(channel, code(kind, "delete"), |view| {
            let tenant = self.tenant(view, channel)?;
            let record = self.found(view, channel, kind, id)?;
            expected.check(&record)?;
            Ok((deletion(view, &tenant, &record)?, ()))
        })
    }

    pub(super) fn get(&self, channel: &ChannelId, kind: ResourceType, id: &str) -> Result<Record, Refusal> {
        self.read(|view| self.found(view, channel, kind, id))
    }

    /// Reads the registry.
    pub(super) fn read<T>(&self, look: impl FnOnce(&View<'_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.federation.read(|view| Ok(look(view)))?
    }

    /// Commits what `decide` decides. If that is nothing, nothing is recorded.
    pub(super) fn commit<T>(
        &self,
        channel: &ChannelId,
        code: &'static str,
        decide: impl FnOnce(&View<'_>) -> Result<Decision<T>, Refusal>,
    ) -> Result<T, Refusal> {
        let source = Source::evidence(channel.clone(), code, format!("scim-{}", random_id()?));
        let mut answer = None;
        let committed = self.federation.commit(&source, |view| match decide(view) {
            Ok((changes, value)) if !changes.is_empty() => {
                answer = Some(Ok(value));
                Ok(changes)
            }
            other => {
                answer = Some(other.map(|(_, value)| value));
                Err(Fault::Conflict("nothing is to be changed".to_owned()))
            }
        });
        match (committed, answer) {
            // What is on record and in effect is done, though it cannot be read yet.
            (Ok(_) | Err(Fault::Conflict(_) | Fault::Behind { .. }), Some(answer)) => answer,
            (Err(fault), _) => Err(Refusal::Control(fault)),
            (Ok(_), None) => Err(Refusal::Unreadable("a commit was made of no decision".to_owned())),
        }
    }

    /// Changes a resource; if it stays as it was, so does its version.
    fn change(
        &self,
        channel: &ChannelId,
        (kind, id): (ResourceType, &str),
        code: &'static str,
        expected: &Expected,
        change: impl FnOnce(&Resource) -> Result<New, Refusal>,
    ) -> Result<Written, Refusal> {
        self.commit(channel, code, |view| {
            let tenant = self.tenant(view, channel)?;
            let old = self.found(view, channel, kind, id)?;
            expected.check(&old)?;
            let New { resource, activates, named } = change(&old.resource)?;
            let absent = old.facts.absent && !activates;
            if resource == old.resource && absent == old.facts.absent {
                let changes = self.effects(view, &tenant, &old, activates)?;
                return Ok((changes, Written { record: old, named }));
            }
            let new = old.changed(resource, absent, view.now());
            self.check_unique(view, channel, &new)?;
            let mut changes = self.consequences(view, &tenant, &new, activates || !old.was_open(view.now()))?;
            changes.extend(self.renaming(view, &tenant, &old, &new)?);
            Ok((changes, Written { record: new, named }))
        })
    }

    /// Changes resources of a channel, as many in one commit as it holds. What was changed before an error stays changed.
    pub(super) fn for_each_of(
        &self,
        (channel, kind): (&ChannelId, ResourceType),
        code: &'static str,
        ids: &[String],
        decide: impl Fn(&View<'_>, &Tenant, &Record) -> Result<Vec<FederatedChange>, Refusal>,
    ) -> Result<(), Refusal> {
        let mut rest = ids;
        while !rest.is_empty() {
            let done = self.commit(channel, code, |view| {
                let tenant = self.any_tenant(view, channel)?;
                let (mut changes, mut done) = (Vec::new(), 0);
                for id in rest {
                    if changes.len() > ROOM {
                        break;
                    }
                    if let Some(record) = self.load(view, channel, kind, id)? {
                        changes.extend(decide(view, &tenant, &record)?);
                    }
                    done += 1;
                }
                Ok((changes, done))
            })?;
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// Returns the record's document and all that follows from it.
    pub(super) fn consequences(
        &self,
        view: &View<'_>,
        tenant: &Tenant,
        record: &Record,
        restores: bool,
    ) -> Result<Vec<FederatedChange>, Refusal> {
        let mut changes = self.effects(view, tenant, record, restores)?;
        changes.push(FederatedChange::Document(self.seal(&tenant.channel.id, record)?));
        Ok(changes)
    }

    /// Returns what a user means for the person; a group means nothing. An attestation that was withdrawn does not return.
    fn effects(
        &self,
        view: &View<'_>,
        tenant: &Tenant,
        record: &Record,
        restores: bool,
    ) -> Result<Vec<FederatedChange>, Refusal> {
        let Some(id) = &record.person else { return Ok(Vec::new()) };
        check_times(&ExportControl::of(&record.resource), view.now())?;
        let person = view.person(id)?;
        let held = Held { id, person: person.as_ref(), restores };
        let mut changes = Vec::new();
        for change in of_user(tenant, &self.settings.trust, &held, record, view.now())? {
            let is_known = match &change {
                FederatedChange::Attestation(new) => view.attestation(&new.id)?.is_some(),
                _ => false,
            };
            changes.extend((!is_known).then_some(change));
        }
        Ok(changes)
    }

    fn renaming(
        &self,
        view: &View<'_>,
        tenant: &Tenant,
        old: &Record,
        new: &Record,
    ) -> Result<Option<FederatedChange>, Refusal> {
        let external_id = |record: &Record| record.resource.text("externalId").map(str::to_owned);
        let Some(id) = &new.person else { return Ok(None) };
        let was_another = external_id(old).is_some() && external_id(old) != external_id(new);
        let held = Held { id, person: None, restores: false };
        Ok(was_another.then(|| renamed(tenant, &held, new, view.now())))
    }

    fn found(&self, view: &View<'_>, channel: &ChannelId, kind: ResourceType, id: &str) -> Result<Record, Refusal> {
        let record = self.load(view, channel, kind, id)?;
        record.ok_or_else(|| Refusal::NotFound(format!("{} of this id", kind.name())))
    }

    /// A user name and an external id belong to one resource of their type; display names of groups may repeat.
    fn check_unique(&self, view: &View<'_>, channel: &ChannelId, record: &Record) -> Result<(), Refusal> {
        let kind = record.resource.resource_type();
        let lookups = record.resource.lookups();
        let unique = lookups.iter().filter(|one| matches!(one.key, LookupKey::UserName | LookupKey::ExternalId));
        for lookup in unique {
            let others = self.look_up(view, channel, kind, lookup)?;
            if others.iter().any(|other| other.id != record.id) {
                return Err(taken(lookup.key.as_str()));
            }
        }
        Ok(())
    }
}

/// Returns who a new user is: the person to whom a registrar linked the external id, or else somebody new.
///
/// Nothing else links: an e-mail address or a user name is given to somebody else one day. An account that is over does not
/// return, so whoever had one begins anew, as a person about whom nothing is attested.
fn person_for(view: &View<'_>, tenant: &Tenant, user: &Record) -> Result<(PersonId, Option<FederatedChange>), Refusal> {
    let subject = user.resource.text("externalId").and_then(|id| SubjectName::parse(id).ok());
    let linked = match &subject {
        Some(subject) => view.account(&tenant.channel.id, subject)?,
        None => None,
    };
    let Some(person) = linked.map(|id| view.person(&id)).transpose()?.flatten() else {
        return new_person(user);
    };
    let mut others = person
        .accounts
        .iter()
        .filter(|account| account.channel == tenant.channel.id && Some(&account.subject) != subject.as_ref());
    match others.next().map(|account| account.state) {
        None => Ok((person.id, None)),
        Some(AccountState::Ended) => new_person(user),
        Some(AccountState::Active | AccountState::Suspended) => Err(taken("externalId")),
    }
}

/// Returns the changes that end what a user opened and forget the resource.
pub(super) fn deletion(view: &View<'_>, tenant: &Tenant, record: &Record) -> Result<Vec<FederatedChange>, Refusal> {
    let mut changes = Vec::new();
    if let Some(id) = &record.person {
        let person = view.person(id)?;
        let held = Held { id, person: person.as_ref(), restores: false };
        changes.extend(of_deletion(tenant, &held, record, &view.keys_of(id)?, view.now())?);
    }
    let collection = collection(record.resource.resource_type()).to_owned();
    changes.push(FederatedChange::DocumentGone { collection, id: document_id(&tenant.channel.id, &record.id) });
    Ok(changes)
}

fn new_person(user: &Record) -> Result<(PersonId, Option<FederatedChange>), Refusal> {
    let person = PersonId::parse(&random_id()?).map_err(|bad| Refusal::Unreadable(bad.to_string()))?;
    let change = FederatedChange::NewPerson { person: person.clone(), display_name: display_name(&user.resource) };
    Ok((person, Some(change)))
}

/// Returns the verb of the record.
fn code(kind: ResourceType, act: &str) -> &'static str {
    match (kind, act) {
        (ResourceType::User, "create") => "scim.user_create",
        (ResourceType::User, "replace") => "scim.user_replace",
        (ResourceType::User, "patch") => "scim.user_patch",
        (ResourceType::User, _) => "scim.user_delete",
        (ResourceType::Group, "create") => "scim.group_create",
        (ResourceType::Group, "replace") => "scim.group_replace",
        (ResourceType::Group, "patch") => "scim.group_patch",
        (ResourceType::Group, _) => "scim.group_delete",
    }
}
