//! What only buckets that speak S3 can do: keep a version of an object from everybody until a date.
//!
//! # Source
//!
//! Amazon S3 API: `PutObject` with `x-amz-object-lock-mode` and `x-amz-object-lock-retain-until-date`,
//! `PutObjectRetention`, `DeleteObject` with `versionId`.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use object_store::{
    ClientOptions, ObjectStore,
    aws::AmazonS3,
    client::{HttpClient, HttpConnector, ReqwestConnector},
    path::Path,
    signer::{SignedUrlOptions, Signer},
};
use sha2::{Digest, Sha256};
use terms::Moment;

use crate::store::{Created, StoreError, failed};

/// For how long a signed request may be used.
const SIGNED_FOR: Duration = Duration::from_secs(600);
/// Times that a request is made for a reason of the server's or of the network's.
const TRIES: u32 = 5;
/// The first wait between two tries; it doubles.
const WAIT: Duration = Duration::from_millis(200);

const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
const LEGAL_HOLD: HeaderName = HeaderName::from_static("x-amz-object-lock-legal-hold");
const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-sdk-checksum-algorithm");
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
const VERSION: HeaderName = HeaderName::from_static("x-amz-version-id");

/// A bucket.
pub(crate) struct S3 {
    bucket: Arc<AmazonS3>,
    http: HttpClient,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3(..)")
    }
}

/// What a bucket answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The version of the object, in a bucket that keeps versions.
    pub(crate) version: Option<String>,
    /// Until when the object is kept from everybody, and whether there is a legal hold on it.
    held: Held,
    pub(crate) body: Bytes,
}

/// What a bucket says of who may remove an object.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Held {
    /// A retention: its date, or none where that cannot be read.
    retention: Option<Option<Moment>>,
    legal_hold: bool,
}

impl Held {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let until = || Moment::parse(text(&UNTIL)?).ok();
        Self {
            retention: headers.contains_key(&MODE).then(until),
            legal_hold: text(&LEGAL_HOLD).is_some_and(|hold| hold.eq_ignore_ascii_case("ON")),
        }
    }

    /// S3 shows a retention after its date as well. A date that cannot be read has not come.
    fn at(&self, now: Moment) -> bool {
        let kept = self.retention.is_some_and(|until| until.is_none_or(|until| until > now));
        kept || self.legal_hold
    }
}

/// One request to be signed.
struct Asked<'a> {
    method: Method,
    path: &'a Path,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// Returns the code of an error: the rest of the text may repeat the request's credentials.
    pub(crate) fn code(&self) -> Option<&str> {
        code(&self.body)
    }
}

impl S3 {
    pub(crate) fn new(bucket: AmazonS3, options: &ClientOptions) -> Result<Self, object_store::Error> {
        let http = ReqwestConnector::default().connect(options)?;
        Ok(Self { bucket: Arc::new(bucket), http })
    }

    /// Returns the bucket as any other store.
    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.bucket) as Arc<dyn ObjectStore>
    }

    /// Makes an object unless one is there, and keeps it from everybody until `until` (COMPLIANCE).
    pub(crate) async fn create_locked(&self, path: &Path, bytes: Bytes, until: Moment) -> Result<Created, StoreError> {
        let answer = self.put_locked(path, bytes, until, true).await?;
        match answer.status {
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(Created::Present),
            status if status.is_success() => Ok(Created::New),
            _ => Err(answered("write", path, &answer)),
        }
    }

    /// Writes an object that nobody may remove or change until `until`; with `new`, only where there is none.
    pub(crate) async fn put_locked(
        &self,
        path: &Path,
        body: Bytes,
        until: Moment,
        new: bool,
    ) -> Result<Answer, StoreError> {
        let mut headers = HeaderMap::new();
        headers.insert(MODE, HeaderValue::from_static("COMPLIANCE"));
        headers.insert(UNTIL, value(&date(until)));
        add_checksum(&mut headers, &body);
        if new {
            headers.insert(http::header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        self.ask(Asked { method: Method::PUT, path, query: Vec::new(), headers, body }).await
    }

    /// Asks for another date until which a version is kept.
    pub(crate) async fn retain(&self, path: &Path, version: &str, until: Moment) -> Result<Answer, StoreError> {
        let until = date(until);
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        let body = Bytes::from(body);
        let mut headers = HeaderMap::new();
        add_checksum(&mut headers, &body);
        let query = vec![("retention", String::new()), ("versionId", version.to_owned())];
        self.ask(Asked { method: Method::PUT, path, query, headers, body }).await
    }

    /// Says whether an object is kept from everybody at `now`, by a retention or a legal hold.
    pub(crate) async fn is_held(&self, path: &Path, now: Moment) -> Result<bool, StoreError> {
        let (query, headers) = (Vec::new(), HeaderMap::new());
        let answer = self.ask(Asked { method: Method::HEAD, path, query, headers, body: Bytes::new() }).await?;
        if answer.status.is_success() { Ok(answer.held.at(now)) } else { Err(answered("look at", path, &answer)) }
    }

    /// Reads one version of an object.
    pub(crate) async fn get_version(&self, path: &Path, version: &str) -> Result<Answer, StoreError> {
        self.ask(Asked::of(Method::GET, path, version)).await
    }

    /// Asks to remove one version of an object for good.
    pub(crate) async fn remove_version(&self, path: &Path, version: &str) -> Result<Answer, StoreError> {
        self.ask(Asked::of(Method::DELETE, path, version)).await
    }

    /// Signs and sends a request, again where the server failed or did not answer.
    async fn ask(&self, asked: Asked<'_>) -> Result<Answer, StoreError> {
        let mut wait = WAIT;
        for _ in 1..TRIES {
            match self.ask_once(&asked).await {
                Ok(answer) if !answer.status.is_server_error() => return Ok(answer),
                Ok(answer) => {
                    tracing::warn!(status = %answer.status, path = %asked.path, "the store failed; tries again")
                }
                Err(error) => tracing::warn!(%error, "the store did not answer; tries again"),
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.ask_once(&asked).await
    }

    async fn ask_once(&self, asked: &Asked<'_>) -> Result<Answer, StoreError> {
        let of = |source| failed("ask for", asked.path, source);
        let options = SignedUrlOptions::new().with_query(asked.query.iter().cloned());
        let options = asked
            .headers
            .iter()
            .fold(options, |options, (name, value)| options.with_signed_header(name.clone(), value.clone()));
        let url =
            self.bucket.signed_url_opts(asked.method.clone(), asked.path, SIGNED_FOR, &options).await.map_err(of)?;
        let mut request = Request::new(asked.body.clone().into());
        *request.method_mut() = asked.method.clone();
        *request.uri_mut() = url.as_str().parse().map_err(|error| of(generic(error)))?;
        request.headers_mut().extend(asked.headers.clone());
        let response = self.http.execute(request).await.map_err(|error| of(generic(error)))?;
        let (head, body) = response.into_parts();
        let version = head.headers.get(VERSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let held = Held::of(&head.headers);
        let body = body.bytes().await.map_err(|error| of(generic(error)))?;
        Ok(Answer { status: head.status, version, held, body })
    }
}

impl<'a> Asked<'a> {
    fn of(method: Method, path: &'a Path, version: &str) -> Self {
        let query = vec![("versionId", version.to_owned())];
        Self { method, path, query, headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// Writes a date in whole seconds, no earlier than it is.
fn date(until: Moment) -> String {
    Moment::from_millis((until.as_millis() + 999) / 1_000 * 1_000).to_string()
}

/// S3 wants a checksum of whatever it is to hold.
fn add_checksum(headers: &mut HeaderMap, body: &[u8]) {
    headers.insert(ALGORITHM, HeaderValue::from_static("SHA256"));
    headers.insert(CHECKSUM, value(&STANDARD.encode(Sha256::digest(body))));
}

/// Makes an error of an answer that says no.
pub(crate) fn answered(action: &'static str, path: &Path, answer: &Answer) -> StoreError {
    let said = answer.code().unwrap_or("no code");
    failed(action, path, generic(std::io::Error::other(format!("{}: {said}", answer.status))))
}

/// Finds a code of letters and digits, at most 64 of them.
pub(crate) fn code(body: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some(code)
}

fn generic(error: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}

/// Dates and base64 are header values as they are.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(headers: &[(HeaderName, &'static str)]) -> Held {
        let all = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        Held::of(&all.collect())
    }

    #[test]
    fn an_object_is_held_until_its_date_or_while_there_is_a_legal_hold() {
        let at = |text| Moment::parse(text).unwrap();
        let (before, after) = (at("2031-06-01T00:00:00Z"), at("2031-06-03T00:00:00Z"));
        let kept = held(&[(MODE, "COMPLIANCE"), (UNTIL, "2031-06-02T00:00:00.000Z")]);
        assert_eq!((kept.at(before), kept.at(after)), (true, false));
        let hold = held(&[(MODE, "COMPLIANCE"), (UNTIL, "2031-06-02T00:00:00Z"), (LEGAL_HOLD, "ON")]);
        assert!(hold.at(after));
        assert!(held(&[(LEGAL_HOLD, "ON")]).at(after) && !held(&[(LEGAL_HOLD, "OFF")]).at(before));
        for unreadable in [held(&[(MODE, "COMPLIANCE")]), held(&[(MODE, "COMPLIANCE"), (UNTIL, "soon")])] {
            assert!(unreadable.at(after));
        }
        assert!(!held(&[]).at(before));
    }

    #[test]
    fn of_what_a_bucket_answers_only_the_code_is_told() {
        let body = b"<Error><Code>InvalidToken</Code><Token-0>secret</Token-0></Error>";
        assert_eq!(code(body), Some("InvalidToken"));
        assert_eq!(code(b"<Error><Code>a b</Code>"), None);
        assert_eq!(code(b"<Error>"), None);
    }
}
