//! Persona.
//!
//! # Source
//! Persona API reference, version 2023-01-05: "Retrieve an Inquiry", "Events", "Government ID verification".

use serde::Deserialize;
use serde_json::Value;
use terms::Moment;

use super::{
    Event, Finding, Inspected, Look, MAX_DELIVERY, ObjectId, ObjectKind, ShapeFault, State, about, json, shaped,
    subject, verified_claims,
};

/// The version of the API that is read here.
pub(super) const VERSION: &str = "2023-01-05";

#[derive(Deserialize)]
struct Delivery {
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    id: ObjectId,
    attributes: EventAttributes,
}

#[derive(Deserialize)]
struct EventAttributes {
    name: String,
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    data: Named,
}

#[derive(Deserialize)]
struct Named {
    id: ObjectId,
}

pub(super) fn event(body: &[u8]) -> Result<Event, ShapeFault> {
    let EventData { id, attributes } = shaped::<Delivery>(&json(body, MAX_DELIVERY)?)?.data;
    let inquiry = attributes.name.starts_with("inquiry.");
    let look = inquiry.then_some(Look { kind: ObjectKind::Session, id: attributes.payload.data.id });
    Ok(Event { id: id.as_str().to_owned(), look })
}

pub(super) fn path(look: &Look) -> String {
    format!("/api/v1/inquiries/{}?include=verifications", look.id.as_str())
}

#[derive(Deserialize)]
struct Answer {
    data: Inquiry,
    #[serde(default)]
    included: Vec<Included>,
}

#[derive(Deserialize)]
struct Inquiry {
    id: ObjectId,
    attributes: InquiryAttributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct InquiryAttributes {
    status: String,
    reference_id: Option<String>,
    redacted_at: Option<String>,
    completed_at: Option<String>,
}

#[derive(Deserialize)]
struct Included {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    attributes: VerificationAttributes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct VerificationAttributes {
    status: Option<String>,
    country_code: Option<String>,
    id_class: Option<String>,
    expiration_date: Option<String>,
    nationality: Option<String>,
}

pub(super) fn finding(look: &Look, answer: &Value) -> Result<Finding, ShapeFault> {
    let Answer { data: inquiry, included } = shaped(answer)?;
    about(look, &inquiry.id)?;
    let subject = subject(inquiry.attributes.reference_id.clone());
    let state = match inquiry.attributes.status.as_str() {
        _ if inquiry.attributes.redacted_at.is_some() => State::Gone,
        "approved" => approved(&inquiry, included),
        "declined" | "failed" => State::Failed,
        _ => State::Open,
    };
    Ok(Finding { subject, state })
}

/// An approval counts for what a passed inspection of a document shows, never by itself.
fn approved(inquiry: &Inquiry, included: Vec<Included>) -> State {
    let passed = |one: &Included| one.attributes.status.as_deref() == Some("passed");
    let matched_face = included.iter().any(|one| passed(one) && one.kind == "verification/selfie");
    let mut documents =
        included.into_iter().filter(|one| passed(one) && one.kind.starts_with("verification/government-id"));
    let completed_at = inquiry.attributes.completed_at.as_deref().and_then(|text| Moment::parse(text).ok());
    let (Some(Included { attributes: document, .. }), Some(time)) = (documents.next(), completed_at) else {
        return State::Open;
    };
    let kind = match document.id_class.as_deref() {
        Some("pp") => "passport",
        Some("id" | "nationalid") => "idcard",
        Some("pr") => "permanent_resident_card",
        Some("visa") => "visa",
        _ => "driving_permit",
    };
    let of_issuer = document.country_code.clone().filter(|_| kind == "passport");
    State::Verified(verified_claims(Inspected {
        kind,
        country: document.country_code,
        nationality: document.nationality.or(of_issuer),
        expiry: document.expiration_date,
        matched_face,
        session: inquiry.id.as_str().to_owned(),
        time,
    }))
}
