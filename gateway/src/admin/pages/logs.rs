//! What the gateway has logged lately: as a list, as a file, and as it comes.

pub(in crate::admin) mod live;

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use log::{Level, LevelFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shown::{beginning, count, in_query};
use super::{Frame, show};
use crate::admin::Sources;
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::logging::{Line, Part, level_word};
use crate::people::Role;

pub(super) const PATH: &str = "/logs";
/// The role that the log takes: it names addresses, users and devices.
const NEEDS: Role = Role::Operator;
/// Lines that the page shows, and the API where it is not asked for more.
const SHOWN: usize = 300;
/// The longest text that is looked for, in characters.
const SEARCH: usize = 100;
const LEVELS: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

pub(super) fn routes(routes: Routes) -> Routes {
    let operator = Access::Role(NEEDS);
    routes
        .page(PATH, operator, page)
        .page("/logs/download", operator, download)
        .get("/api/v1/logs", operator, get_logs)
        .get("/api/v1/logs/live", operator, live::live)
}

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Logged {
    /// Grows from line to line, over restarts too.
    number: u64,
    /// RFC 3339 in UTC.
    at: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    level: &'static str,
    /// The part of the daemon that logs, such as `radio`.
    part: &'static str,
    text: String,
    /// What goes with it, as ` name=value`; may be empty.
    pairs: String,
}

impl From<&Line> for Logged {
    fn from(line: &Line) -> Self {
        let at = humantime::format_rfc3339_millis(line.at).to_string();
        let (level, part) = (level_word(line.level), line.part.as_str());
        Self { number: line.number, at, level, part, text: line.text.clone(), pairs: line.pairs() }
    }
}

impl Logged {
    /// How the level is marked.
    fn mark(&self) -> &'static str {
        match self.level {
            "error" => "bad",
            "warn" => "notice",
            _ => "",
        }
    }

    fn second(&self) -> String {
        self.at.get(..19).unwrap_or(&self.at).replace('T', " ")
    }
}

/// The lines that are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct Asked {
    /// Of this part alone: `gateway`, `radio`, `broker`, `plugin`, `uplink`, `admin` or `store`.
    part: Option<String>,
    /// Of this level, or worse: `error`, `warn`, `info`, `debug` or `trace`.
    level: Option<String>,
    /// With this in them, whatever the case.
    search: Option<String>,
}

/// The same, understood.
#[derive(Debug, Default)]
struct Wanted {
    part: Option<Part>,
    level: Option<Level>,
    /// In lower case.
    search: String,
}

impl Wanted {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let part = given(&asked.part).map(|word| Part::parse(&word).ok_or("there is no such part of the gateway"));
        let level = |word: String| LEVELS.into_iter().find(|level| level_word(*level) == word);
        let level = given(&asked.level).map(|word| level(word).ok_or("there is no such level"));
        let search = given(&asked.search).unwrap_or_default();
        Ok(Self {
            part: part.transpose().map_err(Problem::bad)?,
            level: level.transpose().map_err(Problem::bad)?,
            search: beginning(&search, SEARCH).to_lowercase(),
        })
    }

    fn wants(&self, line: &Line) -> bool {
        let part = self.part.is_none_or(|part| part == line.part);
        // The worse, the smaller.
        let level = self.level.is_none_or(|level| line.level <= level);
        part && level && (self.search.is_empty() || line.has(&self.search))
    }

    fn query(&self, search: &str) -> String {
        let part = self.part.map_or("", Part::as_str);
        let level = self.level.map_or("", level_word);
        let search = in_query(search);
        format!("part={part}&level={level}&search={search}")
    }
}

/// The last lines of the log that are wanted.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Logs {
    /// The least level that is logged, by the settings.
    logged: &'static str,
    /// How many of those that are kept are wanted.
    found: usize,
    /// The newest of these, the newest first.
    lines: Vec<Logged>,
    /// The number that the next line will have.
    next: u64,
}

/// Looks through what is kept, in a thread of its own.
async fn gather(sources: &Sources, wanted: Wanted, most: usize) -> Result<Logs, Problem> {
    let kept = sources.logs.clone();
    let looked = tokio::task::spawn_blocking(move || {
        // Asked first: what comes meanwhile is shown twice rather than not at all.
        let next = kept.next();
        let mut found = kept.all();
        found.retain(|line| line.number < next && wanted.wants(line));
        let lines = found.iter().rev().take(most).map(|line| Logged::from(&**line)).collect();
        Logs { logged: logged(), found: found.len(), lines, next }
    });
    looked.await.map_err(|panic| Problem::failed(panic.to_string()))
}

fn logged() -> &'static str {
    match log::max_level() {
        LevelFilter::Off => "off",
        level => level.to_level().map_or("off", level_word),
    }
}

#[derive(Template)]
#[template(path = "logs.html")]
struct Page {
    frame: Frame,
    logs: Logs,
    part: &'static str,
    level: &'static str,
    search: String,
    query: String,
}

impl Page {
    fn parts(&self) -> impl Iterator<Item = &'static str> {
        Part::ALL.into_iter().map(Part::as_str)
    }

    fn levels(&self) -> impl Iterator<Item = &'static str> {
        LEVELS.into_iter().map(level_word)
    }

    fn is_filtered(&self) -> bool {
        !(self.part.is_empty() && self.level.is_empty() && self.search.is_empty())
    }

    fn found(&self) -> String {
        count(u64::try_from(self.logs.found).unwrap_or(u64::MAX))
    }
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&asked)?;
    let search = beginning(asked.search.as_deref().unwrap_or_default(), SEARCH).to_owned();
    let (part, level) = (wanted.part.map_or("", Part::as_str), wanted.level.map_or("", level_word));
    let query = wanted.query(&search);
    let logs = gather(&sources, wanted, SHOWN).await?;
    Ok(show(&Page { frame, logs, part, level, search, query }))
}

/// All lines that are wanted as a text file, the oldest first.
async fn download(State(sources): State<Arc<Sources>>, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let (wanted, kept) = (Wanted::of(&asked)?, sources.logs.clone());
    let text = tokio::task::spawn_blocking(move || {
        kept.all().iter().filter(|line| wanted.wants(line)).map(|line| line.text()).collect::<String>()
    });
    let text = text.await.map_err(|panic| Problem::failed(panic.to_string()))?;
    let own = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"stile-log.txt\""),
    ];
    Ok((own, text).into_response())
}

/// How many lines are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct Most {
    /// At most so many lines, 300 where it is not said.
    #[param(minimum = 1, maximum = 2000)]
    limit: Option<u16>,
}

/// The last lines of the log that the gateway has in memory, the newest first.
#[utoipa::path(get, path = "/api/v1/logs", tag = "system", params(Asked, Most), responses((status = 200, body = Logs)))]
pub(in crate::admin) async fn get_logs(
    State(sources): State<Arc<Sources>>,
    Query(asked): Query<Asked>,
    Query(Most { limit }): Query<Most>,
) -> Result<Json<Logs>, Problem> {
    let most = limit.map_or(SHOWN, usize::from);
    gather(&sources, Wanted::of(&asked)?, most).await.map(Json)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn wanted(part: &str, level: &str, search: &str) -> Result<Wanted, Problem> {
        let [part, level, search] = [part, level, search].map(|text| Some(text.to_owned()));
        Wanted::of(&Asked { part, level, search })
    }

    #[test]
    fn a_line_is_wanted_by_its_part_its_level_and_its_words() {
        let fields = vec![("radio".to_owned(), "roof".to_owned())];
        let text = "The port is open".to_owned();
        let line = Line { number: 1, at: UNIX_EPOCH, level: Level::Warn, part: Part::Radio, text, fields };
        for (part, level, search) in [("", "", ""), ("radio", "info", "PORT"), ("", "warn", "radio=roof")] {
            assert!(wanted(part, level, search).unwrap().wants(&line), "{part} {level} {search}");
        }
        for (part, level, search) in [("broker", "", ""), ("", "error", ""), ("radio", "warn", "closed")] {
            assert!(!wanted(part, level, search).unwrap().wants(&line), "{part} {level} {search}");
        }
        assert!(wanted("kitchen", "", "").is_err() && wanted("", "loud", "").is_err());
        assert_eq!(wanted("radio", "", "").unwrap().query("a&ä"), "part=radio&level=&search=a%26%C3%A4");
    }
}
