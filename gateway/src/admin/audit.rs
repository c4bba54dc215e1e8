//! The audit log: who changed what. Kept in the store, and here for showing it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Sources;
use super::routes::{Access, Routes};
use crate::people::Role;
use crate::store::{AuditRow, AuditSurplus, Store};

/// The longest text kept of anything that comes from outside, in bytes.
const TEXT_BYTES: usize = 200;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.get("/api/v1/audit", Access::Role(Role::Admin), get_audit)
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Change {
    /// RFC 3339 in UTC.
    pub(super) at: String,
    /// Who did it.
    pub(super) who: String,
    /// From which address.
    pub(super) whence: Option<String>,
    /// What was done.
    pub(super) what: String,
    /// `done`, `refused`, or how it failed.
    pub(super) outcome: String,
}

impl From<AuditRow> for Change {
    fn from(AuditRow { at, who, whence, what, outcome }: AuditRow) -> Self {
        Self { at: humantime::format_rfc3339_seconds(at).to_string(), who, whence, what, outcome }
    }
}

/// Who changed what, the newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "system", responses((status = 200, body = Vec<Change>)))]
pub(super) async fn get_audit(State(sources): State<Arc<Sources>>) -> Json<Vec<Change>> {
    Json(sources.page.audit.newest().into_iter().map(Change::from).collect())
}

/// See the module's head.
pub(super) struct Audit {
    store: Store,
    rows: Mutex<VecDeque<AuditRow>>,
}

impl Audit {
    /// Goes on where the last run ended.
    pub(super) fn new(store: Store, rows: impl Iterator<Item = AuditRow>) -> Self {
        Self { store, rows: Mutex::new(rows.collect()) }
    }

    /// Notes a change.
    pub(super) fn note(&self, who: String, whence: Option<IpAddr>, what: String, outcome: String) {
        let [who, what, outcome] = [who, what, outcome].map(|mut text| {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
            text
        });
        let whence = whence.map(|address| address.to_canonical().to_string());
        let row = AuditRow { at: SystemTime::now(), who, whence, what, outcome };
        self.store.audit(row.clone());
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push_back(row);
        let mut surplus = AuditSurplus::of(rows.iter());
        rows.retain(|row| surplus.keeps(row));
    }

    /// All that is kept, the newest first.
    pub(super) fn newest(&self) -> Vec<AuditRow> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

/// What a handler did, in words for the audit log: put into the response's extensions. Without it, method and path say it.
#[derive(Debug, Clone)]
pub(super) struct Did {
    pub(super) what: String,
    /// Who did it, where the guard can't know: who has just signed in.
    pub(super) who: Option<String>,
}

impl Did {
    /// By whoever asked.
    pub(super) fn at(what: impl Into<String>) -> Self {
        Self { what: what.into(), who: None }
    }

    /// By somebody whom the handler knows.
    pub(super) fn by(who: &str, what: &str) -> Self {
        Self { what: what.to_owned(), who: Some(who.to_owned()) }
    }

    /// Nothing worth a line, such as a person's own choice of colours.
    pub(super) fn nothing() -> Self {
        Self::at("")
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.what.is_empty()
    }
}
