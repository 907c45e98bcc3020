//! Productions over HTTP.

use axum::response::Response;
use terms::InstrumentId;

use super::call::{Answer, Call, ListQuery};
use crate::{NewProduction, SignedAct, admin::Area};

/// Lists productions, those that wait for approvals too, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/productions",
    tag = "productions",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/ProductionList"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn list_productions(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Instruments)?;
        Answer::ok(&reader.productions(sent.query::<ListQuery>()?.page()?)?)
    })
    .await
}

/// Requests that a part of the record be produced; nothing is shown before two people have signed for it.
#[utoipa::path(
    post,
    path = "/admin/v1/productions",
    tag = "productions",
    request_body = NewProduction,
    responses((status = 201, body = ref("#/components/schemas/ProductionChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn request_production(call: Call) -> Response {
    call.run(|admin, sent| {
        let officer = admin.officer()?;
        Answer::created(&officer.request_production(sent.body::<NewProduction>()?)?)
    })
    .await
}

/// Shows a production with what was signed for it.
#[utoipa::path(
    get,
    path = "/admin/v1/productions/{id}",
    tag = "productions",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Production"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn get_production(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Instruments)?;
        Answer::ok(&reader.production(&sent.param::<InstrumentId>("id")?)?)
    })
    .await
}

/// Records that an approver signed for a production.
#[utoipa::path(
    post,
    path = "/admin/v1/productions/{id}/approvals",
    tag = "productions",
    request_body = SignedAct,
    params(("id" = String, Path)),
    responses((status = 201, body = ref("#/components/schemas/ProductionChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn approve_production(call: Call) -> Response {
    call.run(|admin, sent| {
        let officer = admin.officer()?;
        let id = sent.param::<InstrumentId>("id")?;
        Answer::created(&officer.approve_production(&id, sent.body::<SignedAct>()?)?)
    })
    .await
}

/// Records that a production with its approvals is made, once; answers where in the log it stands, as often as asked.
#[utoipa::path(
    post,
    path = "/admin/v1/productions/{id}/produce",
    tag = "productions",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/ProducedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn produce(call: Call) -> Response {
    call.run(|admin, sent| {
        let officer = admin.officer()?;
        Answer::ok(&officer.produce(&sent.param::<InstrumentId>("id")?)?)
    })
    .await
}
