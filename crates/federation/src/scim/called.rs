//! Whom an employer's directory calls by a name.

use control::{Fault, View};
use scim::{LookupKey, ResourceType};
use terms::{ChannelId, PersonId, SubjectName};

use super::record::{Record, collection, term};
use crate::attest::Vault;

/// Returns the users whose user name, in any case, or external id is `name` in the directory of a channel, each with the
/// subject of their account there.
///
/// # Errors
///
/// [`Fault::Store`] if the registry cannot be read.
pub(crate) fn called(
    view: &View<'_>,
    vault: &Vault,
    channel: &ChannelId,
    name: &str,
) -> Result<Vec<(PersonId, SubjectName)>, Fault> {
    let kind = ResourceType::User;
    let mut found = Vec::new();
    for key in [LookupKey::UserName, LookupKey::ExternalId] {
        let Some(lookup) = key.of(kind, name) else { continue };
        for document in view.find(collection(kind), &term(vault, channel, kind, &lookup))? {
            let subject = SubjectName::parse(Record::id_in(&document.id)).ok();
            found.extend(document.owner.zip(subject));
        }
    }
    Ok(found)
}
