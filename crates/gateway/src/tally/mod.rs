//! Tokens used under licenses that cap them, so that a cap is a fact of the decision.
//!
//! One tally for all workers. What ended is settled as it is recorded; what is live counts event by event. When the
//! sum reaches a cap, every live call under the license is decided again, as after any other change. At the start, and
//! when a license first caps, what was used earlier in its periods is counted from the ledger.

mod account;
mod recount;
mod tab;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use policy::{Consumed, License, Snapshot};
use proof::entry::{Outcome, Usage};
use terms::{InstrumentId, Moment, Organization, OrganizationId, ProvisionId};

use crate::{
    Shared,
    lease::{Live, Subject},
};
pub(crate) use account::{Account, Caps, Settled, Turn};
pub(crate) use tab::{Tab, Turned};

type Accounts = BTreeMap<InstrumentId, Arc<Account>>;

/// What is used under every license that the snapshot in force caps.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accounts: ArcSwap<Accounts>,
    revision: AtomicU64,
}

impl Tally {
    /// Returns a number that grows whenever the answer to calls under a capped license may have changed.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    /// Returns what is used, in the current periods, under the capped licenses that name one of the organizations, or one
    /// to which one of them that is known belongs.
    pub(crate) fn consumed(
        &self,
        snapshot: &Snapshot,
        organizations: &BTreeSet<OrganizationId>,
        known: &[Arc<Organization>],
        now: Moment,
    ) -> Vec<Consumed> {
        let accounts = self.accounts.load();
        let mut consumed = Vec::new();
        if accounts.is_empty() {
            return consumed;
        }
        let lab = snapshot.document().lab.as_ref();
        let ties = known.iter().flat_map(|organization| &organization.ties).map(|tie| &tie.to);
        let organizations: BTreeSet<&OrganizationId> = organizations.iter().chain(ties).collect();
        let about = capped(snapshot).filter(|license| names(license, &organizations, lab));
        let licenses: BTreeSet<&InstrumentId> = about.map(License::id).collect();
        for license in licenses {
            let turn = accounts.get(license).and_then(|account| account.tell(now, &mut consumed));
            if turn.is_some() {
                self.revise();
            }
        }
        consumed
    }

    /// Returns the accounts of the capped licenses among the legal bases of a permit.
    pub(crate) fn named_by(&self, basis: &[ProvisionId]) -> Vec<Arc<Account>> {
        let accounts = self.accounts.load();
        if accounts.is_empty() {
            return Vec::new();
        }
        let licenses = basis.iter().filter_map(|provision| InstrumentId::parse(license_of(provision.as_str())?).ok());
        licenses.filter_map(|license| accounts.get(&license).cloned()).collect()
    }

    /// Opens accounts for the licenses that a snapshot caps and returns the new ones, of which nothing is known yet.
    fn open(&self, snapshot: &Snapshot, now: Moment) -> Vec<Arc<Account>> {
        let mut accounts = Accounts::clone(&self.accounts.load());
        let mut new = Vec::new();
        for (license, caps) in caps(snapshot) {
            if accounts.get(&license).is_some_and(|account| account.renew(&caps)) {
                continue;
            }
            let account = Arc::new(Account::new(license.clone(), caps, now));
            new.push(Arc::clone(&account));
            accounts.insert(license, account);
        }
        if !new.is_empty() {
            self.accounts.store(Arc::new(accounts));
            self.revise();
        }
        new
    }

    /// Closes the accounts of licenses that a snapshot does not cap, once it is in force.
    pub(crate) fn forget_others(&self, snapshot: &Snapshot) {
        let accounts = self.accounts.load();
        let keep: Accounts = capped(snapshot)
            .filter_map(|license| accounts.get_key_value(license.id()))
            .map(|(id, account)| (id.clone(), Arc::clone(account)))
            .collect();
        if keep.len() < accounts.len() {
            self.accounts.store(Arc::new(keep));
        }
    }

    /// Lets no answer be remembered beyond this moment.
    pub(crate) fn revise(&self) {
        self.revision.fetch_add(1, Ordering::SeqCst);
    }
}

impl Shared {
    /// Opens accounts for the licenses that a snapshot caps, before it takes force; what was used earlier is counted
    /// from the ledger, which is waited for, but not for long: until it is known, nothing is permitted on its account.
    ///
    /// Calls that are live already are put on the new accounts before the count begins. So each call is either told of
    /// to its account when it ends, or its closing entry is in the ledger by then; the index of that entry tells, where
    /// both are so.
    pub(crate) fn follow(&self, snapshot: &Snapshot) {
        let new = self.tally.open(snapshot, self.clock.now());
        if new.is_empty() {
            return;
        }
        for live in self.leases.all().into_iter().chain(self.unclosed.live()) {
            self.put_on(&live, &self.tally.named_by(&live.basis()));
        }
        recount::begin(Arc::clone(&self.tally), new, &self.ledger, &self.clock);
    }

    /// Lets what a live call uses count on `accounts` too.
    pub(crate) fn put_on(&self, live: &Live, accounts: &[Arc<Account>]) {
        self.turned(live, &live.tab.put_on(accounts));
    }

    /// Learns how much a live call used so far. Recalls calls, maybe this one, if that reaches a cap.
    pub(crate) fn charge(&self, live: &Live, used: u64) {
        self.turned(live, &live.tab.charge(used));
    }

    /// Learns how much a call used that ended.
    pub(crate) fn settle(&self, live: &Live, settled: Settled) {
        self.turned(live, &live.tab.settle(settled));
    }

    fn turned(&self, live: &Live, turned: &[Turned]) {
        for (account, turn) in turned {
            match turn {
                Turn::Reached => self.reached(account.license()),
                Turn::Exceeded => self.exceeded(live, account.license()),
                Turn::Freed => self.tally.revise(),
            }
        }
    }

    /// Decides again the live calls that a reached cap may end.
    fn reached(&self, license: &InstrumentId) {
        self.tally.revise();
        let mut live = self.leases.touching(&Subject::License(license.clone()));
        live.retain(|live| !live.tab.is_settled());
        let effect = self.decide_again(&live);
        tracing::info!(%license, effect.examined, effect.recalled, "a cap of a license is reached");
    }

    /// Decides a call again without waiting until its turn comes among the others, unless it runs on another basis.
    fn exceeded(&self, live: &Live, license: &InstrumentId) {
        let names = |provision: &ProvisionId| license_of(provision.as_str()) == Some(license.as_str());
        if live.recalled().is_none() && live.basis().iter().any(names) {
            self.revise(live);
        }
    }
}

/// Returns the tokens that a live call used so far: as reported, or one for each event with output, whichever is more.
pub(crate) fn used_so_far(usage: &Usage) -> u64 {
    let output = usage.output_tokens.unwrap_or(0).max(usage.delivered_events);
    usage.input_tokens.unwrap_or(0).saturating_add(output)
}

/// Returns the tokens that a call used that ended; a function of its closing entry.
///
/// What the upstream reported of a call that ended as it should stands. A call that ended otherwise may have been
/// reported in part, so its events count if they are more. Of a whole answer without a report the bytes count: a token
/// is at least one.
pub(crate) fn used(usage: &Usage, outcome: Outcome) -> u64 {
    let so_far = used_so_far(usage);
    let is_reported = usage.input_tokens.is_some() || usage.output_tokens.is_some();
    match (outcome, usage.output_tokens) {
        (Outcome::Completed, Some(output)) => usage.input_tokens.unwrap_or(0).saturating_add(output),
        _ if is_reported || usage.delivered_events > 0 => so_far,
        _ => usage.delivered_bytes,
    }
}

/// Returns the license that a provision of a permit is of: its id without the clause.
fn license_of(provision: &str) -> Option<&str> {
    let (license, clause) = provision.rsplit_once('.')?;
    matches!(clause, "grantees" | "own-staff").then_some(license)
}

fn capped(snapshot: &Snapshot) -> impl Iterator<Item = &License> {
    snapshot.document().licenses.iter().filter(|license| license.token_caps().next().is_some())
}

/// Returns the caps of each license that sets any, over all its versions: which of them speaks is for the decision.
fn caps(snapshot: &Snapshot) -> BTreeMap<InstrumentId, Caps> {
    let mut all: BTreeMap<InstrumentId, Caps> = BTreeMap::new();
    for license in capped(snapshot) {
        let caps = all.entry(license.id().clone()).or_default();
        for (tokens, period) in license.token_caps() {
            caps.entry(period).or_default().insert(tokens);
        }
    }
    all
}

/// Tells whether a license may be about somebody who acts for one of the organizations.
fn names(license: &License, organizations: &BTreeSet<&OrganizationId>, lab: Option<&OrganizationId>) -> bool {
    let own = lab.filter(|_| license.own_staff());
    organizations.iter().any(|id| license.grantees().contains(*id) || own == Some(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: Option<u64>, output: Option<u64>, events: u64) -> Usage {
        Usage { input_tokens: input, output_tokens: output, delivered_events: events, delivered_bytes: 1_000 }
    }

    #[test]
    fn a_report_stands_where_a_call_ended_as_it_should_and_else_the_events_if_they_are_more() {
        let cases = [
            (usage(Some(7), Some(3), 5), Outcome::Completed, 10),
            (usage(Some(7), Some(1), 5), Outcome::Cut, 12),
            (usage(Some(7), Some(9), 5), Outcome::ClientGone, 16),
            (usage(None, None, 5), Outcome::Completed, 5),
            (usage(Some(7), None, 0), Outcome::Completed, 7),
            (usage(None, None, 0), Outcome::Completed, 1_000),
        ];
        for (usage, outcome, tokens) in cases {
            assert_eq!(used(&usage, outcome), tokens, "{usage:?} {outcome:?}");
        }
        assert_eq!(used_so_far(&usage(None, None, 0)), 0, "a stream's first bytes are no output");
    }

    #[test]
    fn a_provision_of_a_license_names_it() {
        assert_eq!(license_of("LTR-2026-06-26.grantees"), Some("LTR-2026-06-26"));
        assert_eq!(license_of("LTR.1.own-staff"), Some("LTR.1"));
        assert_eq!(["base.published", "DIR-1.person-scope", "grantees"].map(license_of), [None; 3]);
    }
}
