//! Mistakes of every kind are refuted, and the counterexample is somebody.

use policy::{CallerFacts, Regime, Snapshot};
use prover::{Answer, Proofs, View};
use serde_json::json;
use terms::Screening;

use crate::world::{annex_a, counterexample, failure, finding, june_12, property, proved, proved_of, snapshot};

#[test]
fn a_license_whose_policy_forgets_the_roles_lets_a_foreign_person_through_and_is_refuted() {
    let proofs = with_license_policy(
        r#"@id("LTR-2026-06-26.sloppy") @basis("approval list") @cite("LTR-2026-06-26 version 1")
           permit (principal, action == Action::"release", resource in Directive::"DIR-2026-06-12")
           when { context.standing != "unattested" };"#,
    );
    let found = counterexample(&proofs, "I1", "DIR-2026-06-12 version 1 on mythos-5");
    assert_eq!(found.cedar, Answer::Permits { by: vec!["LTR-2026-06-26.sloppy".to_owned()] });
    assert!(found.description.starts_with("a foreign person"), "{}", found.description);
    assert_eq!(found.context["standing"], "\"foreign_person\"");
    assert!(found.facts.is_some());
    // The snapshot that decides does not have the policy: the two disagree, and it is said.
    assert!(matches!(&found.decide, Some(Answer::Refuses { .. })), "{found:#?}");
    assert!(!found.confirmed);
    assert!(!proofs.passed());
}

#[test]
fn a_policy_that_reaches_beyond_its_directive_would_pass_a_kill_switch_and_is_refuted() {
    let proofs = with_license_policy(
        r#"@id("LTR-2026-06-26.wide") @basis("approval list") @cite("LTR-2026-06-26 version 1")
           permit (principal, action == Action::"release", resource)
           when { context.roles.contains(Role::"LTR-2026-06-26@1/grantee/employee") };"#,
    );
    let found = counterexample(&proofs, "I5", "every model");
    assert_eq!(found.cedar, Answer::Permits { by: vec!["LTR-2026-06-26.wide".to_owned()] });
}

#[test]
fn a_document_that_widens_without_a_new_version_is_refuted_and_the_real_decision_confirms_it() {
    let mut strict = june_12();
    strict["destination_scope"] = json!({"deny": "all_foreign", "unsettled": false});
    let proofs = proved(Some(&snapshot(&[strict], &[])), &snapshot(&[june_12()], &[annex_a()]));
    let found = counterexample(&proofs, "I2", "mythos-5");
    assert!(found.confirmed, "{found:#?}");
    assert!(found.cedar.permits());
    assert!(matches!(&found.before, Some(Answer::Refuses { .. })));
    assert!(matches!(&found.decide, Some(Answer::Permits { .. })));
    assert!(found.description.contains("United States") || found.description.starts_with("a "), "{found:#?}");
}

#[test]
fn weaker_evidence_without_a_new_version_is_not_let_by() {
    let mut strict = june_12();
    strict["evidence"]["max_age_hours"] = json!(1);
    let before = snapshot(&[strict], &[]);
    let proofs = proved(Some(&before), &snapshot(&[june_12()], &[]));
    assert_eq!(failure(&proofs, "I2", "mythos-5"), "asks for other evidence than before, and has no new version");
    let mut next = june_12();
    next["version"] = json!(2);
    let proofs = proved(Some(&before), &snapshot(&[next], &[]));
    assert_eq!(finding(&proofs, "I2", "mythos-5"), "narrows; asks for other evidence than before");
}

#[test]
fn a_contractor_whom_the_list_does_not_cover_is_found_if_a_policy_covers_them() {
    let proofs = with_license_policy(
        r#"@id("LTR-2026-06-26.contractors") @basis("approval list") @cite("LTR-2026-06-26 version 1")
           permit (principal, action == Action::"release", resource)
           when {
             resource in Directive::"DIR-2026-06-12" && resource in Family::"mythos-5"
             && context.standing == "foreign_person" && context has location
             && context.roles.contains(Role::"LTR-2026-06-26@1/grantee/contractor")
           };"#,
    );
    let found = counterexample(&proofs, "I1", "on mythos-5");
    let CallerFacts::Person { person } = &found.facts.as_ref().unwrap().caller else { panic!("{found:#?}") };
    assert_eq!(person.affiliations[0].organization.as_str(), "northgate-grid");
    assert!(found.description.starts_with("a foreign person in "), "{}", found.description);
    assert!(found.description.ends_with(", contractor of a grantee of LTR-2026-06-26"), "{}", found.description);
}

#[test]
fn without_a_forbid_of_the_law_somebody_it_forbids_is_found() {
    let listed = snapshot(&[june_12()], &[annex_a()]);
    let mut view = View::of(&listed);
    for era in &mut view.formal.eras {
        era.serve.retain(|policy| !policy.contains("base.entity-list"));
    }
    let proofs = proved_of(&view);
    let found = counterexample(&proofs, "I3", "Entity List");
    assert!(found.cedar.permits());
    let CallerFacts::Person { person } = &found.facts.as_ref().unwrap().caller else { panic!("{found:#?}") };
    assert_eq!(person.screening, Screening::EntityListed);
    assert!(matches!(&found.decide, Some(Answer::Refuses { .. })), "the snapshot itself still forbids");
    assert_eq!(finding(&proofs, "I3", "a denied person"), "forbidden to everybody");
}

#[test]
fn a_second_basis_for_serving_a_controlled_model_is_refuted() {
    let listed = snapshot(&[june_12()], &[annex_a()]);
    let mut view = View::of(&listed);
    let friends = r#"@id("base.friends") @basis("friends") @cite("none")
        permit (principal, action == Action::"serve", resource) when { context.controlled };"#;
    view.formal.eras[0].serve.push(friends.to_owned());
    let found = &proved_of(&view);
    assert_eq!(
        counterexample(found, "I1", "every model").cedar,
        Answer::Permits { by: vec!["base.friends".to_owned()] }
    );
}

#[test]
fn a_policy_without_a_basis_and_an_id_that_is_there_twice_are_named() {
    let proofs = with_license_policy(
        r#"@id("LTR-2026-06-26.grantees") @version("1") @cite("LTR-2026-06-26 version 1")
           permit (principal, action == Action::"release", resource) when { false };"#,
    );
    assert_eq!(
        failure(&proofs, "I4", "policies"),
        "`LTR-2026-06-26.grantees` has no `@basis`; two policies have the id `LTR-2026-06-26.grantees@1`"
    );
}

#[test]
fn a_policy_that_is_not_well_typed_is_reported_with_its_place() {
    let proofs = with_license_policy(
        "@id(\"x\") @basis(\"x\") @cite(\"x\")\n\
         permit (principal, action == Action::\"release\", resource)\nwhen { context.nationality == \"XX\" };",
    );
    let why = failure(&proofs, "V1", "policies");
    assert!(why.contains("`x`") && why.contains("nationality") && why.contains("(line 3 column 8)"), "{why}");
    assert!(!proofs.passed());
}

#[test]
fn a_policy_that_can_fail_is_found_with_the_question_at_which_it_does() {
    let proofs = with_license_policy(
        r#"@id("x") @basis("x") @cite("x") permit (principal, action == Action::"release", resource)
           when { 9223372036854775807 + (if context.resells then 1 else 0) < 0 };"#,
    );
    let found = counterexample(&proofs, "V2", "policies");
    assert_eq!(found.context["resells"], "true");
    assert!(matches!(&found.cedar, Answer::Errs { .. }));
    assert_eq!(finding(&proofs, "V1", "policies"), "no fault");
}

#[test]
fn what_a_broken_policy_does_not_touch_is_still_proved() {
    let proofs = with_license_policy("@id(\"x\") permit (principal, action == Action::\"release\", resource);");
    assert_eq!(finding(&proofs, "I3", "a denied person"), "forbidden to everybody");
    assert!(property(&proofs, "I1", "on fable-5").verdict.is_proved(), "the license does not name fable-5");
}

#[test]
fn a_regime_that_suspends_what_no_license_waives_is_refuted_in_that_era() {
    let regime = json!({
        "type": "regime/v1", "id": "us-lenient", "version": 1, "as_of": "2026-11-21",
        "issuer": {"agency": "none", "official": "none"},
        "provisions": [{
            "id": "base.blocked-party", "cite": "none",
            "in_force": [{"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}],
        }],
    });
    let mut document = snapshot(&[june_12()], &[annex_a()]).document().clone();
    document.regimes.push(Regime::parse(regime.to_string().as_bytes()).unwrap());
    let lenient = Snapshot::compile(document).unwrap();
    let proofs = proved(None, &lenient);
    let found = counterexample(&proofs, "I3", "a blocked person");
    assert!(found.description.contains("`blocked`"), "{}", found.description);
    assert!(property(&proofs, "I3", "a denied person").verdict.is_proved());
}

#[test]
fn a_nationality_that_a_policy_forgets_is_found_with_a_citizenship() {
    let mut directive = june_12();
    directive["person_scope"] = json!({"deny": "nationals_of", "groups": ["D:5"], "rule": "ear", "unknown": "hold"});
    let barred = snapshot(&[directive], &[]);
    let mut view = View::of(&barred);
    for gate in &mut view.formal.gates {
        gate.rules.push(
            r#"@id("x") @basis("x") @cite("x") permit (principal, action == Action::"release", resource)
               when { context.standing == "foreign_person" && context has ear && context.ear.contains(Group::"D:5") };"#
                .to_owned(),
        );
    }
    let proofs = proved_of(&view);
    let found = counterexample(&proofs, "I1", "on mythos-5");
    assert_eq!(found.not_carried, Vec::<String>::new(), "{found:#?}");
    assert!(found.description.contains("a citizen of "), "{}", found.description);
    let Some(Answer::Refuses { why }) = &found.decide else { panic!("{found:#?}") };
    assert!(why.contains("foreign") || why.contains("national"), "{why}");
}

fn with_license_policy(text: &str) -> Proofs {
    let listed: Snapshot = snapshot(&[june_12()], &[annex_a()]);
    let mut view = View::of(&listed);
    view.formal.licenses[0].rules.push(text.to_owned());
    proved_of(&view)
}
