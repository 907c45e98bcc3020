//! One round with a mirror: submit the latest checkpoint, send the entries it lacks, publish what comes back.

use bytes::Bytes;

use super::{Asking, Latest, Trouble, ask, witness::Known};
use crate::mirror::{Header, MirrorInfo, Package};

/// Packages in one request, as the protocol asks.
const PACKAGES_MAX: usize = 32;
/// Requests in one round: 8,192 entries each.
const REQUESTS_MAX: usize = 64;
/// How often in a row a mirror may say that it stands elsewhere.
const CONFLICTS_MAX: usize = 4;

/// How far the entries of a log were sent to a mirror.
#[derive(Clone, Debug, Default)]
pub(super) struct Upload {
    /// The checkpoint that the mirror cosigned last.
    held: Option<u64>,
    /// The index of the first entry that the mirror is thought to lack.
    next: u64,
}

/// What a mirror answered to entries.
#[derive(Debug)]
enum Answer {
    /// It holds everything; its lines, not checked yet.
    Held(String),
    /// It took some, and stands here.
    Accepted(MirrorInfo),
    /// It took none, and stands here.
    Conflict(MirrorInfo),
}

impl Asking {
    /// Gets a checkpoint held, unless it is; false if more entries are left to be sent than one round takes.
    pub(super) async fn mirror(
        &self,
        latest: &Latest,
        known: &mut Known,
        upload: &mut Upload,
    ) -> Result<bool, Trouble> {
        if upload.held == Some(latest.checkpoint.size) {
            return Ok(true);
        }
        self.submit(latest, known).await?;
        let Some(lines) = self.upload(latest, upload).await? else {
            return Ok(false);
        };
        self.publish(latest, &lines).await?;
        self.ledger.mirrored(latest.checkpoint.size);
        upload.held = Some(latest.checkpoint.size);
        Ok(true)
    }

    /// Sends entries until the mirror holds the checkpoint; returns the lines of its answer, `None` if more are left.
    async fn upload(&self, latest: &Latest, upload: &mut Upload) -> Result<Option<String>, Trouble> {
        let size = latest.checkpoint.size;
        let mut ticket = Vec::new();
        let mut conflicts = 0;
        for _ in 0..REQUESTS_MAX {
            let start = upload.next.min(size);
            let body = self.part(latest, start, std::mem::take(&mut ticket)).await?;
            match self.send_part(body).await? {
                Answer::Held(lines) => {
                    upload.next = size;
                    return Ok(Some(lines));
                }
                Answer::Accepted(info) if info.next > start => {
                    (upload.next, ticket, conflicts) = (info.next, info.ticket, 0)
                }
                Answer::Accepted(_) => return Err(Trouble::Failed("it takes entries and does not get on".to_owned())),
                Answer::Conflict(info) => {
                    conflicts += 1;
                    (upload.next, ticket) = (info.next, info.ticket);
                }
            }
            if conflicts > CONFLICTS_MAX {
                return Err(Trouble::Failed("it says again and again that it stands elsewhere".to_owned()));
            }
        }
        tracing::info!(mirror = self.peer.name(), sent = upload.next, of = size, "the log is being mirrored");
        Ok(None)
    }

    async fn send_part(&self, body: Bytes) -> Result<Answer, Trouble> {
        let media = "application/octet-stream";
        let told =
            ask::post(&self.client, &self.peer.url, "add-entries", media, body).await.map_err(Trouble::Failed)?;
        let info =
            || MirrorInfo::parse(&told.body).ok_or_else(|| Trouble::Failed("its answer is malformed".to_owned()));
        if let Some(wait) = ask::retry_after(&told) {
            return Err(Trouble::Busy(wait));
        }
        match told.status.as_u16() {
            200 => Ok(Answer::Held(String::from_utf8_lossy(&told.body).into_owned())),
            202 => info().map(Answer::Accepted),
            409 => info().map(Answer::Conflict),
            other => Err(Trouble::Failed(format!("it refused entries with status {other}"))),
        }
    }

    /// Makes the body of a request: a header, and packages from `start` on.
    async fn part(&self, latest: &Latest, start: u64, ticket: Vec<u8>) -> Result<Bytes, Trouble> {
        let reader = self.ledger.reader();
        let header = Header { origin: latest.checkpoint.origin.clone(), start, end: latest.checkpoint.size, ticket };
        let made = tokio::task::spawn_blocking(move || {
            let mut body = header.write().ok_or("the header does not fit")?;
            for span in header.packages().take(PACKAGES_MAX) {
                let read = reader.package(span.start..span.end, header.end);
                let (entries, proof) = read.map_err(|error| error.to_string())?;
                Package { entries, proof }.write(&mut body).ok_or("a package does not fit")?;
            }
            Ok::<_, String>(Bytes::from(body))
        });
        let made = made.await.unwrap_or_else(|_| Err("the entries could not be read".to_owned()));
        made.map_err(Trouble::Failed)
    }
}
