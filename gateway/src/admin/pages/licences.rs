//! What the gateway is made of, and under which licences. The list is made when the gateway is built (`build.rs`).

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Frame, show};
use crate::admin::routes::{Access, Routes};
use crate::people::Role;

pub(super) const PATH: &str = "/licences";
/// A line each: name, version, licence, with tabs between them. Empty where it could not be made.
const LIST: &str = include_str!(concat!(env!("OUT_DIR"), "/licences.txt"));

pub(super) fn routes(routes: Routes) -> Routes {
    routes.page(PATH, Access::Role(Role::Viewer), page).get(
        "/api/v1/licences",
        Access::Role(Role::Viewer),
        get_licences,
    )
}

/// Something that is built in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::admin) struct Library {
    name: &'static str,
    version: &'static str,
    /// As its authors say, in the words of SPDX.
    licence: &'static str,
}

fn libraries() -> Arc<[Library]> {
    let library = |line: &'static str| {
        let mut parts = line.split('\t');
        Some(Library { name: parts.next()?, version: parts.next()?, licence: parts.next()? })
    };
    LIST.lines().filter_map(library).collect()
}

#[derive(Template)]
#[template(path = "licences.html")]
struct Page {
    frame: Frame,
    libraries: Arc<[Library]>,
}

async fn page(frame: Frame) -> Response {
    show(&Page { frame, libraries: libraries() })
}

/// Libraries that are built in, with their licences.
#[utoipa::path(get, path = "/api/v1/licences", tag = "system", responses((status = 200, body = Vec<Library>)))]
pub(in crate::admin) async fn get_licences() -> Json<Arc<[Library]>> {
    Json(libraries())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_stands_once_with_its_licence() {
        let libraries = libraries();
        for name in ["axum", "rustls", "wasmtime", "rusqlite"] {
            let one = libraries.iter().find(|library| library.name == name).unwrap();
            assert!(!one.licence.is_empty() && one.version.starts_with(|c: char| c.is_ascii_digit()), "{one:?}");
        }
        // Of some, two versions are built in.
        let mut all: Vec<_> = libraries.iter().map(|library| (library.name, library.version)).collect();
        all.dedup();
        assert_eq!(all.len(), libraries.len());
        assert!(!libraries.iter().any(|library| ["stile", "proptest", "chromium"].contains(&library.name)));
    }
}
