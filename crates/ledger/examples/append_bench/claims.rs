//! The goals of the log, and whether what was measured meets them.

use std::{fs, thread};

use crate::report::Spread;

/// A figure beside its target.
pub(crate) struct Claim {
    /// What the figure is, as it reads behind its value.
    pub(crate) what: &'static str,
    /// The figure; `None` if it was not measured.
    pub(crate) value: Option<Spread>,
    /// What it must be.
    pub(crate) target: Target,
}

/// What a figure must be.
pub(crate) enum Target {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Target {
    fn is_met(&self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= *most,
            Self::AtLeast(least) => value >= *least,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::AtMost(most) => format!("at most {most}"),
            Self::AtLeast(least) => format!("at least {least}"),
        }
    }
}

impl Claim {
    /// Says whether the target is met by the median.
    pub(crate) fn line(&self) -> String {
        let Self { what, target, .. } = self;
        let Some(Spread { median, least, most }) = self.value else {
            return format!("no claim: not measured ({what})");
        };
        let verdict = match (target.is_met(median), target.is_met(least) && target.is_met(most)) {
            (true, true) => "holds",
            (true, false) => "holds in the median, not in every round",
            (false, _) => "does not hold",
        };
        let digits = if median < 100.0 { 2 } else { 0 };
        format!("{median:.digits$} {what} ({least:.digits$}..{most:.digits$}), target {}: {verdict}", target.words())
    }
}

/// Says on what machine this was measured, and how much of it others took.
pub(crate) fn machine(foreign: Option<Spread>) -> String {
    let cpus = thread::available_parallelism().map_or(0, usize::from);
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let foreign = foreign.map_or_else(|| "unknown".to_owned(), |share| format!("at most {:.0} %", share.most * 100.0));
    format!("{cpus} x {model}, Linux {}; CPU that others and the kernel took meanwhile: {foreign}", kernel.trim())
}
