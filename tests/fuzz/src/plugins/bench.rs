//! Components that may be anything, each of which is compiled, loaded and asked; a good plugin beside it must not notice.

use std::sync::Arc;
use std::time::Duration;

use stile::component::{Manifest, Shape};
use stile::config::{Grant, Limits, OnFailure};
use stile::message::{Message, Origin, Topic};
use stile::pipeline::{Processor, Stamp, Verdict};
use stile::plugin_host::engine::{self, Code};
use stile::plugin_host::{Kv, LoadError, Loaded, Plugin, Sandbox, Terms, Workbench};
use wasmtime::Engine;

use super::written::{ANSWER, Writer};

/// What a call may have besides its budget: the host's own part, and a ticker that is not always on time.
const MARGIN: Duration = Duration::from_secs(2);
/// A start may take so many times what a call may.
const START_TIMES: u32 = 20;

/// The text of its answer: message 0 is modified, its payload is what lies where the two last numbers say.
const REPLY: [u32; 11] = [0, ANSWER as u32 + 12, 1, 0, 1, 0, 0, 0, 1, 0, 0];
/// Puts the message's topic there.
const TOPIC_INTO_PAYLOAD: &str = "(i32.store (i32.const 1060) (i32.load (local.get $list)))
    (i32.store (i32.const 1064) (i32.load offset=4 (local.get $list)))";

/// How far a component came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// The compiler refuses it.
    Nothing,
    /// It was compiled, and is no plugin.
    Compiled,
    /// It is a plugin that fails.
    Loaded,
    /// It started, and failed at messages.
    Started,
    /// It judged messages.
    Judged,
}

/// What components are played on. One lives through many of them, as a daemon would.
pub struct Bench {
    stamp: Stamp,
    houses: [House; 2],
}

/// A sandbox, and a plugin in it that minds its own business.
struct House {
    code: Code,
    engine: Engine,
    sandbox: Arc<Sandbox>,
    neighbour: Plugin,
    count: u64,
}

impl Bench {
    /// Makes it.
    #[allow(clippy::new_without_default, reason = "it starts threads")]
    pub fn new() -> Self {
        let (writer, stamp) = (Writer::new(), Stamp::new(1));
        Self { houses: [Code::Timed, Code::Metered].map(|code| House::new(code, &writer, &stamp)), stamp }
    }

    /// Plays a component, with little time or with little fuel; panics when the neighbour notices, or anything is not as
    /// it must be.
    pub fn play(&mut self, component: &[u8], metered: bool) -> Reached {
        let house = &mut self.houses[usize::from(metered)];
        let reached = house.take(component, &self.stamp);
        house.neighbour_is_well(&self.stamp);
        reached
    }
}

impl House {
    fn new(code: Code, writer: &Writer, stamp: &Stamp) -> Self {
        let engine = Engine::new(&engine::config(true, code)).expect("an engine");
        let sandbox = Sandbox::of(code).expect("a sandbox");
        let reply: Vec<u8> = REPLY.iter().flat_map(|number| number.to_le_bytes()).collect();
        let good = writer.written(&reply, ANSWER, "", TOPIC_INTO_PAYLOAD, ANSWER).expect("a good plugin");
        let good = sandbox.load(&engine.precompile_component(&good).expect("good code")).expect("a good plugin");
        let mut terms = Terms::new("neighbour");
        terms.limits.fuel = (code == Code::Metered).then_some(1_000_000);
        terms.limits.cpu = Duration::from_secs(60);
        let neighbour = Plugin::new(good, terms, stamp.clone(), Kv::default());
        Self { code, engine, sandbox, neighbour, count: 0 }
    }

    /// What may be a plugin is read, compiled, loaded and asked.
    fn take(&self, component: &[u8], stamp: &Stamp) -> Reached {
        let read = Shape::of(component).and_then(|shape| {
            let manifest = Manifest::of(&shape).err();
            shape.check().and_then(|()| manifest.map_or(Ok(()), Err))
        });
        if let Err(error) = &read {
            expect_one_line(error);
        }
        let Ok(compiled) = self.engine.precompile_component(component) else { return Reached::Nothing };
        match self.sandbox.load(&compiled) {
            Err(error @ LoadError::NotCompiled(_)) => panic!("this engine made it: {error}"),
            Err(error) => {
                expect_one_line(&error.to_string());
                Reached::Compiled
            }
            Ok(loaded) => {
                // The engine does not miss an interface that has types alone, whatever its name and version; the reader does,
                // and what it refuses the gateway does not load.
                let import = |error: &String| error.starts_with("imports `");
                assert!(read.as_ref().err().is_none_or(import), "what can be loaded passes the reader: {read:?}");
                self.ask_alone(loaded.clone(), stamp).max(self.ask_in_a_stage(loaded, stamp))
            }
        }
    }

    /// Little of each, so that limits are reached.
    fn terms(&self) -> Terms {
        let metered = self.code == Code::Metered;
        let mut terms = Terms::new("made");
        terms.on_failure = OnFailure::Drop;
        terms.grants = vec![Grant::Kv, Grant::Emit, Grant::Random, Grant::Data];
        terms.tick = Some(Duration::ZERO);
        terms.limits = Limits {
            memory: 1 << 20,
            cpu: Duration::from_millis(2),
            fuel: metered.then_some(100_000),
            drafts: 100,
            kv_bytes: 10_000,
            failures: 1000,
            ..Limits::default()
        };
        terms
    }

    /// Call by call: each keeps within its limits.
    fn ask_alone(&self, loaded: Loaded, stamp: &Stamp) -> Reached {
        let (terms, batch) = (self.terms(), batch(stamp));
        let limits = terms.limits.clone();
        let mut bench = Workbench::new(loaded, terms, 0);
        let within = |bench: &Workbench, times: u32| {
            assert!(bench.cpu() <= limits.cpu * times + MARGIN, "it used {:?} of CPU time", bench.cpu());
            assert!(bench.memory() <= limits.memory, "it has {} bytes", bench.memory());
        };
        let started = bench.start();
        within(&bench, START_TIMES);
        if let Err(failure) = started {
            expect_one_line(&failure.text);
            return Reached::Loaded;
        }
        let judged = bench.judge(&batch);
        within(&bench, 1);
        let emitted = bench.take_emitted();
        assert!(emitted.len() <= limits.drafts, "it emitted {} messages", emitted.len());
        match judged {
            Ok(judged) => {
                assert_eq!(judged.len(), batch.len(), "one judgement for each message");
                Reached::Judged
            }
            Err(failure) => {
                expect_one_line(&failure.text);
                Reached::Started
            }
        }
    }

    /// As messages come: each has its verdict, whatever becomes of the plugin.
    fn ask_in_a_stage(&self, loaded: Loaded, stamp: &Stamp) -> Reached {
        let (terms, batch) = (self.terms(), batch(stamp));
        let (kv, quota) = (Kv::default(), terms.limits.kv_bytes);
        let mut plugin = Plugin::new(loaded, terms, stamp.clone(), kv.clone());
        let started = plugin.start();
        for _ in 0..2 {
            assert_eq!(plugin.process(&batch).verdicts.len(), batch.len(), "one verdict for each message");
            plugin.tick();
        }
        let report = plugin.status().report();
        if let Some((error, _)) = &report.last_error {
            expect_one_line(error);
        }
        let told = report.passed + report.modified + report.replaced + report.rejected + report.failed;
        let told = told + report.filtered.values().sum::<u64>();
        assert_eq!((report.messages, told), (2 * batch.len() as u64, report.messages), "each is counted once");
        assert!(kv.bytes() <= quota, "it remembers {} bytes", kv.bytes());
        match started {
            Err(_) => Reached::Loaded,
            Ok(()) if report.failed == 0 => Reached::Judged,
            Ok(()) => Reached::Started,
        }
    }

    fn neighbour_is_well(&mut self, stamp: &Stamp) {
        self.count += 1;
        let topic = format!("for/the/neighbour/{}", self.count);
        let message = message(stamp, &topic, b"anything");
        let judged = self.neighbour.process(std::slice::from_ref(&message));
        let [Verdict::Modify(changed)] = &judged.verdicts[..] else { panic!("for the neighbour: {judged:?}") };
        assert!(changed.payload == topic.as_bytes() && changed.id == message.id, "not what the neighbour said");
        assert_eq!(self.neighbour.status().report().instances, 1, "the neighbour was made anew");
    }
}

fn message(stamp: &Stamp, topic: &str, payload: &[u8]) -> Message {
    stamp.message(Origin::Client("somebody".into()), Topic::new(topic).expect("a topic"), payload.to_vec())
}

/// An empty one, some text, and one with bytes that are no text.
fn batch(stamp: &Stamp) -> [Message; 3] {
    [&b""[..], b"{\"temperature\": 21.5}", &[0xff; 300]].map(|payload| message(stamp, "in/put", payload))
}

/// What an operator is told can't pass for more than one line of the log.
fn expect_one_line(text: &str) {
    assert!(!text.is_empty() && text.len() < 2000 && !text.contains(char::is_control), "{text:?}");
}
