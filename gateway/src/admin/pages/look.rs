//! Light or dark: what the system says, or a person's choice, which a cookie remembers.

use axum::Extension;
use axum::Form;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::admin::Door;
use crate::admin::audit::Did;
use crate::admin::routes::{Access, Routes};
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

async fn choose(door: Door, headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let cookie = Cookies(door).set_theme(known(&choice.theme));
    let back = back(&headers);
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Extension(Did::nothing()), Redirect::to(&back)).into_response()
}

/// The longest path that is gone back to, in bytes.
const BACK_BYTES: usize = 1024;

/// The path of the page that the form stood on; browsers say so within one host.
pub(super) fn back(headers: &HeaderMap) -> String {
    let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = referer.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    // `//host` would lead elsewhere.
    let own = |path: &&str| !path.starts_with("//") && !path.contains('\\') && path.len() <= BACK_BYTES;
    path.filter(own).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_leads_to_a_path_of_this_host_alone() {
        let from = |referer: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::REFERER, referer.parse().unwrap());
            back(&headers)
        };
        assert_eq!(from("http://gateway:8080/messages?filter=a"), "/messages?filter=a");
        for odd in ["", "http://gateway", "http://gateway//elsewhere", "http://gateway/\\elsewhere", "x"] {
            assert_eq!(from(odd), "/");
        }
    }
}
