//! The rules of one snapshot, read from their text: nothing here knows how the text was made.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Policy, PolicyId, PolicySet, RequestEnv, Schema};
use policy::{Directive, Formal, FormalLicense, License, Snapshot, SnapshotDocument};
use serde::Serialize;
use serde_json::Value;
use terms::ModelVersion;

use crate::Fault;

/// A snapshot and its rules as text.
///
/// The two come apart only on purpose: whoever wants to know what a policy would do adds its text to `formal`.
#[derive(Debug)]
pub struct View<'a> {
    /// The snapshot, which decides.
    pub snapshot: &'a Snapshot,
    /// Its rules, about which properties are proved.
    pub formal: Formal,
}

impl<'a> View<'a> {
    /// Views a snapshot as it is.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, formal: snapshot.formal() }
    }
}

/// The rules of one snapshot, parsed.
pub(crate) struct Rulebook<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) formal: &'a Formal,
    pub(crate) schema: Schema,
    /// What a `serve` question looks like.
    pub(crate) serve_shape: RequestEnv,
    /// What a `release` question looks like.
    pub(crate) release_shape: RequestEnv,
    /// What holds whatever instruments there are, in each era that differs from the others.
    pub(crate) eras: Vec<Vec<Policy>>,
    pub(crate) gates: Vec<Gate<'a>>,
    /// The policies of each license, as [`Formal::licenses`] counts them.
    pub(crate) licenses: Vec<Vec<Policy>>,
}

/// Model versions that stand under one directive in the same way, so that one proof is about all of them.
pub(crate) struct Gate<'a> {
    pub(crate) directive: &'a Directive,
    /// Where the model versions stand in the document.
    pub(crate) models: Vec<usize>,
    pub(crate) parents: &'a BTreeSet<String>,
    pub(crate) rules: Vec<Policy>,
    /// Where the licenses stand that are asked about it.
    pub(crate) licenses: &'a [usize],
}

impl<'a> Rulebook<'a> {
    pub(crate) fn read(view: &'a View<'a>) -> Result<Self, Fault> {
        let formal = &view.formal;
        let (schema, _) = Schema::from_cedarschema_str(&formal.schema).map_err(Fault::rules)?;
        let licenses = formal.licenses.iter().map(|license| parse(&license.rules)).collect::<Result<_, _>>()?;
        Ok(Self {
            snapshot: view.snapshot,
            serve_shape: shape(&schema, "serve")?,
            release_shape: shape(&schema, "release")?,
            eras: eras(formal)?,
            gates: gates(view)?,
            licenses,
            schema,
            formal,
        })
    }

    pub(crate) fn document(&self) -> &'a SnapshotDocument {
        self.snapshot.document()
    }

    /// Returns every policy once, in a stable order.
    pub(crate) fn all(&self) -> Vec<&Policy> {
        let gates = self.gates.iter().flat_map(|gate| &gate.rules);
        distinct(self.eras.iter().flatten().chain(gates).chain(self.licenses.iter().flatten()))
    }

    /// Returns every policy of every directive and license once.
    pub(crate) fn instruments(&self) -> Vec<&Policy> {
        let gates = self.gates.iter().flat_map(|gate| &gate.rules);
        distinct(gates.chain(self.licenses.iter().flatten()))
    }

    /// Returns all that is asked about a gate: its own policies and those of its licenses.
    pub(crate) fn asked_of(&self, gate: &Gate<'_>) -> PolicySet {
        let licenses = gate.licenses.iter().filter_map(|at| self.licenses.get(*at)).flatten();
        set(gate.rules.iter().chain(licenses))
    }

    /// Returns every license and its rules, in order.
    pub(crate) fn licenses(&self) -> impl Iterator<Item = (&'a License, &'a FormalLicense)> + Clone {
        self.document().licenses.iter().zip(&self.formal.licenses)
    }

    /// Names a gate, such as `DIR-2026-06-12 version 1 on mythos-5`.
    pub(crate) fn name(&self, gate: &Gate<'_>) -> String {
        let reached: Vec<&str> = gate.reached().filter_map(|parent| parent.split('"').nth(1)).collect();
        let (id, version) = (gate.directive.id(), gate.directive.version());
        format!("{id} version {version} on {}", reached.join(" from "))
    }

    /// Returns the model versions of a gate.
    pub(crate) fn models(&self, gate: &Gate<'_>) -> impl Iterator<Item = &'a ModelVersion> {
        gate.models.iter().filter_map(|at| self.document().models.get(*at))
    }
}

impl<'a> Gate<'a> {
    /// Returns what the gate is in beside the directive: the model's family, and what it was derived from.
    ///
    /// The family comes first.
    pub(crate) fn reached(&self) -> impl Iterator<Item = &'a String> {
        self.parents.iter().rev().filter(|parent| !parent.starts_with("Directive::"))
    }
}

/// Finds what a question for an action looks like; the schema gives each action one kind of each.
fn shape(schema: &Schema, action: &str) -> Result<RequestEnv, Fault> {
    let mut shapes = schema.request_envs().filter(|shape| shape.action().id().unescaped() == action);
    match (shapes.next(), shapes.next()) {
        (Some(shape), None) => Ok(shape),
        _ => Err(Fault::rules(format!("the schema does not give the action `{action}` exactly one shape"))),
    }
}

/// Parses the rules of each era; eras with the same rules are one.
fn eras(formal: &Formal) -> Result<Vec<Vec<Policy>>, Fault> {
    let distinct: BTreeSet<&Vec<String>> = formal.eras.iter().map(|era| &era.serve).collect();
    distinct.into_iter().map(|texts| parse(texts)).collect()
}

fn gates<'a>(view: &'a View<'a>) -> Result<Vec<Gate<'a>>, Fault> {
    let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for gate in &view.formal.gates {
        let key = (gate.directive, &gate.parents, &gate.rules, &gate.licenses);
        alike.entry(key).or_default().push(gate.model);
    }
    let directives = &view.snapshot.document().directives;
    let unknown = || Fault::rules("a gate names a directive that the snapshot does not have");
    let gate = |((directive, parents, rules, licenses), models): ((usize, _, &'a Vec<String>, &'a Vec<usize>), _)| {
        let directive = directives.get(directive).ok_or_else(unknown)?;
        Ok(Gate { directive, models, parents, rules: parse(rules)?, licenses })
    };
    alike.into_iter().map(gate).collect()
}

fn parse(texts: &[String]) -> Result<Vec<Policy>, Fault> {
    texts.iter().map(|text| parse_one(text)).collect()
}

/// Parses one policy and names it by its `@id`, and by its `@version` if it has one.
pub(crate) fn parse_one(text: &str) -> Result<Policy, Fault> {
    let policy = Policy::parse(None, text).map_err(|error| Fault::rules(format!("{error}, in `{text}`")))?;
    let id = policy.annotation("id").unwrap_or_default();
    let id = policy.annotation("version").map_or_else(|| id.to_owned(), |version| format!("{id}@{version}"));
    Ok(policy.new_id(PolicyId::new(id)))
}

/// Returns a document as JSON; null if it has none, which no document of ours does.
pub(crate) fn document_of(document: &impl Serialize) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}

fn distinct<'p>(policies: impl Iterator<Item = &'p Policy>) -> Vec<&'p Policy> {
    let mut seen = BTreeSet::new();
    policies.filter(|policy| seen.insert((policy.id().clone(), policy.to_cedar()))).collect()
}

/// Puts policies into one set; two that differ and have the same id both stay.
pub(crate) fn set<'p>(policies: impl Iterator<Item = &'p Policy>) -> PolicySet {
    let mut set = PolicySet::new();
    for (at, policy) in distinct(policies).into_iter().enumerate() {
        if set.add(policy.clone()).is_err() {
            let other = PolicyId::new(format!("{}#{at}", policy.id()));
            let added = set.add(policy.new_id(other));
            debug_assert!(added.is_ok(), "no id has a place in it");
        }
    }
    set
}
