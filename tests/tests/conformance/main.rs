//! The statements of MQTT 3.1.1 and 5.0, each tested on its own with raw packets.
//!
//! `v311.txt` and `v5.txt` list the statements by their numbers, in our words: behind `::` stands why one has no test.
//! Each chapter's file holds its checks and, in `statements!`, says which check covers which statement of which version.
//! `table.rs` makes `tests/CONFORMANCE.md` of all that and fails when a statement is left without either.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

/// A test for each statement, by its number and in the words of a sentence, that runs one check.
macro_rules! statements {
    ($($version:ident { $($(#[$more:meta])* $name:ident => $check:expr;)* })*) => {
        $(mod $version {
            use super::*;
            $(#[test] $(#[$more])* fn $name() { $check; })*
        })*
    };
}

mod acknowledging;
mod aliases;
mod common;
mod connack;
mod connect_flags;
mod connecting;
mod data;
mod delivering;
mod disconnecting;
mod expiring;
mod filters;
mod flow;
mod identifiers;
mod publishing;
mod refusing;
mod retaining;
mod sessions;
mod sharing;
mod subscribing;
mod table;
mod unsubscribing;
mod wills;
