//! One key, from the text in a header to its record: what a request waits for before anything else.

use std::{hint::black_box, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use identity::{Change, Directory, Holder, KeyRecord, KeyText, Pepper};
use terms::{Moment, OrganizationId};

/// Other keys in the directory.
const OTHERS: u32 = 200;

/// Verifies the same key again and again.
///
/// # Errors
///
/// There is no randomness for keys, or the key does not verify.
pub(crate) fn verify(count: u32) -> anyhow::Result<()> {
    let pepper = Pepper::new([7; 32]);
    let directory = Directory::default();
    let now = Moment::from_millis(1_782_000_000_000);
    for _ in 0..OTHERS {
        directory.apply(Change::Key(Arc::new(record(&KeyText::mint()?, &pepper, Holder::Shared, None, now))));
    }
    let key = KeyText::mint()?;
    directory.apply(Change::Key(Arc::new(record(&key, &pepper, Holder::Shared, None, now))));
    for _ in 0..count {
        let presented = KeyText::parse(black_box(key.reveal().as_bytes()))?;
        let found = directory.key(&presented.id()).context("the key is not in the directory")?;
        ensure!(black_box(pepper.matches(&presented, &found.digest)), "the key does not verify");
    }
    Ok(())
}

/// Returns what the directory holds of a key that is good for a day.
pub(crate) fn record(
    key: &KeyText,
    pepper: &Pepper,
    holder: Holder,
    organization: Option<OrganizationId>,
    now: Moment,
) -> KeyRecord {
    KeyRecord {
        id: key.id(),
        holder,
        organization,
        digest: pepper.digest(key),
        created_at: now,
        expires_at: now.plus(Duration::from_secs(86_400)),
        revoked_at: None,
        end_use: None,
        confirmation: None,
    }
}
