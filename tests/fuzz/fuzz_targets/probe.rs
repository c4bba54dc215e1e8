//! What comes to probes and to the reflector off the network. What must hold is in the gateway's own `fuzzed.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| stile::probe::fuzzed::play(input));
