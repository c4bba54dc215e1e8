//! The API's description (OpenAPI 3.1), made from the code, and the table of all routes.

use axum::{Extension, Json};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, ResponseBuilder};

use super::problem::{self, Problem};
use super::routes::{Access, Route, Routes, Table, Verb};
use super::{audit, clients, ledger, live, measurements, pages, probes, uplinks};
use crate::people::Role;

const BEARER: &str = "token";

/// Every page adds its paths here; a test holds them against the table of routes.
#[derive(OpenApi)]
#[openapi(
    info(title = "Stile", description = "The gateway's API. Problems come as application/problem+json (RFC 9457)."),
    paths(
        document,
        routes_table,
        ledger::get_ledger,
        live::live,
        live::way,
        live::tap,
        measurements::get_measurements,
        audit::get_audit,
        pages::overview::get_overview,
        pages::history::get_history,
        pages::configuration::get_configuration,
        pages::configuration::api::post_check,
        pages::configuration::api::post_apply,
        pages::configuration::api::post_confirm,
        pages::configuration::api::post_return,
        pages::configuration::past::get_changes,
        pages::configuration::past::get_change,
        pages::configuration::past::post_restore,
        pages::configuration::whole::post_export,
        pages::configuration::whole::post_import,
        pages::radios::get_radios,
        pages::radios::one::get_radio,
        pages::radios::one::get_history,
        pages::radios::framing::get_framing,
        pages::radios::send::post_frame,
        pages::account::put_password,
        pages::plugins::get_plugins,
        pages::plugins::get_plugin,
        pages::plugins::upload::post_plugin,
        pages::plugins::change::put_enabled,
        pages::plugins::change::put_place,
        pages::plugins::change::put_settings,
        pages::plugins::change::post_rollback,
        pages::plugins::trial::post_try,
        pages::plugins::trial::post_case,
        pages::people::get_people,
        pages::people::post_person,
        pages::people::put_role,
        pages::people::put_password,
        pages::people::delete_person,
        pages::tokens::post_token,
        pages::tokens::delete_token,
        clients::get_clients,
        clients::disconnect,
        pages::users::get_users,
        pages::users::post_user,
        pages::users::put_rights,
        pages::users::post_password,
        pages::users::delete_user,
        pages::users::get_may,
        uplinks::list,
        probes::list,
        probes::post_run,
        probes::delete_run,
        pages::probes::get_probe,
        pages::letters::post_test,
        pages::letters::get_letters,
        pages::letters::get_letter,
        pages::letters::post_letter,
        pages::letters::delete_letter,
        pages::measurements::get_kept,
        pages::logs::get_logs,
        pages::logs::live::live,
        pages::system::get_system,
        pages::system::post_restart,
        pages::system::post_reset,
        pages::system::post_certificate,
        pages::update::get_update,
        pages::update::post_update,
        pages::bundle::post_bundle,
        pages::update::post_restart,
        pages::licences::get_licences,
    ),
    components(schemas(Problem, pages::users::What))
)]
struct Described;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/openapi.json", Access::Role(Role::Viewer), document).get(
        "/api/v1/routes",
        Access::Role(Role::Viewer),
        routes_table,
    )
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "api",
    responses((status = 200, description = "an OpenAPI document", body = Object)))]
pub(super) async fn document(Extension(table): Extension<Table>) -> Json<Document> {
    Json(describe(&table))
}

/// Every route of this port, pages among them, with the role that it needs.
#[utoipa::path(get, path = "/api/v1/routes", tag = "api", responses((status = 200, body = Vec<Route>)))]
pub(super) async fn routes_table(Extension(table): Extension<Table>) -> Json<Table> {
    Json(table)
}

/// The description, with what the table knows: the role that each needs.
fn describe(table: &[Route]) -> Document {
    let mut document = Described::openapi();
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("`stile token add` makes one"));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    for route in table {
        let Some(item) = document.paths.paths.get_mut(route.path) else { continue };
        let operation = match route.method {
            Verb::Get => item.get.as_mut(),
            Verb::Post => item.post.as_mut(),
            Verb::Put => item.put.as_mut(),
            Verb::Delete => item.delete.as_mut(),
        };
        let (Some(operation), Some(needs)) = (operation, route.needs) else { continue };
        operation.security = Some(vec![SecurityRequirement::new(BEARER, [needs.as_str()])]);
        let said = operation.description.take().unwrap_or_default();
        operation.description = Some(format!("{said}\n\nNeeds the role {needs}.").trim().to_owned());
        add_problems(operation);
    }
    document
}

/// Whatever else comes is a problem, and problems have a type of their own, which the macro can't know.
fn add_problems(operation: &mut Operation) {
    let any = Content::new(Some(Ref::from_schema_name("Problem")));
    let any = ResponseBuilder::new().description("what went wrong").content(problem::TYPE, any).build();
    let responses = &mut operation.responses.responses;
    responses.entry("default".to_owned()).or_insert(any.into());
    for response in responses.iter_mut().filter(|(status, _)| status.starts_with(['4', '5'])).map(|(_, of)| of) {
        let RefOr::T(response) = response else { continue };
        let contents = std::mem::take(&mut response.content).into_values();
        response.content = contents.map(|content| (problem::TYPE.to_owned(), content)).collect();
    }
}

/// Whether a path is one of the API's, which the description has to name.
#[cfg(test)]
pub(super) fn is_described(route: &Route) -> bool {
    let document = describe(&[*route]);
    let item = document.paths.paths.get(route.path);
    let there = item.is_some_and(|item| match route.method {
        Verb::Get => item.get.is_some(),
        Verb::Post => item.post.is_some(),
        Verb::Put => item.put.is_some(),
        Verb::Delete => item.delete.is_some(),
    });
    there == route.path.starts_with("/api/")
}
