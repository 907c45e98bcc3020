//! Stores that fail on demand, over one log of calls.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use lake::{Record, SPAN_LEAVES};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tokio::time::sleep;

use crate::traffic::Traffic;

pub(crate) const LEAVES: usize = SPAN_LEAVES as usize;

/// Two files of calls and a tail of 100 leaves, made once for all tests.
pub(crate) fn records() -> &'static [Record] {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    RECORDS.get_or_init(|| Traffic::new(3, 64).take(2 * LEAVES + 100).collect())
}

/// What a store does to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nothing is done; the caller hears of an error (500, or no answer).
    Failed,
    /// It is written; the caller hears of an error all the same.
    FailedButPersisted,
    /// Something else is written in its place, and the caller hears that all is well.
    Corrupted,
    /// It is done so much later, whether the caller still waits or not.
    Late(Duration),
}

/// What is asked of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    Put,
    Get,
    List,
}

/// A store in memory whose next requests fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<InMemory>,
    next: Arc<Mutex<Vec<(Asked, Fault)>>>,
    pub(crate) writes: Arc<AtomicU64>,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    /// Has the next writes fail, the first one first.
    pub(crate) fn fail(&self, faults: &[Fault]) {
        faults.iter().for_each(|fault| self.fail_next(Asked::Put, *fault));
    }

    /// Has the next such request fail on which nothing is laid yet.
    pub(crate) fn fail_next(&self, asked: Asked, fault: Fault) {
        self.next.lock().unwrap().push((asked, fault));
    }

    /// Returns true once every fault was met.
    pub(crate) fn has_failed(&self) -> bool {
        self.next.lock().unwrap().is_empty()
    }

    fn fault(&self, asked: Asked) -> Option<Fault> {
        let mut next = self.next.lock().unwrap();
        let at = next.iter().position(|(of, _)| *of == asked)?;
        Some(next.remove(at).1)
    }
}

fn failed() -> object_store::Error {
    object_store::Error::Generic { store: "Faulty", source: "500 Internal Server Error".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        match self.fault(Asked::Put) {
            None => self.inner.put_opts(path, payload, options).await,
            Some(Fault::Failed) => Err(failed()),
            Some(Fault::FailedButPersisted) => {
                self.inner.put_opts(path, payload, options).await?;
                Err(failed())
            }
            Some(Fault::Corrupted) => self.inner.put_opts(path, b"not what was given".as_slice().into(), options).await,
            Some(Fault::Late(late)) => {
                let (inner, path) = (Arc::clone(&self.inner), path.clone());
                let applied = tokio::spawn(async move {
                    sleep(late).await;
                    inner.put_opts(&path, payload, options).await
                });
                applied.await.unwrap()
            }
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.fault(Asked::Get) {
            None => {}
            Some(Fault::Late(late)) => sleep(late).await,
            Some(_) => return Err(failed()),
        }
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list(prefix);
        match self.fault(Asked::List) {
            None => listed,
            Some(Fault::Late(late)) => Box::pin(
                stream::once(async move {
                    sleep(late).await;
                    listed
                })
                .flatten(),
            ),
            Some(_) => Box::pin(stream::once(async { Err(failed()) })),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
