//! What the API shows where it is not the thing itself: keys without their digests, digests as text.

use base64::{Engine, engine::general_purpose::STANDARD};
use identity::{Holder, KeyRecord};
use policy::{Snapshot, SnapshotDocument};
use proof::hex;
use serde::Serialize;
use terms::{EndUse, KeyId, Moment, OrganizationId, PersonId};

use crate::{Advice, BoundTo, Changed, Effect, Role, token::TokenRecord};

/// A key as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct KeyView {
    id: KeyId,
    holder: Holder,
    organization: Option<OrganizationId>,
    created_at: Moment,
    expires_at: Moment,
    revoked_at: Option<Moment>,
    end_use: Option<EndUse>,
    confirmation: Option<BoundTo>,
}

impl From<KeyRecord> for KeyView {
    fn from(key: KeyRecord) -> Self {
        Self {
            id: key.id,
            holder: key.holder,
            organization: key.organization,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            end_use: key.end_use,
            confirmation: key.confirmation.map(BoundTo::from),
        }
    }
}

/// An admin token as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TokenView {
    id: KeyId,
    role: Role,
    label: String,
    person: Option<PersonId>,
    created_at: Moment,
    expires_at: Moment,
    revoked_at: Option<Moment>,
}

impl From<TokenRecord> for TokenView {
    fn from(token: TokenRecord) -> Self {
        Self {
            id: token.id,
            role: token.role,
            label: token.label,
            person: token.person,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// A minted key or token: with its text the first time, with `null` when the same request is repeated.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MintedView<'a, T> {
    receipt: u64,
    effect: Effect,
    item: &'a T,
    key: Option<&'a str>,
}

impl<'a, T> MintedView<'a, T> {
    pub(super) fn new(changed: &'a Changed<T>, key: Option<&'a str>) -> Self {
        Self { receipt: changed.receipt, effect: changed.effect, item: &changed.item, key }
    }
}

/// The snapshot in force.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SnapshotView<'a> {
    digest: String,
    receipt: Option<u64>,
    document: &'a SnapshotDocument,
    notices: Vec<Advice>,
}

impl<'a> SnapshotView<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, receipt: Option<u64>) -> Self {
        Self {
            digest: hex(snapshot.digest()),
            receipt,
            document: snapshot.document(),
            notices: Advice::about(snapshot),
        }
    }
}

/// A receipt: the exact bytes of the entry in base64, and the proof as text.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceiptView {
    index: u64,
    leaf: String,
    proof: String,
}

impl From<ledger::Receipt> for ReceiptView {
    fn from(receipt: ledger::Receipt) -> Self {
        Self { index: receipt.index, leaf: STANDARD.encode(receipt.leaf), proof: receipt.proof }
    }
}
