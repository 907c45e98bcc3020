//! Approvers over HTTP.

use axum::response::Response;
use terms::PersonId;

use super::call::{Answer, Call, ListQuery};
use crate::{NewApprover, admin::Area};

/// Lists approvers, those with a revoked key too, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/approvers",
    tag = "approvers",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/ApproverList"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn list_approvers(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Instruments)?;
        Answer::ok(&reader.approvers(sent.query::<ListQuery>()?.page()?)?)
    })
    .await
}

/// Registers an approver, or a new key for one whose key was revoked.
#[utoipa::path(
    post,
    path = "/admin/v1/approvers",
    tag = "approvers",
    request_body = NewApprover,
    responses((status = 201, body = ref("#/components/schemas/ApproverChanged"))),
    security(("admin_token" = ["root"])),
)]
pub(super) async fn add_approver(call: Call) -> Response {
    call.run(|admin, sent| {
        let root = admin.root()?;
        Answer::created(&root.add_approver(sent.body::<NewApprover>()?)?)
    })
    .await
}

/// Revokes an approver's key; what was signed with it and is not applied yet no longer counts.
#[utoipa::path(
    post,
    path = "/admin/v1/approvers/{id}/revoke",
    tag = "approvers",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/ApproverChanged"))),
    security(("admin_token" = ["root"])),
)]
pub(super) async fn revoke_approver(call: Call) -> Response {
    call.run(|admin, sent| {
        let root = admin.root()?;
        Answer::ok(&root.revoke_approver(&sent.param::<PersonId>("id")?)?)
    })
    .await
}
