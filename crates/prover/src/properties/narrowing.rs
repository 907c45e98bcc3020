//! I2: a change widens nothing but what its documents say.

use policy::License;

use super::{Asker, Broken, Claim, Fault, Property, Rulebook, Session, Verdict, permits};
use crate::{
    assume, bounds,
    rulebook::{self, Gate, document_of},
    session::Heading,
    versions::OneName,
};

const TITLE: &str = "a directive that stays only narrows, and what widens does so only through licenses that were \
    added or changed, or by a new version of the directive";

pub(super) async fn settle(
    session: &mut Session<'_>,
    before: &Rulebook<'_>,
    after: &Rulebook<'_>,
) -> Result<Vec<Property>, Fault> {
    let names = OneName::of(before, after);
    let mut properties = Vec::new();
    for gate in &after.gates {
        let heading = Heading { id: "I2", title: TITLE, about: after.name(gate) };
        let work = async |asker: &mut _| match earlier(before, gate) {
            None => Ok(Verdict::proved("narrows: no such directive was there for this family")),
            Some(old) => {
                let assumed = assume::about_change(before, old, after, gate)?;
                Change { before, after, old, new: gate, assumed: &assumed, names: &names }.settle(asker).await
            }
        };
        properties.push(session.settle(heading, work).await?);
    }
    for gate in &before.gates {
        if !after.gates.iter().any(|new| continues(new, gate)) {
            let heading = Heading { id: "I2", title: TITLE, about: before.name(gate) };
            properties.push(session.settle(heading, async |_| Ok(ended(before, after, gate))).await?);
        }
    }
    Ok(properties)
}

/// Tells whether a gate is another's successor: of a directive with the same id or of one that supersedes it, for the
/// same models.
fn continues(new: &Gate<'_>, old: &Gate<'_>) -> bool {
    let by = new.directive.id() == old.directive.id() || new.directive.supersedes() == Some(old.directive.id());
    by && new.reached().eq(old.reached())
}

/// Finds the gate that a gate continues: of the same version of the directive, else of the nearest earlier one.
fn earlier<'b>(before: &'b Rulebook<'b>, gate: &Gate<'_>) -> Option<&'b Gate<'b>> {
    let version = gate.directive.version();
    let nearness = |old: &&Gate<'_>| {
        let same_id = old.directive.id() == gate.directive.id();
        let old = old.directive.version();
        (same_id, old <= version, if old <= version { old } else { u32::MAX - old })
    };
    before.gates.iter().filter(|old| continues(gate, old)).max_by_key(nearness)
}

/// Says of a gate that is no longer there whether the directive's document says so.
fn ended(before: &Rulebook<'_>, after: &Rulebook<'_>, gate: &Gate<'_>) -> Verdict {
    let id = gate.directive.id();
    let is_left = |family: &_| after.document().models.iter().any(|model| model.family == *family);
    if !before.models(gate).any(|model| is_left(&model.family)) {
        return Verdict::proved("ended: the snapshot has no such model version");
    }
    let later = after.document().directives.iter().filter(|directive| directive.id() == id);
    match later.map(policy::Directive::version).max() {
        None => Verdict::proved(format!("ended: the snapshot no longer has {id}")),
        Some(version) if version > gate.directive.version() => {
            Verdict::proved(format!("eased: {id} version {version} no longer names it"))
        }
        Some(version) => Verdict::failed(format!("{id} version {version} was there before and named it")),
    }
}

/// One gate before and after.
struct Change<'c> {
    before: &'c Rulebook<'c>,
    after: &'c Rulebook<'c>,
    old: &'c Gate<'c>,
    new: &'c Gate<'c>,
    assumed: &'c [cedar_policy::Policy],
    names: &'c OneName,
}

impl Change<'_> {
    async fn settle(&self, asker: &mut Asker) -> Result<Verdict, Broken> {
        if self.other_evidence() && !self.is_amended() {
            return Ok(Verdict::failed("asks for other evidence than before, and has no new version"));
        }
        let Some(newcomer) = self.find_beyond(asker, &[]).await? else {
            return Ok(Verdict::proved(self.with_evidence("narrows".to_owned())));
        };
        let (mut ways, mut findings) = self.ways_of_licenses();
        let mut beyond = self.find_beyond(asker, &ways).await?;
        if beyond.is_some()
            && self.is_amended()
            && let Some(eased) = bounds::own_terms(self.after, self.new.directive)?
        {
            let (id, version) = (self.new.directive.id(), self.new.directive.version());
            findings.push(format!("eased by {id} version {version}"));
            ways.push(eased);
            beyond = self.find_beyond(asker, &ways).await?;
        }
        Ok(match beyond {
            None => {
                let finding = self.with_evidence(findings.join("; "));
                Verdict::Proved { finding, example: Some(Box::new(newcomer)) }
            }
            Some(counterexample) => Verdict::Refuted { counterexample: Box::new(counterexample) },
        })
    }

    /// Tells whether the directive asks for other evidence: then people stand and work elsewhere in its eyes, which no
    /// rule shows.
    fn other_evidence(&self) -> bool {
        let evidence = |gate: &Gate<'_>| document_of(gate.directive).get("evidence").cloned();
        evidence(self.old) != evidence(self.new)
    }

    fn with_evidence(&self, finding: String) -> String {
        if self.other_evidence() { format!("{finding}; asks for other evidence than before") } else { finding }
    }

    /// Writes the ways that open through licenses that were added or changed, and says so.
    fn ways_of_licenses(&self) -> (Vec<String>, Vec<String>) {
        let is_old = |license: &License| self.before.document().licenses.contains(license);
        let asked = self.after.licenses().enumerate().filter(|(at, _)| self.new.licenses.contains(at));
        let changed: Vec<_> = asked.map(|(_, license)| license).filter(|(license, _)| !is_old(license)).collect();
        if changed.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let names = changed.iter().map(|(license, _)| format!("{} version {}", license.id(), license.version()));
        let finding = format!("widens only through {}", names.collect::<Vec<_>>().join(", "));
        (vec![bounds::with_role_under(changed.iter().map(|(_, rules)| *rules))], vec![finding])
    }

    /// Looks for somebody who passes now, did not pass before, and does not go one of these ways.
    async fn find_beyond(&self, asker: &mut Asker, ways: &[String]) -> Result<Option<crate::Example>, Broken> {
        let ways = self.names.write(&permits(ways)?)?;
        let before = self.names.write(&self.before.asked_of(self.old))?;
        let claim = Claim {
            book: self.after,
            shape: &self.after.release_shape,
            claim: &self.names.write(&self.after.asked_of(self.new))?,
            bound: &rulebook::set(before.policies().chain(ways.policies())),
            assumed: self.assumed,
            gate: Some(self.new),
            before: Some(self.before),
        };
        claim.find(asker).await
    }

    fn is_amended(&self) -> bool {
        self.new.directive.id() != self.old.directive.id()
            || self.new.directive.version() > self.old.directive.version()
    }
}
