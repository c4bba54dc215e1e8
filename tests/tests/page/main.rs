//! The admin page and its API: who gets in, what each role opens, what browsers are told; and in a real browser, what
//! people see.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod broker;
mod browser;
mod coming_in;
mod configuration;
mod live;
mod logs;
mod measurements;
mod people;
mod plugins;
mod plugins_seen;
mod probes;
mod radios;
mod routes;
mod schemathesis;
mod secure;
mod system;
mod updates;
mod uplinks;
mod users;
