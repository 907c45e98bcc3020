//! As whom the log knows a call: a pseudonym, and the chains in which its entries stand.

use std::sync::Arc;

use ledger::{Chain, Ledger};
use policy::Facts;
use proof::entry::Class;

/// The most chains that an entry can stand in, see `docs/log-format.md` section 8.
const CHAINS_MAX: usize = 16;

/// As whom the log knows a call. All entries of a call are about the one that its decision found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Party {
    /// The pseudonym of whoever stands behind it.
    pub(crate) subject: [u8; 16],
    /// Where its entries stand: with its subject, its credential, every organization that its facts name, its model.
    pub(crate) chains: Arc<[Chain]>,
}

impl Party {
    /// Names in `ledger` the calls of `holder` (such as `person:ada`) that are decided on `facts`.
    pub(crate) fn of(ledger: &Ledger, holder: &str, facts: &Facts) -> Self {
        let subject = ledger.chain(Class::Subject, holder);
        let chains = names(facts).map(|(class, name)| ledger.chain(class, &name));
        Self { subject: subject.id, chains: std::iter::once(subject).chain(chains).collect() }
    }

    /// Returns true if one entry can stand in all of its chains.
    pub(crate) fn fits(&self) -> bool {
        self.chains.len() <= CHAINS_MAX
    }
}

/// Spells what a call on `facts` is about, besides its subject.
fn names(facts: &Facts) -> impl Iterator<Item = (Class, String)> {
    let organizations = facts.caller.organizations(facts.credential.organization.as_ref());
    let organizations = organizations.into_iter().map(|id| (Class::Organization, format!("organization:{id}")));
    let key = (Class::Key, format!("key:{}", facts.credential.id));
    std::iter::once(key).chain(organizations).chain([(Class::Model, format!("model:{}", facts.model))])
}
