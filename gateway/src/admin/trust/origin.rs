//! Whether a request comes from a page of this very host.

use axum::http::{HeaderMap, header};

/// What browsers say of where a request comes from, beside `Origin` (W3C Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

/// Whether the request can't come from another host's page. Programs that are no browsers say nothing of it.
pub(in crate::admin) fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    // `none`: the person typed the address.
    if text(FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    match text(header::ORIGIN.as_str()) {
        None => true,
        Some(origin) => {
            let from = origin.split_once("://").map(|(_, host)| host);
            from.is_some() && from == text(header::HOST.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_hosts_own_pages_and_programs_pass() {
        let ask = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            headers.insert("host", "gateway:8080".parse().unwrap());
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            same_origin(&headers)
        };
        assert!(ask(&[]) && ask(&[("origin", "http://gateway:8080")]) && ask(&[("sec-fetch-site", "same-origin")]));
        for origin in ["http://gateway", "http://other:8080", "http://gateway:8081", "null", "", "gateway:8080"] {
            assert!(!ask(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!ask(&[("sec-fetch-site", site), ("origin", "http://gateway:8080")]), "{site}");
        }
    }
}
