//! The HTTP interface of a mirror.

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use proof::tile::TilePath;
use terms::Clock;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{MEDIA_TYPE, Mirror, MirrorInfo, Unfinished};
use crate::{
    Refusal,
    server::{NO_PLACE, Shared, answer_checkpoint, come_back, refused, text},
};

/// How long an upload may take; what came until then counts.
const UPLOAD_WITHIN: Duration = Duration::from_secs(300);
/// How long a client may be waited for, in all, for each [`PACE_BYTES`]: a place is no one's who sends a byte now and then.
const PATIENCE: Duration = Duration::from_secs(10);
/// A tenth of a full package of ours: 13 kbit/s.
const PACE_BYTES: usize = 16 << 10;
/// Bytes of an upload that are read, unpacked: 32 packages of the largest entries take 537 MB, and of ours 8.4 MB.
const UPLOAD_BYTES_MAX: u64 = 64 << 20;
/// Pieces of a body that wait for the disk.
const PIECES: usize = 8;

/// Returns the routes of a mirror: `POST /add-checkpoint`, `POST /add-entries`, and of each log, under the hash of its
/// origin, `checkpoint` and `tile/...`.
///
/// An upload is read for 5 minutes and up to 64 MiB, counted after it was unpacked, and dropped where 16 KiB take more than
/// 10 s of waiting; 64 checkpoints and 16 uploads are worked on at a time, 8 of them of one log. Connections are the caller's to limit.
pub fn mirror_router(mirror: Arc<Mirror>, clock: Arc<dyn Clock>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/add-entries", post(add_entries))
        .route("/{origin}/checkpoint", get(checkpoint))
        .route("/{origin}/tile/{*tile}", get(tile))
        .with_state(Shared::new(mirror, clock))
}

async fn add_checkpoint(State(shared): State<Shared<Mirror>>, body: Body) -> Response {
    let work = |mirror: &Mirror, body: &[u8], clock: &dyn Clock| mirror.add_checkpoint(body, clock.now());
    answer_checkpoint(shared, body, work).await
}

async fn add_entries(State(shared): State<Shared<Mirror>>, headers: HeaderMap, upload: Body) -> Response {
    if headers.get(header::CONTENT_TYPE).is_none_or(|media| media != "application/octet-stream") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let packed = headers.get(header::CONTENT_ENCODING).map(|coding| coding == "gzip");
    let Ok(_place) = shared.uploads.clone().try_acquire_owned() else {
        return come_back(NO_PLACE);
    };
    let (sender, pieces) = mpsc::channel(PIECES);
    let body = Pieces { pieces, at: Bytes::new() };
    let reading = spawn_blocking(move || {
        let mut body: Box<dyn Read> = match packed {
            None => Box::new(body.take(UPLOAD_BYTES_MAX)),
            Some(true) => Box::new(GzDecoder::new(body).take(UPLOAD_BYTES_MAX)),
            Some(false) => return Err(Refusal::Malformed("the content encoding is neither gzip nor none").into()),
        };
        shared.inner.add_entries(&mut body, shared.clock.now())
    });
    feed(upload, sender).await;
    let answered = reading.await.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), answer);
    ([(header::ACCEPT_ENCODING, "gzip")], answered).into_response()
}

/// Hands the body over piece by piece, until it ends, nobody reads it any more, it comes too slowly, or time is up.
async fn feed(mut body: Body, sender: mpsc::Sender<Bytes>) {
    let deadline = Instant::now() + UPLOAD_WITHIN;
    let mut pace = Pace::default();
    loop {
        let waits = Instant::now();
        let frame = tokio::select! {
            frame = timeout_at(deadline.min(waits + pace.left()), body.frame()) => frame,
            () = sender.closed() => return,
        };
        let Ok(Some(Ok(frame))) = frame else {
            return;
        };
        let Ok(data) = frame.into_data() else { continue };
        pace.came(data.len(), waits.elapsed());
        if sender.send(data).await.is_err() {
            return;
        }
    }
}

/// How long a client was waited for since it had sent enough. What the mirror itself takes is not counted.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: usize,
}

impl Pace {
    fn left(&self) -> Duration {
        PATIENCE.saturating_sub(self.waited)
    }

    fn came(&mut self, bytes: usize, after: Duration) {
        self.waited += after;
        self.bytes += bytes;
        if self.bytes >= PACE_BYTES {
            *self = Self::default();
        }
    }
}

/// A body as a blocking reader sees it; it ends where the sender went away.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    at: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.at = piece,
                None => return Ok(0),
            }
        }
        let count = self.at.len().min(into.len());
        let piece = self.at.split_to(count);
        into.split_at_mut(count).0.copy_from_slice(&piece);
        Ok(count)
    }
}

fn answer(done: Result<String, Unfinished>) -> Response {
    match done {
        Ok(lines) => text(lines),
        Err(Unfinished::Accepted(info)) => info_response(StatusCode::ACCEPTED, &info),
        Err(Unfinished::Conflict(info)) => info_response(StatusCode::CONFLICT, &info),
        Err(Unfinished::Refused(refusal)) => refused(&refusal),
    }
}

fn info_response(status: StatusCode, info: &MirrorInfo) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], info.to_string()).into_response()
}

async fn checkpoint(State(shared): State<Shared<Mirror>>, Path(origin): Path<String>) -> Response {
    match spawn_blocking(move || shared.inner.checkpoint(&origin)).await {
        Ok(Some(note)) => text(note),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn tile(State(shared): State<Shared<Mirror>>, Path((origin, tile)): Path<(String, String)>) -> Response {
    let Ok(path) = format!("tile/{tile}").parse::<TilePath>() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match spawn_blocking(move || shared.inner.tile(&origin, path)).await {
        Ok(Ok(Some(bytes))) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CACHE_CONTROL, "public, max-age=604800, immutable"),
            ];
            (headers, bytes).into_response()
        }
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body::Frame;

    use super::*;

    /// A body that sends so many bytes after each pause, without an end.
    struct Trickling {
        pause: Pin<Box<tokio::time::Sleep>>,
        every: Duration,
        bytes: usize,
    }

    fn trickling(bytes: usize, every: Duration) -> Body {
        Body::new(Trickling { pause: Box::pin(tokio::time::sleep(every)), every, bytes })
    }

    impl axum::body::HttpBody for Trickling {
        type Data = Bytes;
        type Error = io::Error;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            if self.pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let next = Instant::now() + self.every;
            self.pause.as_mut().reset(next);
            Poll::Ready(Some(Ok(Frame::data(vec![0; self.bytes].into()))))
        }
    }

    /// Feeds from `body`; returns how long it was listened to, and how much came.
    async fn fed(body: Body) -> (Duration, usize) {
        let (sender, mut pieces) = mpsc::channel::<Bytes>(PIECES);
        let count = tokio::spawn(async move {
            let mut count = 0;
            while let Some(piece) = pieces.recv().await {
                count += piece.len();
            }
            count
        });
        let before = Instant::now();
        feed(body, sender).await;
        (before.elapsed(), count.await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_goes_silent_or_trickles_gives_up_its_place_after_ten_seconds() {
        assert_eq!(fed(trickling(1, Duration::from_secs(3_600))).await, (PATIENCE, 0));
        assert_eq!(fed(trickling(1, Duration::from_secs(3))).await, (PATIENCE, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_on_a_slow_line_is_read_no_longer_than_an_upload_may_take() {
        // Each piece comes in time; 42 do in five minutes.
        let told = fed(trickling(PACE_BYTES, Duration::from_secs(7))).await;
        assert_eq!(told, (UPLOAD_WITHIN, 42 * PACE_BYTES));
    }
}
