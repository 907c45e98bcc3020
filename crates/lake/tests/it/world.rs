//! Stores that fail on demand, over one log of calls.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use lake::{Record, SPAN_LEAVES};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

use crate::traffic::Traffic;

pub(crate) const LEAVES: usize = SPAN_LEAVES as usize;

/// Two files of calls and a tail of 100 leaves, made once for all tests.
pub(crate) fn records() -> &'static [Record] {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    RECORDS.get_or_init(|| Traffic::new(3, 64).take(2 * LEAVES + 100).collect())
}

/// What a store does to a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nothing is written; the caller hears of an error (500, or no answer).
    Failed,
    /// It is written; the caller hears of an error all the same.
    FailedButPersisted,
    /// Something else is written in its place, and the caller hears that all is well.
    Corrupted,
}

/// A store in memory whose next writes fail.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<InMemory>,
    pub(crate) next: Arc<Mutex<Vec<Fault>>>,
    pub(crate) writes: Arc<AtomicU64>,
    /// False while it cannot be listed.
    pub(crate) list: Arc<AtomicBool>,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            next: Arc::default(),
            writes: Arc::default(),
            list: Arc::new(AtomicBool::new(true)),
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    pub(crate) fn fail(&self, faults: &[Fault]) {
        *self.next.lock().unwrap() = faults.iter().rev().copied().collect();
    }
}

fn failed() -> object_store::Error {
    object_store::Error::Generic { store: "Faulty", source: "500 Internal Server Error".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let fault = self.next.lock().unwrap().pop();
        match fault {
            None => self.inner.put_opts(path, payload, options).await,
            Some(Fault::Failed) => Err(failed()),
            Some(Fault::FailedButPersisted) => {
                self.inner.put_opts(path, payload, options).await?;
                Err(failed())
            }
            Some(Fault::Corrupted) => self.inner.put_opts(path, b"not what was given".as_slice().into(), options).await,
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.list.load(Ordering::SeqCst) {
            return self.inner.list(prefix);
        }
        Box::pin(futures_util::stream::once(async { Err(failed()) }))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
