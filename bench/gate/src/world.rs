//! Who calls under what: taken from the cases, so that what is counted is a decision that a lawyer can read.

use anyhow::Context;
use policy::{License, Snapshot, SnapshotDocument};
use testkit::cases::{self, Check};

/// Instruments in force: a directive, and approval lists that all name the model asked for.
const INSTRUMENTS: usize = 40;

/// Returns a case after the approval list, with [`INSTRUMENTS`] in force.
///
/// # Errors
///
/// The case cannot be read or is not in the tree.
pub(crate) fn check(case: &str) -> anyhow::Result<Check> {
    let cases = cases::load(&cases::directory())?;
    let case =
        cases.into_iter().find(|known| known.id == case).with_context(|| format!("there is no case `{case}`"))?;
    let check = case.checks.into_iter().find(|check| check.stage == "june_26");
    let mut check = check.context("the case has no check after the approval list")?;
    fill(&mut check.document)?;
    Ok(check)
}

/// Compiles what is in force.
///
/// # Errors
///
/// It does not compile.
pub(crate) fn snapshot(check: &Check) -> anyhow::Result<Snapshot> {
    Snapshot::compile(check.document.clone()).map_err(|faults| anyhow::anyhow!("{faults:?}"))
}

/// Adds copies of the approval list under other ids: the worst case, for all name the same models and grantees.
fn fill(document: &mut SnapshotDocument) -> anyhow::Result<()> {
    let mut list = serde_json::to_value(document.licenses.first().context("no license is in force")?)?;
    for at in document.directives.len() + document.licenses.len()..INSTRUMENTS {
        if let Some(id) = list.get_mut("id") {
            *id = format!("LTR-{at}").into();
        }
        document.licenses.push(License::parse(list.to_string().as_bytes())?);
    }
    Ok(())
}
