//! What receivers of satellites say. What must hold is in the gateway's own `fuzzed.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| stile::radio::navigation::fuzzed::play(input));
