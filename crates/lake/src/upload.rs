//! Brings the log into the lake: file after file, each checked before it is written and after.
//!
//! What a crash leaves at each step, and what the next run does:
//! - before the object is made: nothing; it is made again;
//! - after it is made, before it was read back: an object that the next run finds in its place and compares;
//! - after it was read back, before that was noted in the file `mark`: the same;
//! - two uploaders of one log at once, or a server that said no and did it all the same: both make the same leaves;
//!   whoever comes second finds them there and compares.
//!
//! An object of that name with other content is never overwritten and never passed over: it is an alarm.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ledger::storage::{Disk, replace};
use object_store::path::Path;
use tokio::task::{JoinError, spawn_blocking};

use crate::{
    mark,
    place::{Files, Place, ReadError},
    source::{Source, SourceError},
    span::Span,
    store::{Created, Store, StoreError},
    worm::Lock,
    writer::{WriteError, Written, write},
};

/// The wait after the first failure; it doubles.
const WAIT: Duration = Duration::from_secs(2);
/// The longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The log is not in the lake as far as it could be.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The log could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file could not be made.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store refused or did not answer: tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in the store does not read back as what was written.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Somebody else's object has the name: a person must look.
    #[error(
        "`{0}` is there with other content: nothing was overwritten, and nothing goes into the lake until a person has looked"
    )]
    Other(String),
    /// A file is to be removed that nobody may remove yet.
    #[error("`{0}` is held until its retention ends: such files are not compacted")]
    Held(String),
    /// Small files together have more than a wide one may have.
    #[error("leaves {0} would unpack to more than 4 GiB in one file: compact to fewer leaves with `--leaves`")]
    TooWide(Span),
    /// The thread that made a file did not come to its end.
    #[error("the writing of a file ended by a fault of this program; the lines before this one say where")]
    Panicked,
    /// The process ends.
    #[error("the writing of a file was abandoned")]
    Abandoned,
}

/// How far the lake is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Leaves that are in the lake and were read back.
    pub covered: u64,
    /// Leaves that the log's latest checkpoint covers.
    pub size: u64,
    /// Why it does not go on; none while it does.
    pub failed: Option<String>,
    /// True if an object is there with other content, or what was written reads back as something else.
    pub alarm: bool,
}

/// Uploads one log. One for each log and process.
pub struct Uploader {
    source: Arc<dyn Source>,
    place: Place,
    lock: Option<Lock>,
    mark: PathBuf,
    progress: Mutex<Progress>,
}

impl Uploader {
    /// Brings `source` into `place`; objects are kept from everybody as `lock` says.
    ///
    /// The file `mark` notes how far objects were read back; without it, all that are there are compared once more.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, place: Place, lock: Option<Lock>, mark: PathBuf) -> Self {
        Self { source, place, lock, mark, progress: Mutex::default() }
    }

    /// Returns how far it is.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings everything into the lake that makes whole files, and again every `interval`, until dropped.
    ///
    /// After a failure it waits 2 seconds, then twice as long each time, up to 5 minutes.
    pub async fn run(&self, interval: Duration) {
        let mut wait = WAIT;
        loop {
            let pause = match self.advance().await {
                Ok(_) => {
                    wait = WAIT;
                    interval
                }
                Err(error) => {
                    tracing::error!(%error, alarm = self.progress().alarm, "the lake lags behind the log");
                    let next = (wait * 2).min(WAIT_MAX);
                    std::mem::replace(&mut wait, next)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Brings everything into the lake that makes whole files; returns how far it is then.
    ///
    /// # Errors
    ///
    /// [`UploadError`]; what was done stays done, and the next call goes on from there.
    pub async fn advance(&self) -> Result<Progress, UploadError> {
        let done = self.try_advance().await;
        self.note(|progress| {
            progress.failed = done.as_ref().err().map(ToString::to_string);
            progress.alarm = done.as_ref().is_err_and(UploadError::is_alarm);
        });
        done.map(|()| self.progress())
    }

    async fn try_advance(&self) -> Result<(), UploadError> {
        let size = self.source.size()?;
        self.note(|progress| progress.size = size);
        let known = self.progress().covered;
        let files = if known == 0 { self.place.files().await? } else { Files::default() };
        let covered = if known == 0 { files.covered().min(self.marked()) } else { known };
        self.note(|progress| progress.covered = covered);
        let mut span = Span::around(covered);
        while span.end() <= size {
            let end = self.bring_or_pass(&files, span).await?;
            self.note(|progress| progress.covered = end);
            self.mark(end);
            span = Span::around(end);
        }
        Ok(())
    }

    /// Makes the file of one span, or reads back the wider one that has its leaves; returns where the file ends.
    ///
    /// A small file beside a wide one would be counted twice by whoever reads the folder as it is.
    async fn bring_or_pass(&self, files: &Files, span: Span) -> Result<u64, UploadError> {
        match files.at(span.first()).filter(|(there, _)| there.leaves() > span.leaves()) {
            None => self.bring(files, span).await.map(|()| span.end()),
            Some((wide, path)) => {
                let root = self.source.root(wide.first(), wide.end())?;
                self.place.file(path, wide, &root).await?;
                Ok(wide.end())
            }
        }
    }

    /// Returns how far objects were read back by an earlier process; 0 if that is not known.
    fn marked(&self) -> u64 {
        let bytes = std::fs::read(&self.mark).unwrap_or_default();
        mark::parse(&bytes).unwrap_or_default()
    }

    /// Notes how far objects were read back; if it is lost, they are compared again.
    fn mark(&self, covered: u64) {
        let noted = replace(&Disk, &self.mark, mark::print(covered).as_bytes());
        if let Err(error) = noted {
            tracing::warn!(%error, path = %self.mark.display(), "cannot note how far the lake is");
        }
    }

    /// Makes the file of one span, unless it is there, and reads it back.
    ///
    /// What is listed is not sent again: a server that says no before it has read a long body may be heard as no answer.
    async fn bring(&self, files: &Files, span: Span) -> Result<(), UploadError> {
        let source = Arc::clone(&self.source);
        let written = on_a_thread(move || make(source.as_ref(), span)).await?;
        let path = self.place.path(span, written.first_at_ms);
        let created = match files.exactly(span) {
            Some(listed) if *listed == path => Created::Present,
            _ => create(&self.place.store, self.lock.as_ref(), &path, &written).await?,
        };
        match created {
            Created::New => {
                self.place.file(&path, span, &written.root).await?;
                tracing::info!(%span, bytes = written.bytes.len(), left = written.left, "in the lake");
            }
            Created::Present => self.compare(&path, span, &written).await?,
        }
        Ok(())
    }

    /// Compares what is in the store with what was to be written: the root is over the leaves, the digest over the rest.
    async fn compare(&self, path: &Path, span: Span, written: &Written) -> Result<(), UploadError> {
        match self.place.file(path, span, &written.root).await {
            Ok(there) if there.has(&written.sealed) => Ok(()),
            Ok(_) | Err(ReadError::Bad { .. }) => Err(UploadError::Other(path.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl UploadError {
    /// Returns true if trying again cannot help: a person must look.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        match self {
            Self::Other(_) | Self::Read(ReadError::Bad { .. }) | Self::Panicked => true,
            Self::Write(error) => error.is_alarm(),
            _ => false,
        }
    }
}

/// Makes an object; kept from everybody for as long as `lock` says, if it says so.
pub(crate) async fn create(
    store: &Store,
    lock: Option<&Lock>,
    path: &Path,
    written: &Written,
) -> Result<Created, StoreError> {
    let bytes = written.bytes.clone();
    match lock.and_then(|lock| lock.until(written.last_at_ms)).zip(store.s3()) {
        Some((until, s3)) => s3.create_locked(path, bytes, until).await,
        None => store.create(path, bytes).await,
    }
}

/// Does long work on a thread for such work.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, UploadError> {
    let ended = |ended: JoinError| if ended.is_panic() { UploadError::Panicked } else { UploadError::Abandoned };
    spawn_blocking(work).await.map_err(ended)?
}

fn make(source: &dyn Source, span: Span) -> Result<Written, UploadError> {
    let root = source.root(span.first(), span.end())?;
    let count = usize::try_from(span.leaves()).unwrap_or(usize::MAX);
    Ok(write(source.origin(), span, &root, source.records(span.first())?.take(count))?)
}
