//! What one thread reads while another works on what it read before.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread, vec,
};

use ledger::LookupError;

use crate::Fault;

/// How many are handed over at a time.
pub(crate) const CHUNK: usize = 1_024;
/// Chunks that are read ahead.
const AHEAD: usize = 8;

type Chunk<T> = Result<Vec<T>, Fault>;

/// See [`Ahead::begin`].
#[derive(Debug)]
pub(crate) struct Ahead<T> {
    ahead: Receiver<Chunk<T>>,
    chunk: vec::IntoIter<T>,
    /// True once the last chunk came, which alone is shorter than all others.
    is_last: bool,
}

impl<T: Send + 'static> Ahead<T> {
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
            self.is_last = chunk.len() < CHUNK;
            self.chunk = chunk.into_iter();
        }
        Ok(self.chunk.next())
    }
}

/// Hands out chunks until the last, or a fault, or until nobody takes them any more.
fn hand_out<T>(mut source: impl FnMut() -> Result<Option<T>, Fault>, give: &SyncSender<Chunk<T>>) {
    loop {
        let chunk = chunk(&mut source);
        let is_last = chunk.as_ref().map_or(true, |chunk| chunk.len() < CHUNK);
        if give.send(chunk).is_err() || is_last {
            return;
        }
    }
}

fn chunk<T>(source: &mut impl FnMut() -> Result<Option<T>, Fault>) -> Chunk<T> {
    let mut chunk = Vec::with_capacity(CHUNK);
    while chunk.len() < CHUNK {
        match source()? {
            Some(one) => chunk.push(one),
            None => break,
        }
    }
    Ok(chunk)
}
