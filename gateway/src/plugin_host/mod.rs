//! The sandbox: plugins as WebAssembly components, and what they may see and cost. The only room that names wasmtime.
//!
//! Owns what a plugin is given and how it is held within its limits. Never knows where messages come from or go: the
//! pipeline asks it, batch by batch, on a thread of the plugin's own.
//! `engine.rs` is what compiled code depends on, `sandbox.rs` loads it, `plugin.rs` judges messages with it and decides
//! what becomes of those that it fails at (`quarantine.rs`: when it is left alone). `instance.rs` is one running instance
//! and its calls, `state.rs` and `imports/` what that can reach, `budget.rs` and `room.rs` what holds it, `answer.rs`
//! what its answers must be. `status.rs` tells operators. `workbench.rs` asks a plugin outside of any pipeline, for authors.
//! `compile.rs` makes compiled code in a child process, `cache.rs` keeps it.

mod answer;
mod bindings;
mod budget;
pub mod cache;
pub mod compile;
pub mod engine;
mod failure;
mod imports;
mod instance;
mod kv;
mod plugin;
mod quarantine;
mod room;
mod sandbox;
mod state;
mod status;
mod terms;
#[cfg(test)]
mod tests;
mod ticker;
mod view;
mod workbench;

pub use failure::{Failure, FailureKind};
pub use kv::{Disk, Kv};
pub use plugin::Plugin;
pub use sandbox::{LoadError, Loaded, Sandbox};
pub use status::{Figure, Health, Report, Status};
pub use terms::Terms;
pub use workbench::{Judgement, Workbench};
