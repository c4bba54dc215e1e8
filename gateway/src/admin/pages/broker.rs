//! The broker: who is there and who is away, what waits for them, and sending a client away. Its users are in `users.rs`.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::charts::{self, Back, Drawn};
use super::shown::{beginning, bytes, count, cut, duration, minute};
use super::{Frame, Input, show};
use crate::admin::Sources;
use crate::admin::audit::Did;
use crate::admin::clients::{self, Amount, Clients, OneClient, gather_aside};
use crate::admin::problem::Problem;
use crate::admin::routes::{Access, Routes};
use crate::admin::trust::Caller;
use crate::broker;
use crate::chart::Unit;
use crate::people::Role;

pub(super) const PATH: &str = "/broker";

/// Clients of one page.
const ROWS: usize = 50;
/// Subscriptions of a client that the page shows; the API gives all.
const SUBSCRIPTIONS: usize = 10;
/// As much of a filter or an error as is shown, in characters: they come from outside.
const SHOWN: usize = 120;

pub(super) fn routes(routes: Routes) -> Routes {
    let (viewer, operator) = (Access::Role(Role::Viewer), Access::Role(Role::Operator));
    routes
        .page(PATH, viewer, page)
        .form("/broker/disconnect", operator, disconnect_form)
        .get("/api/v1/clients", viewer, clients::get_clients)
        .post("/api/v1/clients/{id}/disconnect", operator, clients::disconnect)
}

/// What the page says of a client.
impl OneClient {
    fn since_minute(&self) -> String {
        minute(&self.since)
    }

    /// Where it is, and what it speaks.
    fn speaks(&self) -> String {
        let way = match self.transport {
            Some("tls") => " over TLS",
            Some("websocket") => " over WebSocket",
            Some("websocket-tls") => " over WebSocket and TLS",
            _ => "",
        };
        self.protocol.map(|version| format!("MQTT {version}{way}")).unwrap_or_default()
    }

    fn waits(&self) -> String {
        if self.queue.messages == 0 { "–".to_owned() } else { in_words(self.queue) }
    }

    fn keep_alive(&self) -> String {
        let time = self.keep_alive_seconds.map(|seconds| duration(Duration::from_secs(seconds)));
        time.unwrap_or_else(|| "–".to_owned())
    }

    /// Those that are shown, and how many more there are.
    fn filters(&self) -> Vec<(String, u8)> {
        let shown = self.subscriptions.iter().take(SUBSCRIPTIONS);
        shown.map(|one| (cut(&one.filter, SHOWN), one.qos)).collect()
    }

    fn more_filters(&self) -> usize {
        self.subscriptions.len().saturating_sub(SUBSCRIPTIONS)
    }

    fn error(&self) -> Option<String> {
        self.last_error.as_deref().map(|error| cut(error, SHOWN))
    }
}

fn in_words(Amount { messages, bytes: weight }: Amount) -> String {
    format!("{} ({})", count(messages), bytes(weight))
}

#[derive(Template)]
#[template(path = "broker.html")]
struct Page {
    frame: Frame,
    clients: Clients,
    part: String,
    show: &'static str,
    skip: usize,
    back: Back,
    path: &'static str,
    charts: Vec<Drawn>,
    /// Whether whoever looks may send clients away.
    acts: bool,
    /// Whether he may see the users.
    manages: bool,
}

impl Page {
    /// The broker as names and words.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let clients = &self.clients;
        vec![
            ("Connected", count(clients.connected)),
            ("Away, with a session", count(clients.away)),
            ("Waits for clients", in_words(clients.waiting)),
            ("Retained messages", in_words(clients.retained)),
            ("Distinct filters", count(clients.filters)),
        ]
    }

    /// Nobody has ever come.
    fn is_new(&self) -> bool {
        self.clients.connected + self.clients.away == 0
    }

    fn shown(&self) -> String {
        let matching = self.clients.matching as u64;
        let (first, last) = (self.skip + 1, self.skip + self.clients.clients.len());
        if self.clients.clients.is_empty() {
            format!("None of {}", count(matching))
        } else {
            format!("{} to {} of {}", count(first as u64), count(last as u64), count(matching))
        }
    }

    fn before(&self) -> Option<usize> {
        (self.skip > 0).then(|| self.skip.saturating_sub(ROWS))
    }

    fn behind(&self) -> Option<usize> {
        let next = self.skip + self.clients.clients.len();
        (next < self.clients.matching && !self.clients.clients.is_empty()).then_some(next)
    }
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    part: String,
    #[serde(default)]
    show: String,
    #[serde(default)]
    skip: usize,
    #[serde(default, rename = "span")]
    back: Back,
}

async fn page(
    frame: Frame,
    State(sources): State<Arc<Sources>>,
    Query(Wanted { part, show: which, skip, back }): Query<Wanted>,
) -> Result<Response, Problem> {
    let (which, connected) = match which.as_str() {
        "there" => ("there", Some(true)),
        "away" => ("away", Some(false)),
        _ => ("all", None),
    };
    let part = beginning(part.trim(), SHOWN).to_owned();
    let wanted = broker::Search { part: part.clone(), connected, skip, most: ROWS };
    let clients = gather_aside(Arc::clone(&sources), wanted, |clients| clients).await?;
    let (acts, manages) = (frame.may(Role::Operator), frame.may(Role::Admin));
    let charts = draw(&sources, back);
    Ok(show(&Page { frame, clients, part, show: which, skip, back, path: PATH, charts, acts, manages }))
}

fn draw(sources: &Sources, back: Back) -> Vec<Drawn> {
    let draw = |head, lines: &[(&str, String)]| charts::drawn(&sources.history, back, head, lines);
    vec![
        draw(("c-clients", "Clients that are there", Unit::Count), &[("clients", "clients".to_owned())]),
        draw(
            ("c-messages", "Messages of clients", Unit::PerSecond),
            &[("from clients", "clients/received".to_owned()), ("to clients", "clients/sent".to_owned())],
        ),
    ]
}

#[derive(Deserialize)]
struct Away {
    id: String,
    #[serde(default)]
    forget: bool,
}

async fn disconnect_form(
    caller: Caller,
    State(sources): State<Arc<Sources>>,
    Input(Away { id, forget }): Input<Away>,
) -> Result<Response, Problem> {
    let did = clients::send_away(&sources, &id, forget).await?;
    sources.page.trust.tell(&caller, format!("Done: {did}."));
    Ok((Extension(Did::at(did)), Redirect::to(PATH)).into_response())
}
