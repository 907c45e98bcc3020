//! The sources of word about people, over HTTP.

use axum::response::Response;
use serde_json::json;

use super::call::{Answer, Call, ListQuery};

/// Lists the kinds of settings of sources.
#[utoipa::path(
    get,
    path = "/admin/v1/sources",
    tag = "sources",
    responses((status = 200, body = ref("#/components/schemas/SourceKinds"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_source_kinds(call: Call) -> Response {
    call.run(|admin, _| Answer::ok(&admin.source_kinds()?)).await
}

/// Lists what is set of one kind, without secrets.
#[utoipa::path(
    get,
    path = "/admin/v1/sources/{kind}",
    tag = "sources",
    params(("kind" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Sources"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_sources(call: Call) -> Response {
    call.run(|admin, sent| Answer::ok(&admin.list_sources(&sent.param::<String>("kind")?)?)).await
}

/// Sets something of a source, in place of what had its name; a secret is shown once.
#[utoipa::path(
    post,
    path = "/admin/v1/sources/{kind}",
    tag = "sources",
    params(("kind" = String, Path)),
    request_body = serde_json::Value,
    responses((status = 201, body = ref("#/components/schemas/SourcePlaced"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn set_source(call: Call) -> Response {
    call.run(|admin, sent| {
        let placed = admin.set_source(&sent.param::<String>("kind")?, sent.bytes())?;
        let kept = json!({ "item": placed.item, "secret": null });
        Answer::secret(&json!({ "item": placed.item, "secret": placed.secret }), &kept)
    })
    .await
}

/// Removes something of a source; what rested on it establishes nothing from then on.
#[utoipa::path(
    post,
    path = "/admin/v1/sources/{kind}/{id}/remove",
    tag = "sources",
    params(("kind" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/SourceRemoved"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn remove_source(call: Call) -> Response {
    call.run(|admin, sent| {
        let (kind, id) = (sent.param::<String>("kind")?, sent.param::<String>("id")?);
        admin.remove_source(&kind, &id)?;
        Answer::ok(&json!({ "kind": kind, "removed": id }))
    })
    .await
}

/// Lists every channel with how well it can be relied on now.
#[utoipa::path(
    get,
    path = "/admin/v1/channels",
    tag = "sources",
    responses((status = 200, body = ref("#/components/schemas/Channels"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_channels(call: Call) -> Response {
    call.run(|admin, _| Answer::ok(&json!({ "items": admin.channels()? }))).await
}

/// Lists what a person must look at, settled ones too, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/reviews",
    tag = "sources",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/Reviews"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_reviews(call: Call) -> Response {
    call.run(|admin, sent| Answer::ok(&json!({ "items": admin.reviews(&sent.query::<ListQuery>()?.page()?)? }))).await
}

/// Settles a review.
#[utoipa::path(
    post,
    path = "/admin/v1/reviews/{id}/close",
    tag = "sources",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Review"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn close_review(call: Call) -> Response {
    call.run(|admin, sent| Answer::ok(&admin.close_review(&sent.param::<String>("id")?)?)).await
}
