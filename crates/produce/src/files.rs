//! The folder that is being written: `NAME.part` until it is whole, and what is remembered beside it.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufReader, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use proof::production::MANIFEST_FILE;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Fault, Survey,
    step::{Digests, Step, digest},
};

/// A production that is being written into a folder.
///
/// A crash at any time leaves `NAME.part`, `NAME.state` and `NAME.survey`, from which the next writer goes on, and never a
/// folder under the name itself that is not whole. Only the owner can look into the folder before it is; what is signed
/// in the end are the files as they were when the steps that wrote them were done.
#[derive(Debug)]
pub struct Folder {
    name: PathBuf,
    state: State,
}

/// What a writer remembers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// The production: the entry that records it.
    custody: u64,
    /// The signed checkpoint that all of it is under.
    checkpoint: String,
    /// Whether what belongs to it is in the file of the survey.
    surveyed: bool,
    /// The steps that are done, each with the files that it wrote.
    done: BTreeMap<String, Digests>,
}

impl Folder {
    /// Goes on with a folder that another writer of the same production left, or begins one under the signed checkpoint
    /// that `checkpoint` answers.
    ///
    /// # Errors
    ///
    /// Whatever `checkpoint` answers; [`Fault::There`] if there is something under the name already, [`Fault::Left`] if
    /// what another writer left is not of this production, [`Fault::File`] if nothing can be made there.
    pub fn open<E: From<Fault>>(
        name: &Path,
        custody: u64,
        checkpoint: impl FnOnce() -> Result<String, E>,
    ) -> Result<Self, E> {
        if name.try_exists().unwrap_or(true) {
            return Err(Fault::There(name.display().to_string()).into());
        }
        let mut folder = Self { name: name.to_owned(), state: State::new(custody, String::new()) };
        if folder.part().try_exists().unwrap_or(true) {
            folder.state = folder.left()?;
        } else {
            folder.state.checkpoint = checkpoint()?;
            folder.begin()?;
        }
        Ok(folder)
    }

    /// Reads what another writer of the same production remembered.
    fn left(&self) -> Result<State, Fault> {
        let left = fs::read(self.state_file()).ok().and_then(|bytes| serde_json::from_slice::<State>(&bytes).ok());
        let own = left.filter(|left| left.custody == self.state.custody && self.part().is_dir());
        own.ok_or_else(|| Fault::Left(self.part().display().to_string()))
    }

    /// Makes the folder, in this order: it is never there without what says whose it is.
    fn begin(&self) -> Result<(), Fault> {
        self.save()?;
        let part = self.part();
        DirBuilder::new().recursive(true).mode(0o700).create(&part).map_err(failed("make", &part))
    }

    /// Returns the checkpoint that the production is under: the one it was begun with.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        &self.state.checkpoint
    }

    /// Returns what belongs to the production, by `take` unless it is known from before.
    ///
    /// # Errors
    ///
    /// Whatever `take` answers; [`Fault::File`].
    pub fn survey(&mut self, take: impl FnOnce() -> Result<Survey, Fault>) -> Result<Survey, Fault> {
        let path = self.beside("survey");
        if self.state.surveyed {
            let read = || Ok(serde_json::from_reader(BufReader::new(File::open(&path)?))?);
            return read().map_err(failed("read", &path));
        }
        let survey = take()?;
        write_private(&path, |out| Ok(serde_json::to_writer(out, &survey)?)).map_err(failed("write", &path))?;
        self.state.surveyed = true;
        self.save()?;
        Ok(survey)
    }

    /// Does a step unless it was done before.
    ///
    /// # Errors
    ///
    /// Whatever `act` answers; [`Fault::File`].
    pub fn once<E: From<Fault>>(
        &mut self,
        step: &'static str,
        act: impl FnOnce(&mut Step) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.state.done.contains_key(step) { Ok(()) } else { self.anew(step, act) }
    }

    /// Does a step, also where it was done before: its files are those that it writes this time.
    ///
    /// # Errors
    ///
    /// Whatever `act` answers; [`Fault::File`].
    pub fn anew<E: From<Fault>>(
        &mut self,
        step: &'static str,
        act: impl FnOnce(&mut Step) -> Result<(), E>,
    ) -> Result<(), E> {
        self.state.done.remove(step);
        let mut files = Step::new(self.part());
        act(&mut files)?;
        self.state.done.insert(step.to_owned(), files.finish()?);
        Ok(self.save()?)
    }

    /// Returns where a file lies while the folder is written.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.part().join(file)
    }

    /// Reads a file of the folder.
    ///
    /// # Errors
    ///
    /// [`Fault::File`].
    pub fn read(&self, file: &str) -> Result<Vec<u8>, Fault> {
        let path = self.path(file);
        fs::read(&path).map_err(failed("read", &path))
    }

    /// Returns the files that the steps wrote, with the SHA-256 that each had by then.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, [u8; 32]> {
        let steps = self.state.done.values();
        steps.flat_map(|files| files.0.iter().map(|(name, sha256)| (name.clone(), *sha256))).collect()
    }

    /// Requires that the folder consists of the files that the steps wrote, as they were when they were done.
    ///
    /// # Errors
    ///
    /// [`Fault::Foreign`] or [`Fault::Changed`], naming the file; [`Fault::File`].
    pub fn check(&self) -> Result<(), Fault> {
        let written = self.digests();
        let mut names = Vec::new();
        list(&self.part(), "", &mut names)?;
        let foreign = |name: &String| name != MANIFEST_FILE && !written.contains_key(name);
        if let Some(name) = names.into_iter().find(foreign) {
            return Err(Fault::Foreign(self.path(&name).display().to_string()));
        }
        for (name, sha256) in &written {
            if digest(&self.path(name))? != *sha256 {
                return Err(Fault::Changed(self.path(name).display().to_string()));
            }
        }
        Ok(())
    }

    /// Puts in the manifest and gives the folder its name: from here on it is whole.
    ///
    /// # Errors
    ///
    /// [`Fault::File`]; it can be tried again.
    pub fn finish(self, manifest: &[u8]) -> Result<(), Fault> {
        let part = self.part();
        Step::new(part.clone()).write(MANIFEST_FILE, manifest)?;
        sync(&part).map_err(failed("sync", &part))?;
        fs::rename(&part, &self.name).map_err(failed("name", &self.name))?;
        for beside in [self.beside("survey"), self.state_file()] {
            fs::remove_file(&beside).map_err(failed("remove", &beside))?;
        }
        Ok(())
    }

    fn save(&self) -> Result<(), Fault> {
        let path = self.state_file();
        write_private(&path, |out| Ok(serde_json::to_writer(out, &self.state)?)).map_err(failed("write", &path))
    }

    fn part(&self) -> PathBuf {
        self.beside("part")
    }

    fn state_file(&self) -> PathBuf {
        self.beside("state")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.name.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{ending}"));
        self.name.with_file_name(name)
    }
}

impl State {
    fn new(custody: u64, checkpoint: String) -> Self {
        Self { custody, checkpoint, surveyed: false, done: BTreeMap::new() }
    }
}

/// Returns the SHA-256 of `bytes` in hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    proof::hex(&Sha256::digest(bytes))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let next = path.with_added_extension("next");
    let _left = fs::remove_file(&next);
    let mut out = BufWriter::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?);
    write(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    fs::rename(&next, path)
}

/// Lists what lies below a folder, one folder deep, by the paths in it.
fn list(dir: &Path, before: &str, names: &mut Vec<String>) -> Result<(), Fault> {
    for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
        let entry = entry.map_err(failed("read", dir))?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        let is_folder = entry.file_type().map_err(failed("read", dir))?.is_dir();
        match before.is_empty() && is_folder {
            true => list(&entry.path(), &format!("{name}/"), names)?,
            false => names.push(name),
        }
    }
    Ok(())
}

/// Makes the names in a folder, and in those in it, durable.
fn sync(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sync(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    File::open(dir)?.sync_all()
}

/// Says what was tried on which file.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Fault {
    let path = path.display().to_string();
    move |source| Fault::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proof::{
        heads::{Chain, Heads},
        production::{Engine, HeadsFile, Span, Standing},
    };

    use super::*;

    fn survey() -> Survey {
        let standing = |entry| Standing { entry, proof: Heads::new().prove(&Chain::IN_FORCE) };
        let span = || Span { chain: Chain::IN_FORCE, from: None, to: standing(7) };
        let heads = HeadsFile { chain: span(), in_force: span() };
        let engine = vec![Engine { start: 1, version: "0.4.0".to_owned() }];
        let (entries, hours) = (vec![(3, crate::Show::Asked)], Vec::new());
        Survey { size: 9, from: None, to: 7, heads, entries, hours, engine, unmetered: 0, open: 0 }
    }

    fn open(name: &Path, custody: u64, checkpoint: &str) -> Result<Folder, Fault> {
        Folder::open(name, custody, || Ok(checkpoint.to_owned()))
    }

    fn names(folder: &Folder) -> Vec<String> {
        folder.digests().into_keys().collect()
    }

    #[test]
    fn a_writer_goes_on_where_another_left_off_and_does_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("out");
        let mut first = open(&name, 5, "checkpoint one").unwrap();
        first.survey(|| Ok(survey())).unwrap();
        first.once("a", |step| step.write("a", b"1")).unwrap();
        drop(first);
        let mut second = open(&name, 5, "checkpoint two").unwrap();
        assert_eq!(second.checkpoint(), "checkpoint one");
        assert_eq!(second.survey(|| Err(Fault::Act(1, String::new()))).unwrap(), survey());
        second.once("a", |step| step.write("a", b"2")).unwrap();
        second.once("b", |step| step.write("in/b", b"3")).unwrap();
        assert!(!name.exists());
        assert_eq!(names(&second), ["a", "in/b"]);
        assert_eq!(proof::hex(&second.digests()["a"]), sha256_hex(b"1"));
        second.check().unwrap();
        second.finish(b"{}").unwrap();
        assert_eq!(fs::read(name.join("a")).unwrap(), b"1");
        assert_eq!(fs::read(name.join(MANIFEST_FILE)).unwrap(), b"{}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(open(&name, 5, "").is_err());
    }

    #[test]
    fn what_a_writer_of_another_production_left_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("out");
        let mut first = open(&name, 5, "").unwrap();
        first.once("a", |step| step.write("a", b"1")).unwrap();
        assert!(matches!(open(&name, 6, ""), Err(Fault::Left(_))));
        fs::write(first.state_file(), b"{").unwrap();
        assert!(matches!(open(&name, 5, ""), Err(Fault::Left(_))));
        assert_eq!(fs::read(first.path("a")).unwrap(), b"1");
        fs::remove_dir_all(first.part()).unwrap();
        assert!(names(&open(&name, 6, "").unwrap()).is_empty());
    }

    #[test]
    fn a_step_that_fails_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = open(&dir.path().join("out"), 5, "").unwrap();
        assert!(folder.once("a", |_| Err(Fault::Act(1, String::new()))).is_err());
        folder.once("a", |step| step.write("a", b"1")).unwrap();
        assert_eq!(names(&folder), ["a"]);
    }

    #[test]
    fn of_a_step_that_is_done_anew_only_the_last_files_count() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = open(&dir.path().join("out"), 5, "").unwrap();
        let stamps = |count: u8| {
            move |step: &mut Step| {
                step.clear("stamps")?;
                (1..=count).try_for_each(|n| step.write(&format!("stamps/{n}"), &[n]))
            }
        };
        folder.anew("stamps", stamps(2)).unwrap();
        folder.anew("stamps", stamps(1)).unwrap();
        assert_eq!(names(&folder), ["stamps/1"]);
        folder.check().unwrap();
        folder.anew("stamps", stamps(0)).unwrap();
        folder.check().unwrap();
    }

    #[test]
    fn a_file_that_no_step_wrote_or_that_changed_since_is_named_before_anything_is_signed() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = open(&dir.path().join("out"), 5, "").unwrap();
        folder.once("a", |step| step.write("a", b"1")).unwrap();
        folder.once("b", |step| step.write("in/b", b"2")).unwrap();
        let refused = |folder: &Folder| folder.check().unwrap_err().to_string();
        for foreign in ["more", "in/more"] {
            fs::write(folder.path(foreign), b"x").unwrap();
            assert!(refused(&folder).contains(&format!("out.part/{foreign}`")), "{}", refused(&folder));
            fs::remove_file(folder.path(foreign)).unwrap();
        }
        fs::write(folder.path("in/b"), b"3").unwrap();
        assert!(refused(&folder).contains("out.part/in/b` changed"));
        assert_eq!(proof::hex(&folder.digests()["in/b"]), sha256_hex(b"2"));
        fs::remove_file(folder.path("in/b")).unwrap();
        assert!(folder.check().is_err());
    }

    #[test]
    fn nobody_else_can_look_into_what_is_not_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = open(&dir.path().join("out"), 5, "").unwrap();
        folder.survey(|| Ok(survey())).unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.part()), 0o700);
        assert_eq!([mode(folder.state_file()), mode(folder.beside("survey"))], [0o600; 2]);
    }
}
