//! Answers of each vendor's API, as its reference shows them, and what they come to.

use serde_json::json;

use super::*;

fn look(kind: ObjectKind, id: &str) -> Look {
    Look { kind, id: ObjectId::try_from(id.to_owned()).unwrap() }
}

fn stripe(change: impl FnOnce(&mut Value)) -> Finding {
    let mut answer = json!({
        "id": "vs_1", "object": "identity.verification_session", "status": "verified", "livemode": true,
        "client_reference_id": "ada-7", "redaction": null,
        "last_verification_report": {
            "id": "vr_1", "object": "identity.verification_report", "created": 1_795_170_000,
            "document": {
                "status": "verified", "type": "passport", "issuing_country": "US", "number": "not to be kept",
                "expiration_date": { "day": 1, "month": 5, "year": 2030 }, "dob": { "day": 2, "month": 3, "year": 1990 },
            },
            "selfie": { "status": "verified" },
        },
    });
    change(&mut answer);
    VendorKind::Stripe.finding(&look(ObjectKind::Session, "vs_1"), &answer, &[]).unwrap()
}

fn claims(finding: &Finding) -> &Value {
    match &finding.state {
        State::Verified(claims) => claims,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_of_stripe_comes_to_claims_with_its_document_and_no_number() {
    let finding = stripe(|_| ());
    assert_eq!(finding.subject.as_ref().map(SubjectName::as_str), Some("ada-7"));
    let expected = json!({
        "verification": {
            "trust_framework": "us_nist_800_63_4", "assurance_level": "ial2", "verification_process": "vs_1",
            "time": "2026-11-20T10:20:00Z",
            "evidence": [{ "type": "document", "document_details": {
                "type": "passport", "date_of_expiry": "2030-05-01", "issuer": { "country_code": "US" },
            } }],
        },
        "claims": { "nationalities": ["US"] },
    });
    assert_eq!(claims(&finding), &expected);
}

#[test]
fn a_session_of_stripe_without_a_face_or_passport_comes_to_less() {
    let faceless = stripe(|answer| answer["last_verification_report"]["selfie"] = Value::Null);
    assert_eq!(claims(&faceless)["verification"]["assurance_level"], "ial1");
    let license = stripe(|answer| answer["last_verification_report"]["document"]["type"] = json!("driving_license"));
    assert_eq!(claims(&license)["claims"]["nationalities"], json!([]));
    let failed = stripe(|answer| answer["last_verification_report"]["document"]["status"] = json!("unverified"));
    assert_eq!(failed.state, State::Open);
}

#[test]
fn what_stripe_says_of_a_session_is_told_apart() {
    let state = |status: &str| stripe(|answer| answer["status"] = json!(status)).state;
    assert_eq!([state("canceled"), state("requires_input")], [State::Failed, State::Failed]);
    assert_eq!(state("processing"), State::Open);
    let redacted = stripe(|answer| answer["redaction"] = json!({ "status": "redacted" }));
    assert_eq!(redacted.state, State::Gone, "whatever its status says");
}

fn persona(attributes: &Value, included: Value) -> Finding {
    let answer =
        json!({ "data": { "type": "inquiry", "id": "inq_1", "attributes": attributes }, "included": included });
    VendorKind::Persona.finding(&look(ObjectKind::Session, "inq_1"), &answer, &[]).unwrap()
}

#[test]
fn an_inquiry_of_persona_counts_for_the_document_that_passed() {
    let approved = json!({ "status": "approved", "reference-id": "ada-7", "completed-at": "2026-11-20T10:00:00.000Z" });
    let passport = json!({ "type": "verification/government-id-nfc", "attributes": {
        "status": "passed", "country-code": "FR", "id-class": "pp", "expiration-date": "2031-01-01",
    } });
    let selfie = json!({ "type": "verification/selfie", "attributes": { "status": "passed" } });
    let finding = persona(&approved, json!([passport, selfie]));
    assert_eq!(claims(&finding)["claims"]["nationalities"], json!(["FR"]));
    assert_eq!(claims(&finding)["verification"]["assurance_level"], "ial2");
    assert_eq!(persona(&approved, json!([selfie])).state, State::Open, "approved by hand, without any document");
    let failed =
        json!({ "type": "verification/government-id", "attributes": { "status": "failed", "id-class": "pp" } });
    assert_eq!(persona(&approved, json!([failed])).state, State::Open);
    assert_eq!(persona(&json!({ "status": "declined" }), json!([passport])).state, State::Failed);
    let timeless = json!({ "status": "approved", "reference-id": "ada-7" });
    assert_eq!(persona(&timeless, json!([passport])).state, State::Open, "of no time, it could be of any");
    let redacted = json!({ "status": "approved", "redacted-at": "2026-11-20T11:00:00Z" });
    assert_eq!(persona(&redacted, json!([passport])).state, State::Gone);
}

#[test]
fn a_check_of_onfido_counts_for_its_clear_reports() {
    let check = look(ObjectKind::Check, "chk-1");
    let answer = json!({
        "id": "chk-1", "status": "complete", "result": "clear", "applicant_id": "app-7", "report_ids": ["r-1", "r-2"],
        "created_at": "2026-11-20T10:00:00Z",
    });
    assert_eq!(VendorKind::Onfido.details(&check, &answer).unwrap(), ["/v3.6/reports/r-1", "/v3.6/reports/r-2"]);
    let document = json!({ "id": "r-1", "name": "document", "result": "clear", "properties": {
        "document_type": "passport", "issuing_country": "KOR", "nationality": "KOR", "date_of_expiry": "2030-05-01",
    } });
    let face = json!({ "id": "r-2", "name": "facial_similarity_photo", "result": "clear" });
    let found = |details: &[Value]| VendorKind::Onfido.finding(&check, &answer, details).unwrap();
    assert_eq!(claims(&found(&[document.clone(), face]))["verification"]["assurance_level"], "ial2");
    assert_eq!(claims(&found(std::slice::from_ref(&document)))["verification"]["assurance_level"], "ial1");
    let mut foreign = document.clone();
    foreign["id"] = json!("r-9");
    assert!(VendorKind::Onfido.finding(&check, &answer, &[foreign]).is_err());
    let mut timeless = answer.clone();
    timeless["created_at"] = Value::Null;
    let read = VendorKind::Onfido.finding(&check, &timeless, std::slice::from_ref(&document)).unwrap();
    assert_eq!(read.state, State::Open);
    let mut doubtful = document;
    doubtful["result"] = json!("consider");
    assert_eq!(found(&[doubtful]).state, State::Open);
    let mut consider = answer.clone();
    consider["result"] = json!("consider");
    assert_eq!(VendorKind::Onfido.finding(&check, &consider, &[]).unwrap().state, State::Failed);
}

#[test]
fn a_run_of_onfido_counts_only_if_its_output_says_what_was_seen() {
    let run = look(ObjectKind::Session, "run-1");
    let found = |answer: Value| VendorKind::Onfido.finding(&run, &answer, &[]).unwrap().state;
    let output =
        json!({ "document_type": "passport", "issuing_country": "USA", "nationality": "USA", "face_match": true });
    let approved = json!({
        "id": "run-1", "status": "approved", "applicant_id": "app-7", "created_at": "2026-11-20T10:00:00Z",
        "output": output,
    });
    assert!(matches!(found(approved.clone()), State::Verified(_)));
    let mut bare = approved;
    bare["output"] = json!({ "score": 7 });
    assert_eq!(found(bare), State::Open);
    assert_eq!(found(json!({ "id": "run-1", "status": "declined" })), State::Failed);
}

#[test]
fn an_answer_about_another_object_is_none() {
    let elsewhere = |kind: VendorKind, object: ObjectKind, answer: Value| {
        let asked = look(object, "asked-1");
        assert!(kind.finding(&asked, &answer, &[]).is_err(), "{answer}");
    };
    let session = json!({ "id": "other-1", "status": "canceled" });
    elsewhere(VendorKind::Stripe, ObjectKind::Session, session.clone());
    let inquiry = json!({ "data": { "id": "other-1", "attributes": { "status": "declined" } } });
    elsewhere(VendorKind::Persona, ObjectKind::Session, inquiry);
    for object in ObjectKind::ALL {
        elsewhere(VendorKind::Onfido, object, session.clone());
        assert_eq!(ObjectKind::parse(object.as_str()), Some(object));
    }
}

#[test]
fn an_id_that_would_lead_elsewhere_is_none() {
    for text in ["", "../a", "a/b", "a?b", "a%2f", "ä", &"x".repeat(65)] {
        assert!(ObjectId::try_from(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn deliveries_of_another_shape_are_refused() {
    for body in [
        &b""[..],
        b"[]",
        b"{}",
        b"{\"id\":\"evt_1\",\"id\":\"evt_2\",\"type\":\"x\",\"data\":{\"object\":{}}}",
        b"{\"data\":{\"id\":\"evt_1\"}}",
        b"{\"payload\":{\"resource_type\":\"check\",\"object\":{\"id\":7}}}",
        b"\xff",
    ] {
        for kind in [VendorKind::Stripe, VendorKind::Persona, VendorKind::Onfido] {
            assert!(kind.event(body).is_err(), "{kind:?} {body:?}");
        }
    }
}
