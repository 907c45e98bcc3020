//! Where a person stands, for those who say so to others.

use terms::{Moment, Person, Standing};

use crate::{
    Reliance,
    evidence::{self, Bar, Horizon, Now},
};

/// Returns where a person stands at `at` by evidence at IAL2 or better, and until when that is so if nothing changes.
///
/// `channels` says up to when each channel can be relied on; one that is missing cannot.
///
/// # Source
/// 15 CFR 772.1 "foreign person".
#[must_use]
pub fn standing_at(person: &Person, channels: &[Reliance], at: Moment) -> (Standing, Moment) {
    let mut horizon = Horizon::of(Now { at, channels });
    let standing = evidence::standing(person, Bar::IAL2, &mut horizon);
    (standing, horizon.until())
}
