//! Directives and licenses over HTTP.

use axum::response::Response;
use terms::InstrumentId;

use super::call::{Answer, Call, ListQuery, Sent};
use crate::{Admin, Fault, InstrumentKind, Turn, admin::Area};

/// Lists the latest version of each directive, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/directives",
    tag = "directives",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/InstrumentList"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn list_directives(call: Call) -> Response {
    call.run(|admin, sent| list(admin, sent, InstrumentKind::Directive)).await
}

/// Files the next version of a directive; with `apply=true`, puts it in force in the same step.
#[utoipa::path(
    post,
    path = "/admin/v1/directives",
    tag = "directives",
    request_body = serde_json::Value,
    params(FileQuery),
    responses((status = 201, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn file_directive(call: Call) -> Response {
    call.run(|admin, sent| file(admin, sent, InstrumentKind::Directive)).await
}

/// Shows every version of a directive, latest first.
#[utoipa::path(
    get,
    path = "/admin/v1/directives/{id}",
    tag = "directives",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/InstrumentVersions"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn get_directive(call: Call) -> Response {
    call.run(|admin, sent| versions(admin, sent, InstrumentKind::Directive)).await
}

/// Puts the latest filed version of a directive in force and decides every live call again.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/apply",
    tag = "directives",
    request_body = ApplyRequest,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn apply_directive(call: Call) -> Response {
    call.run(|admin, sent| apply(admin, sent, InstrumentKind::Directive)).await
}

/// Stays a directive by a new version of it, which takes force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/stay",
    tag = "directives",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn stay_directive(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::Directive, Turn::Stay)).await
}

/// Vacates a directive by a new version of it, which takes force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/vacate",
    tag = "directives",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn vacate_directive(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::Directive, Turn::Vacate)).await
}

/// Lifts a directive by a new version of it, which takes force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/lift",
    tag = "directives",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn lift_directive(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::Directive, Turn::Lift)).await
}

/// Lists the latest version of each license, in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/licenses",
    tag = "licenses",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/InstrumentList"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn list_licenses(call: Call) -> Response {
    call.run(|admin, sent| list(admin, sent, InstrumentKind::License)).await
}

/// Files the next version of a license; with `apply=true`, puts it in force in the same step.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses",
    tag = "licenses",
    request_body = serde_json::Value,
    params(FileQuery),
    responses((status = 201, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn file_license(call: Call) -> Response {
    call.run(|admin, sent| file(admin, sent, InstrumentKind::License)).await
}

/// Shows every version of a license, latest first.
#[utoipa::path(
    get,
    path = "/admin/v1/licenses/{id}",
    tag = "licenses",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/InstrumentVersions"))),
    security(("admin_token" = ["root", "officer", "auditor"])),
)]
pub(super) async fn get_license(call: Call) -> Response {
    call.run(|admin, sent| versions(admin, sent, InstrumentKind::License)).await
}

/// Puts the latest filed version of a license in force and decides every live call again.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/apply",
    tag = "licenses",
    request_body = ApplyRequest,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn apply_license(call: Call) -> Response {
    call.run(|admin, sent| apply(admin, sent, InstrumentKind::License)).await
}

/// Stays a license by a new version of it, which takes force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/stay",
    tag = "licenses",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn stay_license(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::License, Turn::Stay)).await
}

/// Vacates a license by a new version of it, which takes force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/vacate",
    tag = "licenses",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn vacate_license(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::License, Turn::Vacate)).await
}

/// Lifts a license by a new version of it, which takes force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/lift",
    tag = "licenses",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn lift_license(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::License, Turn::Lift)).await
}

/// Whether a filed version takes force at once.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FileQuery {
    /// True to put it in force in the same step; false if absent.
    #[serde(default)]
    apply: bool,
}

/// Which version is meant, for whoever wants to be sure.
#[derive(Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyRequest {
    /// Must be the latest filed version, if given.
    version: Option<u64>,
}

fn list(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind) -> Result<Answer, Fault> {
    let reader = admin.reader(Area::Instruments)?;
    let page = sent.query::<ListQuery>()?.page()?;
    Answer::ok(&reader.instruments(kind, page)?)
}

fn file(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind) -> Result<Answer, Fault> {
    let officer = admin.officer()?;
    let changed = match sent.query::<FileQuery>()?.apply {
        true => officer.file_and_apply(kind, sent.bytes())?,
        false => officer.file(kind, sent.bytes())?,
    };
    Answer::created(&changed)
}

fn versions(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind) -> Result<Answer, Fault> {
    let reader = admin.reader(Area::Instruments)?;
    let versions = reader.versions(kind, &sent.param::<InstrumentId>("id")?)?;
    Answer::ok(&serde_json::json!({ "versions": versions }))
}

fn apply(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind) -> Result<Answer, Fault> {
    let officer = admin.officer()?;
    let id = sent.param::<InstrumentId>("id")?;
    let wanted = sent.body_or_default::<ApplyRequest>()?;
    Answer::ok(&officer.apply(kind, &id, wanted.version)?)
}

fn turn(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind, turn: Turn) -> Result<Answer, Fault> {
    let officer = admin.officer()?;
    Answer::ok(&officer.turn(kind, &sent.param::<InstrumentId>("id")?, turn)?)
}
