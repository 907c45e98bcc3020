//! Organizations, people and workloads over HTTP.

use axum::response::Response;
use terms::{OrganizationId, PersonId, WorkloadId};

use super::call::{Answer, Call, ListQuery};
use crate::{NewOrganization, NewPerson, NewWorkload, OrganizationUpdate, PersonUpdate, WorkloadUpdate, admin::Area};

/// Lists organizations in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/organizations",
    tag = "organizations",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/OrganizationList"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_organizations(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        let page = sent.query::<ListQuery>()?.page()?;
        Answer::ok(&reader.organizations(page)?)
    })
    .await
}

/// Adds an organization.
#[utoipa::path(
    post,
    path = "/admin/v1/organizations",
    tag = "organizations",
    request_body = NewOrganization,
    responses((status = 201, body = ref("#/components/schemas/OrganizationChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn add_organization(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        Answer::created(&registrar.add_organization(sent.body::<NewOrganization>()?)?)
    })
    .await
}

/// Shows an organization as now in effect.
#[utoipa::path(
    get,
    path = "/admin/v1/organizations/{id}",
    tag = "organizations",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Organization"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn get_organization(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        Answer::ok(&reader.organization(&sent.param::<OrganizationId>("id")?)?)
    })
    .await
}

/// Changes an organization; what the body does not name stays.
#[utoipa::path(
    patch,
    path = "/admin/v1/organizations/{id}",
    tag = "organizations",
    request_body = OrganizationUpdate,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/OrganizationChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn update_organization(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        let id = sent.param::<OrganizationId>("id")?;
        Answer::ok(&registrar.update_organization(&id, sent.body::<OrganizationUpdate>()?)?)
    })
    .await
}

/// Lists people in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/people",
    tag = "people",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/PersonList"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_people(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        let page = sent.query::<ListQuery>()?.page()?;
        Answer::ok(&reader.people(page)?)
    })
    .await
}

/// Adds a person.
#[utoipa::path(
    post,
    path = "/admin/v1/people",
    tag = "people",
    request_body = NewPerson,
    responses((status = 201, body = ref("#/components/schemas/PersonChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn add_person(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        Answer::created(&registrar.add_person(sent.body::<NewPerson>()?)?)
    })
    .await
}

/// Shows a person as now in effect.
#[utoipa::path(
    get,
    path = "/admin/v1/people/{id}",
    tag = "people",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Person"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn get_person(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        Answer::ok(&reader.person(&sent.param::<PersonId>("id")?)?)
    })
    .await
}

/// Changes a person; what the body does not name stays.
#[utoipa::path(
    patch,
    path = "/admin/v1/people/{id}",
    tag = "people",
    request_body = PersonUpdate,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/PersonChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn update_person(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        let id = sent.param::<PersonId>("id")?;
        Answer::ok(&registrar.update_person(&id, sent.body::<PersonUpdate>()?)?)
    })
    .await
}

/// Lists workloads in order of id.
#[utoipa::path(
    get,
    path = "/admin/v1/workloads",
    tag = "workloads",
    params(ListQuery),
    responses((status = 200, body = ref("#/components/schemas/WorkloadList"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn list_workloads(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        let page = sent.query::<ListQuery>()?.page()?;
        Answer::ok(&reader.workloads(page)?)
    })
    .await
}

/// Adds a workload.
#[utoipa::path(
    post,
    path = "/admin/v1/workloads",
    tag = "workloads",
    request_body = NewWorkload,
    responses((status = 201, body = ref("#/components/schemas/WorkloadChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn add_workload(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        Answer::created(&registrar.add_workload(sent.body::<NewWorkload>()?)?)
    })
    .await
}

/// Shows a workload as now in effect.
#[utoipa::path(
    get,
    path = "/admin/v1/workloads/{id}",
    tag = "workloads",
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/Workload"))),
    security(("admin_token" = ["root", "registrar", "auditor"])),
)]
pub(super) async fn get_workload(call: Call) -> Response {
    call.run(|admin, sent| {
        let reader = admin.reader(Area::Registry)?;
        Answer::ok(&reader.workload(&sent.param::<WorkloadId>("id")?)?)
    })
    .await
}

/// Changes a workload; what the body does not name stays.
#[utoipa::path(
    patch,
    path = "/admin/v1/workloads/{id}",
    tag = "workloads",
    request_body = WorkloadUpdate,
    params(("id" = String, Path)),
    responses((status = 200, body = ref("#/components/schemas/WorkloadChanged"))),
    security(("admin_token" = ["root", "registrar"])),
)]
pub(super) async fn update_workload(call: Call) -> Response {
    call.run(|admin, sent| {
        let registrar = admin.registrar()?;
        let id = sent.param::<WorkloadId>("id")?;
        Answer::ok(&registrar.update_workload(&id, sent.body::<WorkloadUpdate>()?)?)
    })
    .await
}
