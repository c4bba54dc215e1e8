//! What a plugin may call, one file an interface of `wit/`. Each call is bounded in what it costs, and checks its grant.

pub(super) mod clock;
mod context;
mod data;
mod emit;
mod kv;
pub(super) mod log;
mod metrics;
mod random;

use super::bindings::stile::filter::types;
use super::state::State;

impl types::Host for State {}
