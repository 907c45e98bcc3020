//! What the leader does for each follower: brings it up to the log, then hands on every change, in order.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, BufWriter, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Channel, Connect,
    files::Files,
    message::{Hello, Message, Name},
    root_at, standing,
};
use crate::{layout::Layout, queue::lock};

/// Bytes that may wait for one follower; beyond it the follower is cut off and brought up again.
const WAITING_MAX: usize = 64 << 20;
/// How long to wait before another try to reach a follower.
const RETRY: Duration = Duration::from_millis(200);
/// So long a leader is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Bytes that are gathered before they are sent.
const BUFFER: usize = 64 << 10;

/// Who this machine is to its followers.
pub(super) struct Leader {
    pub(super) origin: String,
    pub(super) id: [u8; 16],
    /// The opening of the log that this is.
    pub(super) epoch: u64,
}

/// What all followers are told.
pub(super) struct Feeds {
    layout: Layout,
    leader: Leader,
    patience: Duration,
    state: Mutex<State>,
    /// Something waits for a follower, or all is over.
    offered: Condvar,
    /// A follower has made something durable.
    done: Condvar,
}

struct State {
    /// The number of the last mark.
    marks: u64,
    feeds: Vec<Feed>,
    /// The names that files have now that were opened under others.
    renamed: BTreeMap<Name, Name>,
    closed: bool,
}

/// What one follower is told.
#[derive(Default)]
struct Feed {
    waiting: VecDeque<Arc<Message>>,
    bytes: usize,
    /// Changes are handed on; otherwise it is brought up first.
    follows: bool,
    /// All before the mark of this number is durable there.
    done: u64,
}

impl Feeds {
    pub(super) fn new(layout: Layout, leader: Leader, followers: usize, patience: Duration) -> Self {
        let feeds = (0..followers).map(|_| Feed::default()).collect();
        let state = Mutex::new(State { marks: 0, feeds, renamed: BTreeMap::new(), closed: false });
        Self { layout, leader, patience, state, offered: Condvar::new(), done: Condvar::new() }
    }

    /// Makes a file here, empty, and hands that on.
    pub(super) fn create<T>(&self, name: Name, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        lock(&self.state).renamed.remove(&name);
        self.change(name, make, |name| Message::Length(name, 0))
    }

    /// Gives a file of so many bytes another name here, and hands that on; what is open stays open under it.
    pub(super) fn rename(
        &self,
        from: Name,
        to: Name,
        length: u64,
        make: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = lock(&self.state);
        make()?;
        state.offer(Message::Length(from.clone(), length));
        state.offer(Message::Rename(from.clone(), to.clone()));
        state.renamed.insert(from, to);
        self.offered.notify_all();
        Ok(())
    }

    /// Makes a change to a file here and hands it on, so that no follower that is being brought up misses it or sees half
    /// of it. The file may have another name by now than when it was opened.
    pub(super) fn change<T>(
        &self,
        name: Name,
        make: impl FnOnce() -> io::Result<T>,
        said: impl FnOnce(Name) -> Message,
    ) -> io::Result<T> {
        let mut state = lock(&self.state);
        let made = make()?;
        if state.feeds.iter().any(|feed| feed.follows) {
            let message = said(state.named(name));
            state.offer(message);
            self.offered.notify_all();
        }
        Ok(made)
    }

    /// Makes what was changed durable, here and at enough followers; `name` is the file that was.
    pub(super) fn sync(&self, name: Option<Name>, here: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mark = {
            let mut state = lock(&self.state);
            state.marks += 1;
            let said = name.map(|name| Message::Sync(state.named(name)));
            let mark = state.marks;
            said.into_iter().chain([Message::Mark(mark)]).for_each(|message| state.offer(message));
            mark
        };
        self.offered.notify_all();
        here()?;
        self.wait(mark)
    }

    /// Waits until so many followers have everything before the mark that with this machine they are more than half.
    fn wait(&self, mark: u64) -> io::Result<()> {
        let state = lock(&self.state);
        let needed = state.feeds.len().div_ceil(2);
        let few = |state: &mut State| state.feeds.iter().filter(|feed| feed.done >= mark).count() < needed;
        let waited = self.done.wait_timeout_while(state, self.patience, few);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "too few followers of the log answer"));
        }
        Ok(())
    }

    /// Ends all feeds.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.offered.notify_all();
    }

    /// Begins to hand on changes; returns the number of the last mark before, and the files as they are named by then.
    fn follow(&self, number: usize) -> io::Result<(u64, Files)> {
        let mut state = lock(&self.state);
        let files = Files::open(self.layout.dir())?;
        let marks = state.marks;
        if let Some(feed) = state.feeds.get_mut(number) {
            *feed = Feed { follows: true, done: feed.done, ..Feed::default() };
        }
        Ok((marks, files))
    }

    fn unfollow(&self, number: usize) {
        if let Some(feed) = lock(&self.state).feeds.get_mut(number) {
            *feed = Feed { done: feed.done, ..Feed::default() };
        }
    }

    /// Waits for what a follower is to be told; `None` if it was cut off or all is over.
    fn next(&self, number: usize) -> Option<VecDeque<Arc<Message>>> {
        let mut state = lock(&self.state);
        loop {
            let closed = state.closed;
            let feed = state.feeds.get_mut(number).filter(|feed| feed.follows)?;
            if !feed.waiting.is_empty() {
                feed.bytes = 0;
                return Some(std::mem::take(&mut feed.waiting));
            }
            if closed {
                return None;
            }
            let (mut waited, silence) =
                self.offered.wait_timeout(state, HEARTBEAT).unwrap_or_else(PoisonError::into_inner);
            if silence.timed_out() {
                // Asks for what is durable already, so that each side learns whether the other is still there.
                let mark = Message::Mark(waited.marks);
                waited.offer(mark);
            }
            state = waited;
        }
    }

    fn made_durable(&self, number: usize, mark: u64) {
        if let Some(feed) = lock(&self.state).feeds.get_mut(number) {
            feed.done = feed.done.max(mark);
        }
        self.done.notify_all();
    }

    /// Waits a while before another try; false if all is over.
    fn pause(&self) -> bool {
        let until = Instant::now() + RETRY;
        let mut state: MutexGuard<'_, State> = lock(&self.state);
        while !state.closed {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return true;
            };
            state = self.offered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

impl State {
    fn named(&self, name: Name) -> Name {
        self.renamed.get(&name).cloned().unwrap_or(name)
    }

    fn offer(&mut self, message: Message) {
        let length = if let Message::Write(_, _, bytes) = &message { bytes.len() + 64 } else { 64 };
        let message = Arc::new(message);
        for feed in self.feeds.iter_mut().filter(|feed| feed.follows) {
            feed.bytes += length;
            feed.waiting.push_back(Arc::clone(&message));
            if feed.bytes > WAITING_MAX {
                *feed = Feed { done: feed.done, ..Feed::default() };
            }
        }
    }
}

/// Keeps one follower up until all is over.
pub(super) fn feed(feeds: &Feeds, number: usize, follower: &Arc<dyn Connect>) {
    loop {
        let fed = follower.connect().and_then(|mut channel| serve(feeds, number, channel.as_mut()));
        feeds.unfollow(number);
        if let Err(error) = fed {
            tracing::warn!(%error, ?follower, "a follower of the log does not follow; tries again");
        }
        if !feeds.pause() {
            return;
        }
    }
}

fn serve(feeds: &Feeds, number: usize, channel: &mut dyn Channel) -> io::Result<()> {
    let Leader { origin, id, epoch } = &feeds.leader;
    let place = standing(&feeds.layout)?.place;
    send(channel, [&Message::Hello(Hello { origin: origin.clone(), leader: *id, epoch: *epoch, place })])?;
    let (prefix, has) = match Message::receive(channel)? {
        Message::Welcome(prefix, files) => (prefix, files.into_iter().collect()),
        Message::Refused(why) => return Err(io::Error::other(why)),
        _ => return Err(io::Error::other("the follower does not answer as one")),
    };
    if root_at(&feeds.layout, prefix.entries)? != Some(prefix.root) {
        let why = "the follower has another history of this log: one of the two was rolled back or is none of it";
        return Err(io::Error::other(why));
    }
    let (mark, files) = feeds.follow(number)?;
    files.send(&has, channel)?;
    send(channel, [&Message::Mark(mark)])?;
    await_done(feeds, number, mark, channel)?;
    while let Some(messages) = feeds.next(number) {
        send(channel, messages.iter().map(AsRef::as_ref))?;
        if let Some(mark) = messages.iter().filter_map(|message| message.mark()).next_back() {
            await_done(feeds, number, mark, channel)?;
        }
    }
    Ok(())
}

pub(super) fn send<'a>(channel: &mut dyn Channel, messages: impl IntoIterator<Item = &'a Message>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER, channel);
    messages.into_iter().try_for_each(|message| message.send(&mut out))?;
    out.flush()
}

fn await_done(feeds: &Feeds, number: usize, mark: u64, channel: &mut dyn Channel) -> io::Result<()> {
    loop {
        let Message::Done(done) = Message::receive(channel)? else {
            return Err(io::Error::other("the follower does not answer as one"));
        };
        feeds.made_durable(number, done);
        if done >= mark {
            return Ok(());
        }
    }
}
