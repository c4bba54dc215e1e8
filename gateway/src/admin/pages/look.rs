//! Light or dark: what the system says, or a person's choice, which a cookie remembers.

use axum::Extension;
use axum::Form;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::admin::Door;
use crate::admin::audit::Did;
use crate::admin::routes::{Access, Route, Routes, Table, Verb};
use crate::admin::trust::Cookies;

pub(super) fn routes(routes: Routes) -> Routes {
    // A choice of colours is nobody's secret and changes nothing of the gateway.
    routes.form("/look", Access::Open, choose)
}

/// The theme as pages write it; empty for what the system says.
pub(super) fn known(theme: &str) -> &'static str {
    match theme {
        "light" => "light",
        "dark" => "dark",
        _ => "",
    }
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    theme: String,
}

async fn choose(
    door: Door,
    Extension(table): Extension<Table>,
    headers: HeaderMap,
    Form(choice): Form<Choice>,
) -> Response {
    let cookie = Cookies(door).set_theme(known(&choice.theme));
    let back = back(&headers, &table);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Extension(Did::nothing()), Redirect::to(&back)).into_response()
}

/// The longest path that is gone back to, in bytes.
const BACK_BYTES: usize = 1024;

/// The path of the page that the form stood on; browsers say so within one host. Of a page that a form has brought about, the nearest
/// one above it that can be asked for.
pub(super) fn back(headers: &HeaderMap, table: &[Route]) -> String {
    let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = referer.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    // `//host` would lead elsewhere.
    let own = |path: &&str| !path.starts_with("//") && !path.contains('\\') && path.len() <= BACK_BYTES;
    let mut path = path.filter(own).unwrap_or("/");
    while is_form(path, table) {
        path = path.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
    }
    path.to_owned()
}

/// Whether a path is where forms go, and can't be asked for.
fn is_form(path: &str, table: &[Route]) -> bool {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let is_it = |route: &&Route| {
        let (own, asked): (Vec<_>, Vec<_>) = (route.path.split('/').collect(), path.split('/').collect());
        own.len() == asked.len() && own.iter().zip(asked).all(|(own, asked)| *own == asked || own.starts_with('{'))
    };
    let mut here = table.iter().filter(is_it).peekable();
    here.peek().is_some() && here.all(|route| route.method != Verb::Get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_leads_to_a_path_of_this_host_alone() {
        let route = |method, path| Route { method, path, needs: None, open_on_loopback: false };
        let table = [
            route(Verb::Get, "/messages"),
            route(Verb::Get, "/plugins/{name}"),
            route(Verb::Post, "/plugins/{name}/try"),
            route(Verb::Post, "/people/add"),
        ];
        let from = |referer: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::REFERER, referer.parse().unwrap());
            back(&headers, &table)
        };
        assert_eq!(from("http://gateway:8080/messages?filter=a/b"), "/messages?filter=a/b");
        // What a form has brought about can't be asked for again.
        assert_eq!(from("http://gateway:8080/plugins/p/try?csrf=a"), "/plugins/p");
        assert_eq!(from("http://gateway:8080/people/add"), "/people");
        // Nothing is there, which a page said.
        assert_eq!(from("http://gateway:8080/nowhere"), "/nowhere");
        for odd in ["", "http://gateway", "http://gateway//elsewhere", "http://gateway/\\elsewhere", "x"] {
            assert_eq!(from(odd), "/");
        }
    }
}
