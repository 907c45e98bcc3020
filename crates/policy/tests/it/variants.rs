//! Every variant of every case, under the law that says how its answer may differ.

use std::collections::BTreeMap;

use policy::{Snapshot, SnapshotDocument, decide};
use testkit::cases::{
    self, Case,
    variants::{self, Answer, Law, Situation, Variant},
};

#[test]
fn no_variant_of_a_case_breaks_the_law_it_is_under() {
    let cases = cases::load(&cases::directory()).unwrap();
    let mut decider = Decider::default();
    let broken: Vec<String> =
        variants::of(&cases).unwrap().iter().filter_map(|variant| decider.breach(&cases, variant)).collect();
    assert!(broken.is_empty(), "{} of them:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn there_are_a_thousand_variants_of_all_forty_questions_and_many_under_each_law() {
    let cases = cases::load(&cases::directory()).unwrap();
    let variants = variants::of(&cases).unwrap();
    assert!(variants.len() >= 1_000, "{}", variants.len());
    for case in &cases {
        let laws: std::collections::BTreeSet<Law> =
            variants.iter().filter(|variant| variant.case == case.id).map(|variant| variant.law).collect();
        assert!(laws.len() >= 7, "{}: {laws:?}", case.id);
    }
    for law in Law::ALL {
        let under = variants.iter().filter(|variant| variant.law == law);
        let mut changes: BTreeMap<&str, usize> = BTreeMap::new();
        under.for_each(|variant| *changes.entry(variant.change).or_default() += 1);
        assert!(changes.values().sum::<usize>() >= 50, "{law}: {changes:?}");
        assert!(changes.values().all(|count| *count >= 5), "{law}: {changes:?}");
    }
}

#[test]
fn the_same_cases_give_the_same_variants() {
    let cases = cases::load(&cases::directory()).unwrap();
    let spelled = || format!("{:?}", variants::of(&cases).unwrap());
    assert!(spelled() == spelled());
}

#[test]
fn a_law_can_be_broken() {
    let answer = |verdict, code: Option<&str>| Answer {
        verdict,
        code: code.map(str::to_owned),
        provisions: vec!["base.published".to_owned()],
    };
    let permit = answer(cases::Verdict::Permit, None);
    let hold = answer(cases::Verdict::Hold, Some("location_unknown"));
    let deny = answer(cases::Verdict::Deny, Some("blocked"));
    for law in Law::ALL {
        assert!(law.allows(&deny, &deny), "{law}");
        let breaches =
            [(&permit, &deny), (&hold, &permit), (&hold, &deny)].iter().filter(|(a, b)| !law.allows(a, b)).count();
        assert!(breaches > 0, "{law} allows everything");
    }
}

/// Decides, and remembers what it compiled.
#[derive(Default)]
struct Decider(BTreeMap<Vec<u8>, Snapshot>);

impl Decider {
    fn breach(&mut self, cases: &[Case], variant: &Variant) -> Option<String> {
        let case = cases.iter().find(|case| case.id == variant.case).unwrap();
        let check = &case.checks[variant.check];
        let before = Answer::of(&decide(self.compiled(&check.document), &check.facts));
        let Situation { document, facts } = variant.steps.last().unwrap();
        let after = Answer::of(&decide(self.compiled(document), facts));
        let allowed = variant.law.allows(&before, &after);
        (!allowed).then(|| {
            let (stage, model) = (check.stage, &check.facts.model);
            format!("{} {stage} {model}, {}: {before:?}, then {after:?}", variant.case, variant.change)
        })
    }

    fn compiled(&mut self, document: &SnapshotDocument) -> &Snapshot {
        let key = serde_json::to_vec(document).unwrap();
        self.0.entry(key).or_insert_with(|| Snapshot::compile(document.clone()).unwrap())
    }
}
