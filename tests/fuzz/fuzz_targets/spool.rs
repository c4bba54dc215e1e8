//! Segments of a spool, written, damaged and looked through; names of its files; messages in its records. What must hold is in the gateway's own `fuzzed.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| stile::spool::fuzzed::play(input));
