//! I5: a kill switch on top of this snapshot stops everybody.

use std::collections::BTreeSet;

use policy::{Directive, Snapshot, SnapshotDocument};
use serde_json::{Value, json};
use terms::{ModelFamily, Moment};

use super::{Asker, Broken, Claim, Fault, Property, Rulebook, Session, Verdict, permits};
use crate::{View, assume, rulebook, session::Heading};

const TITLE: &str = "a directive that prohibits everything to everybody, put on top of this snapshot, is passed by \
    nobody, although every policy of every directive and license of the snapshot is asked";
const ID: &str = "KILL-SWITCH-OF-THE-PROOF";

pub(super) async fn settle(session: &mut Session<'_>, book: &Rulebook<'_>) -> Result<Vec<Property>, Fault> {
    let heading = Heading { id: "I5", title: TITLE, about: "every model".to_owned() };
    let work = async |asker: &mut _| {
        let stopped = stopped(book.document())?;
        let view = View::of(&stopped);
        let with_switch = Rulebook::read(&view)?;
        denies_everybody(asker, book, &with_switch).await
    };
    Ok(vec![session.settle(heading, work).await?])
}

async fn denies_everybody(asker: &mut Asker, book: &Rulebook<'_>, with: &Rulebook<'_>) -> Result<Verdict, Broken> {
    let Some(gate) = with.gates.iter().find(|gate| gate.directive.id().as_str() == ID) else {
        return Ok(Verdict::proved("there is no model"));
    };
    let own = with.gates.iter().filter(|gate| gate.directive.id().as_str() == ID).flat_map(|gate| &gate.rules);
    let claim = Claim {
        book: with,
        shape: &with.release_shape,
        claim: &rulebook::set(own.chain(book.instruments())),
        bound: &permits(&[])?,
        assumed: &assume::about_directive(with, gate)?,
        gate: Some(gate),
        before: None,
    };
    claim.settle(asker, "denies everybody").await
}

/// Compiles the snapshot again with a directive on top that prohibits all its models to everybody.
fn stopped(document: &SnapshotDocument) -> Result<Snapshot, Broken> {
    let mut document = document.clone();
    let families = document.models.iter().map(|model| model.family.clone()).collect();
    if !document.models.is_empty() {
        document.directives.push(kill_switch(&families)?);
    }
    Snapshot::compile(document).map_err(|faults| {
        let whys: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Broken(format!("with a kill switch on top the snapshot does not compile: {}", whys.join("; ")))
    })
}

fn kill_switch(families: &BTreeSet<ModelFamily>) -> Result<Directive, Broken> {
    let from = Moment::from_millis(0);
    let document: Value = json!({
        "type": "directive/v1", "id": ID, "version": 1,
        "issuer": {"agency": "the lab", "official": "whoever is on duty"},
        "authority": [{"cite": "internal: emergency stop"}],
        "received_at": from, "effective_at": from, "expires_at": null,
        "status": "in_force", "status_since": from,
        "models": {"families": families}, "effect": "prohibit",
        "person_scope": {"deny": "everyone"}, "destination_scope": {"deny": "none"}, "entity_scope": {"deny": "none"},
        "evidence": {"min_assurance": "ial2", "max_age_hours": 1},
        "obligations": [], "source": {"sha256": "0".repeat(64)},
    });
    Directive::parse(document.to_string().as_bytes()).map_err(Broken::because)
}
