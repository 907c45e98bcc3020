//! A vault that is longer than all that may wait for a follower.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proof::commit::SaltKey;

use super::*;
use crate::{
    queue::lock,
    quorum::{Channel, Connect, Follower, Quorum},
    storage::Disk,
};

const ORIGIN: &str = "log.larkspur.example/exeat/1";
/// Long enough for any machine; nothing waits for it unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
/// 66 MiB of slots, where 64 MiB of messages may wait.
const MANY: u32 = 540_000;

/// Lets a follower have bytes, or not.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn close(&self) {
        *lock(&self.closed) = true;
    }

    fn open(&self) {
        *lock(&self.closed) = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(lock(&self.closed), |closed| *closed).unwrap());
    }
}

/// A follower that gets nothing between a write of the leader and its next sync, as if that took no time.
#[derive(Debug)]
struct Slow {
    follower: Arc<Follower>,
    gate: Arc<Gate>,
    connected: AtomicUsize,
}

impl Connect for Slow {
    fn connect(&self) -> io::Result<Box<dyn Channel>> {
        self.connected.fetch_add(1, Ordering::SeqCst);
        let (here, mut there) = UnixStream::pair()?;
        here.set_read_timeout(Some(PATIENCE))?;
        let follower = Arc::clone(&self.follower);
        std::thread::spawn(move || drop(follower.serve(&mut there)));
        Ok(Box::new(SlowChannel(here, Arc::clone(&self.gate))))
    }
}

struct SlowChannel(UnixStream, Arc<Gate>);

impl Read for SlowChannel {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for SlowChannel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.pass();
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The leader's storage, which closes the gate with each write and opens it with each sync.
#[derive(Debug)]
struct Gated(Quorum, Arc<Gate>);

impl Gated {
    fn file(&self, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(GatedFile(file, Arc::clone(&self.1)))
    }
}

impl Storage for Gated {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(self.0.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(self.0.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.1.open();
        self.0.sync_dir(path)
    }
}

#[derive(Debug)]
struct GatedFile(Box<dyn StorageFile>, Arc<Gate>);

impl StorageFile for GatedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.close();
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.1.open();
        self.0.sync()
    }
}

#[test]
fn a_vault_of_any_length_is_written_and_destroyed_no_faster_than_a_slow_follower_takes_it() {
    let (home, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let gate = Arc::new(Gate::default());
    let follower = Arc::new(Follower::open(copy.path(), ORIGIN).unwrap());
    let slow = Arc::new(Slow { follower, gate: Arc::clone(&gate), connected: AtomicUsize::new(0) });
    let quorum = Quorum::new(home.path(), ORIGIN, vec![Arc::<Slow>::clone(&slow)], PATIENCE);
    quorum.held().unwrap();
    let dir = home.path().join("vault");
    Disk.create_dir(&dir).unwrap();
    let mut vault = VaultFile::open(Arc::new(Gated(quorum, gate)), &dir, true, 0, |_, _| ()).unwrap();
    let owner = |number: u32| {
        let mut subject = [1; 16];
        subject[..4].copy_from_slice(&number.to_be_bytes());
        Owner { subject, epoch: 8_106 }
    };
    let slots: Vec<_> = (0..MANY).map(|n| (owner(n), Content::Kept(SaltKey::new([7; 32])))).collect();
    vault.rekey(&slots).unwrap();
    let written = std::fs::read(dir.join("2.keys")).unwrap();
    assert!(written.len() > 64 << 20);
    assert!(std::fs::read(copy.path().join("vault/2.keys")).unwrap() == written, "the follower has other bytes");
    vault.rekey(&[]).unwrap();
    assert!(!copy.path().join("vault/2.keys").exists());
    assert!(copy.path().join("vault/3.keys").exists());
    assert_eq!(slow.connected.load(Ordering::SeqCst), 1, "the follower had to be brought up anew");
}
