//! Attestations and affiliations over HTTP.

use axum::response::Response;
use terms::{AffiliationId, AttestationId};

use super::call::{Answer, Call, PersonQuery};
use crate::{AffiliationEnd, NewAffiliation, NewAttestation, WithdrawalReason, admin::Area};

/// Lists attestations, of one person or of everybody, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/attestations",
    tag = "attestations",
    params(PersonQuery),
    responses((status = 200, body = ref("#/components/schemas/AttestationStatusList"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_attestations(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        let (person, page) = sent.query::<PersonQuery>()?.page()?;
        Answer::ok(&reader.attestations(person, page)?)
    })
    .await
}

/// Adds an attestation, in place of the one it supersedes if it names one. It is never edited.
#[utoipa::path(
    post,
    path = "/admin/v1/attestations",
    tag = "attestations",
    request_body = NewAttestation,
    responses((status = 201, body = ref("#/components/schemas/AttestationChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn add_attestation(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        Answer::created(&registrar.add_attestation(sent.body::<NewAttestation>()?)?)
    })
    .await
}

/// Shows an attestation and whether it is still held.
#[utoipa::path(
    get,
    path = "/admin/v1/attestations/{id}",
    tag = "attestations",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/AttestationStatus"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn get_attestation(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        Answer::ok(&reader.attestation(&sent.param::<AttestationId>("id")?)?)
    })
    .await
}

/// Withdraws an attestation that no longer holds and that no other replaces; shows the person without it.
#[utoipa::path(
    post,
    path = "/admin/v1/attestations/{id}/withdraw",
    tag = "attestations",
    request_body = WithdrawalReason,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PersonChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn withdraw_attestation(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        let id = sent.param::<AttestationId>("id")?;
        Answer::ok(&registrar.withdraw_attestation(&id, sent.body::<WithdrawalReason>()?)?)
    })
    .await
}

/// Lists affiliations, of one person or of everybody, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/affiliations",
    tag = "affiliations",
    params(PersonQuery),
    responses((status = 200, body = ref("#/components/schemas/AffiliationList"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_affiliations(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        let (person, page) = sent.query::<PersonQuery>()?.page()?;
        Answer::ok(&reader.affiliations(person, page)?)
    })
    .await
}

/// Adds an affiliation of a person with an organization.
#[utoipa::path(
    post,
    path = "/admin/v1/affiliations",
    tag = "affiliations",
    request_body = NewAffiliation,
    responses((status = 201, body = ref("#/components/schemas/AffiliationChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn add_affiliation(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        Answer::created(&registrar.add_affiliation(sent.body::<NewAffiliation>()?)?)
    })
    .await
}

/// Shows an affiliation.
#[utoipa::path(
    get,
    path = "/admin/v1/affiliations/{id}",
    tag = "affiliations",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Affiliation"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn get_affiliation(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        Answer::ok(&reader.affiliation(&sent.param::<AffiliationId>("id")?)?)
    })
    .await
}

/// Ends an affiliation, now or earlier than it would have ended.
#[utoipa::path(
    post,
    path = "/admin/v1/affiliations/{id}/end",
    tag = "affiliations",
    request_body = AffiliationEnd,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/AffiliationChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn end_affiliation(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        let id = sent.param::<AffiliationId>("id")?;
        Answer::ok(&registrar.end_affiliation(&id, &sent.body_or_default::<AffiliationEnd>()?)?)
    })
    .await
}
