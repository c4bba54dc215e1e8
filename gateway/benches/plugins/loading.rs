//! How soon a compiled plugin runs, and what another instance of it takes.

use stile::plugin_host::cache::{Bounds, Cache, Key};
use stile::plugin_host::engine::Code;
use stile::plugin_host::{Plugin, Terms};

use crate::figures::{information, millis, resident, target, targets};
use crate::subject::{Subject, component, pass};

const ROUNDS: usize = 101;
const INSTANCES: usize = 400;

/// Milliseconds from a component's bytes to what instances are made of, by way of the cache; and until one is configured
/// too.
fn load(name: &str) -> (f64, f64) {
    let (subject, component) = (Subject::of(name), component(name));
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::of(dir.path(), Bounds::default());
    cache.store(&Key::of(&component, Code::Timed), &subject.compiled);
    let loaded = || subject.sandbox.load(&cache.load(&Key::of(&component, Code::Timed)).unwrap()).unwrap();
    (millis(ROUNDS, loaded), millis(ROUNDS, || subject.plugin_with(loaded(), Terms::new("bench"))))
}

/// Bytes that stay resident for each further instance after its first batch, its own figures and tables included.
pub(crate) fn instance(subject: &Subject) -> f64 {
    let (loaded, batch) = (subject.load(), subject.messages(16, 64));
    let one = || {
        let mut plugin = subject.plugin_with(loaded.clone(), Terms::new("bench"));
        pass(&mut plugin, &batch);
        plugin
    };
    // What the first ones need besides belongs to the process.
    let warm: Vec<Plugin> = (0..INSTANCES / 10).map(|_| one()).collect();
    let before = resident();
    let instances: Vec<Plugin> = (0..INSTANCES).map(|_| one()).collect();
    let bytes = (resident() - before) / INSTANCES as f64;
    drop((warm, instances));
    bytes
}

pub(crate) fn run() {
    targets();
    let (load, started) = load("pass");
    target("From the cache to ready for instances", &format!("{load:.2} ms"), "≤ 1 ms", load <= 1.0);
    information("The same, and an instance started on trial", &format!("{started:.2} ms"));
    let bytes = instance(&Subject::of("pass")) / 1000.0;
    target("Resident memory of a further instance", &format!("{bytes:.1} kB"), "≤ 30 kB", bytes <= 30.0);
}
