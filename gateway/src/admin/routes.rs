//! The one place where routes are made: each states who may take it, or it is none.
//!
//! [`Routes`] wraps every handler into the guard (`guard.rs`) before the router knows of it, and keeps the table of all of
//! them, which `/api/v1/routes` shows and tests walk along.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use serde::Serialize;
use utoipa::ToSchema;

use super::guard::{self, FORM_BYTES, Gate};
use super::{Door, Sources};
use crate::people::Role;

/// The longest body that strangers may send, in bytes: they sign in, and nothing else.
const OPEN_BYTES: usize = 8 * 1024;

/// Who may take a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody who reaches the port.
    Open,
    /// Anybody where only this machine reaches the port; elsewhere whoever has at least this role.
    OpenOnLoopback(Role),
    /// Whoever has at least this role.
    Role(Role),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verb {
    /// Shows something, and changes nothing.
    Get,
    /// Does something.
    Post,
    /// Puts something in the place of what is there.
    Put,
    /// Takes something away.
    Delete,
}

impl Verb {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One route, for the table.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Route {
    pub(super) method: Verb,
    /// With `{name}` for what differs.
    pub(super) path: &'static str,
    /// The least role; none: anybody.
    #[schema(value_type = Option<String>)]
    pub(super) needs: Option<Role>,
    /// Whether anybody may where only this machine reaches the port.
    pub(super) open_on_loopback: bool,
}

/// All routes of a door.
pub(super) type Table = Arc<[Route]>;

/// The routes of one door under construction.
pub(super) struct Routes {
    router: Router<Arc<Sources>>,
    door: Door,
    table: Vec<Route>,
}

impl Routes {
    pub(super) fn new(door: Door) -> Self {
        Self { router: Router::new(), door, table: Vec::new() }
    }

    /// Adds what shows something.
    pub(super) fn get<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        self.add(Verb::Get, path, access, on(MethodFilter::GET, handler))
    }

    /// Adds what does something.
    pub(super) fn post<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        self.add(Verb::Post, path, access, on(MethodFilter::POST, handler))
    }

    /// Adds a page. The socket has none: its paths are the command line's.
    pub(super) fn page<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        if self.door == Door::Socket { self } else { self.get(path, access, handler) }
    }

    /// Adds where a page's form goes.
    pub(super) fn form<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        if self.door == Door::Socket { self } else { self.post(path, access, handler) }
    }

    /// Adds what takes a body of this length at most; the handler sees to where it goes and how long that may take.
    pub(super) fn upload<H, T>(self, path: &'static str, access: Access, longest: usize, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        let handlers = on(MethodFilter::POST, handler).layer(DefaultBodyLimit::max(longest));
        self.add(Verb::Post, path, access, handlers)
    }

    /// The same for where a page's form goes.
    pub(super) fn upload_form<H, T>(self, path: &'static str, access: Access, longest: usize, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        if self.door == Door::Socket { self } else { self.upload(path, access, longest, handler) }
    }

    /// Adds what puts something in the place of what is there.
    pub(super) fn put<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        self.add(Verb::Put, path, access, on(MethodFilter::PUT, handler))
    }

    /// Adds what takes something away.
    pub(super) fn delete<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<Sources>>,
        T: 'static,
    {
        self.add(Verb::Delete, path, access, on(MethodFilter::DELETE, handler))
    }

    /// Adds all of a file.
    pub(super) fn with(self, add: impl FnOnce(Self) -> Self) -> Self {
        add(self)
    }

    fn add(mut self, method: Verb, path: &'static str, access: Access, handlers: MethodRouter<Arc<Sources>>) -> Self {
        let (needs, open_on_loopback) = match access {
            Access::Open => (None, false),
            Access::OpenOnLoopback(role) => (Some(role), true),
            Access::Role(role) => (Some(role), false),
        };
        let route = Route { method, path, needs, open_on_loopback };
        self.table.push(route);
        let gate = Gate { route, door: self.door };
        let longest = if matches!(access, Access::Role(_)) { FORM_BYTES } else { OPEN_BYTES };
        let bounded = handlers.layer(DefaultBodyLimit::max(longest));
        self.router = self.router.route(path, bounded.layer(from_fn_with_state(gate, guard::guard)));
        self
    }

    /// The router. What has no route is told so, to anybody.
    pub(super) fn into_router(self, sources: Arc<Sources>) -> Router {
        let Self { router, door, table } = self;
        let router = router.fallback(guard::nothing_there);
        let router = router.layer(Extension(Table::from(table))).layer(Extension(door));
        let router = router.layer(Extension(Arc::clone(&sources)));
        router.with_state(sources).layer(from_fn_with_state(door, guard::headers))
    }

    /// The table alone.
    #[cfg(test)]
    pub(super) fn into_table(self) -> Vec<Route> {
        self.table
    }
}
