//! What one call uses, put on the accounts of the capped licenses it runs under.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::account::{Account, Settled, Turn};
use crate::lease::lock;

/// What one live call used so far, and under which capped licenses: all that any of its permits named.
///
/// A call that no capped license covers pays one load for each event.
#[derive(Debug, Default)]
pub(crate) struct Tab {
    is_open: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    accounts: Vec<Arc<Account>>,
    charged: u64,
    is_settled: bool,
}

/// An account whose answer changed.
pub(crate) type Turned = (Arc<Account>, Turn);

impl Tab {
    /// Puts what the call used so far, and will use, on more accounts.
    pub(crate) fn put_on(&self, accounts: &[Arc<Account>]) -> Vec<Turned> {
        let mut turned = Vec::new();
        if accounts.is_empty() {
            return turned;
        }
        let mut lines = lock(&self.lines);
        for account in accounts {
            if !lines.is_settled && !lines.accounts.iter().any(|held| Arc::ptr_eq(held, account)) {
                turned.extend(account.charge(0, lines.charged).map(|turn| (Arc::clone(account), turn)));
                lines.accounts.push(Arc::clone(account));
                self.is_open.store(true, Ordering::Release);
            }
        }
        turned
    }

    /// Returns true if the call is live under a capped license.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Returns true once the call ended.
    pub(crate) fn is_settled(&self) -> bool {
        lock(&self.lines).is_settled
    }

    /// Learns how much the call used by now; less than before changes nothing.
    pub(crate) fn charge(&self, used: u64) -> Vec<Turned> {
        let mut lines = lock(&self.lines);
        let before = lines.charged;
        lines.charged = before.max(used);
        let after = lines.charged;
        let charge = |account: &Arc<Account>| account.charge(before, after).map(|turn| (Arc::clone(account), turn));
        lines.accounts.iter().filter_map(charge).collect()
    }

    /// Learns what the call used when it ended, in place of what was known while it was live.
    pub(crate) fn settle(&self, settled: Settled) -> Vec<Turned> {
        self.is_open.store(false, Ordering::Release);
        let mut lines = lock(&self.lines);
        lines.is_settled = true;
        let (accounts, charged) = (std::mem::take(&mut lines.accounts), lines.charged);
        let settle = |account: Arc<Account>| account.settle(charged, settled).map(|turn| (account, turn));
        accounts.into_iter().filter_map(settle).collect()
    }
}
