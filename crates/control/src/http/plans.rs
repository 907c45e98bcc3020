//! Plans over HTTP: asked for, then fetched.

use axum::response::Response;

use super::call::{Answer, Call};
use crate::PlanRequest;

/// Begins to plan a change: who would lose access, who keeps it and why, what would restore it. Changes nothing.
#[utoipa::path(
    post,
    path = "/admin/v1/plans",
    tag = "plans",
    request_body = PlanRequest,
    responses((status = 202, body = ref("#/components/schemas/PlanState"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn make_plan(call: Call) -> Response {
    let control = call.control();
    call.run(move |admin, sent| {
        let officer = admin.officer()?;
        Answer::accepted(&officer.make_plan(&control, sent.body::<PlanRequest>()?)?)
    })
    .await
}

/// Shows how far a plan is, and the plan once it is made.
#[utoipa::path(
    get,
    path = "/admin/v1/plans/{id}",
    tag = "plans",
    params(("id" = u64, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlanState"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn get_plan(call: Call) -> Response {
    call.run(|admin, sent| {
        let plans = admin.plans()?;
        Answer::ok(&plans.get(sent.param::<u64>("id")?)?)
    })
    .await
}
