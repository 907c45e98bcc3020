//! Followers: what they have when somebody is told, who is refused, and how a copy becomes the log.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ledger::{
    Ledger, OpenError, Unavailable,
    quorum::{Channel, Connect, Follower, Quorum},
};
use proptest::prelude::*;

use crate::{
    power::copy_dir,
    world::{ORIGIN, World, note, options, put, refusal, segments, submit, until},
};

const PATIENCE: Duration = Duration::from_secs(4);

/// A machine that follows, reached over TCP; it can be cut off.
#[derive(Clone, Debug)]
struct Machine {
    dir: PathBuf,
    address: SocketAddr,
    follower: Arc<Mutex<Option<Arc<Follower>>>>,
    cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Machine {
    fn new(dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let machine = Self {
            dir: dir.to_owned(),
            address: listener.local_addr().unwrap(),
            follower: Arc::default(),
            cut: Arc::default(),
            streams: Arc::default(),
        };
        machine.start();
        let serving = machine.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(follower) = serving.follower.lock().unwrap().clone() else { continue };
                std::thread::spawn(move || drop(follower.serve(&mut stream)));
            }
        });
        machine
    }

    fn start(&self) {
        *self.follower.lock().unwrap() = Some(Arc::new(Follower::open(&self.dir, ORIGIN).unwrap()));
    }

    /// Ends the follower, so that its directory can be opened as the log.
    fn stop(&self) {
        self.disconnect();
        *self.follower.lock().unwrap() = None;
        until("nobody has the copy open", || Follower::open(&self.dir, ORIGIN).is_ok());
    }

    fn disconnect(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _gone = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        self.disconnect();
    }
}

impl Connect for Machine {
    fn connect(&self) -> io::Result<Box<dyn Channel>> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.streams.lock().unwrap().push(stream.try_clone()?);
        Ok(Box::new(stream))
    }
}

/// A leader and two followers, each with a directory of its own.
struct Three {
    world: World,
    homes: [tempfile::TempDir; 2],
    machines: [Machine; 2],
}

impl Three {
    fn new() -> Self {
        let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let machines = [Machine::new(homes[0].path()), Machine::new(homes[1].path())];
        Self { world: World::new(), homes, machines }
    }

    fn open(&self) -> Result<Ledger, OpenError> {
        open(&self.world, self.world.dir(), &self.machines)
    }

    fn alike(&self, number: usize) -> bool {
        files(self.world.dir()) == files(self.homes[number].path())
    }
}

fn open(world: &World, dir: &Path, machines: &[Machine]) -> Result<Ledger, OpenError> {
    let followers = machines.iter().map(|machine| Arc::new(machine.clone()) as Arc<dyn Connect>).collect();
    let storage = Quorum::new(dir, ORIGIN, followers, PATIENCE);
    Ledger::open_on(Arc::new(storage), dir, options(), world.clock()).map(|(ledger, _)| ledger)
}

/// The segments and sealed keys in a directory.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let keys = std::fs::read_dir(dir.join("vault")).unwrap().map(|entry| entry.unwrap().path());
    let keys = keys.filter(|path| path.extension().is_some_and(|extension| extension == "keys"));
    let paths = segments(dir).into_iter().chain(keys);
    paths.map(|path| (path.strip_prefix(dir).unwrap().display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// Puts the secrets of a log beside a copy of it.
fn bring_secrets(from: &Path, to: &Path) {
    for name in ["key", "pseudonym.key", "vault/1.kek"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn told(ledger: &Ledger, count: usize) -> Vec<(u64, String)> {
    let text = |n| format!("{n} {}", "q".repeat(2_000));
    (0..count).map(|n| (put(ledger, &text(n)), text(n))).collect()
}

fn has_all(ledger: &Ledger, told: &[(u64, String)]) {
    for (index, text) in told {
        assert_eq!(ledger.stored(*index).unwrap().main(), Some(text.as_bytes()));
    }
}

#[test]
fn followers_have_the_same_segments_and_keys_byte_for_byte() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    told(&ledger, 150);
    ledger.stop().unwrap();
    assert!(segments(three.world.dir()).len() > 2);
    until("both have all", || three.alike(0) && three.alike(1));
    for home in &three.homes {
        for secret in ["key", "pseudonym.key", "vault/1.kek", "log/checkpoint"] {
            assert!(!home.path().join(secret).exists(), "{secret}");
        }
    }
}

#[test]
fn with_one_of_two_followers_gone_the_log_goes_on_and_it_is_brought_up_when_it_is_back() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    told(&ledger, 10);
    three.machines[1].cut(true);
    let kept = told(&ledger, 150);
    assert!(!three.alike(1));
    three.machines[1].cut(false);
    until("it is brought up", || three.alike(1));
    // Now the other one goes, and the one that came back counts.
    three.machines[0].cut(true);
    has_all(&ledger, &kept);
    told(&ledger, 10);
    ledger.stop().unwrap();
    assert!(three.alike(1));
}

#[test]
fn with_both_followers_gone_nobody_is_told_and_the_log_is_fenced() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    let kept = told(&ledger, 10);
    three.machines.iter().for_each(|machine| machine.cut(true));
    let pending = submit(&ledger, "nobody else has it");
    assert_eq!(pending.wait().unwrap_err(), Unavailable::Fenced);
    assert_eq!(refusal(ledger.append(note("x"))), Unavailable::Fenced);
    drop(ledger);
    let refused = three.open().unwrap_err().to_string();
    assert!(refused.contains("too few followers"), "{refused}");
    three.machines.iter().for_each(|machine| machine.cut(false));
    has_all(&three.open().unwrap(), &kept);
}

#[test]
fn a_copy_becomes_the_log_with_everything_anybody_was_told_and_the_old_one_is_refused() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    let kept = told(&ledger, 120);
    // The leader is gone without a word.
    drop(ledger);
    until("the first has all", || three.alike(0));
    three.machines[0].stop();
    let (old, new) = (three.world.dir(), three.homes[0].path());
    bring_secrets(old, new);
    let promoted = open(&three.world, new, &three.machines[1..]).unwrap();
    has_all(&promoted, &kept);
    let more = told(&promoted, 5);
    // The old leader comes back, and finds nobody who follows it.
    let refused = open(&three.world, old, &three.machines[1..]).unwrap_err().to_string();
    assert!(refused.contains("too few followers"), "{refused}");
    has_all(&promoted, &more);
    promoted.stop().unwrap();
}

#[test]
fn whoever_had_the_log_open_before_is_fenced_by_whoever_opens_it_now() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    let kept = told(&ledger, 20);
    until("the first has all", || three.alike(0));
    // The first follower takes over while the old leader still runs and still reaches the second.
    three.machines[0].cut(true);
    three.machines[0].stop();
    bring_secrets(three.world.dir(), three.homes[0].path());
    let promoted = open(&three.world, three.homes[0].path(), &three.machines[1..]).unwrap();
    has_all(&promoted, &kept);
    let lost = submit(&ledger, "from the one that was deposed");
    assert_eq!(lost.wait().unwrap_err(), Unavailable::Fenced);
    told(&promoted, 5);
}

#[test]
fn a_copy_that_lacks_what_another_has_is_not_opened() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    told(&ledger, 5);
    until("both have all", || three.alike(0) && three.alike(1));
    three.machines[0].cut(true);
    let kept = told(&ledger, 20);
    drop(ledger);
    three.machines[0].stop();
    let behind = three.homes[0].path();
    bring_secrets(three.world.dir(), behind);
    let refused = open(&three.world, behind, &three.machines[1..]).unwrap_err().to_string();
    assert!(refused.contains("too few followers"), "{refused}");
    // The other one has all, and with the first beside it, it is the log.
    three.machines[1].stop();
    three.machines[0].cut(false);
    three.machines[0].start();
    let ahead = three.homes[1].path();
    bring_secrets(three.world.dir(), ahead);
    has_all(&open(&three.world, ahead, &three.machines[..1]).unwrap(), &kept);
}

#[test]
fn a_leader_from_a_backup_is_refused_by_whoever_has_more() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    told(&ledger, 5);
    ledger.stop().unwrap();
    let backup = tempfile::tempdir().unwrap();
    copy_dir(three.world.dir(), backup.path());
    let ledger = three.open().unwrap();
    let kept = told(&ledger, 5);
    drop(ledger);
    until("both have all", || three.alike(0) && three.alike(1));
    let refused = open(&three.world, backup.path(), &three.machines).unwrap_err().to_string();
    assert!(refused.contains("too few followers"), "{refused}");
    has_all(&three.open().unwrap(), &kept);
}

/// Makes the files of a log those of an earlier copy of it, as a file system or a virtual machine does that is rolled
/// back: each stays the file that it was.
fn roll_back(copy: &Path, dir: &Path) {
    std::fs::remove_dir_all(dir.join("log")).unwrap();
    std::fs::create_dir(dir.join("log")).unwrap();
    for part in ["wal", "vault", "log"] {
        for entry in std::fs::read_dir(copy.join(part)).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
            std::fs::write(dir.join(part).join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    for later in segments(dir).into_iter().filter(|path| !copy.join(path.strip_prefix(dir).unwrap()).exists()) {
        std::fs::remove_file(later).unwrap();
    }
}

#[test]
fn a_leader_that_was_rolled_back_is_refused_although_it_is_the_same() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    told(&ledger, 5);
    drop(ledger);
    let copy = tempfile::tempdir().unwrap();
    copy_dir(three.world.dir(), copy.path());
    let ledger = three.open().unwrap();
    let kept = told(&ledger, 5);
    drop(ledger);
    until("both have all", || three.alike(0) && three.alike(1));
    let now = tempfile::tempdir().unwrap();
    copy_dir(three.world.dir(), now.path());
    roll_back(copy.path(), three.world.dir());
    let refused = three.open().unwrap_err().to_string();
    assert!(refused.contains("too few followers"), "{refused}");
    // With a follower that has nothing, it could go on; whoever has the other history is not overwritten by that.
    let fresh = tempfile::tempdir().unwrap();
    let machines = [Machine::new(fresh.path()), three.machines[1].clone()];
    let ledger = open(&three.world, three.world.dir(), &machines).unwrap();
    told(&ledger, 40);
    let tries = || three.machines[1].streams.lock().unwrap().len();
    let before = tries();
    until("it was asked to follow what is longer now", || tries() > before + 1);
    drop(ledger);
    three.machines[1].stop();
    let ahead = three.homes[1].path();
    bring_secrets(now.path(), ahead);
    std::fs::remove_file(ahead.join("wal/followed")).unwrap();
    let (ledger, _) = Ledger::open(ahead, options(), three.world.clock()).unwrap();
    has_all(&ledger, &kept);
}

#[test]
fn a_leader_that_lost_the_last_batch_when_the_power_went_is_followed_again() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    let kept = told(&ledger, 5);
    drop(ledger);
    until("both have all", || three.alike(0) && three.alike(1));
    // The last batch is one entry of 2,000 bytes, and nobody was told of it.
    let (_, kept) = kept.split_last().unwrap();
    let segment = three.world.segment();
    let bytes = std::fs::read(&segment).unwrap();
    let last = bytes.windows(8).rposition(|window| window == b"EXEATWAL").unwrap();
    std::fs::write(&segment, [&bytes[..last], &vec![0; bytes.len() - last]].concat()).unwrap();
    std::fs::remove_dir_all(three.world.dir().join("log")).unwrap();
    let ledger = three.open().unwrap();
    has_all(&ledger, kept);
    told(&ledger, 5);
}

#[test]
fn a_second_process_that_finds_the_log_open_does_not_depose_the_first() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    told(&ledger, 5);
    let followers = three.machines.iter().map(|machine| Arc::new(machine.clone()) as Arc<dyn Connect>).collect();
    let second = Arc::new(Quorum::new(three.world.dir(), ORIGIN, followers, PATIENCE));
    for _ in 0..20 {
        let storage = Arc::clone(&second);
        let opened = Ledger::open_on(storage, three.world.dir(), options(), three.world.clock());
        assert!(matches!(opened, Err(OpenError::Held(_))));
        // Time for a thread to reach a follower, were there one.
        std::thread::sleep(Duration::from_millis(20));
    }
    told(&ledger, 5);
    ledger.stop().unwrap();
}

/// A connection that breaks off after so many bytes were sent.
#[derive(Debug)]
struct Breaking {
    machine: Machine,
    after: usize,
}

struct BreakingChannel(Box<dyn Channel>, usize);

impl Read for BreakingChannel {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for BreakingChannel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.1);
        self.1 -= count;
        if count == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { self.0.write(&bytes[..count]) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Connect for Breaking {
    fn connect(&self) -> io::Result<Box<dyn Channel>> {
        Ok(Box::new(BreakingChannel(self.machine.connect()?, self.after)))
    }
}

#[test]
fn a_follower_that_is_brought_up_still_has_all_it_had_wherever_that_breaks_off() {
    let three = Three::new();
    let ledger = three.open().unwrap();
    let kept = told(&ledger, 100);
    drop(ledger);
    until("the first has all", || three.alike(0));
    for after in (100..200_000).step_by(19_997) {
        let breaking = Breaking { machine: three.machines[0].clone(), after };
        let storage = Quorum::new(three.world.dir(), ORIGIN, vec![Arc::new(breaking)], Duration::from_millis(50));
        let opened = Ledger::open_on(Arc::new(storage), three.world.dir(), options(), three.world.clock());
        assert!(opened.is_err(), "{after} bytes were enough");
        three.machines[0].stop();
        let copy = tempfile::tempdir().unwrap();
        copy_dir(three.homes[0].path(), copy.path());
        three.machines[0].start();
        bring_secrets(three.world.dir(), copy.path());
        let (ledger, _) = Ledger::open(copy.path(), options(), three.world.clock())
            .unwrap_or_else(|error| panic!("after {after} bytes: {error}"));
        has_all(&ledger, &kept);
    }
}

/// One machine after another goes and comes back while the log is written; then the leader is lost for good.
#[test]
fn whatever_machine_goes_when_nothing_that_anybody_was_told_is_lost() {
    for seed in 1_usize..5 {
        let three = Three::new();
        let ledger = three.open().unwrap();
        let mut kept = told(&ledger, 3);
        for step in 0..12 {
            let away = (seed * 7 + step * step) % 3;
            three.machines.iter().enumerate().for_each(|(n, machine)| machine.cut(n == away));
            kept.extend(told(&ledger, 1 + (seed + step) % 9));
        }
        drop(ledger);
        // Whichever of the two has more opens; the other one follows it.
        three.machines.iter().for_each(|machine| machine.cut(false));
        let promoted = [(0, 1), (1, 0)].into_iter().find_map(|(new, other)| {
            three.machines[new].stop();
            let dir = three.homes[new].path();
            bring_secrets(three.world.dir(), dir);
            let opened = open(&three.world, dir, &three.machines[other..=other]).ok();
            if opened.is_none() {
                three.machines[new].start();
            }
            opened
        });
        has_all(&promoted.expect("one of the two has all"), &kept);
    }
}

/// The two ends of a channel.
fn pair() -> (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream) {
    std::os::unix::net::UnixStream::pair().unwrap()
}

#[test]
fn the_leader_of_another_log_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let follower = Follower::open(home.path(), "log.other.example/1").unwrap();
    let (mut here, there) = pair();
    let hello = [
        &[1][..],
        &2_u32.to_le_bytes(),
        &u16::try_from(ORIGIN.len()).unwrap().to_le_bytes(),
        ORIGIN.as_bytes(),
        &[7; 16],
        &[0; 24],
    ]
    .concat();
    let message = [&u32::try_from(hello.len()).unwrap().to_le_bytes()[..], &hello].concat();
    Write::write_all(&mut &there, &message).unwrap();
    let refused = follower.serve(&mut here).unwrap_err().to_string();
    assert!(refused.contains("a copy of `log.other.example/1`"), "{refused}");
}

#[test]
fn a_directory_that_is_a_copy_is_open_once() {
    let home = tempfile::tempdir().unwrap();
    let follower = Follower::open(home.path(), ORIGIN).unwrap();
    assert!(matches!(Follower::open(home.path(), ORIGIN), Err(OpenError::Held(_))));
    drop(follower);
    assert!(Follower::open(home.path(), ORIGIN).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_make_a_follower_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let home = tempfile::tempdir().unwrap();
        let follower = Follower::open(home.path(), ORIGIN).unwrap();
        let (mut here, there) = pair();
        Write::write_all(&mut &there, &bytes).unwrap();
        drop(there);
        prop_assert!(follower.serve(&mut here).is_err());
    }
}
