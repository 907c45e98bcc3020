//! Walks the entries of a log in order and holds each against all before it.

use proof::{
    bundle::BundleEntry,
    commit::{Field, Opening, Openings},
    entry::{Entry, Kind},
    tree::{Frontier, Hash, leaf_hash},
    walk::Calls,
};

use crate::{
    acts::Acts,
    chains::Chains,
    facts::{Basis, Earlier},
    json,
    options::Options,
    reconciled::Ended,
    replay::Replay,
    report::Report,
    runs::Runs,
};

/// The check of a log, up to some entry.
#[derive(Debug)]
pub(crate) struct Walk<'o> {
    options: &'o Options,
    tree: Frontier,
    runs: Runs,
    calls: Calls,
    chains: Chains,
    acts: Acts,
    ended: Ended,
    earlier: Earlier,
    replay: Replay,
    report: Report,
}

impl<'o> Walk<'o> {
    /// Begins before the first entry, adding to what was found so far.
    pub(crate) fn new(options: &'o Options, report: Report) -> Self {
        Self {
            options,
            tree: Frontier::new(),
            runs: Runs::default(),
            calls: Calls::default(),
            chains: Chains::default(),
            acts: Acts::default(),
            ended: Ended::default(),
            earlier: Earlier::default(),
            replay: Replay::default(),
            report,
        }
    }

    /// Returns how many entries were walked.
    pub(crate) fn entries(&self) -> u64 {
        self.tree.size()
    }

    /// Takes the next entry.
    pub(crate) fn entry(&mut self, stored: &BundleEntry) {
        let index = self.tree.size();
        self.tree.push(leaf_hash(&stored.leaf));
        if stored.index != index {
            self.report.fault(Some(index), format!("the bundle says that it is entry {}", stored.index));
        }
        match Entry::decode(&stored.leaf) {
            Err(bad) => self.report.fault(Some(index), bad.to_string()),
            Ok(entry) => self.decoded(index, &entry, &stored.fields),
        }
    }

    /// Notes a fault that ends the walk.
    pub(crate) fn fault(&mut self, why: String) {
        self.report.fault(None, why);
    }

    /// Ends after the last entry; returns the root over all and what was found.
    pub(crate) fn finish(mut self) -> (Hash, Report) {
        let root = self.tree.root();
        self.report.entries = self.tree.size();
        self.report.open_calls = self.calls.open();
        self.report.chains = self.chains.count();
        self.report.approvals = self.acts.approvals();
        self.report.unclean_starts = self.runs.unclean();
        self.report.set_root(&root);
        (root, self.report)
    }

    fn decoded(&mut self, index: u64, entry: &Entry, fields: &Openings) {
        self.report.count(entry);
        self.report.check_time(index, entry.at_ms);
        let main = self.check_commitment(index, entry, fields);
        let basis = self.earlier.basis(index, entry, main);
        let (basis, unfounded) = match basis {
            Ok(basis) => (basis, None),
            Err(why) => (Basis::Withheld, Some(why)),
        };
        unfounded.into_iter().for_each(|why| self.report.fault(Some(index), why));
        let faults = [
            is_salted(entry),
            self.runs.take(index, entry, main.shown(), self.calls.open()),
            self.calls.take(index, entry).map_err(|bad| bad.to_string()),
            self.chains.take(index, entry, basis.read()),
            self.replay.take(entry, main, &basis, &mut self.report.replays),
            self.begins(entry, main),
            self.acts.take(entry, main.shown()),
            self.ended.reconcile(
                (index, entry),
                main.shown(),
                &self.report.key,
                &self.options.meters,
                &mut self.report.reconciled,
            ),
        ];
        self.earlier.keep(index, entry, main);
        for why in faults.into_iter().filter_map(Result::err) {
            self.report.fault(Some(index), why);
        }
        self.report.count_close(entry);
    }

    /// A log begins by saying which it is, and under which key.
    fn begins(&self, entry: &Entry, main: Main<'_>) -> Result<(), String> {
        let (Kind::Genesis, Main::Shown(text)) = (entry.kind, main) else {
            return Ok(());
        };
        let said: Option<Genesis> = json::object(text).and_then(|said| json::of_object(&said)).ok();
        let own = said.is_some_and(|said| said.origin == self.report.origin && said.key == self.report.key);
        own.then_some(()).ok_or_else(|| "it is the beginning of another log than the checkpoint is of".to_owned())
    }

    /// Returns field 1 of the private part, as far as the bundle shows it and it belongs to what the entry commits to.
    fn check_commitment<'b>(&mut self, index: u64, entry: &Entry, fields: &'b Openings) -> Main<'b> {
        if entry.private.is_some() && fields.is_empty() {
            self.withheld(index, "its private part is withheld".to_owned());
            return Main::Untold;
        }
        if entry.private != fields.commitment() {
            let why = match entry.private {
                Some(_) => "its private part is not what it commits to",
                None => "it has a private part that it does not commit to",
            };
            self.report.fault(Some(index), why);
            return Main::Untold;
        }
        for (field, opening) in fields.iter() {
            if !field.belongs_to(entry.kind) {
                self.report.fault(Some(index), foreign(field));
            }
            match opening {
                Opening::Shown { .. } => self.report.opened_commitments += 1,
                Opening::Withheld(_) => {
                    self.withheld(index, format!("field {} of its private part is withheld", field.id()));
                }
            }
        }
        Main::of(fields)
    }

    fn withheld(&mut self, index: u64, why: String) {
        self.report.withheld += 1;
        if !self.options.allow_withheld {
            self.report.fault(Some(index), why);
        }
    }
}

/// What the private part of a genesis says.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Genesis {
    origin: String,
    key: String,
}

/// Requires of an open, a close and a refusal with a private part that it names its call: salts follow from that.
///
/// # Source
///
/// `docs/log-format.md`, section 1.
pub(crate) fn is_salted(entry: &Entry) -> Result<(), String> {
    let by_call = matches!(entry.kind, Kind::Open | Kind::Close | Kind::Refusal);
    if by_call && entry.private.is_some() && entry.call.is_none() {
        return Err("it has a private part and names no call".to_owned());
    }
    Ok(())
}

/// Says that an entry of its kind has no such field.
pub(crate) fn foreign(field: Field) -> String {
    format!("it has a field {}, which an entry of its kind has not", field.id())
}

/// Field 1 of the private part of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Main<'b> {
    /// The entry has none.
    Absent,
    /// It may have one: nothing is told of its private part, or what is told does not belong to the entry.
    Untold,
    /// It has one, which is not shown.
    Withheld,
    /// Its value.
    Shown(&'b [u8]),
}

impl<'b> Main<'b> {
    /// Returns field 1 of these.
    pub(crate) fn of(fields: &'b Openings) -> Self {
        match fields.get(Field::Main) {
            None => Self::Absent,
            Some(Opening::Withheld(_)) => Self::Withheld,
            Some(Opening::Shown { value, .. }) => Self::Shown(value),
        }
    }

    /// Returns the value, if it is shown.
    pub(crate) fn shown(self) -> Option<&'b [u8]> {
        match self {
            Self::Shown(value) => Some(value),
            Self::Absent | Self::Untold | Self::Withheld => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_salts_names_its_call() {
        let sealed = |kind| Entry { private: Some([7; 32]), ..Entry::new(kind) };
        for kind in [Kind::Open, Kind::Close, Kind::Refusal] {
            assert!(is_salted(&sealed(kind)).is_err(), "{kind:?}");
            assert_eq!(is_salted(&Entry { call: Some([1; 16]), ..sealed(kind) }), Ok(()));
            assert_eq!(is_salted(&Entry::new(kind)), Ok(()), "without a private part");
        }
        assert_eq!(is_salted(&sealed(Kind::Redecision)), Ok(()), "which has a nonce");
    }
}
