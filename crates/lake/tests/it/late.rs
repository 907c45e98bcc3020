//! A store that hangs: what it was asked is done much later, or never. Nothing is lost, nothing is claimed.

use std::{fs, sync::atomic::Ordering, time::Duration};

use lake::{SPAN_LEAVES, Uploader};
use tokio::time::{sleep, timeout};

use crate::{
    upload::World,
    world::{Asked, Fault, LEAVES},
};

/// Longer than a store is waited for.
const LATE: Duration = Duration::from_secs(400);

/// Advances, which fails because the store hangs; nothing is said to be in the lake then.
#[track_caller]
fn fails(world: &World, uploader: &Uploader) {
    let error = world.advance(uploader).unwrap_err();
    assert!(error.to_string().ends_with("no answer within 300 s") && !error.is_alarm(), "{error}");
    let progress = uploader.progress();
    assert_eq!((progress.covered, progress.size, progress.alarm), (0, SPAN_LEAVES, false));
    assert_eq!(progress.failed, Some(error.to_string()));
    assert!(!world.mark().exists(), "it is noted that a file was read back");
}

/// Checks that all leaves are in the lake, as a process does that knows of none.
#[track_caller]
fn holds(world: &World, leaves: u64) {
    fs::remove_file(world.mark()).unwrap();
    assert_eq!(world.advance(&world.uploader()).unwrap().covered, leaves);
    assert_eq!(world.covered(), leaves);
}

fn goes_by(world: &World, time: Duration) {
    world.runtime.block_on(async { sleep(time).await });
}

#[test]
fn a_write_that_is_done_late_is_the_same_file_before_the_next_one_and_after_it() {
    for wait in [LATE, Duration::ZERO] {
        let world = World::in_no_time(LEAVES);
        let uploader = world.uploader();
        world.store.fail(&[Fault::Late(LATE)]);
        fails(&world, &uploader);
        assert_eq!(world.covered(), 0);
        goes_by(&world, wait);
        assert_eq!(world.covered(), if wait.is_zero() { 0 } else { SPAN_LEAVES });
        assert_eq!(world.advance(&uploader).unwrap().covered, SPAN_LEAVES);
        goes_by(&world, LATE);
        holds(&world, SPAN_LEAVES);
    }
}

#[test]
fn a_file_that_cannot_be_read_back_in_time_is_not_claimed_and_not_written_twice() {
    let world = World::in_no_time(LEAVES);
    let uploader = world.uploader();
    world.store.fail_next(Asked::Get, Fault::Late(LATE));
    fails(&world, &uploader);
    assert_eq!(world.covered(), SPAN_LEAVES);
    assert_eq!(world.advance(&uploader).unwrap().covered, SPAN_LEAVES);
    assert_eq!(world.store.writes.load(Ordering::SeqCst), 1);
}

#[test]
fn whatever_hangs_the_loop_goes_on_until_everything_is_in_the_lake() {
    let world = World::in_no_time(LEAVES);
    let uploader = world.uploader();
    let never = Fault::Late(Duration::from_secs(1 << 24));
    for (asked, fault) in
        [(Asked::List, never), (Asked::Put, never), (Asked::List, Fault::Late(LATE)), (Asked::Get, never)]
    {
        world.store.fail_next(asked, fault);
    }
    let hours = Duration::from_secs(2 * 3_600);
    let ended = world.runtime.block_on(async { timeout(hours, uploader.run(Duration::from_secs(60))).await });
    assert!(ended.is_err() && world.store.has_failed(), "the loop ended, or not every fault was met");
    let progress = uploader.progress();
    assert_eq!((progress.covered, progress.failed, progress.alarm), (SPAN_LEAVES, None, false));
}
