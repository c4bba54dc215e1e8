//! The corpora of the fuzz targets, for tests that play them without the fuzzer: as they are, and changed at random.
//!
//! `make fuzz` looks for inputs that do harm; here those that are known stay harmless. `FUZZ_SEED` repeats a run.

use fastrand::Rng;

/// What a number of a text is written as instead.
const INSTEAD: [&str; 12] =
    ["-1", "0", "1.5", "256", "65536", "4294967296", "9223372036854775807", "1e300", "-1e300", "null", "\"\"", "[]"];

/// The inputs for one target, in the order of their names.
pub(crate) fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/../tests/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 3, "{target} has no corpus");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Plays each input so many times, changed at random.
pub(crate) fn play_changed(target: &str, times: usize, mut play: impl FnMut(&[u8])) {
    let seed = std::env::var("FUZZ_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("FUZZ_SEED={seed} repeats this run");
    let (mut random, corpus) = (Rng::with_seed(seed), corpus(target));
    for input in corpus.iter().flat_map(|input| std::iter::repeat_n(input, times)) {
        let other = &corpus[random.usize(..corpus.len())];
        play(&changed(input, other, &mut random));
    }
}

/// An input, changed at a few places, perhaps with a piece of another one.
fn changed(input: &[u8], other: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut input = input.to_vec();
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..=input.len());
        let end = (at + random.usize(..30)).min(input.len());
        match random.u8(..12) {
            0 => input.truncate(at),
            1 => input.insert(at, random.u8(..)),
            2 => drop(input.drain(at..end)),
            3 => input.extend_from_within(at..end),
            4 => {
                let from = random.usize(..=other.len());
                let piece = &other[from..(from + random.usize(..60)).min(other.len())];
                drop(input.splice(at..at, piece.iter().copied()));
            }
            5..8 => write_otherwise(&mut input, at, random),
            _ if at < input.len() => input[at] = random.u8(..),
            _ => {}
        }
    }
    input
}

/// The first number behind a place becomes another, or something else.
fn write_otherwise(input: &mut Vec<u8>, at: usize, random: &mut Rng) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = input[at..].iter().position(is_digit).map(|offset| at + offset) else { return };
    let length = input[start..].iter().take_while(|byte| is_digit(byte)).count();
    let instead = INSTEAD[random.usize(..INSTEAD.len())];
    drop(input.splice(start..start + length, instead.bytes()));
}
