//! How components are compiled and run. The child process that compiles and the daemon that runs must agree on all of it;
//! wasmtime refuses what was compiled otherwise.

use wasmtime::Config;

/// Native stack that a plugin may use, in bytes.
const STACK_BYTES: usize = 512 * 1024;

/// The settings of both. `compiler`: whether this process may compile; the daemon never does.
pub fn config(compiler: bool) -> Config {
    let mut config = Config::new();
    config.enable_compiler(compiler);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK_BYTES);
    // Address space is scarce on small machines; growing a memory may move it instead, which costs 3 % of a call.
    config.memory_reservation(0);
    config
}
