//! Small files become one wide file, which is one subtree as well.

use std::sync::Arc;

use terms::Moment;

use crate::{
    file::{File, UNPACKED_BYTES_MAX},
    place::{Files, Place, ReadError},
    source::Source,
    span::Span,
    store::Created,
    upload::{UploadError, create, on_a_thread},
    worm::Lock,
    writer::write,
};

/// What is kept from everybody.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// For how long wide files are; not at all without.
    pub lock: Option<&'a Lock>,
    /// The time: small files whose own has passed are free.
    pub now: Moment,
}

/// What compaction did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Compacted {
    /// Wide files that are there now and were not.
    pub made: u64,
    /// Small files that were removed.
    pub removed: u64,
}

/// Makes files of `leaves` leaves of all smaller ones that fill them, tells `each` of every wide file, and removes the small ones.
///
/// A small file is removed only when the wide file that has its leaves was read back and its leaves have the root that the
/// log's checkpoint covers. A crash leaves both, and the next run goes on; readers of ours take the wide one. Wide files are
/// kept from everybody as `keep` says; small ones that still are, or on which there is a legal hold, are not compacted.
///
/// # Errors
///
/// [`UploadError`]; what was done stays done.
pub async fn compact(
    source: &Arc<dyn Source>,
    place: &Place,
    leaves: u64,
    keep: Keep<'_>,
    mut each: impl FnMut(Span),
) -> Result<Compacted, UploadError> {
    let files = place.files().await?;
    let mut done = Compacted::default();
    for wide in files.compactable(leaves) {
        refuse_held(place, &files, wide, keep).await?;
        if files.exactly(wide).is_none() {
            done.made += u64::from(make(source, place, &files, wide, keep).await? == Created::New);
        }
        done.removed += remove(source, place, wide).await?;
        each(wide);
    }
    Ok(done)
}

/// Objects that are kept from everybody stay as they are: a wide file beside them would double what engines see.
async fn refuse_held(place: &Place, files: &Files, wide: Span, keep: Keep<'_>) -> Result<(), UploadError> {
    let Some(s3) = place.store.s3() else {
        return Ok(());
    };
    for path in files.within(wide) {
        if s3.is_held(path, keep.now).await? {
            return Err(UploadError::Held(path.to_string()));
        }
    }
    Ok(())
}

async fn make(
    source: &Arc<dyn Source>,
    place: &Place,
    files: &Files,
    wide: Span,
    keep: Keep<'_>,
) -> Result<Created, UploadError> {
    let mut pieces = Vec::new();
    for (span, path) in files.pieces(wide).ok_or_else(|| ReadError::Gone(wide.to_string()))? {
        let root = source.root(span.first(), span.end())?;
        pieces.push(place.file(path, span, &root).await?);
    }
    if pieces.iter().map(File::unpacked).fold(0, i64::saturating_add) > UNPACKED_BYTES_MAX {
        return Err(UploadError::TooWide(wide));
    }
    let root = source.root(wide.first(), wide.end())?;
    let origin = place.origin().to_owned();
    let leaves = move || Ok(write(&origin, wide, &root, pieces.iter().flat_map(File::leaves))?);
    let written = on_a_thread(leaves).await?;
    Ok(create(&place.store, keep.lock, &place.path(wide, written.first_at_ms), &written).await?)
}

/// Reads the wide file back and removes the small ones that it replaces.
async fn remove(source: &Arc<dyn Source>, place: &Place, wide: Span) -> Result<u64, UploadError> {
    let files = place.files().await?;
    let path = files.exactly(wide).ok_or_else(|| ReadError::Gone(wide.to_string()))?;
    place.file(path, wide, &source.root(wide.first(), wide.end())?).await?;
    let mut removed = 0;
    for path in files.within(wide) {
        place.store.remove(path).await?;
        removed += 1;
    }
    Ok(removed)
}
