//! What the child process does: gives up what it does not need, then compiles.

use std::io::{Read, Write};

use wasmtime::Engine;

use super::{Budget, sandbox};
use crate::component::{MAX_BYTES, check_component};
use crate::plugin_host::engine::{self, Code};

/// The exit code of a child whose component is not good.
pub const REFUSED: u8 = 3;

/// Reads a component, compiles it, writes the outcome.
///
/// # Errors
/// Why the component is not good, in one line.
pub fn run(budget: Budget, code: Code, mut input: impl Read, mut output: impl Write) -> Result<(), String> {
    // Before the sandbox: it looks at the machine's processor.
    let engine = Engine::new(&engine::config(true, code)).map_err(|error| format!("{error:#}"))?;
    sandbox::enter(budget)?;
    let mut component = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    input.by_ref().take(most).read_to_end(&mut component).map_err(|error| error.to_string())?;
    if component.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    check_component(&component)?;
    let compiled = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    output.write_all(&compiled).and_then(|()| output.flush()).map_err(|error| error.to_string())
}
