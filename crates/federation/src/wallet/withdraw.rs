//! What is undone when the status of a credential changes, and what is forgotten when it is over.

use control::{Document, Fault, FederatedChange, Federation, Source, View};
use terms::{Channel, ChannelId, Moment};
use vc::status_list::Status;

use super::{
    evidence::{Presented, read_stored},
    names::{CREDENTIALS, LISTS},
};

/// Documents that are read from the registry, or changes that are made, at a time.
const PAGE: u32 = 256;

/// Withdraws what rests on the credentials of a list whose status, by `status`, is not valid; returns how many they were.
/// The live calls that rested on it have been decided again when this returns.
///
/// # Errors
///
/// [`Fault`]: some may not be withdrawn yet; what follows from them still stands, so try again.
pub(super) fn withdraw(
    federation: &Federation,
    channel: &ChannelId,
    status: impl Fn(u32) -> Option<Status>,
) -> Result<usize, Fault> {
    let presented = federation.read(|view| view.find(CREDENTIALS, channel.as_str()))?;
    let mut withdrawn = 0;
    for document in presented {
        let credential: Presented = read_stored(&document.body)?;
        let Some(idx) = credential.idx else { continue };
        let Some((code, reason)) = ended(status(idx)) else { continue };
        let source = Source::signal(channel.clone(), code, format!("{channel}#{idx}"));
        let withdrawal = |attestation| FederatedChange::Withdrawal { attestation, reason: reason.to_owned() };
        let mut changes: Vec<FederatedChange> = credential.attestations.into_iter().map(withdrawal).collect();
        changes.push(gone(document));
        federation.commit(&source, |_| Ok(changes))?;
        withdrawn += 1;
    }
    Ok(withdrawn)
}

/// Returns the record's verb and words for a status that is not valid.
fn ended(status: Option<Status>) -> Option<(&'static str, &'static str)> {
    match status {
        Some(Status::Valid) => None,
        Some(Status::Suspended) => Some(("status_list.suspended", "the credential behind it is suspended")),
        Some(_) => Some(("status_list.revoked", "the credential behind it was revoked")),
        None => Some(("status_list.gone", "the status list no longer has an entry for the credential behind it")),
    }
}

/// Forgets credentials that are over, then stops watching lists on which nothing rests any more.
///
/// # Errors
///
/// [`Fault`]: some may still be kept; try again.
pub(super) fn forget_over(federation: &Federation) -> Result<(), Fault> {
    each_page(federation, CREDENTIALS, "wallet.credential_over", |view, document| {
        let credential: Presented = read_stored(&document.body)?;
        let over = credential.expires_at.is_some_and(|end: Moment| end <= view.now());
        Ok(if over { vec![gone(document)] } else { Vec::new() })
    })?;
    each_page(federation, LISTS, "wallet.list_over", |view, document| {
        let id = ChannelId::parse(&document.id).map_err(|bad| Fault::Conflict(bad.to_string()))?;
        // One that was turned off by an operator must not be made anew by the next presentation.
        let open = view.channel(&id)?.filter(|channel| channel.enabled);
        let idle = view.find(CREDENTIALS, &document.id)?.is_empty();
        let retired = |channel| FederatedChange::Channel(Channel { enabled: false, ..channel });
        Ok(open.filter(|_| idle).map_or_else(Vec::new, |channel| vec![gone(document), retired(channel)]))
    })
}

/// Makes the changes that `of` returns for each document of a collection, a page at a time.
fn each_page(
    federation: &Federation,
    collection: &str,
    code: &'static str,
    of: impl Fn(&View<'_>, Document) -> Result<Vec<FederatedChange>, Fault>,
) -> Result<(), Fault> {
    let mut after = String::new();
    loop {
        let changes = |view: &View<'_>, after: &str| {
            let page = view.documents(collection, after, PAGE)?;
            let last = page.last().map(|document| document.id.clone());
            let changes: Result<Vec<_>, Fault> = page.into_iter().map(|document| of(view, document)).collect();
            Ok((changes?.concat(), last))
        };
        let (found, last) = federation.read(|view| changes(view, &after))?;
        if !found.is_empty() {
            // What was found may have changed since: look again where nobody writes meanwhile.
            federation.commit(&Source::own(code), |view| Ok(changes(view, &after)?.0))?;
        }
        let Some(last) = last else { return Ok(()) };
        after = last;
    }
}

fn gone(document: Document) -> FederatedChange {
    FederatedChange::DocumentGone { collection: document.collection, id: document.id }
}
