//! Directives and licenses over HTTP.

use axum::response::Response;
use terms::InstrumentId;

use super::call::{Answer, Call, ListQuery, Sent};
use crate::{Admin, Emergency, Fault, InstrumentKind, SignedAct, Turn, admin::Area};

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

/// Files the next version of a directive; with `apply=true`, where no approval is needed, puts it in force as well.
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

/// Puts the latest filed version of a directive in force, once it has its approvals, and decides every live call again.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/apply",
    tag = "directives",
    request_body = ApplyRequest,
    params(("id" = String, Path), GlassQuery),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn apply_directive(call: Call) -> Response {
    call.run(|admin, sent| apply(admin, sent, InstrumentKind::Directive)).await
}

/// Records that an approver signed the act that puts a version of a directive in force.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/approvals",
    tag = "directives",
    request_body = SignedAct,
    params(("id" = String, Path)),
    responses((status = 201, body = ref("#/components/schemas/InstrumentChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn approve_directive(call: Call) -> Response {
    call.run(|admin, sent| approve(admin, sent, InstrumentKind::Directive)).await
}

/// Files what an earlier version of a directive said as its next version, which where no approval is needed takes force.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/rollback",
    tag = "directives",
    request_body = RollbackRequest,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn roll_back_directive(call: Call) -> Response {
    call.run(|admin, sent| roll_back(admin, sent, InstrumentKind::Directive)).await
}

/// Stays a directive by a new version of it: filed where approvals are needed, elsewhere in force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/stay",
    tag = "directives",
    request_body = Option<Emergency>,
    params(("id" = String, Path), GlassQuery),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn stay_directive(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::Directive, Turn::Stay)).await
}

/// Vacates a directive by a new version of it: filed where approvals are needed, elsewhere in force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/vacate",
    tag = "directives",
    request_body = Option<Emergency>,
    params(("id" = String, Path), GlassQuery),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn vacate_directive(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::Directive, Turn::Vacate)).await
}

/// Lifts a directive by a new version of it: filed where approvals are needed, elsewhere in force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/directives/{id}/lift",
    tag = "directives",
    request_body = Option<Emergency>,
    params(("id" = String, Path), GlassQuery),
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

/// Files the next version of a license; with `apply=true`, where no approval is needed, puts it in force as well.
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

/// Puts the latest filed version of a license in force, once it has its approvals, and decides every live call again.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/apply",
    tag = "licenses",
    request_body = ApplyRequest,
    params(("id" = String, Path), GlassQuery),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn apply_license(call: Call) -> Response {
    call.run(|admin, sent| apply(admin, sent, InstrumentKind::License)).await
}

/// Records that an approver signed the act that puts a version of a license in force.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/approvals",
    tag = "licenses",
    request_body = SignedAct,
    params(("id" = String, Path)),
    responses((status = 201, body = ref("#/components/schemas/InstrumentChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn approve_license(call: Call) -> Response {
    call.run(|admin, sent| approve(admin, sent, InstrumentKind::License)).await
}

/// Files what an earlier version of a license said as its next version, which where no approval is needed takes force.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/rollback",
    tag = "licenses",
    request_body = RollbackRequest,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn roll_back_license(call: Call) -> Response {
    call.run(|admin, sent| roll_back(admin, sent, InstrumentKind::License)).await
}

/// Stays a license by a new version of it: filed where approvals are needed, elsewhere in force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/stay",
    tag = "licenses",
    request_body = Option<Emergency>,
    params(("id" = String, Path), GlassQuery),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn stay_license(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::License, Turn::Stay)).await
}

/// Vacates a license by a new version of it: filed where approvals are needed, elsewhere in force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/vacate",
    tag = "licenses",
    request_body = Option<Emergency>,
    params(("id" = String, Path), GlassQuery),
    responses((status = 200, body = ref("#/components/schemas/PlacedChanged"))),
    security(("admin_token" = ["root", "officer"])),
)]
pub(super) async fn vacate_license(call: Call) -> Response {
    call.run(|admin, sent| turn(admin, sent, InstrumentKind::License, Turn::Vacate)).await
}

/// Lifts a license by a new version of it: filed where approvals are needed, elsewhere in force at once.
#[utoipa::path(
    post,
    path = "/admin/v1/licenses/{id}/lift",
    tag = "licenses",
    request_body = Option<Emergency>,
    params(("id" = String, Path), GlassQuery),
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

/// Whether to act without the approvals.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GlassQuery {
    /// True to act without the approvals, with an alarm; the body then says why and for how long. False if absent.
    #[serde(default)]
    break_glass: bool,
}

/// Which version is meant, and why it cannot wait for its approvals.
#[derive(Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApplyRequest {
    /// Must be the latest filed version, if given.
    version: Option<u64>,
    /// With `break_glass=true`: why it cannot wait; 10 to 500 characters.
    reason: Option<String>,
    /// With `break_glass=true`: after how many minutes it is undone, if it can give access; 1 to 240.
    minutes: Option<u64>,
    /// Lets it go live although its invariants are not proved, for this reason; 10 to 500 characters, recorded.
    without_proofs: Option<String>,
}

/// To which version.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackRequest {
    /// A version that was applied.
    to: u64,
}

/// Why a turn cannot wait for its approvals.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnRequest {
    reason: Option<String>,
    minutes: Option<u64>,
    without_proofs: Option<String>,
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

fn approve(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind) -> Result<Answer, Fault> {
    let officer = admin.officer()?;
    let id = sent.param::<InstrumentId>("id")?;
    Answer::created(&officer.approve(kind, &id, sent.body::<SignedAct>()?)?)
}

fn apply(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind) -> Result<Answer, Fault> {
    let officer = admin.officer()?;
    let id = sent.param::<InstrumentId>("id")?;
    let asked = sent.body_or_default::<ApplyRequest>()?;
    let officer = asked.without_proofs.as_deref().map_or(Ok(officer), |reason| officer.without_proofs(reason))?;
    Answer::ok(&match emergency(sent, asked.reason, asked.minutes)? {
        Some(why) => officer.apply_by_break_glass(kind, &id, asked.version, why)?,
        None => officer.apply(kind, &id, asked.version)?,
    })
}

fn roll_back(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind) -> Result<Answer, Fault> {
    let officer = admin.officer()?;
    let id = sent.param::<InstrumentId>("id")?;
    Answer::ok(&officer.roll_back(kind, &id, sent.body::<RollbackRequest>()?.to)?)
}

fn turn(admin: &Admin<'_>, sent: &Sent, kind: InstrumentKind, turn: Turn) -> Result<Answer, Fault> {
    let officer = admin.officer()?;
    let id = sent.param::<InstrumentId>("id")?;
    let asked = sent.body_or_default::<TurnRequest>()?;
    let officer = asked.without_proofs.as_deref().map_or(Ok(officer), |reason| officer.without_proofs(reason))?;
    Answer::ok(&match emergency(sent, asked.reason, asked.minutes)? {
        Some(why) => officer.turn_by_break_glass(kind, &id, turn, why)?,
        None => officer.turn(kind, &id, turn)?,
    })
}

/// Reason and limit belong to an act without approvals, and to no other.
fn emergency(sent: &Sent, reason: Option<String>, minutes: Option<u64>) -> Result<Option<Emergency>, Fault> {
    let wanted = sent.query::<GlassQuery>()?.break_glass;
    match (wanted, reason, minutes) {
        (true, Some(reason), Some(minutes)) => Ok(Some(Emergency { reason, minutes })),
        (true, None, _) => Err(Fault::invalid("reason", "is missing: say why it cannot wait for its approvals")),
        (true, _, None) => Err(Fault::invalid("minutes", "is missing: say after how many minutes it is undone")),
        (false, None, None) => Ok(None),
        (false, _, _) => Err(Fault::invalid("reason", "belongs to an act with `break_glass=true` only")),
    }
}
