//! The sandbox: plugins as WebAssembly components, and what they may see and cost. The only room that names wasmtime.
//!
//! Owns what a plugin is given and how it is held within its limits. Never knows where messages come from or go: the
//! pipeline asks it, message by message, on a thread of the plugin's own.
//! `engine.rs` is what compiled code depends on.

pub mod engine;
