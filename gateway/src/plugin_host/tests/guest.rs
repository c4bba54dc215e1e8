//! Makes small plugins, core modules as text, and runs them.

use std::sync::Arc;

use wasmtime::Engine;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::image::{ANSWER, Image};
use crate::message::{Message, Origin, Topic};
use crate::pipeline::{Judged, Pipeline, Processor, Stamp, Verdict};
use crate::plugin_host::engine::Code;
use crate::plugin_host::{FailureKind, Kv, Loaded, Plugin, Report, Sandbox, Terms, engine};

/// A plugin: what is put into its parts.
#[derive(Default)]
pub(super) struct Guest<'a> {
    /// Imports and functions.
    pub(super) items: &'a str,
    pub(super) configure: &'a str,
    /// Runs once a call, before the messages are looked at.
    pub(super) process: &'a str,
    /// Runs for each message whose payload begins with `x`; `$i` is its place and `$at` its record.
    pub(super) on_x: &'a str,
    /// Gives a pointer to a result with drafts; a plugin without it has no timer.
    pub(super) tick: Option<&'a str>,
    pub(super) answer: Image,
    /// Gives the answer only where a message begins with `x`; all others pass.
    pub(super) only_x: bool,
}

impl Guest<'_> {
    pub(super) fn text(&self) -> String {
        let Self { items, configure, process, on_x, tick, answer, only_x } = self;
        let otherwise = if *only_x { 16 } else { ANSWER };
        let at_x = if *only_x { format!("(return (i32.const {ANSWER}))") } else { String::new() };
        let data = answer.data();
        let tick = tick.map_or(String::new(), |body| {
            format!(r#"(func (export "stile:filter/timer@1.0.0#tick") (param $now i64) (result i32) {body})"#)
        });
        format!(
            r#"(module {items}
            (memory (export "memory") 4)
            (data (i32.const {ANSWER}) "{data}")
            (global $heap (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
              (global.set $heap (i32.add (local.get $at) (local.get $size)))
              (local.get $at))
            (func (export "stile:filter/filter@1.0.0#configure") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
              {configure} (i32.const 16))
            (func (export "stile:filter/filter@1.0.0#process") (param $list i32) (param $len i32) (result i32)
              (local $i i32) (local $at i32)
              {process}
              (block $done (loop $next
                (br_if $done (i32.ge_u (local.get $i) (local.get $len)))
                (local.set $at (i32.add (local.get $list) (i32.shl (local.get $i) (i32.const 6))))
                (if (i32.eq (i32.load8_u (i32.load offset=8 (local.get $at))) (i32.const 120)) (then {on_x} {at_x}))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next)))
              (i32.const {otherwise}))
            (func (export "cabi_post_stile:filter/filter@1.0.0#process") (param i32)
              (global.set $heap (i32.const 65536)))
            {tick})"#
        )
    }

    /// As a component.
    pub(super) fn component(&self) -> Vec<u8> {
        component(&self.text(), if self.tick.is_some() { "timed-message-filter" } else { "message-filter" })
    }

    /// In a stage of its own with these terms.
    pub(super) fn stage(&self, terms: Terms) -> Bench {
        let code = Code::of(&terms.limits);
        let compiled = compile_as(code, &self.component());
        Bench::new(Sandbox::of(code).unwrap().load(&compiled).unwrap(), terms)
    }
}

/// A core module as a component of one of our worlds.
pub(super) fn component(text: &str, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir("../wit").unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// Compiles in this process, which the daemon never does.
pub(super) fn compile(component: &[u8]) -> Vec<u8> {
    compile_as(Code::Timed, component)
}

fn compile_as(code: Code, component: &[u8]) -> Vec<u8> {
    Engine::new(&engine::config(true, code)).unwrap().precompile_component(component).unwrap()
}

pub(super) fn load(sandbox: &Arc<Sandbox>, component: &[u8]) -> Loaded {
    sandbox.load(&compile(component)).unwrap()
}

/// A plugin and what it takes to ask it.
pub(super) struct Bench {
    pub(super) plugin: Plugin,
    pub(super) kv: Kv,
    pub(super) sandbox: Arc<Sandbox>,
    stamp: Stamp,
}

impl Bench {
    pub(super) fn new(loaded: Loaded, terms: Terms) -> Self {
        let sandbox = Arc::clone(&loaded.sandbox);
        let (stamp, kv) = (Pipeline::new(7).0.stamp().clone(), Kv::default());
        let plugin = Plugin::new(loaded, terms, stamp.clone(), kv.clone());
        Self { plugin, kv, sandbox, stamp }
    }

    /// A message of a client with this payload, under `in`.
    pub(super) fn message(&self, payload: &str) -> Message {
        let origin = Origin::Client("somebody".into());
        self.stamp.message(origin, Topic::new("in").unwrap(), payload.to_owned())
    }

    /// Has a batch of messages with these payloads judged.
    pub(super) fn judge(&mut self, payloads: &[&str]) -> Judged {
        let batch: Vec<_> = payloads.iter().map(|payload| self.message(payload)).collect();
        let judged = self.plugin.process(&batch);
        assert_eq!(judged.verdicts.len(), batch.len(), "one verdict for each message");
        judged
    }

    /// The verdicts in words.
    pub(super) fn words(&mut self, payloads: &[&str]) -> Vec<String> {
        self.judge(payloads).verdicts.iter().map(word).collect()
    }

    pub(super) fn report(&self) -> Report {
        self.plugin.status().report()
    }

    /// Has a message judged that it fails at in this way and with these words, and then one that it must serve.
    pub(super) fn fails(&mut self, kind: FailureKind, words: &str) {
        assert_eq!(self.words(&["x"]), ["drop plugin-failed"]);
        let report = self.report();
        let (error, _) = report.last_error.as_ref().unwrap();
        assert!(error.starts_with(&format!("{kind}: ")) && error.contains(words), "{error}");
        assert_eq!((report.failures_of(kind), report.failures.iter().sum::<u64>()), (1, 1), "{error}");
        assert_eq!(self.words(&["y"]), ["pass"], "the next message is served");
    }
}

fn word(verdict: &Verdict) -> String {
    let told = |message: &Message| format!("{}={}", message.topic, String::from_utf8_lossy(&message.payload));
    match verdict {
        Verdict::Pass => "pass".into(),
        Verdict::Filter => "filter".into(),
        Verdict::Modify(message) => format!("modify {}", told(message)),
        Verdict::Replace(messages) => format!("replace {:?}", messages.iter().map(told).collect::<Vec<_>>()),
        Verdict::Drop(reason) => format!("drop {reason}"),
        Verdict::Hold(held) => format!("hold {held:?}").to_lowercase(),
    }
}
