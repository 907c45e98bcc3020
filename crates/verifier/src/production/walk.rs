//! Walks the entries that a production shows: each has its reason, each decision is made again, and none is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use proof::{
    bundle::BundleEntry,
    commit::{Field, Opening, Openings},
    entry::{Class, Entry, Kind},
    heads::Chain,
    production::{
        Approver, CallsWriter, Custody, HeadsFile, Manifest, NamesFile, Selected, Selection, SpanWalk, SumsFile,
    },
    tree::Hash,
    walk::Calls,
};
use sha2::{Digest, Sha256};

use super::{engine::Engines, hours::Hours, report::ProductionReport};
use crate::{
    ProductionOptions,
    chains::{belong, names},
    facts::{Basis, Earlier},
    replay::Replay,
    walk::{Main, foreign, is_salted},
};

/// What the entries of a production are held against.
pub(super) struct Against<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) heads: &'a HeadsFile,
    pub(super) options: &'a ProductionOptions,
}

/// The check of the entries, up to some entry.
pub(super) struct Shown<'a> {
    against: Against<'a>,
    chain: SpanWalk<'a>,
    in_force: SpanWalk<'a>,
    selected: Selected,
    calls: Calls,
    earlier: Earlier,
    replay: Replay,
    hours: Hours<'a>,
    engines: Engines<'a>,
    csv: CallsWriter<Hashing>,
    /// The chains whose names are opened, and those of them that no selected entry was in.
    named: BTreeMap<(Class, String), Chain>,
    unseen: BTreeSet<Chain>,
    /// Entries that are shown, or whose facts are, for a selected entry that must follow and refer to them.
    unexplained: BTreeSet<u64>,
    /// The snapshot entry in force at the start, until it is shown.
    start: Option<u64>,
    custody: Option<Custody>,
    report: ProductionReport,
}

/// Why an entry is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    /// It is of the chain, about a call that was asked for.
    Selected,
    /// It is of the chain.
    Chain,
    /// It says where the chains stand.
    Heads,
    /// The manifest names it as the start of an engine.
    Engine,
    /// It, and field 1, are in every production: a snapshot, a reconciliation, the custody entry.
    Needed,
    /// A later entry must refer to it.
    Referred,
}

impl<'a> Shown<'a> {
    /// Begins before the first entry, adding to what was found so far.
    pub(super) fn new(
        against: Against<'a>,
        sums: SumsFile,
        names: &NamesFile,
        report: ProductionReport,
    ) -> io::Result<Self> {
        let named: BTreeMap<_, _> =
            names.0.iter().map(|name| ((name.class, name.name.clone()), name.chain())).collect();
        Ok(Self {
            chain: SpanWalk::new(&against.heads.chain),
            in_force: SpanWalk::new(&against.heads.in_force),
            selected: Selected::default(),
            calls: Calls::default(),
            earlier: Earlier::default(),
            replay: Replay::default(),
            hours: Hours::new(sums, &against.options.meters),
            engines: Engines::new(&against.manifest.engine),
            csv: CallsWriter::new(Hashing(Sha256::new()))?,
            unseen: named.values().copied().collect(),
            named,
            unexplained: BTreeSet::new(),
            start: against.heads.in_force.starts_after(),
            custody: None,
            report,
            against,
        })
    }

    /// Takes the next entry.
    pub(super) fn entry(&mut self, stored: &BundleEntry) -> io::Result<()> {
        let index = stored.index;
        match Entry::decode(&stored.leaf) {
            Err(bad) => self.fault(index, bad.to_string()),
            Ok(entry) => {
                self.report.found.count(&entry);
                self.report.found.check_time(index, entry.at_ms);
                is_salted(&entry).err().into_iter().for_each(|why| self.fault(index, why));
                let why = self.why(index, &entry);
                self.check_fields(index, &entry, &stored.fields, why);
                let withheld = entry.private.is_some() && stored.fields.is_empty();
                let main = if withheld { Main::Untold } else { Main::of(&stored.fields) };
                self.decoded(index, &entry, main, why)?;
            }
        }
        self.report.found.entries += 1;
        Ok(())
    }

    /// Ends after the last entry; returns what was found and the hash of the calls.
    pub(super) fn finish(self) -> io::Result<(ProductionReport, Hash)> {
        let Self { against, chain, in_force, selected, hours, engines, csv, named, unseen, unexplained, start, .. } =
            self;
        let (custody, mut report) = (self.custody, self.report);
        let found = &mut report.found;
        let spans = [chain.finish(), in_force.finish()].map(|span| span.map_err(|bad| bad.to_string()));
        let whole = spans.into_iter().chain([engines.finish(), engines.check(against.heads)]);
        for bad in whole.filter_map(Result::err) {
            found.fault(None, bad);
        }
        if start.is_some() {
            found.fault(None, "the snapshot that was in force at the start is not shown");
        }
        for index in unexplained {
            found.fault(Some(index), "it or its facts are shown, and nothing that was asked for refers to them");
        }
        let selection = &against.manifest.selection;
        let own = named.get(&(selection.class, selection.name.clone()));
        if unseen.iter().any(|chain| Some(chain) != own) {
            found.fault(None, "`names.json` opens a name that no entry is about that was asked for");
        }
        match custody {
            None => found.fault(None, "the custody entry is not shown"),
            Some(custody) if custody.selection != *selection => {
                found.fault(None, "the custody entry is of another selection than the manifest");
            }
            Some(custody) => (report.actor, report.approvers) = (custody.actor, custody.approvers),
        }
        let (reconciled, left, missing) = hours.finish();
        if let Some(entry) = missing {
            report.found.fault(None, format!("`sums.json` names entry {entry}, which is not shown"));
        }
        (report.reconciled_calls, report.unreconciled_calls) = (reconciled, left);
        report.found.open_calls = selected.open();
        let Hashing(hash) = csv.finish()?;
        Ok((report, hash.finalize().into()))
    }

    fn selection(&self) -> &'a Selection {
        &self.against.manifest.selection
    }

    fn fault(&mut self, index: u64, why: impl Into<String>) {
        self.report.found.fault(Some(index), why);
    }

    fn why(&mut self, index: u64, entry: &Entry) -> Why {
        let heads = self.against.heads;
        let in_chain = self.chain.has(entry);
        let selected = in_chain && self.selected.take(&self.against.manifest.selection, index, entry);
        let starts = self.start.take_if(|start| *start == index).is_some();
        let needed = starts || index == self.against.manifest.custody || self.hours.names(index);
        if selected {
            Why::Selected
        } else if needed || self.in_force.has(entry) {
            Why::Needed
        } else if in_chain {
            Why::Chain
        } else if heads.says(index) {
            Why::Heads
        } else if self.engines.names(index) {
            Why::Engine
        } else {
            Why::Referred
        }
    }

    /// Each field that is shown opens the commitment, and was asked for; each that was asked for is shown.
    fn check_fields(&mut self, index: u64, entry: &Entry, fields: &Openings, why: Why) {
        if why == Why::Referred || why == Why::Chain && fields.value(Field::Main).is_some() {
            self.unexplained.insert(index);
        }
        if entry.private.is_some() && fields.is_empty() {
            if why == Why::Needed || why == Why::Selected && !self.selection().disclose.is_empty() {
                self.withheld(index);
            }
            return;
        }
        if entry.private != fields.commitment() {
            self.fault(index, "its private part is not what it commits to");
        }
        for (field, opening) in fields.iter() {
            let asked = self.may_show(why, field);
            if !field.belongs_to(entry.kind) {
                self.fault(index, foreign(field));
            }
            match opening {
                Opening::Shown { .. } if asked => self.report.found.opened_commitments += 1,
                Opening::Shown { .. } => {
                    self.fault(index, format!("field {} is shown, which was not asked for", field.id()));
                }
                Opening::Withheld(_) if asked && matches!(why, Why::Selected | Why::Needed) => self.withheld(index),
                Opening::Withheld(_) => {}
            }
        }
    }

    fn may_show(&self, why: Why, field: Field) -> bool {
        match why {
            Why::Selected => self.selection().discloses(field),
            Why::Needed => field == Field::Main,
            Why::Chain | Why::Referred => field == Field::Main && self.selection().discloses(field),
            Why::Heads | Why::Engine => false,
        }
    }

    fn withheld(&mut self, index: u64) {
        self.report.found.withheld += 1;
        if !self.against.options.allow_withheld {
            self.fault(index, "a field that was asked for is withheld: its key may have been destroyed");
        }
    }

    fn decoded(&mut self, index: u64, entry: &Entry, main: Main<'_>, why: Why) -> io::Result<()> {
        let spans = [self.chain.take(index, entry), self.in_force.take(index, entry)];
        let spans = spans.into_iter().filter_map(Result::err).map(|bad| bad.to_string());
        spans.chain(belong(entry).err()).for_each(|why| self.fault(index, why));
        if self.engines.names(index) {
            self.engines.take(index, entry).err().into_iter().for_each(|why| self.fault(index, why));
        }
        if matches!(why, Why::Selected | Why::Chain) {
            self.report.chain_entries += 1;
            self.engines.wrote().err().into_iter().for_each(|why| self.fault(index, why));
            self.follow(index, entry, main, why);
        }
        match why {
            Why::Selected => self.selected(index, entry, main)?,
            Why::Needed => self.needed(index, entry, main),
            Why::Heads => self.check_heads(index, entry),
            Why::Chain | Why::Referred | Why::Engine => {}
        }
        self.earlier.keep(index, entry, main);
        Ok(())
    }

    /// Holds an entry against the one that opened its call, if that is between the heads, and against the snapshot that
    /// it names; what is selected is held against that where it is decided again.
    fn follow(&mut self, index: u64, entry: &Entry, main: Main<'_>, why: Why) {
        let from = self.against.heads.chain.from.as_ref().map(|from| from.entry);
        if from.is_some_and(|from| entry.opened.unwrap_or(index) <= from) {
            return;
        }
        self.calls.take(index, entry).err().into_iter().for_each(|bad| self.fault(index, bad.to_string()));
        if why == Why::Chain {
            let basis = self.earlier.unread(index, entry, main);
            let founded = basis.and_then(|basis| self.replay.founded(entry, &basis));
            founded.err().into_iter().for_each(|why| self.fault(index, why));
        }
    }

    fn selected(&mut self, index: u64, entry: &Entry, main: Main<'_>) -> io::Result<()> {
        self.report.calls += u64::from(entry.kind == Kind::Open);
        self.report.refused += u64::from(entry.kind == Kind::Refusal);
        self.report.found.count_close(entry);
        self.hours.take(index, entry).err().into_iter().for_each(|why| self.fault(index, why));
        for chain in entry.chains() {
            self.unseen.remove(&chain);
        }
        if let Some(named) = entry.facts.filter(|_| self.selection().discloses(Field::Main)) {
            self.unexplained.remove(&named);
        }
        let decided = self.decide(index, entry, main);
        decided.err().into_iter().for_each(|why| self.fault(index, why));
        self.csv.take(index, entry)
    }

    /// Makes the decision again, if its facts are shown, and holds the names in them against the chains.
    fn decide(&mut self, index: u64, entry: &Entry, main: Main<'_>) -> Result<(), String> {
        let basis = match self.selection().discloses(Field::Main) {
            true => self.earlier.basis(index, entry, main)?,
            false => self.earlier.unread(index, entry, main)?,
        };
        if let (Basis::Withheld, Some(_)) = (&basis, entry.facts.filter(|_| self.selection().discloses(Field::Main))) {
            self.withheld(index);
        }
        self.replay.take(entry, main, &basis, &mut self.report.found.replays)?;
        let Some(facts) = basis.facts().filter(|_| matches!(entry.kind, Kind::Open | Kind::Refusal)) else {
            return Ok(());
        };
        let selection = self.selection();
        if !names(selection.class, facts).contains(&selection.name) {
            return Err(format!("its facts do not name `{}`, whose chain it is in", selection.name));
        }
        let chains = entry.chains();
        for ((class, name), chain) in &self.named {
            if names(*class, facts).contains(name) != chains.contains(chain) {
                return Err(format!("its facts and its chains do not agree about `{name}`"));
            }
        }
        Ok(())
    }

    fn needed(&mut self, index: u64, entry: &Entry, main: Main<'_>) {
        let checked = match (entry.kind, main.shown()) {
            (Kind::Snapshot, _) => self.replay.take(entry, main, &Basis::Absent, &mut self.report.found.replays),
            (Kind::Reconciliation, Some(statement)) => {
                let found = &mut self.report.found;
                self.hours.reconcile((index, entry), statement, &found.key, &mut found.reconciled)
            }
            (_, Some(main)) if index == self.against.manifest.custody => self.custody(entry, main),
            _ => Err("its private part is needed and not shown".to_owned()),
        };
        checked.err().into_iter().for_each(|why| self.fault(index, why));
    }

    /// Enough people approved, each under the key that is pinned for them if any is.
    fn custody(&mut self, entry: &Entry, main: &[u8]) -> Result<(), String> {
        let custody = Custody::check(entry, main).map_err(|bad| bad.to_string())?;
        let pinned = &self.against.options.approvers;
        let unknown = |by: &&Approver| !pinned.is_empty() && !pinned.iter().any(|pinned| pinned.is(by));
        let stranger = custody.approvers.iter().find(unknown).map(|by| by.name.clone());
        self.custody = Some(custody);
        stranger.map_or(Ok(()), |name| Err(format!("`{name}` approved it, not under a key that was pinned")))
    }

    /// The heads lie around the time that was asked for.
    fn check_heads(&mut self, index: u64, entry: &Entry) {
        let (selection, heads) = (self.selection(), self.against.heads);
        let from = heads.chain.from.as_ref().is_some_and(|from| from.entry == index);
        if from && entry.at_ms >= selection.from_ms {
            self.fault(index, "the chain is shown from here on, and the time that was asked for began earlier");
        }
        if heads.chain.to.entry == index && entry.at_ms < selection.to_ms {
            self.fault(index, "the chain is shown up to here, and the time that was asked for ended later");
        }
    }
}

/// Hashes what is written and keeps nothing.
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
