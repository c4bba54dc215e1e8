//! A component, compiled in this process, and plugins made of it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use stile::message::{Message, Origin, Topic};
use stile::pipeline::{Pipeline, Processor, Stamp, Verdict};
use stile::plugin_host::engine::{self, Code};
use stile::plugin_host::{Kv, Loaded, Plugin, Sandbox, Terms};
use wasmtime::{Config, Engine};

pub(crate) const TOPIC: &str = "serial/bench/up";

/// The bytes of `target/plugins/NAME.wasm`.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/plugins/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; plugins/build.sh {name} makes it", path.display()))
}

/// As the daemon's child does, in this process.
pub(crate) fn compile(config: &Config, component: &[u8]) -> Vec<u8> {
    Engine::new(config).unwrap().precompile_component(component).unwrap()
}

/// Compiled code, and where it runs.
pub(crate) struct Subject {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) compiled: Vec<u8>,
    stamp: Stamp,
}

impl Subject {
    /// The component `name` as the daemon runs it.
    pub(crate) fn of(name: &str) -> Self {
        let compiled = compile(&engine::config(true, Code::Timed), &component(name));
        Self::new(Sandbox::new().unwrap(), compiled)
    }

    pub(crate) fn new(sandbox: Arc<Sandbox>, compiled: Vec<u8>) -> Self {
        Self { sandbox, compiled, stamp: Pipeline::new(1).0.stamp().clone() }
    }

    pub(crate) fn load(&self) -> Loaded {
        self.sandbox.load(&self.compiled).unwrap()
    }

    /// A plugin with the usual limits.
    pub(crate) fn plugin(&self) -> Plugin {
        self.plugin_with(self.load(), Terms::new("bench"))
    }

    pub(crate) fn plugin_with(&self, loaded: Loaded, terms: Terms) -> Plugin {
        let plugin = Plugin::new(loaded, terms, self.stamp.clone(), Kv::default());
        plugin.start().unwrap_or_else(|error| panic!("it does not start: {error}"));
        plugin
    }

    /// Messages of a radio, with payloads of so many bytes.
    pub(crate) fn messages(&self, count: usize, bytes: usize) -> Vec<Message> {
        let message = |_| {
            let (origin, topic) = (Origin::Radio("bench".into()), Topic::new(TOPIC).unwrap());
            self.stamp.message(origin, topic, Bytes::from(vec![b'x'; bytes]))
        };
        (0..count).map(message).collect()
    }
}

/// Has messages judged, all of which must pass.
pub(crate) fn pass(plugin: &mut Plugin, batch: &[Message]) {
    let judged = plugin.process(batch);
    assert!(judged.verdicts.len() == batch.len() && judged.verdicts.iter().all(|v| matches!(v, Verdict::Pass)));
}
