//! The witness: status codes, what it remembers, and what nobody can make it forget.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, header},
};
use ledger::storage::{Disk, Storage, StorageFile};
use proof::{
    checkpoint::Checkpoint,
    cosignature::CosignerSecret,
    note::{Note, SignerKey},
    tree::{Hash, prove_consistency},
};
use terms::{Clock, SystemClock};
use tower::ServiceExt;
use witness::{AddCheckpoint, OpenError, Refusal, Witness, origin_hash, router};

use crate::world::{Log, assert_cosigned, now, policy, signers, witness, witness_on};

const ORIGIN: &str = "log.example.com/exeat/1";

fn status(witness: &Witness, body: &[u8]) -> u16 {
    witness.add_checkpoint(body, now()).map_or_else(|refusal| refusal.status(), |_| 200)
}

fn request(old: u64, proof: Vec<Hash>, note: String) -> Vec<u8> {
    AddCheckpoint { old, proof, note }.to_body().into_bytes()
}

fn served(witness: &Witness) -> Option<String> {
    witness.checkpoint(&origin_hash(ORIGIN)).map(|note| note.to_string())
}

#[test]
fn each_request_is_answered_as_the_protocol_says() {
    let dir = tempfile::tempdir().unwrap();
    let (log, other) = (Log::new(ORIGIN, 9), Log::new("log.example.com/other", 9));
    let witness = witness(&log, dir.path());
    assert_eq!(served(&witness), None);
    assert_eq!(status(&witness, &log.add_checkpoint(0, 1)), 200);
    let mut forged = log.add_checkpoint(1, 3);
    let at = forged.len() - 10;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    assert_eq!(status(&witness, &forged), 403);
    assert_eq!(status(&witness, &other.add_checkpoint(0, 3)), 404);
    assert_eq!(status(&witness, &request(1, vec![], log.signed(3))), 422);
    let wrong = prove_consistency(&log, 2, 3).unwrap();
    assert_eq!(status(&witness, &request(1, wrong, log.signed(3))), 422);
    assert_eq!(status(&witness, &log.add_checkpoint(1, 3)), 200);
    assert!(matches!(witness.add_checkpoint(&log.add_checkpoint(1, 5), now()), Err(Refusal::Conflict(3))));
    assert_eq!(status(&witness, &log.add_checkpoint(3, 5)), 200);
    assert!(matches!(witness.add_checkpoint(&log.add_checkpoint(0, 5), now()), Err(Refusal::Conflict(5))));
    assert_eq!(status(&witness, &request(9, vec![], log.signed(5))), 400);
    assert_eq!(status(&witness, log.checkpoint(5).body().as_bytes()), 400);
    assert_eq!(status(&witness, format!("old 5\n\n{}", log.checkpoint(5).body()).as_bytes()), 400);
    let five = log.signed(5).replace("\n5\n", "\nfive\n");
    assert!(matches!(status(&witness, &request(5, vec![], five)), 400 | 403));
    let note = served(&witness).unwrap();
    assert_cosigned(&note, "witness.example", &log.checkpoint(5));
    assert_eq!(std::fs::read_to_string(dir.path().join(origin_hash(ORIGIN)).join("checkpoint")).unwrap(), note);
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_a_bad_request() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 1);
    let mut note = Note::new(format!("{ORIGIN}\nfive\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")).unwrap();
    note.sign(&log.signer);
    assert_eq!(status(&witness(&log, dir.path()), &request(0, vec![], note.to_string())), 400);
}

#[test]
fn the_answer_has_the_cosignatures_of_the_witness_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 3);
    let lines = witness(&log, dir.path()).add_checkpoint(&log.add_checkpoint(0, 3), now()).unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert!(!lines.contains(ORIGIN));
    assert_cosigned(&format!("{}{lines}", log.signed(3)), "witness.example", &log.checkpoint(3));
}

#[test]
fn extension_lines_are_refused_rather_than_left_out_of_what_is_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 3);
    let mut note = Note::new(format!("{}an extension line\n", log.checkpoint(3).body())).unwrap();
    note.sign(&log.signer);
    let witness = witness(&log, dir.path());
    let refusal = witness.add_checkpoint(&request(0, vec![], note.to_string()), now()).unwrap_err();
    assert_eq!(refusal.status(), 400);
    assert!(refusal.to_string().contains("extension"));
    assert_eq!(served(&witness), None);
}

#[test]
fn a_log_may_grow_from_a_checkpoint_without_entries_and_nothing_is_to_be_proved() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 5);
    let witness = witness(&log, dir.path());
    assert_eq!(status(&witness, &log.add_checkpoint(0, 0)), 200);
    assert_eq!(status(&witness, &request(0, vec![[0; 32]], log.signed(5))), 422);
    assert_eq!(status(&witness, &log.add_checkpoint(0, 5)), 200);
    assert_cosigned(&served(&witness).unwrap(), "witness.example", &log.checkpoint(5));
}

#[test]
fn a_checkpoint_without_entries_has_the_empty_root_first_and_later() {
    let log = Log::new(ORIGIN, 1);
    let bogus = Checkpoint { root: [1; 32], ..log.checkpoint(0) }.sign(&log.signer).unwrap();
    for before in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let witness = witness(&log, dir.path());
        if before {
            assert_eq!(status(&witness, &log.add_checkpoint(0, 0)), 200);
        }
        assert_eq!(status(&witness, &request(0, vec![], bogus.clone())), 422);
    }
}

#[test]
fn a_forged_line_under_the_name_of_the_witness_does_not_poison_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 9);
    let witness = witness(&log, dir.path());
    for key in signers("witness.example") {
        let mut note = Note::parse(log.signed(3).as_bytes()).unwrap();
        let mut forged = key.cosign(&log.checkpoint(9), 5).unwrap();
        forged.bytes[30] ^= 1;
        note.attach(forged);
        let old = served(&witness).map_or(0, |_| 3);
        assert_eq!(status(&witness, &request(old, vec![], note.to_string())), 200);
    }
    assert_cosigned(&served(&witness).unwrap(), "witness.example", &log.checkpoint(3));
    drop(witness);
    let again = witness_on(Arc::new(Disk), &log, dir.path());
    assert_eq!(status(&again, &log.add_checkpoint(3, 9)), 200);
}

#[test]
fn what_was_cosigned_outlives_the_process_and_a_fork_finds_no_way_in() {
    let dir = tempfile::tempdir().unwrap();
    let (log, fork) = (Log::new(ORIGIN, 9), Log::salted(ORIGIN, 9, "!"));
    assert_eq!(status(&witness(&log, dir.path()), &log.add_checkpoint(0, 5)), 200);
    let witness = witness(&log, dir.path());
    assert_eq!(status(&witness, &fork.add_checkpoint(0, 9)), 409);
    assert_eq!(status(&witness, &fork.add_checkpoint(5, 9)), 422);
    assert_eq!(status(&witness, &fork.add_checkpoint(5, 5)), 422);
    assert_eq!(status(&witness, &log.add_checkpoint(5, 9)), 200);
}

#[test]
fn two_trees_of_one_size_are_kept_as_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let (log, fork) = (Log::new(ORIGIN, 5), Log::salted(ORIGIN, 5, "!"));
    let witness = witness(&log, dir.path());
    assert_eq!(status(&witness, &log.add_checkpoint(0, 5)), 200);
    assert_eq!(status(&witness, &fork.add_checkpoint(0, 5)), 409);
    assert_eq!(status(&witness, &fork.add_checkpoint(5, 5)), 422);
    let kept = dir.path().join(origin_hash(ORIGIN)).join("contradictions");
    let files: Vec<_> = std::fs::read_dir(kept).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), fork.signed(5));
}

#[test]
fn requests_that_race_never_roll_the_witness_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 40);
    let witness = witness(&log, dir.path());
    let granted = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for step in [1, 2, 3, 5] {
            let (witness, log, granted) = (&witness, &log, &granted);
            threads.spawn(move || {
                let mut known = 0;
                while known + step <= 40 {
                    match witness.add_checkpoint(&log.add_checkpoint(known, known + step), now()) {
                        Ok(_) => {
                            granted.fetch_add(1, Ordering::Relaxed);
                            known += step;
                        }
                        Err(Refusal::Conflict(size)) => {
                            assert!(size > known, "the witness went back from {known} to {size}");
                            known = size;
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
    // Every grant moved the state on by at least one entry.
    assert!(granted.into_inner() <= 40);
    assert_cosigned(&served(&witness).unwrap(), "witness.example", &log.checkpoint(40));
}

#[test]
fn a_folder_has_one_owner_and_a_damaged_checkpoint_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 5);
    let first = witness(&log, dir.path());
    let open = || Witness::open(Arc::new(Disk), dir.path(), log.policy(), signers("w"));
    assert!(matches!(open(), Err(OpenError::Io { .. })));
    assert_eq!(status(&first, &log.add_checkpoint(0, 5)), 200);
    drop(first);
    let path = dir.path().join(origin_hash(ORIGIN)).join("checkpoint");
    let note = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, note.replace("\n5\n", "\n4\n")).unwrap();
    assert!(matches!(open(), Err(OpenError::Damaged(_))));
}

#[test]
fn a_name_that_is_a_logs_own_cannot_be_a_witnesss() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 5);
    let opened = Witness::open(Arc::new(Disk), dir.path(), log.policy(), signers(ORIGIN));
    assert!(matches!(opened, Err(OpenError::Name(name)) if name == ORIGIN));
}

#[test]
fn a_log_may_sign_with_several_keys_and_each_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (log, twin) = (Log::new(ORIGIN, 3), SignerKey::from_seed(ORIGIN, &[77; 32]).unwrap());
    let pq = CosignerSecret::from_seed(ORIGIN, proof::cosignature::Algorithm::MlDsa44, &[7; 32]).unwrap();
    let text = format!("log {}\nlog {}\nlog {}\nquorum none\n", log.signer.verifier(), twin.verifier(), pq.public());
    let policy = proof::policy_file::Policy::parse(text.as_bytes()).unwrap();
    let witness = Witness::open(Arc::new(Disk), dir.path(), policy, signers("witness.example")).unwrap();
    let mut note = Note::parse(log.signed(3).as_bytes()).unwrap();
    note.attach(pq.cosign(&log.checkpoint(3), 0).unwrap());
    assert_eq!(status(&witness, &request(0, vec![], note.to_string())), 200);
    assert_eq!(Note::parse(served(&witness).unwrap().as_bytes()).unwrap().signatures().len(), 4);
}

/// A disk on which one kind of step fails for as long as it is told to.
#[derive(Debug, Default)]
struct Failing {
    renames: AtomicBool,
    syncs: AtomicBool,
}

impl Storage for Failing {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Disk.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Disk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fail(&self.renames)?;
        Disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Disk.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fail(&self.syncs)?;
        Disk.sync_dir(path)
    }
}

fn fail(armed: &AtomicBool) -> io::Result<()> {
    if armed.load(Ordering::Relaxed) { Err(io::Error::other("injected")) } else { Ok(()) }
}

#[test]
fn a_checkpoint_that_was_not_made_durable_is_neither_cosigned_nor_served() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 9);
    let storage = Arc::new(Failing::default());
    let witness = witness_on(Arc::clone(&storage) as Arc<dyn Storage>, &log, dir.path());
    assert_eq!(status(&witness, &log.add_checkpoint(0, 3)), 200);
    // Not written: what was known still is.
    storage.renames.store(true, Ordering::Relaxed);
    assert_eq!(status(&witness, &log.add_checkpoint(3, 5)), 500);
    assert_eq!(served(&witness), None);
    storage.renames.store(false, Ordering::Relaxed);
    assert_cosigned(&served(&witness).unwrap(), "witness.example", &log.checkpoint(3));
    // Written, but whether it lasts is not known: told to nobody until it is.
    storage.syncs.store(true, Ordering::Relaxed);
    assert_eq!(status(&witness, &log.add_checkpoint(3, 5)), 500);
    assert_eq!(served(&witness), None);
    storage.syncs.store(false, Ordering::Relaxed);
    assert!(matches!(witness.add_checkpoint(&log.add_checkpoint(3, 9), now()), Err(Refusal::Conflict(5))));
    assert_eq!(status(&witness, &log.add_checkpoint(5, 9)), 200);
}

#[tokio::test]
async fn over_http_the_answers_have_the_media_types_of_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(ORIGIN, 9);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let app = router(Arc::new(witness(&log, dir.path())), clock);
    let post = |body: Vec<u8>| {
        let request = Request::post("/add-checkpoint").body(Body::from(body)).unwrap();
        app.clone().oneshot(request)
    };
    let get = |path: String| app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
    let latest = format!("/{}/checkpoint", origin_hash(ORIGIN));
    assert_eq!(get(latest.clone()).await.unwrap().status(), 404);
    assert_eq!(post(log.add_checkpoint(0, 5)).await.unwrap().status(), 200);
    let conflict = post(log.add_checkpoint(0, 9)).await.unwrap();
    assert_eq!(
        (conflict.status().as_u16(), &conflict.headers()[header::CONTENT_TYPE]),
        (409, &"text/x.tlog.size".parse().unwrap())
    );
    assert_eq!(to_bytes(conflict.into_body(), 100).await.unwrap(), "5\n");
    assert_eq!(post(vec![b'x'; 1 << 20]).await.unwrap().status(), 400);
    assert_eq!(get("/add-checkpoint".to_owned()).await.unwrap().status(), 405);
    let note = to_bytes(get(latest).await.unwrap().into_body(), 1 << 20).await.unwrap();
    assert!(note.starts_with(ORIGIN.as_bytes()));
}

#[test]
fn a_policy_of_many_logs_keeps_each_apart() {
    let dir = tempfile::tempdir().unwrap();
    let logs = [Log::new("log.example/a", 5), Log::new("log.example/bb", 7)];
    let witness = Witness::open(Arc::new(Disk), dir.path(), policy(&[&logs[0], &logs[1]]), signers("w")).unwrap();
    assert_eq!(status(&witness, &logs[0].add_checkpoint(0, 5)), 200);
    assert_eq!(status(&witness, &logs[1].add_checkpoint(0, 7)), 200);
    assert_eq!(status(&witness, &logs[0].add_checkpoint(5, 5)), 200);
}
