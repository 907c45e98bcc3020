//! What is in force, how the server is, and receipts, over HTTP.

use axum::response::Response;

use super::{
    call::{Answer, Call},
    views::{ReceiptView, SnapshotView},
};
use crate::{Fault, admin::Area};

/// Shows what is in force now: the document, its digest, and the entry that put it in force.
#[utoipa::path(
    get,
    path = "/admin/v1/snapshot",
    tag = "operations",
    responses((status = 200, body = ref("#/components/schemas/SnapshotInForce"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn get_snapshot(call: Call) -> Response {
    call.run(|admin, _| {
        let (snapshot, entry) = admin.reader(Area::Instruments)?.snapshot()?;
        Answer::ok(&SnapshotView::new(&snapshot, entry))
    })
    .await
}

/// Lists the model versions and aliases that are served.
#[utoipa::path(
    get,
    path = "/admin/v1/models",
    tag = "operations",
    responses((status = 200, body = ref("#/components/schemas/Models"))),
    security(("admin_token" = ["root", "operator", "auditor"])),
)]
pub(super) async fn list_models(call: Call) -> Response {
    call.run(|admin, _| {
        let snapshot = admin.reader(Area::Operations)?.snapshot()?.0;
        let document = snapshot.document();
        Answer::ok(&serde_json::json!({ "models": document.models, "aliases": document.aliases }))
    })
    .await
}

/// Shows how the ledger and the registry are.
#[utoipa::path(
    get,
    path = "/admin/v1/health",
    tag = "operations",
    responses((status = 200, body = ref("#/components/schemas/Health"))),
    security(("admin_token" = ["root", "operator", "auditor"])),
)]
pub(super) async fn get_health(call: Call) -> Response {
    call.run(|admin, _| Answer::ok(&admin.reader(Area::Operations)?.health())).await
}

/// Shows whose token this is and what it may do.
#[utoipa::path(
    get,
    path = "/admin/v1/whoami",
    tag = "operations",
    responses((status = 200, body = ref("#/components/schemas/Whoami"))),
    security(("admin_token" = ["root", "registrar", "officer", "auditor", "operator"])),
)]
pub(super) async fn whoami(call: Call) -> Response {
    call.run(|admin, _| {
        let actor = admin.actor();
        Answer::ok(&serde_json::json!({ "actor": actor.name(), "role": actor.role() }))
    })
    .await
}

/// Shows the JSON Schema of a kind of document: `directive`, `license`, `regime` or `country-groups`.
#[utoipa::path(
    get,
    path = "/admin/v1/schemas/{kind}",
    tag = "operations",
    params(("kind" = String, Path)),
    responses((status = 200, body = serde_json::Value)),
    security(("admin_token" = ["root", "registrar", "officer", "auditor", "operator"])),
)]
pub(super) async fn get_schema(call: Call) -> Response {
    call.run(|_, sent| {
        let schema = policy::schema(sent.param::<policy::DocumentKind>("kind")?);
        let schema: serde_json::Value = serde_json::from_str(schema).map_err(Fault::Unwritable)?;
        Answer::ok(&schema)
    })
    .await
}

/// Reads the configuration again and puts it in force whole, or not at all.
#[utoipa::path(
    post,
    path = "/admin/v1/reload",
    tag = "operations",
    responses((status = 200, body = ref("#/components/schemas/Reloaded"))),
    security(("admin_token" = ["root", "operator"])),
)]
pub(super) async fn reload(call: Call) -> Response {
    call.run(|admin, _| Answer::ok(&serde_json::json!({ "effect": admin.reload()? }))).await
}

/// Shows a ledger entry with the proof that a signed checkpoint covers it.
#[utoipa::path(
    get,
    path = "/admin/v1/receipts/{index}",
    tag = "operations",
    params(("index" = u64, Path)),
    responses((status = 200, body = ref("#/components/schemas/Receipt"))),
    security(("admin_token" = ["root", "auditor"])),
)]
pub(super) async fn get_receipt(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Receipts)?;
        Answer::ok(&ReceiptView::from(reader.receipt(sent.param::<u64>("index")?)?))
    })
    .await
}
