//! The mirror: uploads, what is refused, and what is served.

use std::{io::Write, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use flate2::{Compression, write::GzEncoder};
use proof::{
    cosignature::{self, CosignerKey},
    note::Note,
    tile::{TileKind, TilePath},
};
use terms::{Moment, SystemClock};
use tower::ServiceExt;
use witness::{Unfinished, mirror_router, origin_hash};

use crate::world::{Log, World, header as upload_header, keys, now};

pub(crate) const ORIGIN: &str = "log.example.com/exeat/1";
const ALL: usize = usize::MAX;

#[test]
fn an_uploaded_log_is_held_served_and_cosigned_from_end_to_end() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    let hash = origin_hash(ORIGIN);
    assert_eq!(world.mirror.checkpoint(&hash), None);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
    // Nothing new: the cosignature is made anew.
    world.post(&log.add_entries(600, 600, b"", ALL)).cosigns(&log, 600);
    world.pend(&log, 600, 1_200);
    world.holds(&log, 600);
    world.post(&log.add_entries(600, 1_200, b"", ALL)).cosigns(&log, 1_200);
    world.holds(&log, 1_200);
}

#[test]
fn an_entry_or_a_proof_that_was_changed_is_refused_and_what_came_before_it_stays() {
    let log = Log::new(ORIGIN, 300);
    let world = World::pending(&log, 300);
    let whole = log.add_entries(0, 300, b"", ALL);
    let first_entry = log.header(0, 300, b"").len() + 2;
    let mut bad = whole.clone();
    bad[first_entry] ^= 1;
    world.post(&bad).is(422);
    world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 300, 0);
    let mut bad = whole;
    *bad.last_mut().unwrap() ^= 1;
    world.post(&bad).is(422);
    world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 300, 256);
    assert_eq!(world.mirror.checkpoint(&origin_hash(ORIGIN)), None);
}

#[test]
fn an_upload_may_come_in_parts_and_counts_up_to_its_last_whole_package() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 600);
    let header = log.header(0, 600, b"").len();
    let one = log.add_entries(0, 600, b"", 1);
    for cut in [header, header + 10, one.len() - 1, one.len() - 33, one.len() - 65] {
        world.post(&one[..cut]).is(400);
    }
    world.post(&[&one, [0, 100, 1, 2, 3].as_slice()].concat()).stands(202, 600, 256);
    let two = log.add_entries(0, 600, b"", 2);
    for cut in [two.len() - 1, two.len() - 40, two.len() - 65] {
        world.post(&two[..cut]).stands(202, 600, 256);
    }
    world.post(&log.add_entries(256, 600, b"", 1)).stands(202, 600, 512);
    world.post(&log.add_entries(512, 600, b"", ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn a_log_of_three_levels_of_tiles_is_held() {
    let size = 2 * 65_536 + 300;
    let log = Log::new(ORIGIN, size);
    let world = World::pending(&log, size);
    let mut next = 0;
    while next + 32 * 256 < size {
        let told = world.post(&log.add_entries(next, size, b"", 32));
        next += 32 * 256;
        told.stands(202, size, next);
    }
    world.post(&log.add_entries(next, size, b"", ALL)).cosigns(&log, size);
    world.holds(&log, size);
    let path = TilePath::new(TileKind::Hashes(2), 0, 2).unwrap();
    assert_eq!(world.mirror.tile(&origin_hash(ORIGIN), path).unwrap().unwrap().len(), 64);
    let partial = TilePath::new(TileKind::Hashes(1), 0, 200).unwrap();
    assert_eq!(world.mirror.tile(&origin_hash(ORIGIN), partial).unwrap(), None, "full tiles replace partial ones");
}

#[test]
fn a_cosignature_may_be_had_anew_while_more_is_pending_and_half_uploaded() {
    let log = Log::new(ORIGIN, 1_200);
    let world = World::pending(&log, 600);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.pend(&log, 600, 1_200);
    world.post(&log.add_entries(600, 1_200, b"", 1)).stands(202, 1_200, 768);
    world.post(&log.add_entries(600, 600, b"", ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn a_cosignature_made_anew_carries_the_time_at_which_it_was_and_is_what_is_served() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 600);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    let later = Moment::from_millis(now().as_millis() + 3_600_000);
    let lines = world.mirror.add_entries(&mut log.add_entries(600, 600, b"", ALL).as_slice(), later).unwrap();
    let own = keys("mirror.example");
    let times = |note: &str, keys: &[CosignerKey]| -> Vec<u64> {
        let note = Note::parse(note.as_bytes()).unwrap();
        cosignature::verify(&note, keys).unwrap().iter().map(|seen| seen.time).collect()
    };
    assert_eq!(times(&format!("{}\n{lines}", log.checkpoint(600).body()), &own), [1_700_003_600; 2]);
    assert_eq!(times(&world.mirror.checkpoint(&origin_hash(ORIGIN)).unwrap(), &own), [1_700_003_600; 2]);
}

#[test]
fn an_empty_request_tells_a_client_where_the_mirror_stands() {
    let (log, other) = (Log::new(ORIGIN, 600), Log::new("log.example.com/unknown", 1));
    let world = World::new(&[&log]);
    world.post(&other.add_entries(0, 0, b"", ALL)).is(404);
    world.post(&log.add_entries(0, 0, b"", ALL)).is(422);
    world.pend(&log, 0, 600);
    world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 600, 0);
    assert_eq!(world.mirror.checkpoint(&origin_hash(ORIGIN)), None);
    world.post(&log.add_entries(256, 600, b"", ALL)).stands(409, 600, 0);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 600, 600);
}

#[test]
fn entries_that_are_there_may_be_sent_again_within_a_window() {
    let size = 35 * 256;
    let window = 8 * 256;
    let log = Log::new(ORIGIN, size);
    let world = World::pending(&log, size);
    world.post(&log.add_entries(0, size, b"", ALL)).cosigns(&log, size);
    world.post(&log.add_entries(0, size, b"", 1)).stands(409, size, size);
    world.post(&log.add_entries(size - window - 1, size, b"", 1)).stands(409, size, size);
    world.post(&log.add_entries(size - window, size, b"", ALL)).cosigns(&log, size);
    world.holds(&log, size);
}

#[test]
fn malformed_uploads_are_refused_and_change_nothing() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 600);
    let whole = log.add_entries(0, 600, b"", ALL);
    for cut in 0..log.header(0, 600, b"").len() {
        world.post(&whole[..cut]).is(400);
    }
    let ticket = upload_header(ORIGIN, 0, 600, b"ticket");
    world.post(&ticket[..ticket.len() - 3]).is(400);
    for (origin, start, end) in [("", 0, 600), (ORIGIN, 600, 300), (ORIGIN, 1 << 63, 1 << 63), (ORIGIN, 0, 1 << 63)] {
        world.post(&upload_header(origin, start, end, b"")).is(400);
    }
    let mut hashes = log.add_entries(0, 600, b"", 1);
    hashes.truncate(hashes.len() - 1 - 32 * proof_len(&log));
    hashes.push(64);
    world.post(&hashes).is(400);
    world.post(&whole).cosigns(&log, 600);
    world.holds(&log, 600);
}

/// How many hashes prove the first package of 600 entries.
fn proof_len(log: &Log) -> usize {
    proof::tree::prove_subtree_consistency(log, 0, 256, 600).unwrap().len()
}

#[test]
fn a_log_without_entries_is_cosigned_and_grows() {
    let log = Log::new(ORIGIN, 300);
    let world = World::pending(&log, 0);
    world.post(&log.add_entries(0, 0, b"", ALL)).cosigns(&log, 0);
    world.holds(&log, 0);
    world.post(&log.add_entries(0, 0, b"", ALL)).cosigns(&log, 0);
    world.pend(&log, 0, 300);
    world.post(&log.add_entries(0, 300, b"", ALL)).cosigns(&log, 300);
    world.holds(&log, 300);
}

#[test]
fn a_log_that_forks_is_not_mirrored_beyond_what_was_pending() {
    let (log, fork) = (Log::new(ORIGIN, 600), Log::salted(ORIGIN, 600, "!"));
    let world = World::pending(&log, 600);
    assert_eq!(world.mirror.add_checkpoint(&fork.add_checkpoint(600, 600), now()).unwrap_err().status(), 422);
    world.post(&fork.add_entries(0, 600, b"", ALL)).is(422);
    world.post(&log.add_entries(0, 600, b"", ALL)).cosigns(&log, 600);
    world.holds(&log, 600);
}

#[test]
fn a_tile_that_was_changed_on_disk_is_not_cosigned_over() {
    let log = Log::new(ORIGIN, 600);
    let world = World::pending(&log, 600);
    world.post(&log.add_entries(0, 600, b"", 2)).stands(202, 600, 512);
    let tile = world.dir.path().join(origin_hash(ORIGIN)).join("tile/1/000.p/2");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[33] ^= 4;
    std::fs::write(&tile, bytes).unwrap();
    let refused = world.mirror.add_entries(&mut log.add_entries(512, 600, b"", ALL).as_slice(), now());
    assert!(matches!(refused, Err(Unfinished::Refused(refusal)) if refusal.status() == 500));
    assert_eq!(world.mirror.checkpoint(&origin_hash(ORIGIN)), None);
}

/// An upload as a client sends it that packs nothing.
pub(crate) fn upload(body: Vec<u8>) -> Request<Body> {
    let request = Request::post("/add-entries").header(header::CONTENT_TYPE, "application/octet-stream");
    request.body(Body::from(body)).unwrap()
}

pub(crate) async fn send(world: &World, request: Request<Body>) -> Response<Body> {
    mirror_router(Arc::clone(&world.mirror), Arc::new(SystemClock::default())).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn over_http_uploads_may_be_packed_and_tiles_are_served() {
    let log = Log::new(ORIGIN, 300);
    let world = World::pending(&log, 300);
    let upload = |media: &str, coding: Option<&str>, body: Vec<u8>| {
        let mut request = Request::post("/add-entries").header(header::CONTENT_TYPE, media);
        if let Some(coding) = coding {
            request = request.header(header::CONTENT_ENCODING, coding);
        }
        request.body(Body::from(body)).unwrap()
    };
    let plain = log.add_entries(0, 300, b"", ALL);
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&plain).unwrap();
    let packed = packer.finish().unwrap();
    let octets = "application/octet-stream";
    assert_eq!(
        send(&world, upload("text/plain", None, plain.clone())).await.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(send(&world, upload(octets, Some("gzip"), plain.clone())).await.status(), 400);
    assert_eq!(send(&world, upload(octets, Some("br"), plain.clone())).await.status(), 400);
    let told = send(&world, upload(octets, None, log.add_entries(0, 300, b"", 1))).await;
    assert_eq!(
        (told.status().as_u16(), &told.headers()[header::CONTENT_TYPE]),
        (202, &"text/x.tlog.mirror-info".parse().unwrap())
    );
    assert_eq!(told.headers()[header::ACCEPT_ENCODING], "gzip");
    assert!(to_bytes(told.into_body(), 10_000).await.unwrap().starts_with(b"300\n256\n"));
    assert_eq!(send(&world, upload(octets, Some("gzip"), packed)).await.status(), 200);
    world.post(&plain).cosigns(&log, 300);
    let get = |path: &str| Request::get(format!("/{}/{path}", origin_hash(ORIGIN))).body(Body::empty()).unwrap();
    let tile = send(&world, get("tile/entries/001.p/44")).await;
    assert_eq!((tile.status().as_u16(), &tile.headers()[header::CONTENT_TYPE]), (200, &octets.parse().unwrap()));
    for missing in ["tile/entries/001", "tile/0/1", "tile/0/../../pending", "tile/9/000", "pending"] {
        assert_eq!(send(&world, get(missing)).await.status(), 404, "{missing}");
    }
    assert_eq!(send(&world, get("checkpoint")).await.status(), 200);
}
