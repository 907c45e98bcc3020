//! Write once, read many: claimed only of a bucket that was seen to refuse.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use object_store::path::Path;
use terms::{Clock, Moment, Retention};

use crate::{
    s3::{Answer, S3, answered},
    store::{Store, StoreError},
};

/// For how long the canary is kept from everybody.
const CANARY_FOR: Duration = Duration::from_secs(3_600);
const FIRST: &[u8] = b"canary: this version must stay\n";
const SECOND: &[u8] = b"canary: this version must not take its place\n";

/// Keeps objects from everybody until their retention ends (S3 object lock, COMPLIANCE).
#[derive(Clone, Debug)]
pub struct Lock {
    retention: Retention,
    clock: Arc<dyn Clock>,
}

impl Lock {
    /// Keeps objects as long as `retention` says, by `clock`.
    #[must_use]
    pub fn new(retention: Retention, clock: Arc<dyn Clock>) -> Self {
        Self { retention, clock }
    }

    /// Returns until when an object is kept whose last entry was written at `at_ms`; `None` if no rule keeps it any more.
    pub(crate) fn until(&self, at_ms: u64) -> Option<Moment> {
        let at = Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX));
        self.retention.longest(at).map(|(_, until)| until).filter(|until| *until > self.clock.now())
    }
}

/// What a store did to a canary that was to be kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Worm {
    /// It refused to remove it, to put another in its place, and to keep it for less long.
    Held,
    /// It did not: what it holds can be removed or changed. Says how.
    Broken(&'static str),
    /// Such a store cannot hold an object: a folder, a bucket without versions. Says why.
    Unable(&'static str),
}

/// Writes a canary with a retention of an hour, tries to remove it, to replace it and to shorten its time, and reads it
/// back. Each canary has a name of its own: `now`.
///
/// # Errors
///
/// [`StoreError`] if the store does not answer; nothing may be claimed then.
pub async fn probe(store: &Store, now: Moment) -> Result<Worm, StoreError> {
    let Some(s3) = store.s3() else {
        return Ok(Worm::Unable("only buckets with S3 object lock can hold objects"));
    };
    let path = store.path(&format!("lake/v2/canary/{}", now.as_millis()));
    let until = now.plus(CANARY_FOR);
    let put = s3.put_locked(&path, Bytes::from_static(FIRST), until, true).await?;
    if put.status == StatusCode::BAD_REQUEST && put.code() == Some("InvalidRequest") {
        return Ok(Worm::Unable("the bucket takes no object with a retention: make it with object lock"));
    }
    if !put.status.is_success() {
        return Err(answered("write", &path, &put));
    }
    let Some(version) = put.version else {
        return Ok(Worm::Unable("the bucket keeps no versions: object lock is not on"));
    };
    try_to_break(s3, &path, &version, until).await
}

async fn try_to_break(s3: &S3, path: &Path, version: &str, until: Moment) -> Result<Worm, StoreError> {
    if !is_denied(&s3.remove_version(path, version).await?) {
        return Ok(Worm::Broken("it removed an object before its retention ended"));
    }
    // A new version may be added; the old one must stay.
    s3.put_locked(path, Bytes::from_static(SECOND), until, false).await?;
    let kept = s3.get_version(path, version).await?;
    if !kept.status.is_success() || kept.body != FIRST {
        return Ok(Worm::Broken("it put another object in the place of one whose retention had not ended"));
    }
    let sooner = Moment::from_millis(until.as_millis() - 1_800_000);
    if !is_denied(&s3.retain(path, version, sooner).await?) {
        return Ok(Worm::Broken("it shortened a retention that was to hold for everybody"));
    }
    Ok(Worm::Held)
}

fn is_denied(answer: &Answer) -> bool {
    answer.status == StatusCode::FORBIDDEN
}
