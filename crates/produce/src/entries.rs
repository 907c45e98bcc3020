//! The second pass: writes the entries that are shown, and what shows the sums.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    vec::IntoIter,
};

use ledger::{Entries, Kept, Private, Pseudonyms, Reader, Stored};
use proof::{
    bundle::EntriesWriter,
    commit::{Field, Openings},
    entry::{Entry, Kind},
    production::{CallsWriter, NamesFile, SumsFile},
};

use crate::{
    Act, Fault, Progress, Show, Survey,
    ahead::{Ahead, Weigh},
    hours::{self, Hours},
    json::names,
    leaves::Leaves,
    names::Names,
};

/// Where at least one of so many entries is shown, all are read one after another: to look one up, as many are read as
/// were written with it.
const SPARSE: u64 = 4_096;
/// So many entries on, reading begins anew there: about as many as a segment has.
const FAR: u64 = 65_536;

/// What belongs beside the entries that were written.
#[derive(Debug)]
pub struct Written {
    /// What shows the calls in the sums of their hours.
    pub sums: SumsFile,
    /// The names that are shown.
    pub names: NamesFile,
}

/// Writes the entries of a production to `out` and its calls to `calls`, which should be buffered; returns what
/// belongs beside them.
///
/// # Errors
///
/// [`Fault::Log`]; [`Fault::Contradiction`] if the log is not what it wrote down; [`Fault::File`] if
/// they take no more.
pub fn write_entries(
    reader: &Reader,
    act: &Act,
    survey: &Survey,
    (out, calls): (impl Write, impl Write),
    progress: &mut dyn Progress,
) -> Result<Written, Fault> {
    let mut pass = Pass::new(reader, act, out, calls)?;
    let mut shown = Shown::begin(reader, survey)?;
    let end = survey.entries.last().map_or(0, |(index, _)| index + 1);
    for (index, show) in &survey.entries {
        let stored = shown.next()?.ok_or(Fault::Contradiction(*index, "it is not there any more"))?;
        pass.show(&stored, *show)?;
        progress.entries(index + 1, end);
    }
    let names = pass.finish()?;
    Ok(Written { sums: sums(reader, survey, progress)?, names })
}

/// Proves the calls that are shown in the sums of their hours.
fn sums(reader: &Reader, survey: &Survey, progress: &mut dyn Progress) -> Result<SumsFile, Fault> {
    let mut hours = Hours::new(&survey.hours);
    let first = survey.hours.iter().map(|hour| hour.hour).min();
    let end = survey.hours.iter().map(|hour| hour.entry + 1).max();
    let Some((first, end)) = first.zip(end) else { return Ok(hours.finish()) };
    let mut leaves = Leaves::begin(reader, reader.first_since(hours::begin_of(first), end)?, end)?;
    while let Some((index, entry)) = leaves.next()? {
        hours.look(index, &entry);
        if entry.kind == Kind::Reconciliation && survey.hours.iter().any(|hour| hour.entry == index) {
            hours.reconciled(index, &entry)?;
        }
        progress.entries(index + 1, end);
    }
    Ok(hours.finish())
}

/// The entries that are shown, one after another.
enum Shown {
    /// Each is looked up.
    Sparse(Reader, IntoIter<u64>),
    /// All are read, ahead and one after another, where many of them are shown.
    Dense(Reader, Ahead<Kept>),
}

/// What is looked through for one that is shown weighs as well: people see that it goes on.
const LOOKED_THROUGH: usize = 16 << 10;

impl Weigh for Kept {
    fn bytes(&self) -> usize {
        LOOKED_THROUGH + self.leaf.len() + self.sealed.len()
    }
}

impl Shown {
    fn begin(reader: &Reader, survey: &Survey) -> Result<Self, Fault> {
        let shown: Vec<_> = survey.entries.iter().map(|(index, _)| *index).collect();
        let first = survey.from.or_else(|| shown.first().copied()).unwrap_or(0);
        let is_dense = survey.to.saturating_sub(first) / SPARSE < shown.len() as u64;
        let (reader, mut shown) = (reader.clone(), shown.into_iter());
        if !is_dense {
            return Ok(Self::Sparse(reader, shown));
        }
        let mut passing = Passing { entries: reader.entries(first)?, next: first, reader: reader.clone() };
        let read = move || shown.next().map(|index| passing.to(index)).transpose();
        Ok(Self::Dense(reader, Ahead::begin("read", read)?))
    }

    /// Returns the next entry; `None` after the last.
    fn next(&mut self) -> Result<Option<Stored>, Fault> {
        Ok(match self {
            Self::Sparse(reader, shown) => shown.next().map(|index| reader.stored(index)).transpose()?,
            Self::Dense(reader, read) => read.next()?.map(|kept| reader.show(kept)).transpose()?,
        })
    }
}

/// Goes through all entries, in order.
struct Passing {
    reader: Reader,
    entries: Entries,
    /// The index of the next.
    next: u64,
}

impl Passing {
    /// Passes all entries before that at `index`, which is later than the one before, and returns it.
    fn to(&mut self, index: u64) -> Result<Kept, Fault> {
        if index < self.next || index - self.next > FAR {
            self.entries = self.reader.entries(index)?;
        }
        self.next = index + 1;
        while let Some(read) = self.entries.next_unopened().transpose()? {
            if read.index() == index {
                return Ok(read.into());
            }
        }
        Err(Fault::Contradiction(index, "it is not there any more"))
    }
}

struct Pass<'a, W, C> {
    act: &'a Act,
    pseudonyms: Pseudonyms,
    out: EntriesWriter<W>,
    calls: CallsWriter<C>,
    /// Names that were met, and by their pseudonyms.
    met: BTreeSet<String>,
    by_pseudonym: BTreeMap<[u8; 16], String>,
    names: Names,
}

impl<'a, W: Write, C: Write> Pass<'a, W, C> {
    fn new(reader: &Reader, act: &'a Act, out: W, calls: C) -> Result<Self, Fault> {
        Ok(Self {
            act,
            pseudonyms: reader.pseudonyms()?,
            out: EntriesWriter::new(out).map_err(unwritten)?,
            calls: CallsWriter::new(calls).map_err(unwritten)?,
            met: BTreeSet::new(),
            by_pseudonym: BTreeMap::new(),
            names: Names::new(),
        })
    }

    fn show(&mut self, stored: &Stored, show: Show) -> Result<(), Fault> {
        let entry = Entry::decode(&stored.leaf).map_err(|_| Fault::Contradiction(stored.index, "it is none"))?;
        let openings = match (&stored.private, show) {
            (Private::Withheld, _) | (_, Show::Bare) => Openings::default(),
            (Private::Open(openings), Show::Main) => openings.clone().showing(|field| field == Field::Main),
            (Private::Open(openings), Show::Asked) => {
                let selection = &self.act.selection;
                openings.clone().showing(|field| selection.discloses(field))
            }
        };
        if show == Show::Asked {
            self.calls.take(stored.index, &entry).map_err(unwritten)?;
        }
        if show == Show::Asked && self.act.selection.discloses(Field::Main) {
            self.name(&entry, stored.main().unwrap_or_default());
        }
        self.out.push(stored.index, &stored.leaf, &openings).map_err(unwritten)
    }

    /// Takes note of the names in `facts` that the entry has pseudonyms of.
    fn name(&mut self, entry: &Entry, facts: &[u8]) {
        for name in names(facts) {
            if !self.met.contains(&name) {
                self.by_pseudonym.insert(self.pseudonyms.of(&name), name.clone());
                self.met.insert(name);
            }
        }
        for link in entry.links.iter().flatten() {
            if let Some(name) = self.by_pseudonym.get(&link.id) {
                let key = (link.class, name.clone());
                self.names.entry(key).or_insert_with(|| self.pseudonyms.opening(name));
            }
        }
    }

    fn finish(self) -> Result<NamesFile, Fault> {
        self.out.finish().map_err(unwritten)?;
        self.calls.finish().map_err(unwritten)?;
        Ok(crate::names::names(&self.pseudonyms, &self.act.selection, self.names))
    }
}

fn unwritten(source: io::Error) -> Fault {
    Fault::File { action: "write", path: "entries` or `calls.csv".to_owned(), source }
}
