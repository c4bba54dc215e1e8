//! The first start, once somebody can sign in: the gateway's name, its clock, its radios, its first message. Each step can be left
//! out, and what is written takes the way of every change of the settings.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;

use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::settings::{Made, Wish, make, with_changes};
use crate::admin::trust::Caller;
use crate::changes::{self, Changes, Wanted};
use crate::people::Role;
use crate::radio::serial::{FoundPort, found};
use crate::setup;

/// Where the first of them is.
pub(super) const PATH: &str = "/first-steps";

pub(super) fn routes(routes: Routes) -> Routes {
    let admin = Access::Role(Role::Admin);
    routes.page(PATH, admin, page).form("/first-steps/name", admin, name_form).form(
        "/first-steps/radio",
        admin,
        radio_form,
    )
}

/// One of the steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    #[default]
    Name,
    Time,
    Radios,
    Message,
}

impl Step {
    const ALL: [Self; 4] = [Self::Name, Self::Time, Self::Radios, Self::Message];

    fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Time => "time",
            Self::Radios => "radios",
            Self::Message => "message",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Time => "Time",
            Self::Radios => "Radios",
            Self::Message => "First message",
        }
    }

    /// The one behind it.
    fn next(self) -> Option<Self> {
        Self::ALL.iter().skip_while(|step| **step != self).nth(1).copied()
    }

    fn path(self) -> String {
        format!("{PATH}?step={}", self.word())
    }
}

/// Framings that need nothing but their name, with what each is for.
const FRAMINGS: [(&str, &str); 6] = [
    ("line", "lines of text"),
    ("raw", "bytes as they come"),
    ("nmea", "NMEA 0183, as of GPS receivers"),
    ("dsmr-p1", "DSMR P1, as of smart meters"),
    ("slip", "SLIP"),
    ("cobs", "COBS"),
];

/// Rates that devices usually have.
const BAUDS: [u32; 7] = [1200, 4800, 9600, 19_200, 38_400, 57_600, 115_200];

#[derive(Template)]
#[template(path = "first-steps.html")]
struct Page {
    frame: Frame,
    step: Step,
    error: Option<String>,
    /// Why the settings can't be written here, if so.
    read_only: Option<String>,
    /// What the settings say, which the next start takes.
    id: String,
    clock: &'static str,
    ports: Vec<FoundPort>,
    /// Names of radios, and whether each is online.
    radios: Vec<(String, bool)>,
    /// Messages that have come from outside.
    messages: u64,
}

impl Page {
    fn steps(&self) -> impl Iterator<Item = (Step, bool)> {
        Step::ALL.into_iter().map(|step| (step, step == self.step))
    }

    /// Where it goes on, and whether that is the end.
    fn next(&self) -> (String, bool) {
        self.step.next().map_or(("/".to_owned(), true), |next| (next.path(), false))
    }

    fn is(&self, word: &str) -> bool {
        self.step.word() == word
    }

    /// Whether going on is what is to be done here.
    fn leads_on(&self) -> bool {
        match self.step {
            Step::Name => self.read_only.is_some(),
            Step::Radios => !self.radios.is_empty(),
            Step::Time | Step::Message => true,
        }
    }

    fn framings(&self) -> &'static [(&'static str, &'static str)] {
        &FRAMINGS
    }

    fn bauds(&self) -> &'static [u32] {
        &BAUDS
    }

    fn is_plugged_in(&self) -> bool {
        !self.ports.is_empty()
    }
}

fn step_page(sources: &Sources, frame: Frame, step: Step, read: (Option<String>, String, Vec<FoundPort>)) -> Page {
    let received = sources.pipeline.ledger().snapshot().received;
    let online = |(name, stats): (String, Arc<crate::radio::RadioStats>)| (name, stats.online.load(Ordering::Relaxed));
    let (read_only, id, ports) = read;
    Page {
        frame,
        step,
        error: None,
        read_only,
        id,
        clock: sources.pipeline.clock().quality().as_str(),
        ports,
        radios: sources.radios.stats().into_iter().map(online).collect(),
        messages: received.iter().filter(|(door, _)| **door != "gateway").map(|(_, count)| count).sum(),
    }
}

/// What has to be read for it: why the settings can't be written, the name in them, and the ports.
async fn gather(sources: &Arc<Sources>, frame: Frame, step: Step) -> Result<Page, Problem> {
    let owned = Arc::clone(sources);
    let read = tokio::task::spawn_blocking(move || {
        let found = if step == Step::Radios { found(&owned.radios.shown()) } else { Vec::new() };
        let nowhere = "the settings of this gateway are in no file: it is a demonstration".to_owned();
        match owned.changes.get() {
            None => (Some(nowhere), owned.id.clone(), found),
            Some(changes) => {
                let id = changes.check(&Wanted::new()).map(|checked| checked.settings.gateway.id);
                (changes.may_write().err(), id.unwrap_or_else(|_| owned.id.clone()), found)
            }
        }
    });
    let read = read.await.map_err(|panic| Problem::failed(panic.to_string()))?;
    Ok(step_page(sources, frame, step, read))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    step: Step,
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Query(Asked { step }): Query<Asked>,
) -> Result<Response, Problem> {
    Ok(show(&gather(&sources, frame, step).await?))
}

#[derive(Deserialize)]
struct NewName {
    id: String,
}

/// Gives the gateway a name.
async fn name_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Form(NewName { id }): Form<NewName>,
) -> Result<Response, Problem> {
    let id = id.trim().to_owned();
    let wanted = with_changes(&sources, move |changes, _| named(changes, &id)).await?;
    let Some((base, wanted)) = wanted else { return Ok(Redirect::to(&Step::Time.path()).into_response()) };
    let done = keep(&sources, &caller, base, wanted).await;
    let word = "The gateway has its name from the next start on: sudo systemctl restart stile.";
    went(&sources, (frame, &caller), (Step::Name, Step::Time), done.map(|made| (made, word.to_owned()))).await
}

/// What the main file would say, with the stamp of what it says; `None` where it says so already.
fn named(changes: &Changes, id: &str) -> Result<Option<(String, Wanted)>, Problem> {
    let texts = changes.texts().map_err(Problem::failed)?;
    if changes.check(&Wanted::new()).is_ok_and(|checked| checked.settings.gateway.id == id) {
        return Ok(None);
    }
    let main = changes.main_name().to_owned();
    let text = texts.get(&main).map(String::as_str).unwrap_or_default();
    let text = setup::with_gateway_id(text, id).map_err(Problem::bad)?;
    Ok(Some((changes::stamp(&texts), Wanted::from([(main, Some(text))]))))
}

#[derive(Deserialize)]
struct NewRadio {
    name: String,
    /// Empty for a sensor that is made up.
    #[serde(default)]
    port: String,
    #[serde(default)]
    baud: i64,
    #[serde(default)]
    framing: String,
}

/// Adds a radio, in a file of its own.
async fn radio_form(
    (frame, caller): (Frame, Caller),
    State(sources): State<Arc<Sources>>,
    Form(NewRadio { name, port, baud, framing }): Form<NewRadio>,
) -> Result<Response, Problem> {
    let name = name.trim().to_owned();
    let file = format!("conf.d/{name}.toml");
    let port = Some(port.as_str()).filter(|port| !port.is_empty());
    let wanted = Wanted::from([(file.clone(), Some(setup::radio(&name, port, baud, &framing)))]);
    let base = with_changes(&sources, move |changes, _| {
        let texts = changes.texts().map_err(Problem::failed)?;
        match texts.contains_key(&file) {
            true => Err(Problem::bad(format!("there is a file {file} already; choose another name"))),
            false => Ok(changes::stamp(&texts)),
        }
    });
    let done = match base.await {
        Ok(base) => keep(&sources, &caller, base, wanted).await,
        Err(problem) => Err(problem),
    };
    let word = format!("The radio {name} is added.");
    went(&sources, (frame, &caller), (Step::Radios, Step::Radios), done.map(|made| (made, word))).await
}

/// Neither a name nor one more radio can lock anybody out, so it is kept as soon as the gateway has taken it.
async fn keep(sources: &Arc<Sources>, caller: &Caller, base: String, wanted: Wanted) -> Result<Made, Problem> {
    make(sources, Wish { within: None, ..Wish::of(caller, Some(base), wanted) }).await
}

/// The next step, or the same with what went wrong.
async fn went(
    sources: &Arc<Sources>,
    (frame, caller): (Frame, &Caller),
    (from, to): (Step, Step),
    done: Result<(Made, String), Problem>,
) -> Result<Response, Problem> {
    match done {
        Ok((made, word)) => {
            sources.page.trust.tell(caller, word);
            let did = Did::at(format!("changed the settings by the first steps: change {}", made.number));
            Ok((Extension(did), Redirect::to(&to.path())).into_response())
        }
        Err(problem) => {
            let status = if problem.status.is_server_error() { StatusCode::CONFLICT } else { problem.status };
            let page = Page { error: Some(problem.detail), ..gather(sources, frame, from).await? };
            Ok((status, show(&page)).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_lead_from_one_to_the_next() {
        assert_eq!(Step::ALL.map(Step::next), [Some(Step::Time), Some(Step::Radios), Some(Step::Message), None]);
        for step in Step::ALL {
            let query = format!("http://x{}", step.path()).parse().unwrap();
            assert_eq!(Query::<Asked>::try_from_uri(&query).unwrap().step, step);
        }
    }
}
