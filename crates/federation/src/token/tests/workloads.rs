//! Programs (RFC 7523): the token of a platform for a token of the workload that a rule names, and word about the person
//! for whom one calls.

use control::WorkloadUpdate;
use jose::Object;
use serde_json::json;
use terms::{ChannelId, SubjectName, WorkloadId};

use super::{super::Presenter, world::*};

const TXN_TOKEN: &str = "urn:ietf:params:oauth:token-type:txn_token";

#[tokio::test]
async fn a_service_account_becomes_the_workload_with_its_owners() {
    let sts = Sts::new();
    sts.rule("api", |_| {}).unwrap();
    let reply = sts.bearer(&sts.assertion(|_| {}), Some("api")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!((&reply.body["token_type"], &reply.body["expires_in"]), (&json!("Bearer"), &json!(300)));
    assert!(reply.body.get("issued_token_type").is_none());
    let claims = reply.claims();
    assert_eq!((&claims["sub"], &claims["org"]), (&json!("workload:api"), &json!("larkspur")));
    assert_eq!((&claims["client_id"], &claims["owners"]), (&json!("rule:api"), &json!(["ada"])));
    let src = &claims["src"];
    assert_eq!((&src["channel"], &src["sub"]), (&json!("larkspur-k8s"), &json!("system:serviceaccount:prod:api")));
    assert_eq!(src["began"], claims["iat"]);
    assert!(src["rests_on"][0].as_str().unwrap().starts_with("rule:api:"), "{src}");
}

#[tokio::test]
async fn tokens_of_a_rule_that_was_removed_or_changed_are_over_and_those_of_the_rule_set_anew_are_not() {
    let sts = Sts::new();
    let lab = sts.client("lab", None, &["token.introspect"]);
    let rule = sts.rule("api", |rule| rule["reusable"] = json!(true)).unwrap();
    let issued = async || sts.bearer(&sts.assertion(|_| {}), None).await.token();
    let active = async |token: &str| sts.introspect(("lab", &lab), token).await.body["active"] == true;
    let first = issued().await;
    let acting = [("actor_token", first.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let behind = sts.exchange_with(&sts.id_token(|_| {}), &acting).await.token();
    sts.rule("api", |rule| rule["reusable"] = json!(true)).unwrap();
    assert!(active(&first).await && active(&behind).await, "the same rule again is no change");
    super::super::remove_rule(&sts.federation(), &rule.id).unwrap();
    assert!(!active(&first).await && !active(&behind).await);
    assert_eq!(sts.exchange_with(&sts.id_token(|_| {}), &acting).await.error(), "invalid_grant");
    let name = claims_of(&first)["src"]["rests_on"][0].as_str().unwrap().to_owned();
    let (channel, name) = (ChannelId::parse("larkspur-k8s").unwrap(), SubjectName::parse(&name).unwrap());
    assert!(sts.world.control.directory().session_ended(&channel, &name), "calls under way with it end");
    sts.rule("api", |rule| rule["reusable"] = json!(true)).unwrap();
    let second = issued().await;
    assert!(active(&second).await && !active(&first).await);
    sts.rule("api", |rule| (rule["reusable"], rule["lifetime_s"]) = (json!(true), json!(60))).unwrap();
    assert!(!active(&second).await && active(&issued().await).await);
}

#[tokio::test]
async fn a_form_does_what_the_json_of_the_sdks_does_and_what_they_say_of_the_rule_must_be_so() {
    let sts = Sts::new();
    sts.rule("api", |rule| rule["reusable"] = json!(true)).unwrap();
    let assertion = sts.assertion(|_| {});
    for (name, value, status) in [
        ("federation_rule_id", "api", 200),
        ("organization_id", "larkspur", 200),
        ("service_account_id", "api", 200),
        ("federation_rule_id", "other", 400),
        ("federation_rule_id", "no rule", 400),
        ("organization_id", "umbra", 400),
        ("service_account_id", "other", 400),
    ] {
        let form = [("grant_type", BEARER), ("assertion", &assertion), (name, value)];
        let reply = sts.ask(&form).await;
        assert_eq!(reply.status.as_u16(), status, "{name}={value}: {}", reply.body);
        let body = json!({ "grant_type": BEARER, "assertion": assertion, name: value }).to_string();
        let json = sts.send("/v1/oauth/token", "application/json", &body, &[], Presenter::default()).await;
        assert_eq!((json.status, json.error()), (reply.status, reply.error()));
    }
}

#[tokio::test]
async fn an_assertion_that_is_wrong_in_any_way_gets_no_token() {
    let sts = Sts::new();
    sts.rule("api", |_| {}).unwrap();
    let now = seconds(sts.world.now());
    let wrong: Vec<(&str, Change)> = vec![
        ("another audience", Box::new(|c| c["aud"] = json!(["vault"]))),
        ("the audience of our tokens", Box::new(|c| c["aud"] = json!(RESOURCE))),
        ("expired", Box::new(move |c| c["exp"] = json!(now - 61))),
        ("no expiry", Box::new(|c| drop(c.as_object_mut().unwrap().remove("exp")))),
        ("from the future", Box::new(move |c| c["iat"] = json!(now + 61))),
        ("not yet valid", Box::new(move |c| c["nbf"] = json!(now + 61))),
        ("another account", Box::new(|c| c["sub"] = json!("system:serviceaccount:prod:api2"))),
        ("another namespace", Box::new(|c| c["sub"] = json!("system:serviceaccount:dev:api"))),
        ("several subjects", Box::new(|c| c["sub"] = json!(["system:serviceaccount:prod:api"]))),
        ("an issuer of people", Box::new(|c| c["iss"] = json!(IDP))),
        ("an unknown issuer", Box::new(|c| c["iss"] = json!("https://k8s.example"))),
        ("about itself", Box::new(|c| c["sub"] = json!(PLATFORM))),
    ];
    for (what, change) in wrong {
        let assertion = sts.assertion(change);
        for rule in [None, Some("api")] {
            let reply = sts.bearer(&assertion, rule).await;
            assert_eq!((reply.status.as_u16(), reply.error()), (400, "invalid_grant"), "{what}: {}", reply.body);
        }
    }
    let signed_by_provider = sts.idp.sign("JWT", &Object::new(), &claims_of(&sts.assertion(|_| {}))).unwrap();
    assert_eq!(sts.bearer(&signed_by_provider, Some("api")).await.error(), "invalid_grant");
    assert_eq!(sts.bearer(&sts.id_token(|_| {}), Some("api")).await.error(), "invalid_grant");
}

#[tokio::test]
async fn rules_tell_workloads_apart_by_subject_and_other_claims() {
    let sts = Sts::new();
    sts.workload("deploy", "larkspur", &["ada"], &[]);
    sts.workload("mesh", "larkspur", &["ada"], &[]);
    sts.rule("ci", |rule| {
        rule["claims"] = json!({ "sub": "repo:larkspur/site:ref:*", "ref": "refs/heads/main" });
        rule["workload"] = json!("deploy");
    })
    .unwrap();
    sts.rule("mesh", |rule| {
        rule["claims"] = json!({ "sub": "spiffe://larkspur.example/ns/prod/sa/mesh" });
        rule["workload"] = json!("mesh");
    })
    .unwrap();
    let of = |sub: &str, branch: Option<&str>| {
        sts.assertion(|c| {
            c["sub"] = json!(sub);
            if let Some(branch) = branch {
                c["ref"] = json!(branch);
            }
        })
    };
    let main = "refs/heads/main";
    for (sub, branch, expected) in [
        ("repo:larkspur/site:ref:refs/heads/main", Some(main), Some("workload:deploy")),
        ("repo:larkspur/site:ref:refs/heads/main", Some("refs/heads/evil"), None),
        ("repo:larkspur/site:ref:refs/heads/main", None, None),
        ("repo:larkspur/site-evil:ref:refs/heads/main", Some(main), None),
        ("repo:larkspur/site:pull_request", Some(main), None),
        ("spiffe://larkspur.example/ns/prod/sa/mesh", None, Some("workload:mesh")),
        ("spiffe://larkspur.example/ns/prod/sa/mesh/", None, None),
        ("spiffe://evil.example/ns/prod/sa/mesh", None, None),
    ] {
        let reply = sts.bearer(&of(sub, branch), None).await;
        let subject = (reply.status == 200).then(|| reply.claims()["sub"].as_str().unwrap().to_owned());
        assert_eq!(subject.as_deref(), expected, "{sub} {branch:?}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_workload_svid_needs_neither_a_time_of_issue_nor_a_name() {
    let sts = Sts::new();
    sts.rule("mesh", |rule| rule["claims"] = json!({ "sub": "spiffe://larkspur.example/*" })).unwrap();
    let svid = sts.assertion(|c| {
        c["sub"] = json!("spiffe://larkspur.example/ns/prod/sa/api");
        c.as_object_mut().unwrap().remove("iat");
    });
    assert_eq!(sts.bearer(&svid, None).await.status, 200);
    // It has no `jti`, and is still taken only once.
    assert_eq!(sts.bearer(&svid, None).await.error(), "invalid_grant");
}

#[tokio::test]
async fn an_assertion_is_taken_once_even_after_a_restart_unless_its_rule_allows_more() {
    let sts = Sts::new();
    sts.rule("api", |_| {}).unwrap();
    let once = sts.assertion(|c| c["jti"] = json!("a-1"));
    assert_eq!(sts.bearer(&once, None).await.status, 200);
    assert_eq!(sts.bearer(&once, None).await.error(), "invalid_grant");
    let resigned = sts.assertion(|c| (c["jti"], c["nonce"]) = (json!("a-1"), json!("n")));
    assert_eq!(sts.bearer(&resigned, None).await.error(), "invalid_grant");
    let sts = sts.reopened();
    assert_eq!(sts.bearer(&once, None).await.error(), "invalid_grant");
    sts.rule("api", |rule| rule["reusable"] = json!(true)).unwrap();
    assert_eq!(sts.bearer(&once, None).await.status, 200);
}

#[tokio::test]
async fn when_several_rules_fit_one_must_be_named() {
    let sts = Sts::new();
    sts.workload("other", "larkspur", &["ada"], &[]);
    sts.rule("api", |_| {}).unwrap();
    sts.rule("wide", |rule| {
        rule["claims"] = json!({ "sub": "system:serviceaccount:prod:*" });
        rule["workload"] = json!("other");
    })
    .unwrap();
    assert_eq!(sts.bearer(&sts.assertion(|_| {}), None).await.error(), "invalid_request");
    let named = sts.bearer(&sts.assertion(|_| {}), Some("wide")).await;
    assert_eq!(named.claims()["sub"], "workload:other");
}

#[tokio::test]
async fn a_workload_for_which_nobody_answers_gets_no_token() {
    let sts = Sts::new();
    sts.person("ben", "u-2");
    sts.workload("both", "larkspur", &["ada", "ben"], &[]);
    sts.rule("both", |rule| (rule["workload"], rule["reusable"]) = (json!("both"), json!(true))).unwrap();
    let assertion = sts.assertion(|_| {});
    let status = async || sts.bearer(&assertion, None).await.status.as_u16();
    assert_eq!(status().await, 200);
    sts.set_active("ada", false);
    assert_eq!(status().await, 200);
    sts.account("ben", "larkspur-idp", "u-2", terms::AccountState::Suspended, None);
    assert_eq!(status().await, 400);
    sts.set_active("ada", true);
    assert_eq!(status().await, 200);
    let off: WorkloadUpdate = of(json!({ "active": false }));
    let id = WorkloadId::parse("both").unwrap();
    sts.admin(|admin| admin.registrar().unwrap().update_workload(&id, off).map(drop));
    assert_eq!(status().await, 400);
}

#[tokio::test]
async fn a_removed_rule_gives_no_token() {
    let sts = Sts::new();
    let rule = sts.rule("api", |_| {}).unwrap();
    super::super::remove_rule(&sts.federation(), &rule.id).unwrap();
    assert_eq!(sts.bearer(&sts.assertion(|_| {}), Some("api")).await.error(), "invalid_grant");
    assert_eq!(sts.bearer(&sts.assertion(|_| {}), None).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_workload_gets_word_about_the_person_it_calls_for() {
    let sts = Sts::new();
    sts.rule("api", |_| {}).unwrap();
    let actor = sts.bearer(&sts.assertion(|_| {}), None).await.token();
    let form = [("requested_token_type", TXN_TOKEN), ("actor_token", &actor), ("actor_token_type", ACCESS_TOKEN)];
    let reply = sts.exchange_with(&sts.id_token(|_| {}), &form).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!((&reply.body["token_type"], &reply.body["issued_token_type"]), (&json!("N_A"), &json!(TXN_TOKEN)));
    let claims = reply.claims();
    assert_eq!((&claims["sub"], &claims["req_wl"]), (&json!("person:ada"), &json!("api")));
    assert_eq!((&claims["aud"], &claims["txn"]), (&json!(RESOURCE), &claims["jti"]));
    let said = jose::Unverified::parse(&reply.token(), &jose::usage::END_USER_ASSERTION).map(|_| ());
    assert_eq!(said, Ok(()));
    // It is no credential: neither to be exchanged nor to be asked about.
    assert_eq!(sts.ask(&exchange_form(&reply.token(), ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
}

#[tokio::test]
async fn nobody_but_a_workload_that_may_answer_the_person_gets_word_about_them() {
    let sts = Sts::new();
    sts.person("ben", "u-2");
    sts.workload("closed", "larkspur", &["ada"], &["ben"]);
    sts.rule("api", |_| {}).unwrap();
    sts.rule("closed", |rule| {
        rule["claims"] = json!({ "sub": "closed" });
        rule["workload"] = json!("closed");
    })
    .unwrap();
    let word = async |actor: Option<(&str, &str)>, subject: &str, kind: &str| {
        let mut form = vec![("requested_token_type", TXN_TOKEN)];
        form.extend(actor.iter().flat_map(|(token, kind)| [("actor_token", *token), ("actor_token_type", *kind)]));
        sts.ask(&exchange_form(subject, kind, &form)).await.error().to_owned()
    };
    let (ada, ben) = (sts.id_token(|_| {}), sts.id_token(|c| c["sub"] = json!("u-2")));
    let api = sts.bearer(&sts.assertion(|_| {}), None).await.token();
    let closed = sts.bearer(&sts.assertion(|c| c["sub"] = json!("closed")), None).await.token();
    assert_eq!(word(None, &ada, ID_TOKEN).await, "invalid_request");
    assert_eq!(word(Some((&ben, ID_TOKEN)), &ada, ID_TOKEN).await, "invalid_grant");
    assert_eq!(word(Some((&api, ACCESS_TOKEN)), &api, ACCESS_TOKEN).await, "invalid_grant");
    assert_eq!(word(Some((&closed, ACCESS_TOKEN)), &ada, ID_TOKEN).await, "invalid_grant");
    assert_eq!(word(Some((&closed, ACCESS_TOKEN)), &ben, ID_TOKEN).await, "");
}
