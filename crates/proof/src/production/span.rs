//! Completeness: every entry of a chain between two heads entries is shown, and the sums are what they add up to.

use super::{Span, Standing};
use crate::{
    entry::{Entry, Kind},
    heads::{BadHeadProof, BadLink, Chain, Found, Head},
};

/// Walks the entries that are shown and holds those of one chain against its heads.
#[derive(Debug)]
pub struct SpanWalk<'s> {
    span: &'s Span,
    /// Where the chain stands; absent before the heads entry that it begins at.
    head: Option<Head>,
    ended: bool,
}

/// The chain is not shown completely.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSpan {
    /// The proof at a heads entry does not lead to its root.
    #[error(transparent)]
    Proof(#[from] BadHeadProof),
    /// The entry is none that tells where chains stand.
    #[error("it is no entry that says where every chain before it stands")]
    NotHeads,
    /// An entry of the chain before this one is not shown.
    #[error("an entry of the chain is missing before it: {0}")]
    Missing(BadLink),
    /// The entries that are shown do not add up to the head at the end.
    #[error("the chain does not stand here as its entries add up: one is missing, or the sums are wrong")]
    Sums,
    /// A heads entry of the span is not among those that are shown.
    #[error("entry {0}, which says where the chain stands, is not shown")]
    NotShown(u64),
}

impl<'s> SpanWalk<'s> {
    /// Begins before the first entry that is shown.
    #[must_use]
    pub fn new(span: &'s Span) -> Self {
        let head = span.from.is_none().then(Head::default);
        Self { span, head, ended: false }
    }

    /// Returns true if `entry` is one of the chain, and the walk is between the heads.
    #[must_use]
    pub fn has(&self, entry: &Entry) -> bool {
        let Chain { class, id } = self.span.chain;
        self.head.is_some() && !self.ended && entry.link(class, &id).is_some()
    }

    /// Takes the next entry that is shown, of this chain or not.
    ///
    /// # Errors
    ///
    /// [`BadSpan`], except [`BadSpan::NotShown`]; the walk goes on as if the entry were right.
    pub fn take(&mut self, index: u64, entry: &Entry) -> Result<(), BadSpan> {
        let Chain { class, id } = self.span.chain;
        if let Some(from) = self.span.from.as_ref().filter(|from| from.entry == index) {
            self.head = Some(from.claim());
            return self.stands(from, index, entry).map(|_| ());
        }
        if self.span.to.entry == index {
            self.ended = true;
            let to = self.stands(&self.span.to, index, entry)?;
            return self.head.is_none_or(|head| head == to).then_some(()).ok_or(BadSpan::Sums);
        }
        match (entry.link(class, &id), &mut self.head) {
            (Some(link), Some(head)) if !self.ended => {
                let wanted = head.next(index, self.span.chain);
                head.seq = link.seq;
                *head = head.after(index, entry);
                (*link == wanted).then_some(()).ok_or(BadSpan::Missing(BadLink { found: *link, wanted }))
            }
            _ => Ok(()),
        }
    }

    /// Ends after the last entry that is shown.
    ///
    /// # Errors
    ///
    /// [`BadSpan::NotShown`].
    pub fn finish(self) -> Result<(), BadSpan> {
        match (&self.span.from, self.head, self.ended) {
            (Some(from), None, _) => Err(BadSpan::NotShown(from.entry)),
            (_, _, false) => Err(BadSpan::NotShown(self.span.to.entry)),
            _ => Ok(()),
        }
    }

    /// Returns where the heads entry says that the chain stands; the default says that it has no entry.
    fn stands(&self, standing: &Standing, index: u64, entry: &Entry) -> Result<Head, BadSpan> {
        let root = entry.root.filter(|_| entry.kind == Kind::Heads && entry.covered == Some(index));
        let head = standing.proof.verify(&root.ok_or(BadSpan::NotHeads)?, &self.span.chain)?;
        Ok(head.unwrap_or_default())
    }
}

impl Standing {
    /// Returns what is said of where the chain stands, proved or not.
    fn claim(&self) -> Head {
        match self.proof.found {
            Found::Head(head) => head,
            Found::Other(..) | Found::Empty => Head::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entry::{Class, Usage},
        heads::Heads,
    };

    const OURS: Chain = Chain { class: Class::Key, id: [1; 16] };
    const OTHER: Chain = Chain { class: Class::Key, id: [2; 16] };

    /// A log with heads entries at 0, 4 and 9, and what it takes to show our chain.
    struct Log {
        entries: Vec<Entry>,
        standings: Vec<Standing>,
    }

    fn log() -> Log {
        let mut heads = Heads::new();
        let mut log = Log { entries: Vec::new(), standings: Vec::new() };
        for index in 0..10 {
            let mut entry = Entry::new(if index % 2 == 1 { Kind::Open } else { Kind::Close });
            if [0, 4, 9].contains(&index) {
                entry = Entry { root: Some(heads.root()), covered: Some(index), ..Entry::new(Kind::Heads) };
                log.standings.push(Standing { entry: index, proof: heads.prove(&OURS) });
            } else {
                let chain = if index % 3 == 0 { OTHER } else { OURS };
                entry.links = Some(vec![heads.next(index, chain)]);
                entry.usage = Some(Usage { output_tokens: Some(index), ..Usage::default() });
                heads.apply(index, &entry).unwrap();
            }
            log.entries.push(entry);
        }
        log
    }

    impl Log {
        fn span(&self, from: Option<usize>, to: usize) -> Span {
            Span { chain: OURS, from: from.map(|n| self.standings[n].clone()), to: self.standings[to].clone() }
        }

        /// Shows the entries but those in `hidden`.
        fn walk(&self, span: &Span, hidden: &[u64]) -> Result<u64, BadSpan> {
            let (mut walk, mut ours, mut first) = (SpanWalk::new(span), 0, Ok(()));
            for (index, entry) in (0..).zip(&self.entries).filter(|(index, _)| !hidden.contains(index)) {
                ours += u64::from(walk.has(entry));
                let taken = walk.take(index, entry);
                first = first.and(taken);
            }
            let finished = walk.finish();
            first.and(finished).map(|()| ours)
        }
    }

    #[test]
    fn a_chain_that_is_shown_completely_holds_between_any_heads() {
        let log = log();
        for (from, to, ours) in
            [(None, 0, 0), (None, 1, 2), (None, 2, 5), (Some(0), 1, 2), (Some(0), 2, 5), (Some(1), 2, 3)]
        {
            assert_eq!(log.walk(&log.span(from, to), &[]), Ok(ours), "{from:?} {to}");
            assert_eq!(log.walk(&log.span(from, to), &[3, 6]), Ok(ours), "entries of others need not be shown");
        }
    }

    #[test]
    fn an_entry_that_is_left_out_is_missed_wherever_it_is() {
        let log = log();
        let whole = log.span(Some(0), 2);
        for hidden in [1, 2, 5, 7] {
            assert!(matches!(log.walk(&whole, &[hidden]), Err(BadSpan::Missing(_))), "{hidden}");
        }
        assert_eq!(log.walk(&whole, &[8]), Err(BadSpan::Sums));
        assert_eq!(log.walk(&whole, &[0]), Err(BadSpan::NotShown(0)));
        assert_eq!(log.walk(&whole, &[9]), Err(BadSpan::NotShown(9)));
        assert!(matches!(log.walk(&log.span(None, 2), &[1, 2, 5, 7, 8]), Err(BadSpan::Sums)));
    }

    #[test]
    fn heads_that_are_not_those_of_their_entry_are_refused() {
        let (log, mut late) = (log(), log());
        let mut other = log.span(Some(1), 2);
        other.to.proof = log.standings[1].proof.clone();
        assert_eq!(log.walk(&other, &[]), Err(BadSpan::Proof(BadHeadProof::Root)));
        let mut elsewhere = log.span(Some(1), 2);
        elsewhere.from.as_mut().unwrap().entry = 5;
        assert_eq!(log.walk(&elsewhere, &[]), Err(BadSpan::NotHeads));
        late.entries[4].covered = Some(3);
        assert_eq!(late.walk(&late.span(Some(1), 2), &[]), Err(BadSpan::NotHeads));
    }

    #[test]
    fn sums_that_do_not_add_up_are_found() {
        let mut log = log();
        log.entries[8].usage = None;
        assert_eq!(log.walk(&log.span(Some(1), 2), &[]), Err(BadSpan::Sums));
    }
}
