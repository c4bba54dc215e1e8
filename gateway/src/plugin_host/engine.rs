//! How components are compiled and run. The child process that compiles and the daemon that runs must agree on all of it;
//! wasmtime refuses what was compiled otherwise.

use wasmtime::Config;

use crate::config::Limits;

/// Native stack that a plugin may use, in bytes.
const STACK_BYTES: usize = 512 * 1024;

/// What is compiled into a plugin's code. Counting fuel costs each call some 4 %, so it is only in the code of those that
/// have a limit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Code {
    /// Looks at its CPU time.
    #[default]
    Timed,
    /// Counts its fuel too.
    Metered,
}

impl Code {
    /// What a plugin with these limits needs.
    pub fn of(limits: &Limits) -> Self {
        if limits.fuel.is_some() { Self::Metered } else { Self::Timed }
    }
}

/// The settings of both. `compiler`: whether this process may compile; the daemon never does.
pub fn config(compiler: bool, code: Code) -> Config {
    let mut config = Config::new();
    config.enable_compiler(compiler);
    config.consume_fuel(code == Code::Metered);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK_BYTES);
    // Address space is scarce on small machines; growing a memory may move it instead, which costs 3 % of a call.
    config.memory_reservation(0);
    config
}
