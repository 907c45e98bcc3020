"""Deliveries that the vendors' own libraries sign, or at least take, against our endpoint: both must agree."""

import hashlib
import hmac
import json
import time

import onfido
import pytest
import stripe

NOW, BEFORE, OTHER = "whsec_of_now", "whsec_of_before", "whsec_of_somebody_else"
SESSION = "/v1/identity/verification_sessions/vs_1"


def stripe_signed(secret, body, at):
    """Signs as the vendor's library does."""
    return stripe.WebhookSignature.generate_signature_header(body, secret, at)


def stripe_takes(header, body, secrets=(NOW, BEFORE)):
    """Says whether the vendor's library takes a delivery, with any of the secrets."""
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, header, secret, tolerance=300)
            return True
        except stripe.SignatureVerificationError:
            pass
    return False


def onfido_takes(signature, body, secrets=(NOW, BEFORE)):
    for secret in secrets:
        try:
            onfido.WebhookEventVerifier(secret).read_payload(body, signature)
            return True
        except onfido.OnfidoInvalidSignatureError:
            pass
    return False


def stripe_event(event="evt_1", kind="verified", session="vs_1"):
    body = {"id": event, "object": "event", "type": f"identity.verification_session.{kind}", "livemode": True}
    body["data"] = {"object": {"id": session, "object": "identity.verification_session"}}
    return json.dumps(body)


def stripe_session(**changes):
    document = {"status": "verified", "type": "passport", "issuing_country": "KR"}
    document["expiration_date"] = {"day": 1, "month": 5, "year": 2099}
    report = {"created": int(time.time()) - 60, "document": document, "selfie": {"status": "verified"}}
    session = {"id": "vs_1", "status": "verified", "client_reference_id": "ada-7", "redaction": None}
    return {**session, "last_verification_report": report, **changes}


def test_a_delivery_that_the_vendors_library_signs_and_takes_becomes_evidence(api, endpoint):
    api.answers[SESSION] = (200, stripe_session())
    body = stripe_event()
    header = stripe_signed(NOW, body, int(time.time()))
    assert stripe_takes(header, body)
    assert endpoint.deliver("stripe", "Stripe-Signature", header, body).status_code == 200
    assert endpoint.held() == [("KR", "stripe")]
    assert api.asked == [(SESSION, "Bearer key-1")]


@pytest.mark.parametrize(
    "name, make",
    [
        ("the secret of before", lambda body, now: stripe_signed(BEFORE, body, now)),
        ("another secret", lambda body, now: stripe_signed(OTHER, body, now)),
        ("signed an hour ago", lambda body, now: stripe_signed(NOW, body, now - 3600)),
        ("signed for another body", lambda body, now: stripe_signed(NOW, body + " ", now)),
        ("a newer time written over it", lambda body, now: stripe_signed(NOW, body, now - 3600).replace(str(now - 3600), str(now))),
        ("two signatures while a secret is replaced", lambda body, now: f"{stripe_signed(OTHER, body, now)},{stripe_signed(NOW, body, now).split(',')[1]}"),
        ("only the scheme for tests", lambda body, now: stripe_signed(NOW, body, now).replace("v1=", "v0=")),
        ("no time", lambda body, now: stripe_signed(NOW, body, now).split(",")[1]),
        ("nothing", lambda body, now: ""),
    ],
)
def test_we_take_what_the_vendors_library_takes_and_nothing_else(api, endpoint, name, make):
    api.answers[SESSION] = (200, stripe_session())
    body = stripe_event()
    header = make(body, int(time.time()))
    taken = endpoint.deliver("stripe", "Stripe-Signature", header, body).status_code == 200
    assert taken == stripe_takes(header, body), name
    assert endpoint.held() == ([("KR", "stripe")] if taken else []), name


def test_a_redaction_takes_the_evidence_away_and_a_replay_does_not_bring_it_back(api, endpoint):
    api.answers[SESSION] = (200, stripe_session())
    first, now = stripe_event(), int(time.time())
    signed = stripe_signed(NOW, first, now)
    endpoint.deliver("stripe", "Stripe-Signature", signed, first)
    api.answers[SESSION] = (200, stripe_session(redaction={"status": "redacted"}))
    gone = stripe_event("evt_2", "redacted")
    assert endpoint.deliver("stripe", "Stripe-Signature", stripe_signed(NOW, gone, now), gone).status_code == 200
    assert endpoint.held() == []
    again = endpoint.deliver("stripe", "Stripe-Signature", signed, first)
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert endpoint.held() == []


def test_a_vendor_that_is_down_grants_nothing_and_is_heard_when_it_sends_again(api, endpoint):
    api.answers[SESSION] = (500, None)
    body = stripe_event()
    header = stripe_signed(NOW, body, int(time.time()))
    assert endpoint.deliver("stripe", "Stripe-Signature", header, body).status_code == 503
    assert endpoint.held() == []
    api.answers[SESSION] = (200, stripe_session())
    assert endpoint.deliver("stripe", "Stripe-Signature", header, body).status_code == 200
    assert endpoint.held() == [("KR", "stripe")]


def test_an_answer_about_another_session_or_person_grants_nothing(api, endpoint):
    for at, (changes, status) in enumerate([({"id": "vs_2"}, 503), ({"client_reference_id": "eve-1"}, 200)]):
        api.answers[SESSION] = (200, stripe_session(**changes))
        body = stripe_event(f"evt_{at}")
        header = stripe_signed(NOW, body, int(time.time()))
        assert endpoint.deliver("stripe", "Stripe-Signature", header, body).status_code == status
        assert endpoint.held() == []


def onfido_event(check="chk-1"):
    found = {"id": check, "status": "complete", "completed_at_iso8601": "2026-11-20T11:59:58Z"}
    found["href"] = f"https://api.example.com/v3.6/checks/{check}"
    return json.dumps({"payload": {"resource_type": "check", "action": "check.completed", "object": found}})


def tag(secret, body, digest=hashlib.sha256):
    return hmac.new(secret.encode(), body.encode(), digest).hexdigest()


@pytest.mark.parametrize(
    "name, make",
    [
        ("the secret of now", lambda body: tag(NOW, body)),
        ("the secret of before", lambda body: tag(BEFORE, body)),
        ("another secret", lambda body: tag(OTHER, body)),
        ("another body", lambda body: tag(NOW, body + " ")),
        ("another digest", lambda body: tag(NOW, body, hashlib.sha1)),
        ("nothing", lambda body: ""),
    ],
)
def test_we_take_what_the_library_of_onfido_takes_and_nothing_else(api, endpoint, name, make):
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    check = {"id": "chk-1", "status": "complete", "result": "clear", "applicant_id": "ada-7", "created_at": created}
    properties = {"document_type": "passport", "issuing_country": "KOR", "nationality": "KOR"}
    report = {"id": "r-1", "name": "document", "result": "clear", "properties": properties}
    api.answers["/v3.6/checks/chk-1"] = (200, {**check, "report_ids": ["r-1"]})
    api.answers["/v3.6/reports/r-1"] = (200, report)
    body = onfido_event()
    signature = make(body)
    taken = endpoint.deliver("onfido", "X-SHA2-Signature", signature, body).status_code == 200
    assert taken == onfido_takes(signature, body), name
    assert endpoint.held() == ([("KR", "onfido")] if taken else []), name


def test_a_group_of_persona_for_each_secret_is_taken(api, endpoint):
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    attributes = {"status": "approved", "reference-id": "ada-7", "completed-at": created}
    passport = {"status": "passed", "country-code": "FR", "id-class": "pp"}
    included = [{"type": "verification/government-id", "attributes": passport}]
    inquiry = {"data": {"id": "inq_1", "attributes": attributes}, "included": included}
    api.answers["/api/v1/inquiries/inq_1"] = (200, inquiry)
    payload = {"data": {"type": "inquiry", "id": "inq_1"}}
    event = {"data": {"type": "event", "id": "evt_1", "attributes": {"name": "inquiry.approved", "payload": payload}}}
    body, now = json.dumps(event), int(time.time())
    groups = [f"t={now},v1={tag(secret, f'{now}.{body}')}" for secret in (OTHER, BEFORE)]
    assert endpoint.deliver("persona", "Persona-Signature", " ".join(groups[:1]), body).status_code == 401
    assert endpoint.deliver("persona", "Persona-Signature", " ".join(groups), body).status_code == 200
    assert endpoint.held() == [("FR", "persona")]
