//! The manifest: what the folder consists of, signed by the log's key.

use ledger::Reader;
use proof::{
    dsse::Envelope,
    production::{Manifest, PAYLOAD_TYPE},
};

use crate::{Act, Fault, Folder, Survey};

/// Signs every file of the folder as the steps wrote it, and what the production is; returns the bytes of
/// `manifest.json`.
///
/// # Errors
///
/// [`Fault::Foreign`] or [`Fault::Changed`] if the folder holds anything else, [`Fault::Log`] if the log's key cannot be
/// read, [`Fault::File`].
pub fn manifest(reader: &Reader, act: &Act, survey: &Survey, folder: &Folder) -> Result<Vec<u8>, Fault> {
    folder.check()?;
    let key = reader.signer_key()?;
    let manifest = Manifest {
        origin: key.name().to_owned(),
        size: survey.size,
        selection: act.selection.clone(),
        custody: act.entry,
        engine: survey.engine.clone(),
        files: folder.digests(),
    };
    Ok(Envelope::sign(PAYLOAD_TYPE, manifest.to_json(), &key).to_json())
}
