//! Entrust IDV, formerly Onfido: checks with reports, and runs of workflows.
//!
//! What a workflow outputs is its author's choice. It is read if it has `document_type`, `issuing_country`, `nationality`,
//! `date_of_expiry` and `face_match`, named as in a document report; otherwise have the workflow make a check.
//!
//! # Source
//! Entrust IDV API reference v3.6: "Webhook events", "Checks", "Document report", "Workflow runs", "Watchlist monitors".

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use terms::Moment;

use super::{
    Event, Finding, Inspected, Look, MAX_DELIVERY, ObjectId, ObjectKind, ShapeFault, State, about, json, shaped,
    subject, verified_claims,
};

/// Reports of one check that are read.
const MAX_REPORTS: usize = 8;

#[derive(Deserialize)]
struct Delivery {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    resource_type: String,
    object: Named,
}

#[derive(Deserialize)]
struct Named {
    id: ObjectId,
}

/// Deliveries carry no id of their own, so one is made of the bytes, which are the same when they are sent again.
pub(super) fn event(body: &[u8]) -> Result<Event, ShapeFault> {
    let Payload { resource_type, object } = shaped::<Delivery>(&json(body, MAX_DELIVERY)?)?.payload;
    let kind = match resource_type.as_str() {
        "workflow_run" => Some(ObjectKind::Session),
        "check" => Some(ObjectKind::Check),
        "watchlist_monitor" => Some(ObjectKind::Monitor),
        _ => None,
    };
    let id = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Event { id, look: kind.map(|kind| Look { kind, id: object.id }) })
}

pub(super) fn path(look: &Look) -> String {
    let collection = match look.kind {
        ObjectKind::Session => "workflow_runs",
        ObjectKind::Check => "checks",
        ObjectKind::Monitor => "watchlist_monitors",
    };
    format!("/v3.6/{collection}/{}", look.id.as_str())
}

#[derive(Deserialize)]
struct Object {
    id: ObjectId,
    applicant_id: Option<String>,
    status: Option<String>,
    result: Option<String>,
    created_at: Option<String>,
    #[serde(default)]
    report_ids: Vec<ObjectId>,
    output: Option<Properties>,
}

#[derive(Deserialize)]
struct Report {
    id: ObjectId,
    name: String,
    result: Option<String>,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
struct Properties {
    document_type: Option<String>,
    issuing_country: Option<String>,
    nationality: Option<String>,
    date_of_expiry: Option<String>,
    /// Of workflows only.
    face_match: Option<bool>,
}

/// Returns where the reports of a check are.
pub(super) fn details(answer: &Value) -> Result<Vec<String>, ShapeFault> {
    let check: Object = shaped(answer)?;
    let reports = check.report_ids.iter().take(MAX_REPORTS);
    Ok(reports.map(|id| format!("/v3.6/reports/{}", id.as_str())).collect())
}

pub(super) fn finding(look: &Look, answer: &Value, details: &[Value]) -> Result<Finding, ShapeFault> {
    let object: Object = shaped(answer)?;
    about(look, &object.id)?;
    let subject = subject(object.applicant_id.clone());
    let state = match look.kind {
        ObjectKind::Session => of_run(object),
        ObjectKind::Check => of_check(object, details)?,
        ObjectKind::Monitor => State::Matched,
    };
    Ok(Finding { subject, state })
}

fn of_run(run: Object) -> State {
    match run.status.as_deref() {
        Some("approved") => {
            let matched_face = run.output.as_ref().and_then(|output| output.face_match) == Some(true);
            let document = run.output.filter(|output| output.document_type.is_some());
            inspected(&run.id, run.created_at.as_deref(), document, matched_face)
        }
        Some("declined" | "abandoned" | "error") => State::Failed,
        _ => State::Open,
    }
}

fn of_check(check: Object, details: &[Value]) -> Result<State, ShapeFault> {
    match (check.status.as_deref(), check.result.as_deref()) {
        (Some("complete"), Some("clear")) => {}
        (Some("complete" | "withdrawn"), _) => return Ok(State::Failed),
        _ => return Ok(State::Open),
    }
    let reports = details.iter().map(shaped::<Report>).collect::<Result<Vec<_>, _>>()?;
    if reports.iter().any(|report| !check.report_ids.contains(&report.id)) {
        return Err(ShapeFault("a report is not of the check that was asked for".to_owned()));
    }
    let clear = |report: &Report| report.result.as_deref() == Some("clear");
    let matched_face = reports.iter().any(|report| clear(report) && report.name.starts_with("facial_similarity"));
    let document = reports.into_iter().find(|report| clear(report) && report.name.starts_with("document"));
    Ok(inspected(&check.id, check.created_at.as_deref(), document.map(|report| report.properties), matched_face))
}

fn inspected(id: &ObjectId, created_at: Option<&str>, document: Option<Properties>, matched_face: bool) -> State {
    let time = created_at.and_then(|text| Moment::parse(text).ok());
    let (Some(document), Some(time)) = (document, time) else { return State::Open };
    let kind = match document.document_type.as_deref() {
        Some("passport") => "passport",
        Some("national_identity_card") => "idcard",
        Some("residence_permit") => "residence_permit",
        Some("visa") => "visa",
        _ => "driving_permit",
    };
    State::Verified(verified_claims(Inspected {
        kind,
        country: document.issuing_country,
        nationality: document.nationality,
        expiry: document.date_of_expiry,
        matched_face,
        session: id.as_str().to_owned(),
        time,
    }))
}
