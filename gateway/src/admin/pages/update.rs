//! The card of updates on the System page: both systems of an appliance, what is installed, and having one installed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::shown::cut;
use super::{Frame, Input, system};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::people::Role;
use crate::update::{self, Failure, NotBegun, Rauc};

/// How long a page waits for what RAUC has to say.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest address, in bytes.
const ADDRESS: usize = 2000;
/// As much of one as is put down.
const SHOWN: usize = 120;

pub(super) fn routes(routes: Routes) -> Routes {
    let (viewer, admin) = (Access::Role(Role::Viewer), Access::Role(Role::Admin));
    routes
        .form("/system/update", admin, update_form)
        .form("/system/restart-machine", admin, restart_form)
        .get("/api/v1/system/update", viewer, get_update)
        .post("/api/v1/system/update", admin, post_update)
        .post("/api/v1/system/restart-machine", admin, post_restart)
}

/// The machine's systems, and what is installed.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::admin) struct Updating {
    /// Whether the machine has a second system to install into.
    pub(super) appliance: bool,
    /// What can't be told, and why.
    pub(super) unknown: Option<String>,
    /// What bundles have to be for.
    pub(super) compatible: Option<String>,
    /// The version of the whole system that runs.
    pub(super) version: Option<String>,
    /// Whether the running system is new and not yet found good.
    pub(super) on_trial: bool,
    /// Both systems; none while one is installed.
    pub(super) systems: Vec<OneSystem>,
    /// What is being installed.
    pub(super) installing: Option<Far>,
    /// What the last installation failed of.
    pub(super) last_error: Option<String>,
    /// Whether the machine can be started again from here.
    pub(super) restarts_machine: bool,
}

/// A place for a system on the disk.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct OneSystem {
    /// As the boot loader calls it: `A` or `B`.
    pub(super) name: String,
    /// None where it came with the disk and does not run.
    pub(super) version: Option<String>,
    /// When it was installed, RFC 3339.
    pub(super) installed: Option<String>,
    pub(super) runs: bool,
    pub(super) starts_next: bool,
    /// Whether it may be started.
    pub(super) good: bool,
}

/// How far an installation is.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Far {
    pub(super) percent: u8,
    /// In RAUC's words.
    pub(super) doing: String,
}

impl Updating {
    /// Whether a restart of the machine would start another system.
    pub(super) fn waits(&self) -> bool {
        self.systems.iter().any(|system| system.starts_next && !system.runs)
    }
}

/// Asks RAUC, and never waits long for it.
pub(super) async fn gather(sources: &Sources) -> Updating {
    let told = timeout(PATIENCE, ask(sources)).await.unwrap_or(Err(Failure::Silent));
    match told {
        Ok(updating) => updating,
        Err(Failure::NoAppliance(_)) => Updating::default(),
        Err(failure) => Updating { appliance: true, unknown: Some(failure.to_string()), ..Updating::default() },
    }
}

async fn ask(sources: &Sources) -> Result<Updating, Failure> {
    let rauc = Rauc::connect().await?;
    let progress = rauc.progress().await?;
    let updating = Updating {
        appliance: true,
        last_error: progress.last_error.filter(|_| !progress.busy),
        restarts_machine: sources.updates.restarts_machine(),
        ..Updating::default()
    };
    if progress.busy {
        let installing = Some(Far { percent: progress.percent, doing: progress.doing });
        return Ok(Updating { installing, ..updating });
    }
    let systems = rauc.systems().await?;
    let version = systems.version();
    let on_trial = systems.on_trial(&sources.updates.record);
    let shown = systems.slots.into_iter().map(|slot| OneSystem {
        name: slot.boot_name,
        version: if slot.runs { Some(version.clone()) } else { slot.version },
        installed: slot.installed,
        runs: slot.runs,
        starts_next: slot.is_next,
        good: slot.good,
    });
    let systems_shown = shown.collect();
    Ok(Updating {
        compatible: Some(systems.compatible),
        on_trial,
        systems: systems_shown,
        version: Some(version),
        ..updating
    })
}

/// The state of the machine's systems, and how far an installation is.
#[utoipa::path(get, path = "/api/v1/system/update", tag = "system", responses((status = 200, body = Updating)))]
pub(in crate::admin) async fn get_update(State(sources): State<Arc<Sources>>) -> Json<Updating> {
    Json(gather(&sources).await)
}

/// What is to be installed.
#[derive(Deserialize, ToSchema)]
pub(in crate::admin) struct Wanted {
    /// Where a web server has the bundle: `https://` or `http://`.
    source: String,
    /// Whether it may be older than what runs.
    #[serde(default)]
    allow_older: bool,
}

/// What has begun.
#[derive(Serialize, ToSchema)]
pub(in crate::admin) struct Installs {
    /// The version that is installed.
    pub(super) version: String,
}

/// Looks at a bundle and begins to install it; says its version.
async fn begin(sources: &Sources, wanted: &Wanted) -> Result<String, Problem> {
    let source = wanted.source.trim();
    // A file's path is for the command line: RAUC reads as root, and whoever is an admin here need not be root.
    let is_address = source.starts_with("https://") || source.starts_with("http://");
    if !is_address || source.len() > ADDRESS || source.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Problem::bad("where the bundle is begins with https:// or http://, and has no spaces"));
    }
    if names_somebody(source) {
        let why = "the address has a user or a password in it, which would stand in the audit log; take one without, or install it \
                   as root: `stile update URL`";
        return Err(Problem::bad(why));
    }
    let begun = update::begin(source, wanted.allow_older).await.map_err(|why| problem(&why))?;
    let version = begun.bundle.version.clone();
    sources.updates.see_through(begun, None);
    Ok(version)
}

/// Whether an address has a part for who asks (RFC 3986, 3.2.1).
fn names_somebody(address: &str) -> bool {
    let (_, behind) = address.split_once("://").unwrap_or_default();
    behind.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

pub(super) fn problem(why: &NotBegun) -> Problem {
    let status = match why {
        NotBegun::Refused(_) | NotBegun::Failed(Failure::Rauc(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        NotBegun::Failed(Failure::NoAppliance(_) | Failure::Busy) => StatusCode::CONFLICT,
        NotBegun::Failed(Failure::Denied | Failure::Ended | Failure::Silent) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, why.to_string())
}

fn did(version: &str, wanted: &Wanted) -> Did {
    Did::at(format!("began to install version {version} from {}", cut(wanted.source.trim(), SHOWN)))
}

async fn update_form(frame: Frame, State(sources): State<Arc<Sources>>, Input(wanted): Input<Wanted>) -> Response {
    match begin(&sources, &wanted).await {
        Ok(version) => (Extension(did(&version, &wanted)), Redirect::to(system::PATH)).into_response(),
        Err(problem) => system::refused(&sources, frame, problem).await,
    }
}

/// Has a bundle installed into the system that does not run: looks at it first, and then goes on by itself. A machine that is
/// started again behind it runs it.
#[utoipa::path(post, path = "/api/v1/system/update", tag = "system", request_body = Wanted,
    responses((status = 202, body = Installs), (status = 409, body = Problem), (status = 422, body = Problem),
    (status = 503, body = Problem)))]
pub(in crate::admin) async fn post_update(
    State(sources): State<Arc<Sources>>,
    Input(wanted): Input<Wanted>,
) -> Result<Response, Problem> {
    let version = begin(&sources, &wanted).await?;
    Ok((StatusCode::ACCEPTED, Extension(did(&version, &wanted)), Json(Installs { version })).into_response())
}

const RESTARTED: &str = "started the machine again";

/// Where it has something to do: an appliance.
async fn restart(sources: &Sources) -> Result<(), Problem> {
    let updating = gather(sources).await;
    let refused = |why: &str| Err(Problem::new(StatusCode::CONFLICT, why));
    if !updating.appliance {
        return refused("this machine is no appliance; whoever looks after it starts it again");
    }
    if updating.installing.is_some() {
        return refused("an update is being installed; start the machine again when that is done");
    }
    sources.updates.restart_machine().map_err(|why| Problem::new(StatusCode::CONFLICT, why))
}

async fn restart_form((frame, caller): (Frame, Caller), State(sources): State<Arc<Sources>>) -> Response {
    match restart(&sources).await {
        Ok(()) => {
            let word = "Done: the machine starts again. That takes a minute or two, and everybody is signed out.";
            sources.page.trust.tell(&caller, word.to_owned());
            (Extension(Did::at(RESTARTED)), Redirect::to(system::PATH)).into_response()
        }
        Err(problem) => system::refused(&sources, frame, problem).await,
    }
}

/// Ends everything in order and starts the machine again, into the system that is next.
#[utoipa::path(post, path = "/api/v1/system/restart-machine", tag = "system",
    responses((status = 202, description = "it ends"), (status = 409, body = Problem)))]
pub(in crate::admin) async fn post_restart(State(sources): State<Arc<Sources>>) -> Result<Response, Problem> {
    restart(&sources).await?;
    Ok((StatusCode::ACCEPTED, Extension(Did::at(RESTARTED))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_password_in_it_is_told_from_one_without() {
        for (address, expected) in [
            ("https://user:secret@updates.example/a.raucb", true),
            ("http://secret@192.0.2.1", true),
            ("https://a:b@c@updates.example?x", true),
            ("https://updates.example/a@b.raucb", false),
            ("https://updates.example?by=a@b", false),
            ("https://updates.example", false),
        ] {
            assert_eq!(names_somebody(address), expected, "{address}");
        }
    }
}
