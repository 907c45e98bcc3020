//! The first pass: what belongs to a production.

use std::collections::{BTreeMap, BTreeSet};

use ledger::Reader;
use proof::{
    commit::Field,
    entry::{Entry, Kind, Outcome, meter_id},
    heads::Chain,
    production::{Engine, HeadsFile, Selected, Span, Standing},
    sums::Statement,
};
use serde::{Deserialize, Serialize};

use crate::{Act, Fault, Progress, act::moment, hours::hour_of, leaves::Leaves, places::Places};

/// How much of an entry is shown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// The entry, and of its private part nothing.
    Bare,
    /// Field 1, since something that was asked for rests on it.
    Main,
    /// The fields that were asked for.
    Asked,
}

/// What belongs to a production: as much of it as a writer must remember to go on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Survey {
    /// How many entries the log had.
    pub size: u64,
    /// The heads entry before the first entry that is shown of the chain; the log's beginning without.
    pub from: Option<u64>,
    /// The heads entry after the last.
    pub to: u64,
    /// Where the chain, and what was in force, stood at both.
    #[serde(with = "crate::json::heads")]
    pub heads: HeadsFile,
    /// The entries that are shown, in rising order.
    pub entries: Vec<(u64, Show)>,
    /// The reconciliations of the calls that were asked for.
    pub hours: Vec<Hour>,
    /// The programs that wrote the entries between the heads, in order.
    pub engine: Vec<Engine>,
    /// Calls that were asked for and are in no reconciliation: of hours that were not reconciled, or completed without a meter.
    pub unmetered: u64,
    /// Calls that were asked for and have not ended.
    pub open: u64,
}

/// What is summed up together: the calls of a model version, in an hour, of a meter.
pub(crate) type About = (String, u64, [u8; 8]);

/// One model version in one hour at one meter, with the calls in it that are shown.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Hour {
    /// The reconciliation.
    pub entry: u64,
    /// The model version.
    pub model: String,
    /// In hours since the Unix epoch.
    pub hour: u64,
    /// The meter, see [`meter_id`].
    pub meter: [u8; 8],
    /// The calls.
    pub calls: BTreeSet<[u8; 16]>,
}

impl Survey {
    /// Goes through the first `size` entries of the log, as far as any of them matters.
    ///
    /// # Errors
    ///
    /// [`Fault::Log`]; [`Fault::NoHeads`] if what was asked for is not over yet; [`Fault::Contradiction`] if the log is not
    /// what it wrote down.
    pub fn take(reader: &Reader, act: &Act, size: u64, progress: &mut dyn Progress) -> Result<Self, Fault> {
        let chain = Chain { class: act.selection.class, id: reader.pseudonyms()?.of(&act.selection.name) };
        let begin = last_heads(reader, reader.first_since(act.selection.from_ms, size)?)?;
        let mut surveyor = Surveyor::new(act, chain, begin);
        let mut leaves = Leaves::begin(reader, 0, size)?;
        while let Some((index, entry)) = leaves.next()? {
            surveyor.look(index, &entry)?;
            if entry.kind == Kind::Reconciliation {
                surveyor.reconciliation(index, reader)?;
            }
            progress.entries(index + 1, size);
            if surveyor.is_done(entry.kind) {
                break;
            }
        }
        progress.entries(size, size);
        surveyor.finish(size)
    }
}

/// Returns the last heads entry before `end`, if there is one.
fn last_heads(reader: &Reader, end: u64) -> Result<Option<u64>, Fault> {
    let (mut end, mut width) = (end, 1 << 12);
    while end > 0 {
        let begin = end.saturating_sub(width);
        let mut leaves = Leaves::begin(reader, begin, end)?;
        let mut last = None;
        while let Some((index, entry)) = leaves.next()? {
            last = Some(index).filter(|_| entry.kind == Kind::Heads).or(last);
        }
        if last.is_some() {
            return Ok(last);
        }
        (end, width) = (begin, width * 4);
    }
    Ok(None)
}

/// Where the first pass stands.
struct Surveyor<'a> {
    act: &'a Act,
    chain: Chain,
    places: Places,
    /// The last heads entry before the selection's time.
    begin: Option<u64>,
    from: Option<[Standing; 2]>,
    /// The heads entry after the last that is shown, as far as is known.
    to: Option<End>,
    /// In the order in which they were found, some more than once.
    shown: Vec<(u64, Show)>,
    /// The snapshot in force.
    in_force: Option<u64>,
    engine: Vec<Engine>,
    selected: Selected,
    /// Calls that were asked for and have not ended: when each was opened, by the index of its opening entry.
    open: BTreeMap<u64, u64>,
    /// Calls that belong to a meter.
    metered: BTreeMap<About, BTreeSet<[u8; 16]>>,
    /// Completed calls that belong to none.
    unmetered: u64,
    reconciled: BTreeMap<About, u64>,
}

/// A heads entry after which nothing is shown, unless a call that was asked for ends after it.
struct End {
    entry: u64,
    standings: [Standing; 2],
    /// How many were shown by then.
    shown: usize,
}

impl<'a> Surveyor<'a> {
    fn new(act: &'a Act, chain: Chain, begin: Option<u64>) -> Self {
        Self {
            act,
            chain,
            places: Places::default(),
            begin,
            from: None,
            to: None,
            shown: Vec::new(),
            in_force: None,
            engine: Vec::new(),
            selected: Selected::default(),
            open: BTreeMap::new(),
            metered: BTreeMap::new(),
            unmetered: 0,
            reconciled: BTreeMap::new(),
        }
    }

    fn look(&mut self, index: u64, entry: &Entry) -> Result<(), Fault> {
        // Once all calls that were asked for have ended, nothing after it is of interest.
        if self.to.is_some() && self.open.is_empty() {
            return Ok(());
        }
        match entry.kind {
            Kind::Heads => self.heads(index, entry)?,
            Kind::Start => self.engine.push(Engine { start: index, version: entry.code.clone().unwrap_or_default() }),
            Kind::Snapshot => {
                self.in_force = Some(index);
                self.shown.push((index, Show::Main));
            }
            _ => {}
        }
        self.member(index, entry);
        self.places.apply(index, entry)
    }

    /// Takes note of where the log wrote down its chains: what lies before the selection's time begins anew.
    fn heads(&mut self, index: u64, entry: &Entry) -> Result<(), Fault> {
        // Of a chain without entries the map could only show another one: such a chain is shown from the beginning.
        if self.begin == Some(index) && self.places.has(&self.chain) {
            self.from = Some(self.standings(index, entry)?);
            self.shown.clear();
            self.shown.extend(self.in_force.map(|snapshot| (snapshot, Show::Main)));
            self.engine.drain(..self.engine.len().saturating_sub(1));
        } else if entry.at_ms >= self.act.selection.to_ms && self.to.is_none() {
            self.to = Some(End { entry: index, standings: self.standings(index, entry)?, shown: self.shown.len() });
        }
        Ok(())
    }

    /// Returns where the chain, and what was in force, stood at the heads entry at `index`.
    fn standings(&self, index: u64, entry: &Entry) -> Result<[Standing; 2], Fault> {
        let mut heads = self.places.heads();
        if entry.root != Some(heads.root()) {
            return Err(Fault::Contradiction(index, "the chains stand elsewhere"));
        }
        let both = [self.chain, Chain::IN_FORCE];
        Ok(both.map(|chain| Standing { entry: index, proof: heads.prove(&chain) }))
    }

    fn member(&mut self, index: u64, entry: &Entry) {
        let mut links = entry.links.iter().flatten();
        if !links.any(|link| link.chain() == self.chain) {
            return;
        }
        let asked = self.selected.take(&self.act.selection, index, entry);
        self.shown.push((index, if asked { Show::Asked } else { Show::Bare }));
        if asked {
            self.asked(index, entry);
        }
    }

    fn asked(&mut self, index: u64, entry: &Entry) {
        match (entry.kind, entry.opened) {
            (Kind::Open, _) => drop(self.open.insert(index, entry.at_ms)),
            (Kind::Close, Some(opened)) => {
                // The next heads entry is the first that is later than this.
                self.to = None;
                let at_ms = self.open.remove(&opened);
                self.ended(entry, at_ms.unwrap_or(entry.at_ms));
            }
            _ => {}
        }
        // Where no facts are disclosed, an entry that lies elsewhere has no reason to be shown.
        if let Some(facts) = entry.facts.filter(|_| self.act.selection.discloses(Field::Main)) {
            self.shown.push((facts, Show::Main));
        }
    }

    fn ended(&mut self, close: &Entry, opened_ms: u64) {
        if let (Some(meter), Some(model), Some(call)) = (close.meter, &close.model, close.call) {
            self.metered.entry((model.clone(), hour_of(opened_ms), meter)).or_default().insert(call);
        } else {
            self.unmetered += u64::from(close.outcome == Some(Outcome::Completed));
        }
    }

    fn reconciliation(&mut self, index: u64, reader: &Reader) -> Result<(), Fault> {
        let stored = reader.stored(index)?;
        if let Some(Ok(Statement { about, .. })) = stored.main().map(Statement::parse) {
            // A later statement over the same takes the place of an earlier one.
            self.reconciled.insert((about.model, about.hour, meter_id(&about.meter)), index);
        }
        Ok(())
    }

    /// Returns true if, after an entry of `kind`, no later one can matter.
    fn is_done(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Heads | Kind::Reconciliation)
            && self.to.is_some()
            && self.open.is_empty()
            && self.metered.keys().all(|about| self.reconciled.contains_key(about))
    }

    fn finish(mut self, size: u64) -> Result<Survey, Fault> {
        let End { entry: to, standings, shown } =
            self.to.take().ok_or_else(|| Fault::NoHeads(moment(self.act.selection.to_ms)))?;
        self.shown.truncate(shown);
        self.engine.retain(|engine| engine.start < to);
        let open = self.open.len() as u64;
        let (mut hours, mut unmetered) = (Vec::new(), self.unmetered);
        for (about, calls) in std::mem::take(&mut self.metered) {
            match self.reconciled.remove(&about) {
                Some(entry) => hours.push(Hour { entry, model: about.0, hour: about.1, meter: about.2, calls }),
                None => unmetered += calls.len() as u64,
            }
        }
        hours.sort();
        let from = self.from.as_ref().map(|[chain, _]| chain.entry);
        let main = hours.iter().map(|hour| hour.entry).chain([self.act.entry]).map(|entry| (entry, Show::Main));
        let bare = self.engine.iter().map(|engine| engine.start).chain(from).chain([to]);
        self.shown.extend(main.chain(bare.map(|entry| (entry, Show::Bare))));
        let heads = spans(self.chain, self.from, standings);
        let (entries, engine) = (each_once(self.shown), self.engine);
        Ok(Survey { size, from, to, heads, entries, hours, engine, unmetered, open })
    }
}

/// Puts entries in rising order, each as far as it is shown for any reason.
fn each_once(mut shown: Vec<(u64, Show)>) -> Vec<(u64, Show)> {
    shown.sort_unstable_by_key(|(index, show)| (*index, std::cmp::Reverse(*show)));
    shown.dedup_by_key(|(index, _)| *index);
    shown
}

fn spans(chain: Chain, from: Option<[Standing; 2]>, [to, to_in_force]: [Standing; 2]) -> HeadsFile {
    let (from, from_in_force) = from.map(|[chain, in_force]| (chain, in_force)).unzip();
    HeadsFile {
        chain: Span { chain, from, to },
        in_force: Span { chain: Chain::IN_FORCE, from: from_in_force, to: to_in_force },
    }
}
