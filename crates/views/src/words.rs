//! The words by which views call kinds, outcomes and classes, and bytes as digits.

use proof::entry::{Class, Kind};
use terms::Moment;

/// Returns the noun of a kind, as `docs/log-format.md` has it.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Genesis => "genesis",
        Kind::Start => "start",
        Kind::Open => "open",
        Kind::Close => "close",
        Kind::Refusal => "refusal",
        Kind::Snapshot => "snapshot",
        Kind::Registry => "registry",
        Kind::Admin => "admin",
        Kind::Redecision => "redecision",
        Kind::Stop => "stop",
        Kind::Heads => "heads",
        Kind::Lease => "lease",
        Kind::Metered => "metered",
        Kind::Reconciliation => "reconciliation",
    }
}

/// Returns the word for a class of chains, as `docs/log-format.md` has it.
pub(crate) fn class(class: Class) -> &'static str {
    match class {
        Class::Subject => "subject",
        Class::Key => "key",
        Class::Organization => "organization",
        Class::Model => "model",
        Class::InForce => "in_force",
    }
}

/// Returns the moment that is `at_ms` milliseconds after 1970.
pub(crate) fn moment(at_ms: u64) -> Moment {
    Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX))
}
