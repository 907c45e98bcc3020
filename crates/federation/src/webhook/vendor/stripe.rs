//! Stripe Identity.
//!
//! # Source
//! Stripe API reference, "The VerificationSession object", "The VerificationReport object", "The Event object".

use serde::Deserialize;
use serde_json::Value;
use terms::Moment;

use super::{
    Event, Finding, Inspected, Look, MAX_DELIVERY, ObjectId, ObjectKind, ShapeFault, State, about, json, shaped,
    subject, verified_claims,
};

/// The version of the API that is read here.
pub(super) const VERSION: &str = "2024-06-20";

/// What deliveries about sessions are called.
const SESSIONS: &str = "identity.verification_session.";

#[derive(Deserialize)]
struct Delivery {
    id: ObjectId,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Named {
    id: ObjectId,
}

pub(super) fn event(body: &[u8]) -> Result<Event, ShapeFault> {
    let delivery: Delivery = shaped(&json(body, MAX_DELIVERY)?)?;
    let look = match delivery.kind.starts_with(SESSIONS) {
        true => Some(Look { kind: ObjectKind::Session, id: shaped::<Named>(&delivery.data.object)?.id }),
        false => None,
    };
    Ok(Event { id: delivery.id.as_str().to_owned(), look })
}

pub(super) fn path(look: &Look) -> String {
    format!("/v1/identity/verification_sessions/{}?expand[]=last_verification_report", look.id.as_str())
        .replace("[]", "%5B%5D")
}

#[derive(Deserialize)]
struct Session {
    id: ObjectId,
    status: String,
    client_reference_id: Option<String>,
    redaction: Option<Redaction>,
    last_verification_report: Option<Report>,
}

#[derive(Deserialize)]
struct Redaction {}

#[derive(Deserialize)]
struct Report {
    created: i64,
    document: Option<Document>,
    selfie: Option<Selfie>,
}

#[derive(Deserialize)]
struct Document {
    status: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    issuing_country: Option<String>,
    expiration_date: Option<Date>,
}

#[derive(Deserialize)]
struct Date {
    day: Option<u32>,
    month: Option<u32>,
    year: Option<u32>,
}

#[derive(Deserialize)]
struct Selfie {
    status: String,
}

pub(super) fn finding(look: &Look, answer: &Value) -> Result<Finding, ShapeFault> {
    let session: Session = shaped(answer)?;
    about(look, &session.id)?;
    let subject = subject(session.client_reference_id.clone());
    let state = match session.status.as_str() {
        _ if session.redaction.is_some() => State::Gone,
        "verified" => verified(session),
        "canceled" | "requires_input" => State::Failed,
        _ => State::Open,
    };
    Ok(Finding { subject, state })
}

fn verified(session: Session) -> State {
    let passed = session.last_verification_report.and_then(|report| {
        let document = report.document.filter(|document| document.status == "verified")?;
        Some((document, report.selfie, report.created))
    });
    let Some((document, selfie, created)) = passed else { return State::Open };
    let kind = match document.kind.as_deref() {
        Some("passport") => "passport",
        Some("id_card") => "idcard",
        _ => "driving_permit",
    };
    // Read from the document's issuer: a passport is issued to nationals. Stripe names no nationality.
    let nationality = document.issuing_country.clone().filter(|_| kind == "passport");
    State::Verified(verified_claims(Inspected {
        kind,
        country: document.issuing_country,
        nationality,
        expiry: document.expiration_date.and_then(|date| date.text()),
        matched_face: selfie.is_some_and(|selfie| selfie.status == "verified"),
        session: session.id.as_str().to_owned(),
        time: Moment::from_millis(created.saturating_mul(1_000)),
    }))
}

impl Date {
    fn text(&self) -> Option<String> {
        Some(format!("{:04}-{:02}-{:02}", self.year?, self.month?, self.day?))
    }
}
