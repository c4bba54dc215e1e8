//! What every request passes: who asks, whether he may, and whether it is he who asks and not another host's page in his
//! browser. Notes each change for the audit log, and gives people a page where programs get a problem.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::audit::{Audit, Did};
use super::pages;
use super::problem::Problem;
use super::routes::{Route, Verb};
use super::trust::{Caller, Cookies, Trust, same_origin};
use super::{Door, Sources};
use crate::password::same;
use crate::store::AuditRow;

/// The longest form or other body, in bytes. What is longer comes another way.
pub(super) const FORM_BYTES: usize = 256 * 1024;
/// What a form carries to show that it is one of ours, in a field, a header or the query.
pub(super) const CSRF_FIELD: &str = "csrf";
const CSRF_HEADER: &str = "x-csrf-token";
/// What a page's script says when it asks by itself, so that nobody stays signed in by an open page alone.
const BY_ITSELF: &str = "x-by-itself";
/// The longest text that the framework refuses something with, in bytes.
const REFUSAL_BYTES: usize = 4096;
/// As much of a path as is repeated, in characters.
const PATH_SHOWN: usize = 200;
/// Nothing from elsewhere, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What guards one route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    pub(super) route: Route,
    pub(super) door: Door,
}

impl Gate {
    fn caller(self, trust: &Trust, headers: &HeaderMap) -> Result<Caller, Problem> {
        if self.door == Door::Socket {
            return Ok(Caller::CommandLine);
        }
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            let bearer = given.to_str().ok().and_then(|text| text.split_once(' '));
            let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return match bearer.map(|(_, token)| trust.by_token(token.trim())) {
                Some(Caller::Nobody) | None => {
                    Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not known; `stile token add` makes one"))
                }
                Some(caller) => Ok(caller),
            };
        }
        let secret = Cookies(self.door).session(headers);
        Ok(secret.map_or(Caller::Nobody, |secret| trust.by_cookie(secret, !by_itself(headers))))
    }

    fn may(self, caller: &Caller) -> Result<(), Problem> {
        let Some(needs) = self.route.needs else { return Ok(()) };
        if self.route.open_on_loopback && matches!(self.door, Door::Loopback { .. }) {
            return Ok(());
        }
        match caller.role() {
            Some(role) if role >= needs => Ok(()),
            Some(role) => {
                let detail = format!("this needs the role {needs}, and {} has {role}", caller.describe());
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            None => {
                Err(Problem::new(StatusCode::UNAUTHORIZED, "sign in, or send a token: `Authorization: Bearer ...`"))
            }
        }
    }

    /// Whether a change is meant by whoever it seems to come from. Gives the request back, read where it had to be.
    async fn meant(self, caller: &Caller, request: Request) -> Result<Request, Problem> {
        if matches!(caller, Caller::Token { .. } | Caller::CommandLine) {
            // No browser adds these by itself.
            return Ok(request);
        }
        let refused = |detail: &str| Problem::new(StatusCode::FORBIDDEN, detail);
        if !same_origin(request.headers()) {
            return Err(refused("this came from a page of another host"));
        }
        let Caller::Person { csrf, .. } = caller else { return Ok(request) };
        if self.route.needs.is_none() {
            // Whoever may come as nobody has nothing that another host's page could misuse.
            return Ok(request);
        }
        let right = |given: &str| same(csrf.as_bytes(), given.as_bytes());
        let in_header = request.headers().get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        if in_header.is_some_and(right) || field(request.uri().query().unwrap_or_default()).is_some_and(|t| right(&t)) {
            return Ok(request);
        }
        let stale = || refused("the form is too old or none of ours; load the page again");
        if !is_form(request.headers()) {
            return Err(stale());
        }
        let (parts, body) = request.into_parts();
        let too_long =
            |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a form has {FORM_BYTES} bytes at most"));
        let bytes = to_bytes(body, FORM_BYTES).await.map_err(too_long)?;
        let given = std::str::from_utf8(&bytes).ok().and_then(field);
        if given.is_some_and(|given| right(&given)) {
            Ok(Request::from_parts(parts, Body::from(bytes)))
        } else {
            Err(stale())
        }
    }
}

/// The token in a query or a form. It has only characters that are written as they are.
fn field(pairs: &str) -> Option<String> {
    let mut pairs = pairs.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == CSRF_FIELD).map(|(_, value)| value.to_owned())
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// Whether nobody did anything: a page's script asks, or a stream of events goes on, which browsers open anew when it ends.
pub(super) fn by_itself(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    headers.contains_key(BY_ITSELF) || accepts.is_some_and(|accepts| accepts.contains("text/event-stream"))
}

/// Whether a person waits for the answer, and not a program.
fn wants_page(request: &Request) -> bool {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    !request.uri().path().starts_with("/api/") && accepts.is_some_and(|accepts| accepts.contains("text/html"))
}

/// What stands in front of every handler.
pub(super) async fn guard(
    State(gate): State<Gate>,
    Extension(sources): Extension<Arc<Sources>>,
    request: Request,
    next: Next,
) -> Response {
    let for_person = wants_page(&request);
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let known = gate.caller(&sources.page.trust, &parts.headers);
    let caller = known.as_ref().map_or(Caller::Nobody, Clone::clone);
    let shown = pages::Frame::of(&sources, &caller, &parts);
    let target = parts.uri.path().to_owned();
    let admitted = match known.and_then(|caller| gate.may(&caller)) {
        Ok(()) if gate.route.method == Verb::Get => Ok(Request::from_parts(parts, body)),
        Ok(()) => gate.meant(&caller, Request::from_parts(parts, body)).await,
        Err(problem) => Err(problem),
    };
    let answering = async move {
        let mut response = match admitted {
            Ok(mut request) => {
                request.extensions_mut().insert(caller.clone());
                request.extensions_mut().insert(gate.door);
                next.run(request).await
            }
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED && for_person => to_sign_in(&sources, &target),
            Err(problem) => problem.into_response(),
        };
        if target.starts_with("/api/") {
            response = in_form(response).await;
        }
        if gate.route.method != Verb::Get {
            let request = format!("{} {target}", gate.route.method.as_str());
            audit(&sources.page.audit, &caller, peer, request, &mut response);
        }
        response
    };
    let mut response = if gate.route.method == Verb::Get { answering.await } else { to_its_end(answering).await };
    if response.status() == StatusCode::UNAUTHORIZED && !for_person {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) if for_person => pages::problem(shown, &problem),
        _ => response,
    }
}

/// A change goes on when whoever asked for it hangs up: none is half done, and none is missing in the audit log.
async fn to_its_end(answering: impl Future<Output = Response> + Send + 'static) -> Response {
    let answered = tokio::spawn(answering).await;
    answered.unwrap_or_else(|panic| Problem::failed(panic.to_string()).into_response())
}

/// What the framework refuses by itself, such as a query that can't be read, is plain text: of the API it is a problem.
async fn in_form(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !response.status().is_client_error() || !kind.starts_with("text/plain") {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, REFUSAL_BYTES).await.unwrap_or_default();
    let mut problem = Problem::new(parts.status, String::from_utf8_lossy(&text)).into_response();
    problem.extensions_mut().extend(parts.extensions);
    problem
}

fn to_sign_in(sources: &Sources, target: &str) -> Response {
    if sources.page.trust.needs_setup() {
        return Redirect::to(pages::SET_UP).into_response();
    }
    // A path of ours, of letters that stand in a query as they are; anything else is not worth coming back to.
    let plain = target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte)) && target.len() > 1;
    let back = if plain { format!("?next={target}") } else { String::new() };
    Redirect::to(&format!("{}{back}", pages::SIGN_IN)).into_response()
}

/// Notes a change, or that somebody who is known was refused one. What strangers try only counts where a password was looked
/// at.
fn audit(log: &Audit, caller: &Caller, peer: Option<SocketAddr>, request: String, response: &mut Response) {
    let did = response.extensions_mut().remove::<Did>();
    let status = response.status();
    if did.is_none() && caller.role().is_none() {
        return;
    }
    let did = did.unwrap_or_else(|| Did::at(request));
    if did.is_nothing() {
        return;
    }
    let outcome = match status.as_u16() {
        ..=399 => AuditRow::DONE.to_owned(),
        401 | 403 => "refused".to_owned(),
        other => format!("failed ({other})"),
    };
    log.note(did.who.unwrap_or_else(|| caller.describe()), peer.map(|peer| peer.ip()), did.what, outcome);
}

/// What has no route.
pub(super) async fn nothing_there(State(sources): State<Arc<Sources>>, request: Request) -> Response {
    let path = pages::shown::beginning(request.uri().path(), PATH_SHOWN);
    let problem = Problem::not_found(format!("there is nothing at {path}"));
    if !wants_page(&request) {
        return problem.into_response();
    }
    let door = request.extensions().get::<Door>().copied().unwrap_or(Door::Socket);
    let (parts, _) = request.into_parts();
    let secret = Cookies(door).session(&parts.headers);
    let caller =
        secret.map_or(Caller::Nobody, |secret| sources.page.trust.by_cookie(secret, !by_itself(&parts.headers)));
    pages::problem(pages::Frame::of(&sources, &caller, &parts), &problem)
}

/// What every answer says to browsers.
pub(super) async fn headers(State(door): State<Door>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || door == Door::Socket {
        return response;
    }
    let own = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer`, browsers would hide where our own forms come from.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), usb=(), serial=()"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in own {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get().cloned().unwrap_or(Self::Nobody))
    }
}

impl<S: Sync> FromRequestParts<S> for Door {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Without one, nothing is allowed that a door would allow.
        Ok(parts.extensions.get().copied().unwrap_or(Self::Secure { port: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_asks_for_by_itself_is_no_sign_of_anybody() {
        let ask = |name: &'static str, value: &str| {
            by_itself(&HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]))
        };
        assert!(ask(BY_ITSELF, "1") && ask("accept", "text/event-stream"));
        assert!(!ask("accept", "text/html,application/xhtml+xml") && !by_itself(&HeaderMap::new()));
    }
}
