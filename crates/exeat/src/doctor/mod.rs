//! `exeat doctor`: what is wrong here, and how to mend it. Looks only; changes nothing.

mod certificate;
mod checks;
mod desk;

use std::path::Path;

use serde_json::json;
use terms::{Clock, SystemClock};

use crate::{
    commands::Exit,
    config::{self, Meant},
    output::{self, Format},
};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Grade {
    /// As it should be.
    Fine,
    /// Serves, but should be looked at.
    Caution,
    /// Would not serve, or not safely.
    Wrong,
}

/// What one check found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    grade: Grade,
    about: String,
    found: String,
    mend: String,
}

impl Finding {
    fn fine(about: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Grade::Fine, about, found, "")
    }

    fn caution(about: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Grade::Caution, about, found, mend)
    }

    fn wrong(about: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Grade::Wrong, about, found, mend)
    }

    fn new(grade: Grade, about: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { grade, about: about.into(), found: found.into(), mend: mend.into() }
    }

    fn line(&self) -> String {
        let mark = match self.grade {
            Grade::Fine => "ok     ",
            Grade::Caution => "look   ",
            Grade::Wrong => "WRONG  ",
        };
        let mend = if self.mend.is_empty() { String::new() } else { format!("\n         mend: {}", self.mend) };
        format!("{mark}{}: {}{mend}", self.about, self.found)
    }
}

/// Looks at everything that the configuration at `path` needs, and prints what was found.
///
/// # Errors
///
/// If standard output is closed.
pub(crate) fn run(path: &Path, format: Format) -> anyhow::Result<Exit> {
    let findings = match config::load(path) {
        Ok(meant) => {
            [vec![Finding::fine("configuration", format!("{} has no fault", path.display()))], examine(&meant)].concat()
        }
        Err(problems) => problems.to_string().lines().map(unreadable).collect(),
    };
    print(&findings, format)?;
    let worst = findings.iter().map(|finding| finding.grade).max();
    Ok(if worst == Some(Grade::Wrong) { Exit::Failed } else { Exit::Done })
}

fn unreadable(problem: &str) -> Finding {
    Finding::wrong("configuration", problem, "correct the file; `exeat config example` shows every setting")
}

/// Looks at everything that a configuration without a fault needs of this machine.
fn examine(meant: &Meant) -> Vec<Finding> {
    let now = SystemClock::default().now();
    let mut findings = checks::listeners(meant);
    findings.extend(checks::data_folder(&meant.data_dir));
    findings.push(checks::disk_space(&meant.data_dir, meant.ledger.segment_mib));
    findings.extend(checks::ledger(meant, now));
    findings.extend(desk::check(meant));
    findings.push(checks::open_files(meant));
    findings.extend(checks::upstreams(meant));
    if let Some(tls) = &meant.settings.tls {
        findings.extend(certificate::check(tls, now));
    }
    findings
}

fn print(findings: &[Finding], format: Format) -> anyhow::Result<()> {
    let list = findings.iter().map(|finding| {
        let grade = match finding.grade {
            Grade::Fine => "ok",
            Grade::Caution => "look",
            Grade::Wrong => "wrong",
        };
        json!({ "grade": grade, "about": finding.about, "found": finding.found, "mend": finding.mend })
    });
    match format {
        Format::Json => output::answer(format, &list.collect())?,
        Format::Text => output::line(&findings.iter().map(Finding::line).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(())
}
