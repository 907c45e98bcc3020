//! The object store: objects that are made once, and one that is swapped.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig, UpdateVersion,
    aws::AmazonS3Builder, azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, local::LocalFileSystem,
    path::Path,
};
use tokio::time::timeout;

use crate::{
    names::joined,
    s3::{self, S3},
};

/// How long one request may take; a file of 2^20 leaves is some hundred megabytes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a request that failed for a reason of the server's is tried again before its caller hears of it.
const RETRIES: usize = 5;
/// How long it is tried at all.
const RETRY_TIMEOUT: Duration = Duration::from_secs(150);
/// How long a store is waited for, whatever it is: longer than the last try of a request takes, begun at the latest. Of a
/// list, that long for each part of it.
const ANSWER_WITHIN: Duration = Duration::from_secs(300);

/// A place for objects: a folder of this machine, or a bucket and a prefix in it.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    s3: Option<Arc<S3>>,
}

/// The store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address names no store that this program knows.
    #[error("`{url}` is no store: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The store refused, or did not answer in time.
    #[error("cannot {action} `{path}`: {why}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The answer, without what it repeats of the request.
        why: String,
    },
    /// The object is longer than it may be.
    #[error("`{path}` has {bytes} bytes, more than it may have")]
    TooLong {
        /// Which.
        path: String,
        /// How many it has.
        bytes: u64,
    },
}

/// What became of an object that was to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Created {
    /// It is there, as given.
    New,
    /// An object was there before, and nothing was changed.
    Present,
}

/// An object with the version that a swap names.
#[derive(Clone, Debug)]
pub(crate) struct Versioned {
    pub(crate) bytes: Bytes,
    pub(crate) version: UpdateVersion,
}

impl Store {
    /// Opens `file:///...`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    ///
    /// Credentials and endpoints come from the environment, by the names that the makers of each store gave them, such as
    /// `AWS_ACCESS_KEY_ID`, `AWS_REGION` and `AWS_ENDPOINT_URL`. Asks the store nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`].
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let bad = |why: String| StoreError::Url { url: url.to_owned(), why };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no scheme".to_owned()))?;
        let failed = |error: object_store::Error| bad(error.to_string());
        if scheme == "file" {
            std::fs::create_dir_all(rest).map_err(|error| bad(error.to_string()))?;
            let files = LocalFileSystem::new_with_prefix(rest).map_err(failed)?.with_fsync(true);
            return Ok(Self::on(Arc::new(files), Path::default()));
        }
        let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
        let prefix = Path::parse(prefix).map_err(|error| bad(error.to_string()))?;
        match scheme {
            "s3" => {
                let s3 = AmazonS3Builder::from_env().with_url(url).with_client_options(client()).with_retry(retry());
                let s3 = Arc::new(S3::new(s3.build().map_err(failed)?, &client()).map_err(failed)?);
                Ok(Self { s3: Some(Arc::clone(&s3)), ..Self::on(s3.objects(), prefix) })
            }
            "gs" => {
                let gcs = GoogleCloudStorageBuilder::from_env().with_url(url);
                let gcs = gcs.with_client_options(client()).with_retry(retry()).build().map_err(failed)?;
                Ok(Self::on(Arc::new(gcs), prefix))
            }
            "az" => {
                let azure = MicrosoftAzureBuilder::from_env().with_url(url);
                let azure = azure.with_client_options(client()).with_retry(retry()).build().map_err(failed)?;
                Ok(Self::on(Arc::new(azure), prefix))
            }
            _ => Err(bad("it begins with `file://`, `s3://`, `gs://` or `az://`".to_owned())),
        }
    }

    /// Takes objects under `prefix` of a store that is open already.
    #[must_use]
    pub fn on(objects: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { objects, prefix, s3: None }
    }

    /// Returns what can do more with a bucket than other stores can; `None` for another store.
    pub(crate) fn s3(&self) -> Option<&Arc<S3>> {
        self.s3.as_ref()
    }

    /// Returns the path of an object under the store's prefix.
    pub(crate) fn path(&self, name: &str) -> Path {
        joined(&self.prefix, name)
    }

    /// Returns the prefix.
    pub(crate) fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Makes an object unless one is there: `If-None-Match: *`.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<Created, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match answer(self.objects.put_opts(path, bytes.into(), options)).await {
            Ok(_) => Ok(Created::New),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Present)
            }
            Err(source) => Err(failed("write", path, source)),
        }
    }

    /// Replaces the object if it still has `version`, or makes it if that is `None`; `None` if it has another by now.
    pub(crate) async fn swap(
        &self,
        path: &Path,
        version: Option<UpdateVersion>,
        bytes: Bytes,
    ) -> Result<Option<UpdateVersion>, StoreError> {
        let mode = version.map_or(PutMode::Create, PutMode::Update);
        match answer(self.objects.put_opts(path, bytes.into(), PutOptions::from(mode))).await {
            Ok(put) => Ok(Some(put.into())),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(None),
            Err(source) => Err(failed("swap", path, source)),
        }
    }

    /// Reads an object of at most `bytes_max`; `None` if there is none.
    pub(crate) async fn get(&self, path: &Path, bytes_max: u64) -> Result<Option<Versioned>, StoreError> {
        let got = match answer(self.objects.get(path)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(|source| failed("read", path, source))?,
        };
        if got.meta.size > bytes_max {
            return Err(StoreError::TooLong { path: path.to_string(), bytes: got.meta.size });
        }
        let version = UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        let bytes = answer(got.bytes()).await.map_err(|source| failed("read", path, source))?;
        Ok(Some(Versioned { bytes, version }))
    }

    /// Returns the paths of all objects in a folder and the folders in it.
    pub(crate) async fn list(&self, folder: &Path) -> Result<Vec<Path>, StoreError> {
        let (mut listed, mut paths) = (self.objects.list(Some(folder)), Vec::new());
        while let Some(meta) = answer(listed.try_next()).await.map_err(|source| failed("list", folder, source))? {
            paths.push(meta.location);
        }
        Ok(paths)
    }

    /// Removes an object.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), StoreError> {
        answer(self.objects.delete(path)).await.map_err(|source| failed("remove", path, source))
    }
}

/// Waits for what a store answers. One that hangs has not refused: what was asked may still be done, later.
async fn answer<T>(asked: impl Future<Output = Result<T, object_store::Error>>) -> Result<T, object_store::Error> {
    let late = || format!("no answer within {} s", ANSWER_WITHIN.as_secs());
    let answered = timeout(ANSWER_WITHIN, asked).await;
    answered.unwrap_or_else(|_| Err(object_store::Error::Generic { store: "store", source: late().into() }))
}

/// Says in the words of a store what a library answered.
pub(crate) fn failed(action: &'static str, path: &Path, source: object_store::Error) -> StoreError {
    StoreError::Failed { action, path: path.to_string(), why: told(&source.to_string()) }
}

/// Returns what an answer says up to its document, and the code in that: the rest may repeat a request's credentials.
fn told(answer: &str) -> String {
    let Some((before, document)) = answer.split_once('<') else { return answer.to_owned() };
    let code = s3::code(document.as_bytes()).unwrap_or("no code");
    format!("{}: {code}", before.trim_end_matches(|c: char| !c.is_alphanumeric()))
}

fn client() -> ClientOptions {
    let plain = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|set| set == "true");
    ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(plain)
}

fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_answers_is_told_without_the_document_that_may_repeat_credentials() {
        let answer =
            "Generic S3 error: 403 Forbidden: <?xml?><Error><Code>InvalidToken</Code><Token-0>secret</Token-0>";
        assert_eq!(told(answer), "Generic S3 error: 403 Forbidden: InvalidToken");
        assert_eq!(told("error: <html>secret"), "error: no code");
        assert_eq!(told("500 Internal Server Error"), "500 Internal Server Error");
    }
}
