//! A copy of a log: the files that the leader hands on, byte for byte.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::{
    Channel, Standing,
    files::followed,
    message::{Hello, Message, Name},
    standing,
};
use crate::{
    bytes::Fields,
    handle::OpenError,
    layout::Layout,
    open::{Held, hold, io_error},
    queue::lock,
    sequencer::read_number,
    storage::{Disk, Storage, replace},
};

/// The longest file that is kept, in bytes.
const LENGTH_MAX: u64 = 1 << 40;

/// Keeps a copy of a log for whoever has it open.
///
/// To open the copy as the log, when the leader is lost for good: stop following, put the log's secrets beside it, and
/// open it with the other followers. They refuse if one of them has more of the log.
#[derive(Debug)]
pub struct Follower {
    layout: Layout,
    origin: String,
    state: Mutex<State>,
    /// No log is opened here meanwhile.
    _held: Held,
}

#[derive(Debug)]
struct State {
    known: Known,
    /// How many leaders were taken; what an earlier one still says is not listened to.
    taken: u64,
    /// What the disk has is not known since a sync failed.
    broken: bool,
}

/// The latest leader that was followed, and the opening of the log that was.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Known {
    pub(super) leader: [u8; 16],
    pub(super) epoch: u64,
}

impl Known {
    /// Reads whom this directory followed; nobody if it never did.
    pub(super) fn read(layout: &Layout) -> io::Result<Self> {
        let bytes = match std::fs::read(layout.followed()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read?,
        };
        let mut fields = Fields(&bytes);
        let known = fields.array().zip(fields.u64()).filter(|_| fields.0.is_empty());
        let known = known.ok_or_else(|| io::Error::other("`wal/followed` is not 24 bytes long: restore it"))?;
        Ok(Self { leader: known.0, epoch: known.1 })
    }

    fn write(&self, layout: &Layout) -> io::Result<()> {
        replace(&Disk, &layout.followed(), &[self.leader.as_slice(), &self.epoch.to_le_bytes()].concat())
    }
}

impl Follower {
    /// Opens or creates a copy of the log `origin` in `dir`.
    ///
    /// # Errors
    ///
    /// [`OpenError::Held`] if a process has the log or the copy open; [`OpenError::Io`].
    pub fn open(dir: &Path, origin: &str) -> Result<Self, OpenError> {
        let layout = Layout::new(dir);
        let failed = |source| io_error("make the copy's directories in", dir, source);
        Disk.create_dir(&layout.wal()).map_err(failed)?;
        Disk.create_dir(&layout.vault()).map_err(failed)?;
        Disk.sync_dir(dir).map_err(failed)?;
        let held = hold(&layout)?;
        let mut known = Known::read(&layout).map_err(|source| io_error("read", &layout.followed(), source))?;
        known.epoch = known.epoch.max(read_number(&layout.epoch()).unwrap_or_default());
        let state = Mutex::new(State { known, taken: 0, broken: false });
        Ok(Self { layout, origin: origin.to_owned(), state, _held: held })
    }

    /// Follows whoever speaks on `channel`, until it ends; a newer leader on another channel ends it too. Blocks.
    ///
    /// # Errors
    ///
    /// If the leader is refused, says what no leader says, or goes; or the operating system does not do what was asked.
    pub fn serve(&self, channel: &mut dyn Channel) -> io::Result<()> {
        let Message::Hello(hello) = Message::receive(channel)? else {
            return Err(invalid("the other side does not begin as a leader"));
        };
        let taken = match self.take(&hello) {
            Ok(taken) => taken,
            Err(why) => {
                answer(channel, &Message::Refused(why.to_string()))?;
                return Err(why);
            }
        };
        let files = followed(self.layout.dir())?;
        let prefix = standing(&self.layout)?.prefix;
        answer(channel, &Message::Welcome(prefix, files.into_iter().collect()))?;
        let mut last = None;
        loop {
            let message = Message::receive(channel)?;
            if let Some(done) = self.apply(taken, &message, &mut last)? {
                answer(channel, &Message::Done(done))?;
            }
        }
    }

    /// Takes a leader, durably; returns how many were taken by then.
    fn take(&self, hello: &Hello) -> io::Result<u64> {
        let mut state = lock(&self.state);
        if state.broken {
            return Err(io::Error::other("the disk of this copy failed: check it and start anew"));
        }
        self.refuses(&state.known, hello)?;
        let known = Known { leader: hello.leader, epoch: hello.epoch };
        known.write(&self.layout)?;
        state.known = known;
        state.taken += 1;
        Ok(state.taken)
    }

    /// Returns an error that says why `hello` is not followed, if it is not.
    fn refuses(&self, known: &Known, hello: &Hello) -> io::Result<()> {
        let Hello { origin, leader, epoch, place: theirs } = hello;
        if *origin != self.origin {
            return Err(invalid(&format!("this is a copy of `{}`, not of `{origin}`", self.origin)));
        }
        let is_same = *leader == known.leader;
        if *epoch < known.epoch || (*epoch == known.epoch && !is_same) {
            let known = known.epoch;
            return Err(invalid(&format!("epoch {epoch} is stale: the log was opened elsewhere as epoch {known}")));
        }
        // Whoever wrote the last batch may have crashed before it had it on its own disk, and nobody was told then. All
        // before that batch it had.
        let Standing { place: ours, prefix } = standing(&self.layout)?;
        let is_behind = if is_same { theirs.entries < prefix.entries } else { *theirs < ours };
        if is_behind {
            let (theirs, ours) = (theirs.entries, ours.entries);
            return Err(invalid(&format!("the log has {theirs} entries and this copy of it {ours}: open the longest")));
        }
        Ok(())
    }

    /// Does what a leader says, if it still is the leader; returns what is durable by then, if it was asked for that.
    fn apply(&self, taken: u64, message: &Message, last: &mut Option<(Name, File)>) -> io::Result<Option<u64>> {
        let mut state = lock(&self.state);
        if state.taken != taken || state.broken {
            return Err(invalid("another leader was taken since, or the disk failed"));
        }
        let done = self.make(message, last);
        // After a failed sync nobody knows what the disk has, and after a failed write the copy is not one.
        state.broken = done.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::InvalidData);
        done
    }

    fn make(&self, message: &Message, last: &mut Option<(Name, File)>) -> io::Result<Option<u64>> {
        match message {
            Message::Write(name, offset, bytes) => self.file(name, last)?.write_all_at(bytes, limited(*offset)?)?,
            Message::Length(name, length) => self.file(name, last)?.set_len(limited(*length)?)?,
            Message::Sync(name) => self.file(name, last)?.sync_data()?,
            Message::Rename(from, to) => {
                *last = None;
                std::fs::rename(self.path(from), self.path(to))?;
            }
            Message::Remove(name) => {
                *last = None;
                self.remove(name)?;
            }
            Message::Keep(names) => {
                *last = None;
                self.keep(names)?;
            }
            Message::Mark(mark) => {
                Disk.sync_dir(&self.layout.wal())?;
                Disk.sync_dir(&self.layout.vault())?;
                return Ok(Some(*mark));
            }
            Message::Hello(_) | Message::Welcome(..) | Message::Refused(_) | Message::Done(_) => {
                return Err(invalid("the leader says what no leader says"));
            }
        }
        Ok(None)
    }

    /// Returns the file of this name, and makes it if it is not there; `last` is the one that was used last.
    fn file<'a>(&self, name: &Name, last: &'a mut Option<(Name, File)>) -> io::Result<&'a File> {
        if last.as_ref().is_none_or(|(open, _)| open != name) {
            let mut options = File::options();
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(self.path(name))?;
            *last = Some((name.clone(), file));
        }
        last.as_ref().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn keep(&self, names: &[Name]) -> io::Result<()> {
        let kept: BTreeSet<_> = names.iter().collect();
        let have = followed(self.layout.dir())?;
        have.keys().filter(|name| !kept.contains(name)).try_for_each(|name| self.remove(name))
    }

    fn remove(&self, name: &Name) -> io::Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.layout.dir().join(name.as_str())
    }
}

fn answer(channel: &mut dyn Channel, message: &Message) -> io::Result<()> {
    let mut bytes = Vec::new();
    message.send(&mut bytes)?;
    channel.write_all(&bytes)?;
    channel.flush()
}

fn limited(offset: u64) -> io::Result<u64> {
    if offset > LENGTH_MAX {
        return Err(invalid("the leader asks for a file that is longer than any of a log"));
    }
    Ok(offset)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
