//! Style sheet, script and icon: compiled in, compressed once, under names that change with their content.

use std::io::Write;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::{SHA256, digest};

use super::Sources;
use super::problem::Problem;
use super::routes::{Access, Routes};
use crate::chart;

/// Their name says what is in them, so they may be kept for ever.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// One file.
struct Asset {
    name: String,
    kind: &'static str,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Asset {
    /// Of several parts one file, since each costs the first page a request.
    fn new(stem: &str, ending: &str, kind: &'static str, parts: &[&str]) -> Self {
        let plain = parts.concat().into_bytes();
        let hash: String = digest(&SHA256, &plain).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory can't fail; empty would be found by the tests.
        let packed = packer.write_all(&plain).and_then(|()| packer.finish()).unwrap_or_default();
        Self { name: format!("{stem}-{hash}.{ending}"), kind, plain, packed }
    }
}

/// All of them.
pub(super) struct Assets {
    style: Asset,
    script: Asset,
    icon: Asset,
}

impl Assets {
    pub(super) fn new() -> Self {
        let style =
            [include_str!("../../assets/stile.css"), include_str!("../../assets/configuration.css"), chart::CSS];
        let script = [include_str!("../../assets/stile.js"), include_str!("../../assets/configuration.js")];
        Self {
            style: Asset::new("stile", "css", "text/css; charset=utf-8", &style),
            script: Asset::new("stile", "js", "text/javascript; charset=utf-8", &script),
            icon: Asset::new("icon", "svg", "image/svg+xml", &[include_str!("../../assets/icon.svg")]),
        }
    }

    /// Where the style sheet is.
    pub(super) fn style(&self) -> String {
        format!("/assets/{}", self.style.name)
    }

    /// Where the script is.
    pub(super) fn script(&self) -> String {
        format!("/assets/{}", self.script.name)
    }

    /// Where the icon is.
    pub(super) fn icon(&self) -> String {
        format!("/assets/{}", self.icon.name)
    }

    fn find(&self, name: &str) -> Option<&Asset> {
        [&self.style, &self.script, &self.icon].into_iter().find(|asset| asset.name == name)
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/assets/{name}", Access::Open, asset)
}

async fn asset(State(sources): State<Arc<Sources>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = sources.page.assets.find(&name) else {
        return Problem::not_found("there is no such file; load the page again").into_response();
    };
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let own =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, FOR_EVER), (header::VARY, "accept-encoding")];
    if accepted.contains("gzip") {
        return (own, [(header::CONTENT_ENCODING, "gzip")], asset.packed.clone()).into_response();
    }
    (own, asset.plain.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_packed_is_what_is_not_and_fits_into_a_first_page() {
        let assets = Assets::new();
        let mut sum = 0;
        for asset in [&assets.style, &assets.script, &assets.icon] {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&asset.packed[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, *asset.plain);
            sum += asset.packed.len();
        }
        assert!(sum < 30_000, "{sum}");
    }
}
