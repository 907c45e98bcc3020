//! Productions: a part of a log, checked to be complete and true without the rest of it.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use proof::{
    bundle::{BadEntries, CHECKPOINT_FILE, ENTRIES_FILE, EntriesReader, KEY_FILE},
    checkpoint::Checkpoint,
    dsse::ENVELOPE_BYTES_MAX,
    heads::Chain,
    multi::{BadMultiproof, MultiproofReader},
    policy_file::Policy,
    production::{
        CALLS_FILE, HASHES_FILE, HEADS_FILE, HeadsFile, MANIFEST_FILE, Manifest, NAMES_FILE, NamesFile, POLICY_FILE,
        SUMS_FILE, SumsFile,
    },
    tree::{Hash, leaf_hash},
};

mod engine;
mod files;
mod hours;
mod report;
mod walk;

use files::{Digesting, Folder};
pub use report::ProductionReport;
use walk::{Against, Shown};

use crate::{
    ProductionOptions, Progress, VerifyError,
    regular::{self, unreadable},
};

/// The files that are read for what is in them.
const PARSED: [&str; 8] =
    [CHECKPOINT_FILE, KEY_FILE, POLICY_FILE, ENTRIES_FILE, HASHES_FILE, HEADS_FILE, SUMS_FILE, NAMES_FILE];

/// Checks the production in `dir`.
///
/// Takes time in proportion to the entries that are shown, and memory to the calls that were open at once, the facts
/// that later entries may refer to, and the completed calls of hours up to their reconciliation. Whatever does not
/// hold is in the report, which must be asked with [`ProductionReport::holds`].
///
/// # Errors
///
/// [`VerifyError`] if a file cannot be read; that it is no plain file is a fault.
pub fn verify_production(
    dir: &Path,
    options: &ProductionOptions,
    progress: &mut dyn Progress,
) -> Result<ProductionReport, VerifyError> {
    regular::or_fault(open(dir, options, progress), |why| {
        let mut report = ProductionReport::default();
        report.found.fault(None, why);
        report
    })
}

fn open(dir: &Path, options: &ProductionOptions, progress: &mut dyn Progress) -> Result<ProductionReport, VerifyError> {
    let path = dir.join(MANIFEST_FILE);
    let manifest = regular::read(&path, ENVELOPE_BYTES_MAX as u64).map_err(|source| unreadable(&path, source))?;
    let mut report = ProductionReport::default();
    report.found.checked_with(&options.key, true);
    match Manifest::open(&manifest, &options.key) {
        Ok(manifest) => verify(dir, &manifest, options, report, progress),
        Err(bad) => {
            report.found.fault(None, bad.to_string());
            Ok(report)
        }
    }
}

fn verify(
    dir: &Path,
    manifest: &Manifest,
    options: &ProductionOptions,
    mut report: ProductionReport,
    progress: &mut dyn Progress,
) -> Result<ProductionReport, VerifyError> {
    report.found.origin.clone_from(&manifest.origin);
    report.found.size = manifest.size;
    report.custody = manifest.custody;
    report.selection = Some(manifest.selection.clone());
    report.engine.clone_from(&manifest.engine);
    report.approvers_pinned = !options.approvers.is_empty();
    let Some(folder) = Folder::check(dir, &manifest.files, &PARSED, &mut report.found)? else {
        return Ok(report);
    };
    check_timestamps(&folder, manifest, &mut report)?;
    let checkpoint = check_checkpoint(&folder, manifest, options, &mut report)?;
    let Some(parts) = Parts::read(&folder, &mut report)? else {
        return Ok(report);
    };
    report.as_of = parts.heads.chain.to.entry;
    parts.check_chain(manifest, &mut report);
    let against = Against { manifest, heads: &parts.heads, options };
    let unwritten = |source| unreadable(&dir.join(CALLS_FILE), source);
    let shown = Shown::new(against, parts.sums, &parts.names, report).map_err(unwritten)?;
    let read = Read { folder: &folder, dir, size: manifest.size };
    let (mut report, root) = read.entries(shown, progress)?;
    if root.is_some() && checkpoint.map(|checkpoint| checkpoint.root) != root {
        report.found.fault(None, "the entries and the hashes do not lead to the root that the log signed");
    }
    Ok(report)
}

/// Requires that each time stamp is of the checkpoint: its hash stands in the response as an octet string of ASN.1. Who
/// signed it is not looked at.
fn check_timestamps(
    folder: &Folder<'_>,
    manifest: &Manifest,
    report: &mut ProductionReport,
) -> Result<(), VerifyError> {
    let imprint = manifest.files.get(CHECKPOINT_FILE).map(|digest| [&[0x04, 0x20], digest.as_slice()].concat());
    for name in manifest.files.keys().filter(|name| name.starts_with("timestamps/")) {
        report.timestamps += 1;
        let response = folder.read(name, &mut report.found)?;
        let is_of_it = imprint.as_ref().is_some_and(|imprint| response.windows(imprint.len()).any(|at| at == imprint));
        if !is_of_it {
            report.found.fault(None, format!("`{name}` is not about the checkpoint"));
        }
    }
    Ok(())
}

/// Checks the signed checkpoint, and who witnessed it.
fn check_checkpoint(
    folder: &Folder<'_>,
    manifest: &Manifest,
    options: &ProductionOptions,
    report: &mut ProductionReport,
) -> Result<Option<Checkpoint>, VerifyError> {
    let found = &mut report.found;
    let note = folder.read(CHECKPOINT_FILE, found)?;
    let key = folder.read(KEY_FILE, found)?;
    if key != format!("{}\n", options.key).as_bytes() {
        found.fault(None, "`log.vkey` is not the pinned key");
    }
    let own = folder.read(POLICY_FILE, found)?;
    check_policy(&note, &own, options, report);
    match Checkpoint::open(&note, &manifest.origin, std::slice::from_ref(&options.key)) {
        Ok(checkpoint) => {
            if checkpoint.size != manifest.size {
                report.found.fault(None, format!("the checkpoint is of {} entries", checkpoint.size));
            }
            Ok(Some(checkpoint))
        }
        Err(bad) => {
            report.found.fault(None, bad.to_string());
            Ok(None)
        }
    }
}

/// Holds the checkpoint against the pinned policy, or else against the one that came with it.
fn check_policy(note: &[u8], own: &[u8], options: &ProductionOptions, report: &mut ProductionReport) {
    let own = match Policy::parse(own) {
        Ok(own) => own,
        Err(bad) => return report.found.fault(None, format!("the policy of the production: {bad}")),
    };
    let policy = options.policy.as_ref().unwrap_or(&own);
    report.policy_pinned = options.policy.is_some();
    match policy.check(note) {
        Ok(accepted) => {
            let name = |key: &proof::cosignature::CosignerKey| key.name().to_owned();
            report.witnesses = accepted.witnesses.iter().map(|(witness, _)| name(&witness.key)).collect();
        }
        Err(bad) => report.found.fault(None, bad.to_string()),
    }
}

/// The small files beside the entries.
struct Parts {
    heads: HeadsFile,
    sums: SumsFile,
    names: NamesFile,
}

impl Parts {
    /// Reads them; `None` if one is not what it should be, which is then a fault.
    fn read(folder: &Folder<'_>, report: &mut ProductionReport) -> Result<Option<Self>, VerifyError> {
        let found = &mut report.found;
        let heads = HeadsFile::parse(&folder.read(HEADS_FILE, found)?).map_err(|bad| format!("`{HEADS_FILE}`: {bad}"));
        let sums = SumsFile::parse(&folder.read(SUMS_FILE, found)?).map_err(|bad| format!("`{SUMS_FILE}`: {bad}"));
        let names = NamesFile::parse(&folder.read(NAMES_FILE, found)?).map_err(|bad| format!("`{NAMES_FILE}`: {bad}"));
        match heads.and_then(|heads| Ok(Self { heads, sums: sums?, names: names? })) {
            Ok(parts) => Ok(Some(parts)),
            Err(why) => {
                found.fault(None, why);
                Ok(None)
            }
        }
    }

    /// The chains are that of the selection's name, and that of what was in force.
    fn check_chain(&self, manifest: &Manifest, report: &mut ProductionReport) {
        let selection = &manifest.selection;
        let own = self.names.0.iter().find(|name| name.class == selection.class && name.name == selection.name);
        if own.map(|name| name.chain()) != Some(self.heads.chain.chain) {
            report.found.fault(None, "the chain is not that of the name in the selection, or `names.json` lacks it");
        }
        if self.heads.in_force.chain != Chain::IN_FORCE {
            report.found.fault(None, "the second chain is not that of what was in force");
        }
    }
}

/// Reads the entries and the hashes that join them.
struct Read<'a> {
    folder: &'a Folder<'a>,
    dir: &'a Path,
    size: u64,
}

impl Read<'_> {
    /// Walks all entries; returns what was found and the root that they lead to, unless a file is malformed.
    fn entries(
        &self,
        mut shown: Shown<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(ProductionReport, Option<Hash>), VerifyError> {
        let joined = self.join(&mut shown, progress)?;
        let unread = |source| unreadable(&self.dir.join(ENTRIES_FILE), source);
        let (mut report, calls) = shown.finish().map_err(unread)?;
        if !self.folder.lists(CALLS_FILE, calls) {
            report.found.fault(None, "`calls.csv` does not say what the entries say");
        }
        match joined {
            Ok((root, entries, hashes)) => {
                self.folder.check_digest(ENTRIES_FILE, entries, &mut report.found);
                self.folder.check_digest(HASHES_FILE, hashes, &mut report.found);
                Ok((report, Some(root)))
            }
            Err(why) => {
                report.found.fault(None, why);
                Ok((report, None))
            }
        }
    }

    /// Gives each entry to `shown` and to the multiproof; returns the root, and the digests of both files.
    fn join(
        &self,
        shown: &mut Shown<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Result<(Hash, Hash, Hash), String>, VerifyError> {
        let (entries, hashes) = (self.folder.open(ENTRIES_FILE)?, Digesting::new(self.folder.open(HASHES_FILE)?));
        match walk(entries, hashes, self.size, shown, progress) {
            Ok(joined) => Ok(Ok(joined)),
            Err(Unjoined::Unreadable(name, source)) => Err(unreadable(&self.dir.join(name), source)),
            Err(Unjoined::Bad(why)) => Ok(Err(why)),
        }
    }
}

/// Why entries and hashes could not be joined.
enum Unjoined {
    Unreadable(&'static str, io::Error),
    Bad(String),
}

impl From<BadEntries> for Unjoined {
    fn from(bad: BadEntries) -> Self {
        match bad {
            BadEntries::Io(source) => Self::Unreadable(ENTRIES_FILE, source),
            bad => Self::Bad(bad.to_string()),
        }
    }
}

impl From<BadMultiproof> for Unjoined {
    fn from(bad: BadMultiproof) -> Self {
        match bad {
            BadMultiproof::Io(source) => Self::Unreadable(HASHES_FILE, source),
            bad => Self::Bad(bad.to_string()),
        }
    }
}

fn walk(
    entries: BufReader<File>,
    hashes: Digesting,
    size: u64,
    shown: &mut Shown<'_>,
    progress: &mut dyn Progress,
) -> Result<(Hash, Hash, Hash), Unjoined> {
    let mut reader = EntriesReader::new(entries)?;
    let mut joined = MultiproofReader::new(size, hashes);
    while let Some(entry) = reader.read()? {
        joined.push(entry.index, leaf_hash(&entry.leaf))?;
        shown.entry(&entry).map_err(|source| Unjoined::Unreadable(CALLS_FILE, source))?;
        progress.entries(entry.index + 1, size);
    }
    let (root, hashes) = joined.root()?;
    Ok((root, reader.digest().file.sha256, hashes.digest()))
}
