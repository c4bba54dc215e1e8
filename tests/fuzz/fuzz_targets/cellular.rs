//! Conversations with 4G and 5G modems. What must hold is in the gateway's own `fuzzed.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| stile::radio::cellular::fuzzed::play(input));
