//! Components that the fuzz target `plugins` makes, as they are and changed at random.
//!
//! `make fuzz` looks for inputs that do harm; here those that are known stay harmless. `FUZZ_SEED` repeats a run.

#[allow(unreachable_pub, clippy::panic, reason = "it is the fuzz target's")]
#[path = "../../../../tests/fuzz/src/plugins/bench.rs"]
mod bench;
#[path = "../../../../tests/fuzz/src/plugins/written.rs"]
mod written;

use bench::{Bench, Reached};
use fastrand::Rng;

/// How often each component is changed.
const CHANGES: usize = 10;

fn random() -> Rng {
    let seed = std::env::var("FUZZ_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("FUZZ_SEED={seed} repeats this run");
    Rng::with_seed(seed)
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus/components");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Changed at a few places.
fn changed(component: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut file = component.to_vec();
    for _ in 0..=random.usize(..4) {
        if file.is_empty() {
            break;
        }
        let at = random.usize(..file.len());
        match random.u8(..8) {
            0 => file.truncate(at),
            1 => file.insert(at, random.u8(..)),
            _ => file[at] = random.u8(..),
        }
    }
    file
}

#[test]
fn what_the_fuzzer_knows_is_refused_or_contained() {
    let mut bench = Bench::new();
    let mut reached = Vec::new();
    for component in corpus() {
        reached.extend([false, true].map(|metered| bench.play(&component, metered)));
    }
    for stage in [Reached::Nothing, Reached::Compiled, Reached::Loaded, Reached::Started, Reached::Judged] {
        assert!(reached.contains(&stage), "the corpus has none that came as far as {stage:?}");
    }
}

#[test]
fn components_that_are_changed_at_random_are_refused_or_contained() {
    let (mut bench, mut random) = (Bench::new(), random());
    for component in corpus().iter().flat_map(|component| std::iter::repeat_n(component, CHANGES)) {
        bench.play(&changed(component, &mut random), random.bool());
    }
}
