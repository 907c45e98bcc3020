//! Legal holds and erasures over HTTP.

use axum::response::Response;
use terms::InstrumentId;

use super::call::{Answer, Call, ListQuery};
use crate::{NewErasure, NewHold, NewRelease, admin::Area};

/// Lists legal holds, those that were released too, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/holds",
    tag = "holds",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/HoldList"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn list_holds(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Instruments)?;
        Answer::ok(&reader.holds(sent.query::<ListQuery>()?.page()?)?)
    })
    .await
}

/// Places a legal hold: from now on nothing that it keeps can be erased.
#[utoipa::path(
    post,
    path = "/admin/v1/holds",
    tag = "holds",
    request_body = NewHold,
    responses((status = 201, body = ref("#/components/schemas/HoldChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn place_hold(call: Call) -> Response {
    call.run(|admin, sent| Answer::created(&admin.officer()?.place_hold(sent.body::<NewHold>()?)?)).await
}

/// Releases a legal hold on the agency's written authorization.
#[utoipa::path(
    post,
    path = "/admin/v1/holds/{id}/release",
    tag = "holds",
    request_body = NewRelease,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/HoldChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn release_hold(call: Call) -> Response {
    call.run(|admin, sent| {
        let officer = admin.officer()?;
        let id = sent.param::<InstrumentId>("id")?;
        Answer::ok(&officer.release_hold(&id, sent.body::<NewRelease>()?)?)
    })
    .await
}

/// Destroys the key of somebody's private parts of one epoch, once neither retention nor a hold keeps them.
#[utoipa::path(
    post,
    path = "/admin/v1/erasures",
    tag = "holds",
    request_body = NewErasure,
    responses((status = 201, body = ref("#/components/schemas/ErasedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn erase(call: Call) -> Response {
    call.run(|admin, sent| Answer::created(&admin.officer()?.erase(sent.body::<NewErasure>()?)?)).await
}
