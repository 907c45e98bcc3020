//! The programs that decided: the start entries of the processes that wrote the chain.

use std::collections::BTreeSet;

use proof::{
    entry::{Entry, Kind},
    production::{Engine, HeadsFile},
};

/// The engines that the manifest names, up to where their start entries are shown.
pub(super) struct Engines<'a> {
    named: &'a [Engine],
    starts: BTreeSet<u64>,
    shown: usize,
}

impl<'a> Engines<'a> {
    /// Begins before the first entry.
    pub(super) fn new(named: &'a [Engine]) -> Self {
        Self { named, starts: named.iter().map(|engine| engine.start).collect(), shown: 0 }
    }

    /// The first process had the log open at the first heads entry, and the last began before the second.
    pub(super) fn check(&self, heads: &HeadsFile) -> Result<(), String> {
        let (from, to) = (heads.chain.from.as_ref(), &heads.chain.to);
        let first = self.named.first().is_some_and(|first| from.is_none_or(|from| first.start < from.entry));
        let last = self.named.last().is_some_and(|last| last.start < to.entry);
        (first && last).then_some(()).ok_or_else(|| "the engines are not those that wrote between the heads".to_owned())
    }

    /// Returns true if the manifest names the entry at `index` as the start of an engine.
    pub(super) fn names(&self, index: u64) -> bool {
        self.starts.contains(&index)
    }

    /// Takes a start entry that the manifest names.
    pub(super) fn take(&mut self, index: u64, entry: &Entry) -> Result<(), String> {
        let said = self.named.get(self.shown).filter(|engine| engine.start == index);
        self.shown += 1;
        let version = entry.code.as_deref().filter(|_| entry.kind == Kind::Start);
        let same = said.is_some_and(|said| version == Some(said.version.as_str()));
        same.then_some(()).ok_or_else(|| "it is not the start of the engine that the manifest names".to_owned())
    }

    /// Requires that a process had the log open when an entry of the chain was written.
    pub(super) fn wrote(&self) -> Result<(), String> {
        (self.shown > 0)
            .then_some(())
            .ok_or_else(|| "no engine that the manifest names had started before it".to_owned())
    }

    /// Returns the first engine whose start entry is not shown, after the last entry.
    pub(super) fn finish(&self) -> Result<(), String> {
        let missing = self.named.get(self.shown);
        missing.map_or(Ok(()), |engine| Err(format!("entry {}, the start of an engine, is not shown", engine.start)))
    }
}
