//! `/.well-known/security.txt` (RFC 9116): where to report a vulnerability.

use std::time::{Duration, SystemTime};

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::admin::routes::{Access, Routes};
use crate::admin::support::{CONTACT, POLICY};

/// For how long what is said is good. It is said anew with each answer.
const GOOD_FOR: Duration = Duration::from_secs(90 * 86_400);

pub(super) fn routes(routes: Routes) -> Routes {
    routes.page("/.well-known/security.txt", Access::Open, text)
}

async fn text() -> Response {
    let expires = humantime::format_rfc3339_seconds(SystemTime::now() + GOOD_FOR);
    let text = format!("Contact: {CONTACT}\nExpires: {expires}\nPolicy: {POLICY}\nPreferred-Languages: en\n");
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
