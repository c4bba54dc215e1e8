//! For the fuzz target `plugins`: what inputs stand for (`made.rs`, `written.rs`), and what must hold for each (`bench.rs`).
//! The gateway's own tests use the latter with components that were made before.

mod bench;
mod made;
mod written;

pub use bench::{Bench, Reached};
pub use made::Maker;
