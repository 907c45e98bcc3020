//! Our status list: which of our clearance credentials still say what is so.
//!
//! An entry is `INVALID`, for good, from when on what its credential says is no longer so: an attestation expired or was
//! withdrawn, an account or an employment ended. It is `SUSPENDED` while what it says rests on a source that is silent.
//! The list is made of the present state, at most a second old, whether or not anything was recorded of it yet.

use std::{
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use control::{Document, Fault, FederatedChange, Federation, Source};
use flate2::{Compression, write::GzEncoder};
use identity::Directory;
use jose::Object;
use serde_json::{Value, json};
use terms::Moment;
use vc::status_list::{Bits, ListFault, Status, StatusList, StatusListToken};

use super::{
    Wallet,
    clearance::{ENTRIES, Record, Sources},
    evidence::{read_stored, stored},
    fault::WalletFault,
    names::CLEARANCES,
};

/// The name of our one status list.
pub(super) const LIST: &str = "1";
/// How long others may keep our status list.
const TTL: Duration = Duration::from_secs(60);
/// How long it is good at most.
const LIST_LIFE: Duration = Duration::from_hours(1);
/// How long we serve the same one while nothing changes.
const KEPT: Duration = Duration::from_secs(10);
/// How long we serve the same one in any case: what it costs to make one bounds how often it is made.
const AT_LEAST: Duration = Duration::from_secs(1);
/// Credentials that are read from the registry, or changes that are made, at a time.
const PAGE: u32 = 256;

/// Our status list as it was last signed, and when our credentials were last looked through.
#[derive(Debug, Default)]
pub(super) struct Published {
    state: Mutex<State>,
    /// Held while a list is made, so that whoever asks meanwhile waits for the same one.
    making: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    signed: Option<Signed>,
    looked: Option<Looked>,
}

/// A status list token as it is served.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    revision: u64,
    at: Moment,
    until: Moment,
    /// In compact form.
    pub(super) token: Bytes,
    /// The same, compressed for those who take it so.
    pub(super) gzip: Bytes,
}

/// When credentials were looked through, and until when nothing of it changes by itself.
#[derive(Clone, Copy, Debug)]
struct Looked {
    revision: u64,
    until: Moment,
}

/// What a look through all our credentials found.
struct Survey {
    list: StatusList,
    /// Credentials that are over, or are to be revoked for good.
    changes: Vec<FederatedChange>,
    /// Until when nothing of it changes unless the registry does.
    until: Moment,
}

impl Wallet {
    /// Returns the token of our status list.
    ///
    /// # Errors
    ///
    /// [`WalletFault::Gone`] if there is no list of this name; [`WalletFault::Registry`], [`WalletFault::Signing`].
    ///
    /// # Source
    /// Token Status List, draft-ietf-oauth-status-list-21, sections 5.1 and 8.1.
    pub(super) async fn status_list(&self, name: &str) -> Result<Signed, WalletFault> {
        if name != LIST {
            return Err(WalletFault::Gone);
        }
        let _making = self.0.published.making.lock().await;
        let (now, revision) = (self.now(), self.0.control.directory().revision());
        if let Some(signed) = self.0.published.served(revision, now) {
            return Ok(signed);
        }
        let wallet = self.clone();
        let made = tokio::task::spawn_blocking(move || wallet.sign_list(revision, now)).await;
        made.unwrap_or(Err(WalletFault::Closed))
    }

    /// Returns how others find the keys of our credentials.
    ///
    /// # Source
    /// SD-JWT VC, draft-ietf-oauth-sd-jwt-vc-24, section 4.
    pub(super) fn issuer_metadata(&self) -> Value {
        json!({ "issuer": self.0.settings.origin, "jwks": self.0.keyring.public().to_value() })
    }

    /// Records that credentials are revoked which no longer say what is so, and forgets those that are over; returns how
    /// many they were. Does nothing while nothing changed.
    ///
    /// # Errors
    ///
    /// [`Fault`]: some are not recorded yet; try again. Our status list says so already.
    pub(super) async fn revoke_ended(&self) -> Result<usize, Fault> {
        let (now, directory) = (self.now(), self.0.control.directory());
        let revision = directory.revision();
        if self.0.published.is_looked_through(revision, now) {
            return Ok(0);
        }
        let (count, until) = self.blocking(move |federation| record_ended(federation, &directory, now)).await?;
        let mut state = self.0.published.lock();
        state.looked = Some(Looked { revision, until });
        if count > 0 {
            state.signed = None;
        }
        Ok(count)
    }

    /// Signs our list as it is now. Blocks on the disk.
    fn sign_list(&self, revision: u64, now: Moment) -> Result<Signed, WalletFault> {
        let survey = survey(self.federation(), &self.0.control.directory(), now)?;
        let token = StatusListToken {
            uri: self.list_uri(),
            issued_at: now,
            expires_at: Some(now.plus(LIST_LIFE)),
            ttl: Some(TTL),
            list: survey.list,
        };
        let token = token.sign(self.signing_key()?.as_ref(), &Object::new())?;
        let until = survey.until.min(now.plus(KEPT)).max(now.plus(AT_LEAST));
        let signed = Signed { revision, at: now, until, gzip: gzip(token.as_bytes()), token: token.into() };
        self.0.published.lock().signed = Some(signed.clone());
        Ok(signed)
    }

    /// Returns where our status list is.
    pub(super) fn list_uri(&self) -> String {
        format!("{}/status-lists/{LIST}", self.0.settings.origin)
    }
}

impl Published {
    /// Returns the list that was last signed, if it still says what is so, or was signed within the last second.
    fn served(&self, revision: u64, now: Moment) -> Option<Signed> {
        let state = self.lock();
        let signed = state.signed.as_ref().filter(|signed| signed.at <= now)?;
        let current = signed.revision == revision && now < signed.until;
        (current || now < signed.at.plus(AT_LEAST)).then(|| signed.clone())
    }

    fn is_looked_through(&self, revision: u64, now: Moment) -> bool {
        self.lock().looked.is_some_and(|looked| looked.revision == revision && now < looked.until)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record_ended(federation: &Federation, directory: &Directory, now: Moment) -> Result<(usize, Moment), Fault> {
    let Survey { changes, until, .. } = survey(federation, directory, now)?;
    let count = changes.len();
    let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
    for some in changes.chunks(page) {
        federation.commit(&Source::own("clearance.ended"), |_| Ok(some.to_vec()))?;
    }
    Ok((count, until))
}

/// Looks through every credential of ours.
fn survey(federation: &Federation, directory: &Directory, now: Moment) -> Result<Survey, Fault> {
    let sources = Sources::of(directory, now);
    let alive = sources.all_alive();
    let entries = usize::try_from(ENTRIES).unwrap_or(usize::MAX);
    let list = StatusList::new(Bits::Two, entries).map_err(unlisted)?;
    let mut survey = Survey { list, changes: Vec::new(), until: Moment::MAX };
    each(federation, |document, record| {
        let idx = document.id.parse().map_err(|_| Fault::Conflict(format!("`{}` is no index", document.id)))?;
        let at_present = |sources: &Sources| document.owner.as_ref().and_then(|id| sources.cleared(directory, id));
        let status = if record.revoked {
            Status::Invalid
        } else {
            let present = at_present(&sources);
            survey.until = survey.until.min(present.as_ref().map_or(Moment::MAX, |(_, until)| *until));
            status(&record, present, || at_present(&alive))
        };
        survey.list.set(idx, status).map_err(unlisted)?;
        survey.changes.extend(change(document, record, status, now)?);
        Ok(())
    })?;
    Ok(survey)
}

type Present = Option<(super::clearance::Cleared, Moment)>;

fn status(record: &Record, present: Present, if_alive: impl FnOnce() -> Present) -> Status {
    let still_so = |present: Present| present.is_some_and(|(cleared, _)| cleared == record.cleared);
    if still_so(present) {
        Status::Valid
    } else if still_so(if_alive()) {
        Status::Suspended
    } else {
        Status::Invalid
    }
}

fn change(document: Document, record: Record, status: Status, now: Moment) -> Result<Option<FederatedChange>, Fault> {
    if record.expires_at <= now {
        let Document { collection, id, .. } = document;
        return Ok(Some(FederatedChange::DocumentGone { collection, id }));
    }
    if record.revoked || status != Status::Invalid {
        return Ok(None);
    }
    let body = stored(&Record { revoked: true, ..record })?;
    Ok(Some(FederatedChange::Document(Document { body, ..document })))
}

fn each(federation: &Federation, mut look: impl FnMut(Document, Record) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut after = String::new();
    loop {
        let page = federation.read(|view| view.documents(CLEARANCES, &after, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for document in page {
            let record = read_stored(&document.body)?;
            look(document, record)?;
        }
    }
}

fn unlisted(fault: ListFault) -> Fault {
    Fault::Conflict(fault.to_string())
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default().into()
}
