//! The admin API over HTTP. Every route is one row of a table that the router and the OpenAPI document share.

mod approvers;
mod ask;
mod call;
mod evidence;
mod holds;
mod instruments;
mod keys;
mod operations;
mod parties;
mod plans;
mod problem;
mod productions;
mod shapes;
mod sources;
mod views;

use std::sync::OnceLock;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, get, on},
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, HttpMethod, OpenApi as Document, RefOr, Required, Response as Described,
        path::{Operation, ParameterBuilder, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{Control, Effect, FieldFault, admin::Health, schema};
use problem::Problem;

/// Calls `$each!` with every handler and with what utoipa made of it.
macro_rules! with_routes {
    ($each:ident) => {
        $each! {
            parties: list_organizations __path_list_organizations,
            parties: add_organization __path_add_organization,
            parties: get_organization __path_get_organization,
            parties: update_organization __path_update_organization,
            parties: list_people __path_list_people,
            parties: add_person __path_add_person,
            parties: get_person __path_get_person,
            parties: update_person __path_update_person,
            parties: list_workloads __path_list_workloads,
            parties: add_workload __path_add_workload,
            parties: get_workload __path_get_workload,
            parties: update_workload __path_update_workload,
            evidence: list_attestations __path_list_attestations,
            evidence: add_attestation __path_add_attestation,
            evidence: get_attestation __path_get_attestation,
            evidence: withdraw_attestation __path_withdraw_attestation,
            evidence: list_affiliations __path_list_affiliations,
            evidence: add_affiliation __path_add_affiliation,
            evidence: get_affiliation __path_get_affiliation,
            evidence: end_affiliation __path_end_affiliation,
            keys: list_keys __path_list_keys,
            keys: mint_key __path_mint_key,
            keys: get_key __path_get_key,
            keys: revoke_key __path_revoke_key,
            keys: list_tokens __path_list_tokens,
            keys: mint_token __path_mint_token,
            keys: revoke_token __path_revoke_token,
            approvers: list_approvers __path_list_approvers,
            approvers: add_approver __path_add_approver,
            approvers: revoke_approver __path_revoke_approver,
            instruments: list_directives __path_list_directives,
            instruments: file_directive __path_file_directive,
            instruments: get_directive __path_get_directive,
            instruments: apply_directive __path_apply_directive,
            instruments: approve_directive __path_approve_directive,
            instruments: roll_back_directive __path_roll_back_directive,
            instruments: stay_directive __path_stay_directive,
            instruments: vacate_directive __path_vacate_directive,
            instruments: lift_directive __path_lift_directive,
            instruments: list_licenses __path_list_licenses,
            instruments: file_license __path_file_license,
            instruments: get_license __path_get_license,
            instruments: apply_license __path_apply_license,
            instruments: approve_license __path_approve_license,
            instruments: roll_back_license __path_roll_back_license,
            instruments: stay_license __path_stay_license,
            instruments: vacate_license __path_vacate_license,
            instruments: lift_license __path_lift_license,
            productions: list_productions __path_list_productions,
            productions: request_production __path_request_production,
            productions: get_production __path_get_production,
            productions: approve_production __path_approve_production,
            productions: produce __path_produce,
            holds: list_holds __path_list_holds,
            holds: place_hold __path_place_hold,
            holds: release_hold __path_release_hold,
            holds: erase __path_erase,
            plans: make_plan __path_make_plan,
            plans: get_plan __path_get_plan,
            operations: get_snapshot __path_get_snapshot,
            operations: list_models __path_list_models,
            operations: get_health __path_get_health,
            operations: whoami __path_whoami,
            operations: get_schema __path_get_schema,
            operations: reload __path_reload,
            operations: get_receipt __path_get_receipt,
            sources: list_source_kinds __path_list_source_kinds,
            sources: list_sources __path_list_sources,
            sources: set_source __path_set_source,
            sources: remove_source __path_remove_source,
            sources: list_channels __path_list_channels,
            sources: list_reviews __path_list_reviews,
            sources: close_review __path_close_review,
            ask: explain_call __path_explain_call,
            ask: ask __path_ask,
            ask: list_instruments __path_list_instruments,
        }
    };
}

/// Where the OpenAPI document is served, to anybody: it holds nothing of this installation.
const DOCUMENT_PATH: &str = "/admin/v1/openapi.json";

/// Returns the admin API.
pub(crate) fn router(control: Control) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, (path, route)| router.route(&path, route));
    router
        .route(DOCUMENT_PATH, get(show_document))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(control)
}

fn routes() -> Vec<(String, MethodRouter<Control>)> {
    macro_rules! table {
        ($($module:ident: $handler:ident $path:ident,)*) => {
            vec![$(route::<$module::$path, _, _>($module::$handler),)*]
        };
    }
    with_routes!(table)
}

/// Binds a handler to the path and method that its own description names.
fn route<P, H, T>(handler: H) -> (String, MethodRouter<Control>)
where
    P: utoipa::Path,
    H: axum::handler::Handler<T, Control>,
    T: 'static,
{
    let filter = match P::methods().first() {
        Some(HttpMethod::Post) => MethodFilter::POST,
        Some(HttpMethod::Patch) => MethodFilter::PATCH,
        _ => MethodFilter::GET,
    };
    (P::path(), on(filter, handler))
}

async fn show_document() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_json().unwrap_or_default());
    let media = [(header::CONTENT_TYPE, "application/json")];
    (media, text.as_str()).into_response()
}

/// Makes the OpenAPI 3.1 document of the handlers.
fn document() -> Document {
    macro_rules! list {
        ($($module:ident: $handler:ident $path:ident,)*) => {{
            #[derive(OpenApi)]
            #[openapi(
                info(
                    title = "Exeat admin API",
                    description = "The control plane: people, organizations, evidence, keys, directives and licenses. \
                        Every change answers with the index of its ledger entry and with what it did to live calls."
                ),
                paths($($module::$handler,)*),
                components(schemas(Effect, FieldFault, Health, Problem)),
                modifiers(&Common)
            )]
            struct Api;
            Api::openapi()
        }};
    }
    with_routes!(list)
}

/// Adds what every operation has in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "An admin token (`ex_admin_...`); the roles that may call are listed with each operation.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("admin_token", SecurityScheme::Http(bearer));
        components.schemas.extend(shapes::all());
        for item in document.paths.paths.values_mut() {
            let (get, patch, post) = (&mut item.get, &mut item.patch, &mut item.post);
            let operations = [get, patch].into_iter().flatten();
            operations.for_each(add_problem);
            if let Some(post) = post {
                add_problem(post);
                add_idempotency_key(post);
            }
        }
    }
}

fn add_problem(operation: &mut Operation) {
    let mut problem = Described::new("What is wrong and what to do (RFC 9457).");
    let content = Content::new(Some(schema::reference("Problem")));
    problem.content.insert("application/problem+json".to_owned(), content);
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), RefOr::T(problem));
}

fn add_idempotency_key(operation: &mut Operation) {
    let header = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Names this request, 1 to 128 characters. Repeated within 24 hours, it is answered again and not done again.",
        ))
        .build();
    operation.parameters.get_or_insert_default().push(header);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_reference_of_the_document_resolves() {
        let document: Value = serde_json::from_str(&document().to_json().unwrap()).unwrap();
        let mut references = BTreeSet::new();
        collect_references(&document, &mut references);
        assert!(references.len() > 20);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_document_has_exactly_the_routes_of_the_router() {
        macro_rules! table {
            ($($module:ident: $handler:ident $path:ident,)*) => {
                [$((<$module::$path as utoipa::Path>::methods(), <$module::$path as utoipa::Path>::path()),)*]
            };
        }
        let document: Value = serde_json::from_str(&document().to_json().unwrap()).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert(format!("{method} {path}"));
            }
        }
        let mut routed = BTreeSet::new();
        for (methods, path) in with_routes!(table) {
            assert_eq!(methods.len(), 1, "{path}");
            let method = serde_json::to_value(&methods[0]).unwrap();
            let method = method.as_str().unwrap().to_lowercase();
            routed.insert(format!("{method} {path}"));
        }
        assert_eq!(routes().len(), routed.len());
        assert_eq!(described, routed);
    }

    fn collect_references(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    into.insert(reference.clone());
                }
                map.values().for_each(|item| collect_references(item, into));
            }
            Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
            _ => {}
        }
    }
}
