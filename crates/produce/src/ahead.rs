//! What one thread reads while another works on what it read before.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread, vec,
};

use ledger::LookupError;

use crate::Fault;

/// How many are handed over at a time, at most.
pub(crate) const CHUNK: usize = 1_024;
/// Bytes that are handed over at a time, unless one alone has more.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that are read ahead.
const AHEAD: usize = 4;

/// What is handed over: how much memory it takes beside itself.
pub(crate) trait Weigh {
    /// Returns that, in bytes.
    fn bytes(&self) -> usize;
}

type Chunk<T> = Result<Vec<T>, Fault>;

/// See [`Ahead::begin`].
#[derive(Debug)]
pub(crate) struct Ahead<T> {
    ahead: Receiver<Chunk<T>>,
    chunk: vec::IntoIter<T>,
    /// True once the last chunk came, which alone has nothing in it.
    is_last: bool,
}

impl<T: Send + Weigh + 'static> Ahead<T> {
    /// Takes what `source` answers, ahead of whoever wants it, until that is `None` or a fault: on a thread of this name,
    /// which ends with this.
    pub(crate) fn begin<S>(name: &str, source: S) -> Result<Self, Fault>
    where
        S: FnMut() -> Result<Option<T>, Fault> + Send + 'static,
    {
        let (give, ahead) = sync_channel(AHEAD);
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || hand_out(source, &give));
        spawned.map_err(|error| Fault::Log(LookupError::Io(error)))?;
        Ok(Self { ahead, chunk: Vec::new().into_iter(), is_last: false })
    }

    /// Returns the next; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<T>, Fault> {
        if self.chunk.len() == 0 && !self.is_last {
            let ended = |_| Fault::Log(LookupError::Io(io::Error::other("what reads it ahead came to an end")));
            let chunk = self.ahead.recv().map_err(ended)??;
            self.is_last = chunk.is_empty();
            self.chunk = chunk.into_iter();
        }
        Ok(self.chunk.next())
    }
}

/// Hands out chunks until the last, or a fault, or until nobody takes them any more.
fn hand_out<T: Weigh>(mut source: impl FnMut() -> Result<Option<T>, Fault>, give: &SyncSender<Chunk<T>>) {
    loop {
        let chunk = chunk(&mut source);
        let is_last = chunk.as_ref().map_or(true, Vec::is_empty);
        if give.send(chunk).is_err() || is_last {
            return;
        }
    }
}

fn chunk<T: Weigh>(source: &mut impl FnMut() -> Result<Option<T>, Fault>) -> Chunk<T> {
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    while chunk.len() < CHUNK && bytes < CHUNK_BYTES {
        let Some(one) = source()? else { break };
        bytes += one.bytes();
        chunk.push(one);
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;

    impl Weigh for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    #[test]
    fn of_what_is_large_little_is_read_ahead() {
        let (made, count) = (Arc::new(AtomicUsize::new(0)), 100);
        let source = {
            let made = Arc::clone(&made);
            move || Ok((made.fetch_add(1, Ordering::SeqCst) < count).then_some(CHUNK_BYTES))
        };
        let mut ahead = Ahead::begin("read", source).unwrap();
        assert_eq!(ahead.next().unwrap(), Some(CHUNK_BYTES));
        thread::sleep(Duration::from_millis(100));
        // Those in the channel, the one that was taken, and the one that waits for room.
        assert!(made.load(Ordering::SeqCst) <= AHEAD + 2, "{made:?}");
        let rest = std::iter::from_fn(|| ahead.next().unwrap()).count();
        assert_eq!((rest, ahead.next().unwrap()), (count - 1, None));
    }
}
