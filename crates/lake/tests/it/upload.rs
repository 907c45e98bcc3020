//! Bringing a log into the lake while everything fails.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lake::{
    Compacted, Entries, Keep, Place, Progress, Records, SPAN_LEAVES, Source, SourceError, Store, UploadError, Uploader,
};
use object_store::{ObjectStoreExt, path::Path};
use proof::tree::Hash;
use terms::Moment;
use tokio::runtime::{Builder, Runtime};

use crate::{
    memory::{Memory, ORIGIN},
    world::{Asked, Fault, Faulty, LEAVES, records},
};

/// Nothing is kept from anybody.
fn keep() -> Keep<'static> {
    Keep { lock: None, now: Moment::from_millis(0) }
}

pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) log: Arc<Memory<'static>>,
    pub(crate) store: Faulty,
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn of(size: usize) -> Self {
        Self::on(Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(), size)
    }

    /// A world in which time goes by as soon as nobody has anything to do.
    pub(crate) fn in_no_time(size: usize) -> Self {
        Self::on(Builder::new_current_thread().enable_all().start_paused(true).build().unwrap(), size)
    }

    fn on(runtime: Runtime, size: usize) -> Self {
        Self {
            runtime,
            log: Arc::new(Memory { records: records(), size: AtomicUsize::new(size) }),
            store: Faulty::default(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn place(&self) -> Place {
        Place::new(Store::on(Arc::new(self.store.clone()), Path::from("archive")), ORIGIN)
    }

    /// A process that has just started.
    pub(crate) fn uploader(&self) -> Uploader {
        Uploader::new(Arc::clone(&self.log) as Arc<dyn Source>, self.place(), None, self.mark())
    }

    /// Where a process notes how far it was.
    pub(crate) fn mark(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    pub(crate) fn advance(&self, uploader: &Uploader) -> Result<Progress, UploadError> {
        self.runtime.block_on(uploader.advance())
    }

    pub(crate) fn covered(&self) -> u64 {
        self.runtime.block_on(self.place().files()).unwrap().covered()
    }
}

#[test]
fn what_makes_whole_files_goes_into_the_lake_and_the_rest_is_read_from_the_log() {
    let world = World::of(LEAVES + 90);
    let progress = world.advance(&world.uploader()).unwrap();
    assert_eq!((progress.covered, progress.size, progress.failed), (SPAN_LEAVES, SPAN_LEAVES + 90, None));
    let range = SPAN_LEAVES - 5..SPAN_LEAVES + 90;
    let place = Some((world.runtime.handle().clone(), world.place()));
    let read = Entries::new(world.log.as_ref(), place, range.clone()).unwrap();
    let read: Vec<_> = read.map(Result::unwrap).collect();
    let expected = range.map(|index| (index, records()[index as usize].clone()));
    assert!(read.into_iter().eq(expected));
}

#[test]
fn a_process_that_starts_anew_goes_on_where_the_last_one_stopped() {
    let world = World::of(LEAVES);
    world.advance(&world.uploader()).unwrap();
    let uploader = world.uploader();
    world.advance(&uploader).unwrap();
    assert_eq!(world.store.writes.load(Ordering::SeqCst), 1);
    world.log.size.store(2 * LEAVES, Ordering::SeqCst);
    assert_eq!(world.advance(&uploader).unwrap().covered, 2 * SPAN_LEAVES);
}

#[test]
fn a_write_that_failed_is_tried_again_whether_it_was_persisted_or_not() {
    for fault in [Fault::Failed, Fault::FailedButPersisted] {
        let world = World::of(LEAVES);
        let uploader = world.uploader();
        world.store.fail(&[fault]);
        let error = world.advance(&uploader).unwrap_err();
        assert!(!error.is_alarm() && uploader.progress().failed.is_some(), "{error}");
        assert_eq!(world.advance(&uploader).unwrap().covered, SPAN_LEAVES, "{fault:?}");
        assert_eq!(world.covered(), SPAN_LEAVES);
    }
}

#[test]
fn an_object_with_other_content_is_an_alarm_and_is_not_overwritten() {
    let world = World::of(LEAVES);
    world.store.fail(&[Fault::Corrupted]);
    let uploader = world.uploader();
    for _ in 0..2 {
        let error = world.advance(&uploader).unwrap_err();
        assert!(error.is_alarm() && uploader.progress().alarm, "{error}");
        assert_eq!(uploader.progress().covered, 0);
    }
    assert!(world.advance(&world.uploader()).unwrap_err().is_alarm());
    let path = world.runtime.block_on(world.place().files()).unwrap().at(0).unwrap().1.clone();
    let kept = world.runtime.block_on(async { world.store.inner.get(&path).await.unwrap().bytes().await.unwrap() });
    assert_eq!(kept.as_ref(), b"not what was given");
}

#[test]
fn a_damaged_file_is_not_read() {
    let world = World::of(LEAVES);
    world.advance(&world.uploader()).unwrap();
    let path = world.runtime.block_on(world.place().files()).unwrap().at(0).unwrap().1.clone();
    world.runtime.block_on(async {
        let mut bytes = world.store.inner.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        world.store.inner.put(&path, bytes.into()).await.unwrap();
    });
    let place = Some((world.runtime.handle().clone(), world.place()));
    let mut read = Entries::new(world.log.as_ref(), place, 0..10).unwrap();
    assert!(read.next().unwrap().is_err());
    assert!(read.next().is_none());
}

#[test]
fn small_files_become_a_wide_one_and_a_run_that_was_cut_short_goes_on() {
    let world = World::of(2 * LEAVES);
    world.advance(&world.uploader()).unwrap();
    let source = Arc::clone(&world.log) as Arc<dyn Source>;
    let compact = || world.runtime.block_on(lake::compact(&source, &world.place(), 2 * SPAN_LEAVES, keep(), |_| {}));
    let small = world.runtime.block_on(world.place().files()).unwrap().at(0).unwrap().1.clone();
    let bytes = world.runtime.block_on(async { world.store.inner.get(&small).await.unwrap().bytes().await.unwrap() });
    assert_eq!(compact().unwrap(), Compacted { made: 1, removed: 2 });
    let files = world.runtime.block_on(world.place().files()).unwrap();
    assert_eq!((files.count(), files.covered()), (1, 2 * SPAN_LEAVES));
    let place = Some((world.runtime.handle().clone(), world.place()));
    let read = Entries::new(world.log.as_ref(), place, 0..2 * SPAN_LEAVES).unwrap();
    assert!(read.map(|leaf| leaf.unwrap().1).eq(records()[..2 * LEAVES].iter().cloned()));
    // A run that was cut short leaves small files beside the wide one.
    world.runtime.block_on(world.store.inner.put(&small, bytes.into())).unwrap();
    assert_eq!(compact().unwrap(), Compacted { made: 0, removed: 1 });
    assert_eq!(compact().unwrap(), Compacted::default());
}

#[test]
fn an_uploader_that_forgot_how_far_it_was_puts_no_small_file_beside_a_wide_one() {
    let world = World::of(2 * LEAVES);
    world.advance(&world.uploader()).unwrap();
    let source = Arc::clone(&world.log) as Arc<dyn Source>;
    world.runtime.block_on(lake::compact(&source, &world.place(), 2 * SPAN_LEAVES, keep(), |_| {})).unwrap();
    for entry in std::fs::read_dir(world.dir.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(world.advance(&world.uploader()).unwrap().covered, 2 * SPAN_LEAVES);
    assert_eq!(world.runtime.block_on(world.place().files()).unwrap().count(), 1);
}

#[test]
fn a_log_that_has_not_the_leaves_yet_is_waited_for_and_is_no_alarm() {
    let world = World::of(LEAVES);
    // The checkpoint says more than can be read: the log's end is written a moment later.
    let short = Arc::new(Short(Arc::clone(&world.log)));
    let uploader = Uploader::new(short, world.place(), None, world.dir.path().join("lake"));
    let error = world.advance(&uploader).unwrap_err();
    assert!(!error.is_alarm() && !uploader.progress().alarm, "{error}");
    assert!(uploader.progress().failed.is_some());
}

#[test]
fn a_fault_of_the_program_while_a_file_is_made_is_an_alarm() {
    let world = World::of(LEAVES);
    let source = Arc::new(Panics(Arc::clone(&world.log)));
    let uploader = Uploader::new(source, world.place(), None, world.dir.path().join("lake"));
    assert!(matches!(world.advance(&uploader).unwrap_err(), UploadError::Panicked));
    assert!(uploader.progress().alarm);
}

#[test]
fn how_much_is_missing_is_known_before_the_store_can_be_listed() {
    let world = World::of(LEAVES + 90);
    world.store.fail_next(Asked::List, Fault::Failed);
    let uploader = world.uploader();
    world.advance(&uploader).unwrap_err();
    let progress = uploader.progress();
    assert_eq!((progress.covered, progress.size, progress.alarm), (0, SPAN_LEAVES + 90, false));
    assert!(progress.failed.is_some());
    assert_eq!(world.advance(&uploader).unwrap().covered, SPAN_LEAVES);
}

/// A log that gives fewer leaves than its checkpoint covers.
struct Short(Arc<Memory<'static>>);

/// A log that cannot be read without a panic.
struct Panics(Arc<Memory<'static>>);

impl Source for Short {
    fn origin(&self) -> &str {
        self.0.origin()
    }

    fn size(&self) -> Result<u64, SourceError> {
        self.0.size()
    }

    fn root(&self, first: u64, end: u64) -> Result<Hash, SourceError> {
        self.0.root(first, end)
    }

    fn records(&self, from: u64) -> Result<Records<'_>, SourceError> {
        Ok(Box::new(self.0.records(from)?.take(LEAVES - 1)))
    }
}

impl Source for Panics {
    fn origin(&self) -> &str {
        self.0.origin()
    }

    fn size(&self) -> Result<u64, SourceError> {
        self.0.size()
    }

    fn root(&self, first: u64, end: u64) -> Result<Hash, SourceError> {
        self.0.root(first, end)
    }

    fn records(&self, _from: u64) -> Result<Records<'_>, SourceError> {
        panic!("a fault of the program")
    }
}
