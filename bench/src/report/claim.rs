//! Targets, and whether what was measured meets them. A busy machine proves nothing.

use super::series::Spread;
use crate::process::guard::BUSY;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// A figure beside its target.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Whose figure it is.
    pub(crate) who: String,
    /// What the figure is, as it reads behind its value: "times nginx's CPU per request".
    pub(crate) what: String,
    /// The figure; `None` if it could not be measured.
    pub(crate) value: Option<Spread>,
    /// What it must be.
    pub(crate) target: Target,
}

/// What the rounds were like that claims rest on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Conditions {
    /// The largest share of foreign CPU time of any round, 0 to 1.
    pub(crate) foreign: f64,
    /// Answers that failed.
    pub(crate) failures: u64,
    /// Claims are made, and marked, although the machine was busy.
    pub(crate) busy_ok: bool,
}

impl Target {
    /// Returns true if a value meets it.
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(most) => format!("at most {most}"),
            Self::AtLeast(least) => format!("at least {least}"),
        }
    }
}

impl Claim {
    /// Says whether the target is met by the median, or why nothing can be said.
    pub(crate) fn line(&self, under: Conditions) -> String {
        let Self { who, what, target, .. } = self;
        if under.failures > 0 {
            return format!("no claim: {} answers failed ({who}: {what})", under.failures);
        }
        let busy = under.foreign > BUSY;
        if busy && !under.busy_ok {
            return format!("no claim: the machine was busy ({:.0} %) ({who}: {what})", under.foreign * 100.0);
        }
        let Some(Spread { median, low, high }) = self.value else {
            return format!("no claim: not measured ({who}: {what})");
        };
        let verdict = match (target.is_met(median), target.is_met(low) && target.is_met(high)) {
            (true, true) => "holds",
            (true, false) => "holds in the median, not in every round",
            (false, _) => "does not hold",
        };
        let mark = if busy { format!(" (busy machine: {:.0} %)", under.foreign * 100.0) } else { String::new() };
        let [median, low, high] = [median, low, high].map(figure);
        format!("{who}: {median} {what} ({low}..{high}), target {}: {verdict}{mark}", target.words())
    }
}

/// Writes a number with three significant digits, or all before the point.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Conditions = Conditions { foreign: 0.01, failures: 0, busy_ok: false };
    const BUSY: Conditions = Conditions { foreign: 0.4, ..QUIET };

    fn claim(median: f64, target: Target) -> Claim {
        let value = Some(Spread { median, low: median - 0.1, high: median + 0.1 });
        Claim { who: "exeat".to_owned(), what: "times nginx's CPU per request".to_owned(), value, target }
    }

    #[test]
    fn a_claim_says_figure_spread_target_and_whether_it_holds() {
        let at_most = claim(1.9, Target::AtMost(2.0)).line(QUIET);
        assert_eq!(at_most, "exeat: 1.90 times nginx's CPU per request (1.80..2.00), target at most 2: holds");
        assert!(claim(1.95, Target::AtMost(2.0)).line(QUIET).ends_with("holds in the median, not in every round"));
        assert!(claim(2.1, Target::AtMost(2.0)).line(QUIET).ends_with("does not hold"));
        assert!(claim(2.2, Target::AtLeast(2.0)).line(QUIET).ends_with(": holds"));
        assert!(claim(1.9, Target::AtLeast(2.0)).line(QUIET).ends_with("does not hold"));
    }

    #[test]
    fn a_busy_machine_makes_no_claim_unless_asked_to_and_then_says_so() {
        let claim = claim(1.9, Target::AtMost(2.0));
        let silent = claim.line(BUSY);
        assert_eq!(silent, "no claim: the machine was busy (40 %) (exeat: times nginx's CPU per request)");
        let marked = claim.line(Conditions { busy_ok: true, ..BUSY });
        assert!(marked.ends_with("holds (busy machine: 40 %)"), "{marked}");
    }

    #[test]
    fn failed_answers_make_no_claim_whatever_was_asked_for() {
        let claim = claim(1.9, Target::AtMost(2.0));
        let line = claim.line(Conditions { failures: 3, busy_ok: true, ..QUIET });
        assert!(line.starts_with("no claim: 3 answers failed"), "{line}");
        assert!(Claim { value: None, ..claim }.line(QUIET).starts_with("no claim: not measured"));
    }

    #[test]
    fn numbers_have_three_digits() {
        let written = [0.0, 0.123_4, 1.234, 12.34, 123.4, 12_345.6].map(figure);
        assert_eq!(written, ["0.00", "0.123", "1.23", "12.3", "123", "12346"]);
    }
}
