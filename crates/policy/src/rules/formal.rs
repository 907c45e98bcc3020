//! The rules as text with what each text is about: all that a prover needs, and nothing that decides.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{EntityUid, PolicySet};
use terms::{Engagement, Moment, Standing};

use super::{Gate, LicenseRules, Rules, SCHEMA, text::LIMBS, vocabulary};
use crate::Snapshot;

/// The rules of one snapshot as Cedar text, policy by policy, annotations included, in a stable order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Formal {
    /// The schema against which every policy is validated strictly.
    pub schema: String,
    /// The policies that say whether a model may be served to the parties at all, era by era.
    pub eras: Vec<FormalEra>,
    /// Every model version under every directive that names its family.
    pub gates: Vec<FormalGate>,
    /// Every license, in order of the document.
    pub licenses: Vec<FormalLicense>,
    /// How the rules spell each standing.
    pub standings: BTreeMap<String, Standing>,
    /// The groups of each country, by the country's code, as the rules spell them; a country in no group is left out.
    pub countries: BTreeMap<String, BTreeSet<String>>,
}

/// What holds whatever instruments there are, from one moment until the next era.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FormalEra {
    /// Since when.
    pub from: Moment,
    /// The policies that are then in force.
    pub serve: Vec<String>,
}

/// One model version under one directive, for which an authorization is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FormalGate {
    /// Where the directive stands in the document.
    pub directive: usize,
    /// Where the model version stands in the document.
    pub model: usize,
    /// What the gate is in, as the rules spell it: its version of the directive, the directive, the model's families.
    pub parents: BTreeSet<String>,
    /// The policies asked about it whatever license there is; a forbid among them also stops a license.
    pub rules: Vec<String>,
    /// Where the licenses stand in [`Formal::licenses`] that are asked about it.
    pub licenses: Vec<usize>,
}

/// The policies of one license, and what a person can be under it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FormalLicense {
    /// The license, as the rules spell it.
    pub uid: String,
    /// Its policies.
    pub rules: Vec<String>,
    /// Every role that a person can have under it.
    pub roles: Vec<FormalRole>,
}

/// A role that a person can have under a license.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FormalRole {
    /// The role, as the rules spell it.
    pub uid: String,
    /// True if it comes from being the lab's own staff, false if from acting for a named grantee.
    pub own_staff: bool,
    /// In what capacity.
    pub engagement: Engagement,
}

impl Snapshot {
    /// Returns the rules as text, for a prover.
    #[must_use]
    pub fn formal(&self) -> Formal {
        let rules = self.rules();
        Formal {
            schema: SCHEMA.to_owned(),
            eras: rules.eras.iter().map(|era| FormalEra { from: era.from, serve: texts(&era.serve) }).collect(),
            gates: gates(rules),
            licenses: rules.licenses.iter().map(license).collect(),
            standings: standings().map(|standing| (vocabulary::standing(standing).to_owned(), standing)).collect(),
            countries: countries(rules),
        }
    }
}

fn gates(rules: &Rules) -> Vec<FormalGate> {
    let gate = |model: usize, gate: &Gate| FormalGate {
        directive: gate.directive,
        model,
        parents: parents(rules, &gate.uid),
        rules: texts(&gate.rules),
        licenses: gate.licenses.clone(),
    };
    rules.models.values().flat_map(|model| model.gates.iter().map(move |g| gate(model.index, g))).collect()
}

fn license(license: &LicenseRules) -> FormalLicense {
    let role = |(&(own_staff, engagement), uid): (&(bool, Engagement), &EntityUid)| FormalRole {
        uid: uid.to_string(),
        own_staff,
        engagement,
    };
    FormalLicense {
        uid: license.uid.to_string(),
        rules: texts(&license.rules),
        roles: license.roles.iter().map(role).collect(),
    }
}

fn standings() -> impl Iterator<Item = Standing> {
    let limbs = LIMBS.into_iter().map(Standing::UsPerson);
    limbs.chain([Standing::ForeignPerson, Standing::Unattested])
}

fn countries(rules: &Rules) -> BTreeMap<String, BTreeSet<String>> {
    let all = rules.entities.iter().map(cedar_policy::Entity::uid);
    let countries = all.filter(|uid| rules.words.is_country(uid));
    countries.map(|uid| (uid.id().unescaped().to_owned(), parents(rules, &uid))).collect()
}

fn parents(rules: &Rules, uid: &EntityUid) -> BTreeSet<String> {
    rules.entities.ancestors(uid).into_iter().flatten().map(ToString::to_string).collect()
}

/// Returns the text of each policy, in order of their ids.
fn texts(set: &PolicySet) -> Vec<String> {
    let texts: BTreeMap<String, String> =
        set.policies().filter_map(|policy| Some((policy.id().to_string(), policy.to_cedar()?))).collect();
    texts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use crate::{CountryGroups, Directive, License, Regime, Snapshot, SnapshotDocument};

    const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");
    const ANNEX_A: &str = include_str!("../../../../examples/annex-a.license.json");

    #[test]
    fn the_texts_of_all_parts_together_are_the_rules_of_the_snapshot() {
        let snapshot = snapshot();
        let formal = snapshot.formal();
        let gates = formal.gates.iter().flat_map(|gate| &gate.rules);
        let licenses = formal.licenses.iter().flat_map(|license| &license.rules);
        let eras = formal.eras.iter().flat_map(|era| &era.serve);
        let mut parts: Vec<&String> = eras.chain(gates).chain(licenses).collect();
        parts.sort();
        parts.dedup();
        assert_eq!(parts.len(), snapshot.cedar().matches("@id(").count());
        for part in parts {
            assert!(snapshot.cedar().contains(part.trim()), "{part}");
        }
    }

    #[test]
    fn a_gate_knows_its_directive_its_family_and_its_licenses() {
        let formal = snapshot().formal();
        let gate = &formal.gates[0];
        let parents = ["Directive::\"DIR-2026-06-12\"", "Directive::\"DIR-2026-06-12@1\"", "Family::\"mythos-5\""];
        assert_eq!(gate.parents.iter().collect::<Vec<_>>(), parents);
        assert_eq!(gate.licenses, [0]);
        assert_eq!(formal.eras.len(), 4);
        assert_eq!(formal.licenses[0].roles.len(), 8);
        assert_eq!(formal.standings.len(), 8);
        assert!(formal.countries["US"].contains("Group::\"united_states\""));
    }

    #[test]
    fn a_license_that_reaches_derivatives_is_asked_about_a_model_derived_from_a_family_it_names() {
        let reaching = |text: &str| {
            let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
            json["models"]["include_derivatives"] = true.into();
            json.to_string()
        };
        let mut document = snapshot().document().clone();
        let model = serde_json::json!({
            "id": "sedge-1.0", "family": "sedge-1", "derived_from": "mythos-5", "control": "subject", "clearance": "open",
        });
        document.models = vec![serde_json::from_value(model).unwrap()];
        document.directives = vec![Directive::parse(reaching(JUNE_12).as_bytes()).unwrap()];
        document.licenses = vec![License::parse(reaching(ANNEX_A).as_bytes()).unwrap()];
        let formal = Snapshot::compile(document).unwrap().formal();
        assert_eq!(formal.gates[0].licenses, [0]);
        assert!(formal.gates[0].parents.contains("Derivative::\"mythos-5\""));
    }

    fn snapshot() -> Snapshot {
        let model = serde_json::json!({
            "id": "mythos-5.0", "family": "mythos-5", "control": "subject", "clearance": "open",
        });
        Snapshot::compile(SnapshotDocument {
            version: 1,
            epoch: 1,
            lab: terms::OrganizationId::parse("larkspur-labs").ok(),
            country_groups: CountryGroups::bundled(),
            regimes: vec![Regime::bundled()],
            models: vec![serde_json::from_value(model).unwrap()],
            aliases: Vec::new(),
            directives: vec![Directive::parse(JUNE_12.as_bytes()).unwrap()],
            licenses: vec![License::parse(ANNEX_A.as_bytes()).unwrap()],
        })
        .unwrap()
    }
}
