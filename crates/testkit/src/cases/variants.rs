//! Variants of the cases: each changes one thing about a case, and a law says how the answer may differ.
//!
//! Nobody wrote down the answer to a variant, and nobody needs to. That a revoked key refuses, or that the order of
//! attestations changes nothing, holds for every case. The same cases give the same variants, always.

mod changes;
mod dice;
mod names;

use std::fmt;

use anyhow::ensure;
use policy::{Determination, Facts, SnapshotDocument};

use super::{Case, Check, Verdict};
use changes::Change;
use dice::Dice;

/// A case with something changed.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The case.
    pub case: String,
    /// Which of its checks, by its place.
    pub check: usize,
    /// How its answer may differ from that of the check.
    pub law: Law,
    /// What was changed.
    pub change: &'static str,
    /// What is decided, in order; the law is about the last.
    pub steps: Vec<Situation>,
}

/// What is in force and what is known about one call.
#[derive(Clone, Debug)]
pub struct Situation {
    /// What is in force.
    pub document: SnapshotDocument,
    /// What is known.
    pub facts: Facts,
}

/// How the answer to a variant may differ from the answer to its case.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Law {
    /// A fact that forbids refuses, whatever was decided before.
    ForbiddingFactsRefuse,
    /// Evidence that is taken away turns no hold into a permit.
    LessEvidencePermitsNothing,
    /// Evidence of less assurance turns no refusal into a permit.
    WeakerEvidencePermitsNothing,
    /// One more directive turns no refusal into a permit.
    AnotherDirectivePermitsNothing,
    /// One more license makes no answer worse.
    AnotherLicenseDeniesNothing,
    /// People, organizations and instruments that the call has nothing to do with change nothing.
    StrangersChangeNothing,
    /// The order in which anything is listed changes nothing.
    OrderChangesNothing,
    /// What people, organizations, keys and instruments are called changes nothing but the names in the answer.
    NamesChangeNothing,
    /// A case that happens as much later as everything in it is decided alike.
    TimeAloneChangesNothing,
    /// A stay that is lifted leaves the answer as it was before the stay.
    ALiftedStayLeavesNoTrace,
}

impl Law {
    /// Every law.
    pub const ALL: [Self; 10] = [
        Self::ForbiddingFactsRefuse,
        Self::LessEvidencePermitsNothing,
        Self::WeakerEvidencePermitsNothing,
        Self::AnotherDirectivePermitsNothing,
        Self::AnotherLicenseDeniesNothing,
        Self::StrangersChangeNothing,
        Self::OrderChangesNothing,
        Self::NamesChangeNothing,
        Self::TimeAloneChangesNothing,
        Self::ALiftedStayLeavesNoTrace,
    ];

    /// Tells whether a variant's answer may be `after` where its case's is `before`.
    #[must_use]
    pub fn allows(self, before: &Answer, after: &Answer) -> bool {
        match self {
            Self::ForbiddingFactsRefuse => !after.permits(),
            Self::LessEvidencePermitsNothing
            | Self::WeakerEvidencePermitsNothing
            | Self::AnotherDirectivePermitsNothing => before.permits() || !after.permits(),
            Self::AnotherLicenseDeniesNothing => after.rank() >= before.rank(),
            Self::NamesChangeNothing => after.with_old_names() == *before,
            Self::StrangersChangeNothing
            | Self::OrderChangesNothing
            | Self::TimeAloneChangesNothing
            | Self::ALiftedStayLeavesNoTrace => after == before,
        }
    }

    /// Tells whether the law says anything about a check: it must be able to fail.
    fn is_about(self, check: &Check) -> bool {
        let verdict = check.expected.verdict;
        let permits = matches!(verdict, Verdict::Permit | Verdict::PermitWithFlag);
        match self {
            Self::LessEvidencePermitsNothing => verdict == Verdict::Hold,
            Self::WeakerEvidencePermitsNothing | Self::AnotherDirectivePermitsNothing => !permits,
            Self::AnotherLicenseDeniesNothing => !check.document.directives.is_empty() && verdict != Verdict::Deny,
            Self::ALiftedStayLeavesNoTrace => !check.document.directives.is_empty(),
            _ => true,
        }
    }

    /// Tells how many variants of one check there are under the law: all changes, one, or one of every second or
    /// third check.
    fn turn(self) -> Turn {
        match self {
            Self::LessEvidencePermitsNothing => Turn::EveryChange,
            Self::ForbiddingFactsRefuse | Self::StrangersChangeNothing | Self::AnotherLicenseDeniesNothing => {
                Turn::OneOf(1)
            }
            Self::WeakerEvidencePermitsNothing
            | Self::AnotherDirectivePermitsNothing
            | Self::OrderChangesNothing
            | Self::ALiftedStayLeavesNoTrace => Turn::OneOf(2),
            Self::NamesChangeNothing | Self::TimeAloneChangesNothing => Turn::OneOf(3),
        }
    }
}

enum Turn {
    EveryChange,
    /// One change of each so many checks.
    OneOf(usize),
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForbiddingFactsRefuse => "a fact that forbids refuses",
            Self::LessEvidencePermitsNothing => "less evidence turns no hold into a permit",
            Self::WeakerEvidencePermitsNothing => "weaker evidence turns no refusal into a permit",
            Self::AnotherDirectivePermitsNothing => "another directive turns no refusal into a permit",
            Self::AnotherLicenseDeniesNothing => "another license makes no answer worse",
            Self::StrangersChangeNothing => "who and what the call has nothing to do with changes nothing",
            Self::OrderChangesNothing => "the order of what is known changes nothing",
            Self::NamesChangeNothing => "other names change nothing",
            Self::TimeAloneChangesNothing => "the same, all of it later, is decided alike",
            Self::ALiftedStayLeavesNoTrace => "a stay that is lifted leaves no trace",
        })
    }
}

/// An answer, as far as a law looks at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The verdict; [`Verdict::Permit`] also where whoever heard it cannot see flags.
    pub verdict: Verdict,
    /// The code of a refusal.
    pub code: Option<String>,
    /// The provisions that permitted or refused, in order.
    pub provisions: Vec<String>,
}

impl Answer {
    /// Takes an answer from a determination.
    #[must_use]
    pub fn of(determination: &Determination) -> Self {
        let (code, provisions) = match determination {
            Determination::Permit(permit) => (None, permit.basis()),
            Determination::Refuse(refusal) => (Some(refusal.code().as_str().to_owned()), refusal.denied_by()),
        };
        let provisions = provisions.iter().map(|provision| provision.as_str().to_owned()).collect();
        Self { verdict: Verdict::of(determination), code, provisions }
    }

    /// Returns the answer as a caller and the record see it, who see no flags.
    #[must_use]
    pub fn without_flags(self) -> Self {
        let verdict = if self.permits() { Verdict::Permit } else { self.verdict };
        Self { verdict, ..self }
    }

    fn permits(&self) -> bool {
        matches!(self.verdict, Verdict::Permit | Verdict::PermitWithFlag)
    }

    fn rank(&self) -> u8 {
        match self.verdict {
            Verdict::Deny => 0,
            Verdict::Hold => 1,
            Verdict::Permit | Verdict::PermitWithFlag => 2,
        }
    }

    fn with_old_names(&self) -> Self {
        let mut provisions: Vec<String> =
            self.provisions.iter().map(|provision| names::old(provision).to_owned()).collect();
        provisions.sort();
        Self { provisions, ..self.clone() }
    }
}

/// Makes every variant of the cases, in order.
///
/// # Errors
///
/// If a change makes of a case what cannot be parsed, or does not do what its law is about.
pub fn of(cases: &[Case]) -> anyhow::Result<Vec<Variant>> {
    let mut variants = Vec::new();
    let mut dice = Dice::new(40);
    for (turns, case) in cases.iter().enumerate() {
        for law in Law::ALL {
            let checks = case.checks.iter().enumerate().filter(|(_, check)| law.is_about(check));
            for (turn, (at, check)) in checks.enumerate() {
                for change in chosen(law, check, turns + turn, &mut dice) {
                    variants.push(variant(case, at, law, change, &mut dice)?);
                }
            }
        }
    }
    Ok(variants)
}

/// Chooses what to change about a check, among the changes that change it at all.
fn chosen(law: Law, check: &Check, turn: usize, dice: &mut Dice) -> Vec<Change> {
    let all: Vec<Change> = changes::under(law).iter().filter(|change| (change.applies)(check)).copied().collect();
    match law.turn() {
        Turn::EveryChange => all,
        Turn::OneOf(every) if turn.is_multiple_of(every) => dice.choose(&all).into_iter().collect(),
        Turn::OneOf(_) => Vec::new(),
    }
}

fn variant(case: &Case, at: usize, law: Law, change: Change, dice: &mut Dice) -> anyhow::Result<Variant> {
    let check =
        case.checks.get(at).map(|check| Situation { document: check.document.clone(), facts: check.facts.clone() });
    let steps = check.map(|before| (change.make)(&before, dice)).transpose()?.unwrap_or_default();
    ensure!(!steps.is_empty(), "{}: `{}` leaves nothing to decide", case.id, change.what);
    Ok(Variant { case: case.id.clone(), check: at, law, change: change.what, steps })
}
