//! Datagrams of LoRa gateways to a server. What must hold is in the gateway's own `fuzzed.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| stile::radio::lora::fuzzed::udp(input));
