//! The steps in which a production is written; each is done once, however often the writer is interrupted.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use ::produce::{Act, Folder, Progress, Step, Survey, manifest, sha256_hex, write_entries};
use anyhow::Context;
use ledger::Reader;
use proof::{
    bundle::{CHECKPOINT_FILE, ENTRIES_FILE, KEY_FILE},
    checkpoint::Checkpoint,
    heads::Chain,
    hex,
    multi::write_multiproof,
    note::VerifierKey,
    production::{CALLS_FILE, HASHES_FILE, HEADS_FILE, NAMES_FILE, POLICY_FILE, SUMS_FILE},
};
use tsp::{Roots, Stamp};

use super::{
    Signatures,
    certificate::certificate,
    report::report,
    summarize::{Beside, summarize},
};
use crate::timestamp::{self, Authority};

/// The description of every format here: whoever has it can write a verifier.
const LOG_FORMAT: &str = include_str!("../../../../docs/log-format.md");
/// A verifier that was written from this description alone.
const PYTHON_VERIFIER: &str = include_str!("../../../../verify/verify.py");
/// The verifier of the auditor, if it lies beside this program.
const VERIFIER: &str = "exeat-verify";

/// What is to be written, and with what.
pub(crate) struct Writer<'a> {
    /// The log.
    pub(crate) reader: &'a Reader,
    /// The folder, not there yet.
    pub(crate) out: &'a Path,
    /// Whose signatures the checkpoint must bear.
    pub(crate) signatures: Signatures,
    /// How long they are waited for.
    pub(crate) patience: Duration,
    /// Whom to ask for a time stamp.
    pub(crate) authority: Option<Authority>,
    /// Time stamps that were got elsewhere, and the roots under which they must stand.
    pub(crate) stamps: Option<(&'a [PathBuf], Roots)>,
}

/// A production of which everything is written that is taken from the log.
pub(crate) struct Unsigned {
    folder: Folder,
    act: Act,
    survey: Survey,
    key: VerifierKey,
    signed: Checkpoint,
}

impl Writer<'_> {
    /// Writes what is taken from the log for the production that the entry at `custody` records, or what is left of it,
    /// under a checkpoint that covers the entry at `covered` too.
    ///
    /// # Errors
    ///
    /// If the log cannot be read or is not what it says, no checkpoint bears the signatures in time, or a file cannot be
    /// written. Called again, it goes on with the step that was not done.
    pub(crate) fn write(&self, custody: u64, covered: u64, progress: &mut dyn Progress) -> anyhow::Result<Unsigned> {
        let act = Act::read(self.reader, custody)?;
        let checkpoint = || self.signatures.wait(self.reader, covered.max(custody), self.patience);
        let mut folder = Folder::open(self.out, act.entry, checkpoint)?;
        let key: VerifierKey = self.reader.verifier_key()?.parse().context("the log's verifier key")?;
        let signed = Checkpoint::open(folder.checkpoint().as_bytes(), key.name(), std::slice::from_ref(&key))?;
        let survey = folder.survey(|| Survey::take(self.reader, &act, signed.size, progress))?;
        let checkpoint = folder.checkpoint().to_owned();
        folder.once("entries", |step| self.entries(step, &act, &survey, progress))?;
        folder.once("hashes", |step| self.hashes(step, &survey, progress))?;
        folder.once("log", |step| self.log(step, &checkpoint, &key))?;
        folder.once("programs", programs)?;
        Ok(Unsigned { folder, act, survey, key, signed })
    }

    /// Puts in the time stamps and what is for people, signs the manifest and gives the folder its name; returns the SHA-256
    /// of the manifest in hexadecimal digits.
    ///
    /// # Errors
    ///
    /// If no time stamp can be had, the log's key not be read, or a file not be written. Nothing is under the name then.
    pub(crate) fn finish(&self, mut production: Unsigned) -> anyhow::Result<String> {
        let checkpoint = production.folder.checkpoint().to_owned();
        // Which are put in is for each call to say: what an earlier one put in does not stay.
        production.folder.anew("timestamps", |step| self.timestamps(step, checkpoint.as_bytes()))?;
        let (report, certificate) = self.report(&production)?;
        production.folder.anew("report", |step| {
            step.write("report.html", report.as_bytes())?;
            step.write("certificate.txt", certificate.as_bytes())
        })?;
        let Unsigned { folder, act, survey, .. } = production;
        let manifest = manifest(self.reader, &act, &survey, &folder)?;
        folder.finish(&manifest)?;
        Ok(sha256_hex(&manifest))
    }

    fn entries(&self, step: &mut Step, act: &Act, survey: &Survey, progress: &mut dyn Progress) -> anyhow::Result<()> {
        let out = (step.create(ENTRIES_FILE)?, step.create(CALLS_FILE)?);
        let written = write_entries(self.reader, act, survey, out, progress)?;
        step.write(HEADS_FILE, &survey.heads.to_json())?;
        step.write(SUMS_FILE, &written.sums.to_json())?;
        Ok(step.write(NAMES_FILE, &written.names.to_json())?)
    }

    fn hashes(&self, step: &mut Step, survey: &Survey, progress: &mut dyn Progress) -> anyhow::Result<()> {
        let shown = survey.entries.iter().map(|(index, _)| *index);
        let told = shown.inspect(|index| progress.entries(*index, survey.size));
        let mut out = step.create(HASHES_FILE)?;
        write_multiproof(&self.reader.hashes(survey.size), survey.size, told, &mut out)?;
        progress.entries(survey.size, survey.size);
        Ok(std::io::Write::flush(&mut out)?)
    }

    fn log(&self, step: &mut Step, checkpoint: &str, key: &VerifierKey) -> anyhow::Result<()> {
        step.write(CHECKPOINT_FILE, checkpoint.as_bytes())?;
        step.write(KEY_FILE, format!("{key}\n").as_bytes())?;
        Ok(step.write(POLICY_FILE, self.signatures.as_bytes())?)
    }

    /// Asks for a time stamp and takes in those that were got elsewhere, each checked before it is put in.
    fn timestamps(&self, step: &mut Step, checkpoint: &[u8]) -> anyhow::Result<()> {
        step.clear("timestamps")?;
        if let Some(authority) = &self.authority {
            let (response, _) = authority.stamp(checkpoint)?;
            step.write("timestamps/0.tsr", &response)?;
        }
        let Some((files, roots)) = &self.stamps else { return Ok(()) };
        for (file, number) in files.iter().zip(1..) {
            let name = file.display();
            let response = fs::read(file).with_context(|| format!("cannot read `{name}`"))?;
            timestamp::check(&response, checkpoint, roots).with_context(|| format!("`{name}`"))?;
            step.write(&format!("timestamps/{number}.tsr"), &response)?;
        }
        Ok(())
    }

    /// Returns what is for people: the report and the certificate.
    fn report(&self, production: &Unsigned) -> anyhow::Result<(String, String)> {
        let Unsigned { folder, act, survey, key, signed } = production;
        let selection = &act.selection;
        let for_people = ["report.html", "certificate.txt"];
        let files = folder.digests().into_iter().filter(|(name, _)| !for_people.contains(&name.as_str()));
        let beside = Beside {
            origin: key.name().to_owned(),
            key: key.to_string(),
            checkpoint: (signed.size, hex(&signed.root)),
            chain: Chain { class: selection.class, id: self.reader.pseudonyms()?.of(&selection.name) },
            act,
            survey,
            stamps: self.stamps_in(folder)?,
            files: files.map(|(name, sha256)| (name, hex(&sha256))).collect(),
        };
        let entries = folder.path(ENTRIES_FILE);
        let entries = File::open(&entries).with_context(|| format!("cannot read `{}`", entries.display()))?;
        let summary = summarize(entries, beside)?;
        Ok((report(&summary), certificate(&summary)))
    }

    /// Returns what the time stamps say that were put in.
    fn stamps_in(&self, folder: &Folder) -> anyhow::Result<Vec<Stamp>> {
        let checkpoint = folder.checkpoint().as_bytes();
        let mut stamps = Vec::new();
        if let Some(authority) = &self.authority {
            stamps.push(timestamp::check(&folder.read("timestamps/0.tsr")?, checkpoint, authority.roots())?);
        }
        if let Some((files, roots)) = &self.stamps {
            for number in 1..=files.len() {
                let response = folder.read(&format!("timestamps/{number}.tsr"))?;
                stamps.push(timestamp::check(&response, checkpoint, roots)?);
            }
        }
        Ok(stamps)
    }
}

impl Unsigned {
    /// Returns where the checkpoint lies: what a time stamp has to be over.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.folder.path(CHECKPOINT_FILE)
    }
}

/// Puts in what it takes to check all of it: the description, and the programs.
fn programs(step: &mut Step) -> anyhow::Result<()> {
    step.write("log-format.md", LOG_FORMAT.as_bytes())?;
    step.write("verify.py", PYTHON_VERIFIER.as_bytes())?;
    let beside = env::current_exe().ok().and_then(|own| Some(own.parent()?.join(VERIFIER)));
    if let Some(verifier) = beside.filter(|verifier| verifier.is_file()) {
        step.copy(&verifier, VERIFIER)?;
    }
    Ok(())
}
