//! Everything under another name, or at another time: changes to whatever a document says in one place or another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use policy::{CallerFacts, Facts, SnapshotDocument};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use terms::{Moment, Person};

use super::Situation;

/// Begins the new name of an instrument: in front, so that instruments stay in order, for of two licenses that cover a
/// call the first is its basis.
const NEW: &str = "n-";

/// Returns a provision under the name that its instrument had.
pub(super) fn old(provision: &str) -> &str {
    provision.strip_prefix(NEW).unwrap_or(provision)
}

/// Gives everybody and everything but models another name; people and organizations come in another order by it.
pub(super) fn rename(before: &Situation) -> anyhow::Result<Situation> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let instruments = instruments(&before.document);
    names.extend(instruments.iter().map(|name| (name.clone(), format!("{NEW}{name}"))));
    let others = others(&before.facts);
    let last = others.len();
    names.extend(others.into_iter().enumerate().map(|(at, name)| {
        let new = format!("r{:03}-{name}", last - at);
        (name, new)
    }));
    let rename = |text: &mut String| {
        if let Some(new) = names.get(text) {
            text.clone_from(new);
        }
    };
    rewritten(before, &rename)
}

/// Lets everything happen so much later.
pub(super) fn later(before: &Situation, by: Duration) -> anyhow::Result<Situation> {
    let shift = |text: &mut String| {
        if let Ok(moment) = Moment::parse(text) {
            *text = moment.plus(by).to_string();
        }
    };
    rewritten(before, &shift)
}

fn rewritten(before: &Situation, change: &dyn Fn(&mut String)) -> anyhow::Result<Situation> {
    Ok(Situation { document: reread(&before.document, change)?, facts: reread(&before.facts, change)? })
}

fn reread<T: Serialize + DeserializeOwned>(value: &T, change: &dyn Fn(&mut String)) -> anyhow::Result<T> {
    let mut value = serde_json::to_value(value)?;
    rewrite(&mut value, change);
    Ok(serde_json::from_value(value)?)
}

fn rewrite(value: &mut Value, change: &dyn Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| rewrite(value, change)),
        Value::Object(fields) => fields.values_mut().for_each(|value| rewrite(value, change)),
        _ => {}
    }
}

fn instruments(document: &SnapshotDocument) -> BTreeSet<String> {
    let directives = document.directives.iter().map(|directive| directive.id().to_string());
    directives.chain(document.licenses.iter().map(|license| license.id().to_string())).collect()
}

fn others(facts: &Facts) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        facts.organizations.iter().map(|organization| organization.id.to_string()).collect();
    names.insert(facts.credential.id.to_string());
    if let CallerFacts::Workload { workload, .. } = &facts.caller {
        names.insert(workload.id.to_string());
    }
    super::changes::people(&facts.caller).for_each(|person| name_all(person, &mut names));
    names
}

fn name_all(person: &Person, names: &mut BTreeSet<String>) {
    names.insert(person.id.to_string());
    for attestation in &person.attestations {
        names.extend([attestation.id.to_string(), attestation.issuer.to_string()]);
    }
    for affiliation in &person.affiliations {
        names.extend([affiliation.id.to_string(), affiliation.issuer.to_string()]);
    }
}
