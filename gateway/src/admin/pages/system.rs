//! The gateway as a whole: version, machine, certificates, and beginning again, as it is or with an empty data folder.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::shown::{bytes, duration};
use super::update::{self, Updating};
use super::{Frame, Input, show};
use crate::admin::audit::Did;
use crate::admin::machine::Machine;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::settings::with_changes;
use crate::admin::trust::Caller;
use crate::admin::{Sources, System, support};
use crate::changes::Changes;
use crate::people::Role;

pub(super) const PATH: &str = "/system";

pub(super) fn routes(routes: Routes) -> Routes {
    let (viewer, admin) = (Access::Role(Role::Viewer), Access::Role(Role::Admin));
    routes
        .page(PATH, viewer, page)
        .form("/system/restart", admin, restart_form)
        .form("/system/factory-reset", admin, reset_form)
        .form("/system/certificate", admin, certificate_form)
        .get("/api/v1/system", viewer, get_system)
        .post("/api/v1/system/restart", admin, post_restart)
        .post("/api/v1/system/factory-reset", admin, post_reset)
        .post("/api/v1/system/certificate", admin, post_certificate)
}

/// The gateway as a whole.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct WholeSystem {
    /// The gateway's id.
    gateway: String,
    version: &'static str,
    /// The commit that it was built from, where that is known.
    commit: Option<&'static str>,
    up_seconds: u64,
    machine: Machine,
    /// Certificates that are shown to whoever connects.
    certificates: Vec<ShownCertificate>,
    /// Whether systemd starts the gateway again when it ends.
    started_again: bool,
    support: Support,
}

/// A certificate that is in use.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct ShownCertificate {
    /// What for: `admin page` or `MQTT`.
    shown_by: &'static str,
    /// Whether the gateway has made it itself, and can renew it.
    own: bool,
    /// Its owner's common name.
    subject: Option<String>,
    /// The host names and addresses that it is for.
    names: Vec<String>,
    /// Until when it is good, in UTC.
    ends: Option<String>,
    /// SHA-256.
    fingerprint: String,
}

/// What the project promises.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Support {
    /// Until this day vulnerabilities are mended.
    until: &'static str,
    /// Where to report one.
    contact: &'static str,
    /// What becomes of a report.
    policy: &'static str,
}

fn gather(sources: &Sources) -> WholeSystem {
    let certificates = sources.system.certificates();
    let shown = certificates.iter().cloned().map(|(shown_by, own, certificate)| {
        let crate::tls::Certificate { subject, names, ends, fingerprint } = certificate;
        ShownCertificate { shown_by, own, subject, names, ends, fingerprint }
    });
    WholeSystem {
        gateway: sources.id.clone(),
        version: env!("CARGO_PKG_VERSION"),
        commit: support::COMMIT,
        up_seconds: sources.page.figures.uptime().as_secs(),
        machine: sources.page.figures.machine(),
        certificates: shown.collect(),
        started_again: sources.system.is_started_again(),
        support: Support { until: support::UNTIL, contact: support::CONTACT, policy: support::POLICY },
    }
}

#[derive(Template)]
#[template(path = "system.html")]
struct Page {
    frame: Frame,
    whole: WholeSystem,
    update: Updating,
    error: Option<String>,
    /// Whether this person may change something here.
    admin: bool,
}

impl Page {
    async fn new(sources: &Sources, frame: Frame, error: Option<String>) -> Self {
        let admin = frame.person.as_ref().is_some_and(|(_, role)| *role == Role::Admin.as_str());
        Self { frame, whole: gather(sources), update: update::gather(sources).await, error, admin }
    }

    /// What there is to know, as names and words.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let WholeSystem { version, commit, up_seconds, machine, .. } = &self.whole;
        let of = |free: Option<u64>, total: Option<u64>| {
            let (free, total) = free.zip(total)?;
            Some(format!("{} free of {}", bytes(free), bytes(total)))
        };
        let rows = [
            ("Version", Some((*version).to_owned())),
            (
                "Built from",
                Some(commit.map_or_else(|| "a commit that the build did not name".to_owned(), str::to_owned)),
            ),
            ("Running for", Some(duration(Duration::from_secs(*up_seconds)))),
            ("Memory of the gateway", machine.memory_own.map(bytes)),
            ("Memory", of(machine.memory_available, machine.memory_total)),
            ("Disk", of(machine.disk_free, machine.disk_total)),
            ("Temperature", machine.temperature.map(|degrees| format!("{degrees:.0} °C"))),
        ];
        rows.into_iter().filter_map(|(name, words)| Some((name, words?))).collect()
    }

    fn has_own(&self) -> bool {
        self.whole.certificates.iter().any(|certificate| certificate.own)
    }
}

async fn page(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    show(&Page::new(&sources, frame, None).await)
}

/// The gateway as a whole: version, machine, certificates, support.
#[utoipa::path(get, path = "/api/v1/system", tag = "system", responses((status = 200, body = WholeSystem)))]
pub(in crate::admin) async fn get_system(State(sources): State<Arc<Sources>>) -> Json<WholeSystem> {
    Json(gather(&sources))
}

/// The page for whoever has ended the gateway.
#[derive(Template)]
#[template(path = "ending.html")]
struct Ending {
    frame: Frame,
    started_again: bool,
    reset: bool,
}

pub(super) async fn refused(sources: &Sources, frame: Frame, problem: Problem) -> Response {
    (problem.status, show(&Page::new(sources, frame, Some(problem.detail)).await)).into_response()
}

/// Ends the gateway when this answer is on its way.
fn restart(sources: &Sources) -> Result<(), Problem> {
    if !sources.system.is_started_again() {
        let detail = "systemd has not started this gateway, so nobody would start it again; stop and start it by hand";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    sources.system.restart();
    Ok(())
}

const RESTARTED: &str = "started the gateway again";

async fn restart_form(frame: Frame, State(sources): State<Arc<Sources>>) -> Response {
    match restart(&sources) {
        Ok(()) => {
            let page = show(&Ending { frame, started_again: true, reset: false });
            (Extension(Did::at(RESTARTED)), page).into_response()
        }
        Err(problem) => refused(&sources, frame, problem).await,
    }
}

/// Ends the gateway in order, so that systemd starts it again.
#[utoipa::path(post, path = "/api/v1/system/restart", tag = "system",
    responses((status = 202, description = "it ends"), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_restart(State(sources): State<Arc<Sources>>) -> Result<Response, Problem> {
    restart(&sources)?;
    Ok((StatusCode::ACCEPTED, Extension(Did::at(RESTARTED))).into_response())
}

/// Says that it is meant.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct Confirmed {
    /// The gateway's id.
    confirm: String,
}

/// Has the data folder emptied at the next start, and ends the gateway.
async fn reset(sources: &Arc<Sources>, caller: &Caller, Confirmed { confirm }: &Confirmed) -> Result<(), Problem> {
    if confirm.trim() != sources.id {
        return Err(Problem::bad(format!("nothing was removed: type the gateway's id, {}, to confirm it", sources.id)));
    }
    if sources.changes.get().is_some() {
        with_changes(sources, |changes, sources| starts_again(changes, &sources.system)).await?;
    }
    sources.system.ask_reset().await.map_err(Problem::failed)?;
    // What the audit log has of it goes with it.
    log::warn!(by = caller.describe(); "a factory reset is wanted; the next start empties the data folder");
    sources.system.restart();
    Ok(())
}

/// Whether the gateway would start with its settings when the data folder is empty. Waits for the disk.
fn starts_again(changes: &Changes, system: &System) -> Result<(), Problem> {
    let conflict = |why: String| Err(Problem::new(StatusCode::CONFLICT, format!("nothing was removed: {why}")));
    let missed = match changes.loaded() {
        Ok(loaded) => system.would_miss(&loaded.settings),
        Err(_) => return conflict("the settings in the files have mistakes, which Configuration tells of".to_owned()),
    };
    if missed.is_empty() {
        return Ok(());
    }
    let missed: Vec<_> = missed.iter().map(|file| file.display().to_string()).collect();
    conflict(format!(
        "the settings name {}, which would go with the data folder, and the gateway would not start without; move it elsewhere \
         first, or take it out of the settings",
        missed.join(", ")
    ))
}

const RESET: &str = "wants a factory reset";

async fn reset_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Input(confirmed): Input<Confirmed>,
) -> Response {
    match reset(&sources, &caller, &confirmed).await {
        Ok(()) => {
            let page = show(&Ending { frame, started_again: sources.system.is_started_again(), reset: true });
            (Extension(Did::at(RESET)), page).into_response()
        }
        Err(problem) => refused(&sources, frame, problem).await,
    }
}

/// Ends the gateway; the next start empties the data folder, but for the MQTT users and the plugins' files.
#[utoipa::path(post, path = "/api/v1/system/factory-reset", tag = "system", request_body = Confirmed,
    responses((status = 202, description = "it ends"), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(in crate::admin) async fn post_reset(
    State(sources): State<Arc<Sources>>,
    caller: Caller,
    Input(confirmed): Input<Confirmed>,
) -> Result<Response, Problem> {
    reset(&sources, &caller, &confirmed).await?;
    Ok((StatusCode::ACCEPTED, Extension(Did::at(RESET))).into_response())
}

/// Makes another certificate for the gateway's own key, and has it taken.
async fn renew(sources: &Sources) -> Result<String, Problem> {
    if !sources.system.certificates().iter().any(|(_, own, _)| *own) {
        let detail = "no certificate of the gateway's own making is in use; renew those that the settings name where they \
                      were made";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let names = sources.system.renew().await.map_err(Problem::failed)?;
    // Not waited for: this very connection goes over the listener that is opened anew.
    let (asked, _) = oneshot::channel();
    // Where others wait to have the settings read again, that is as good.
    let _ = sources.reload.try_send(asked);
    Ok(format!("made another certificate for {}", names.join(", ")))
}

async fn certificate_form((frame, caller): (Frame, Caller), State(sources): State<Arc<Sources>>) -> Response {
    match renew(&sources).await {
        Ok(did) => {
            let word = format!("Done: {did}. It is shown in a moment; a browser that knew the old one asks again.");
            sources.page.trust.tell(&caller, word);
            (Extension(Did::at(did)), Redirect::to(PATH)).into_response()
        }
        Err(problem) => refused(&sources, frame, problem).await,
    }
}

/// Makes another certificate for the gateway's own key, its names and the machine's of now, and shows it from then on.
#[utoipa::path(post, path = "/api/v1/system/certificate", tag = "system",
    responses((status = 202, description = "made, and shown in a moment"), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_certificate(State(sources): State<Arc<Sources>>) -> Result<Response, Problem> {
    let did = renew(&sources).await?;
    Ok((StatusCode::ACCEPTED, Extension(Did::at(did))).into_response())
}
