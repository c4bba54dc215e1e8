//! Bytes to components of all kinds: what may be a file, and what is a plugin to the letter and does anything.
//!
//! The first byte says which kind. Whatever follows is taken, so that an input that is cut, joined or changed anywhere is
//! an input as well.

use std::fmt::Write as _;

use arbitrary::Unstructured;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, MemoryType, Module};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};
use wit_parser::{LiftLowerAbi, ManglingAndAbi};

use super::written::{ANSWER, NOTHING, Writer};

/// Where a plugin that calls has the texts for what it calls.
const TEXTS: usize = 512;

/// Calls that one plugin makes, at most.
const CALLS_MAX: usize = 50;

/// Numbers at which something ends.
const EDGES: [i32; 8] = [65_535, 65_536, 262_136, 262_143, 262_144, 1 << 30, i32::MAX, -1];

/// Makes them: the world, and a module with all that it imports and exports.
pub struct Maker {
    writer: Writer,
    whole: Vec<u8>,
}

impl Maker {
    /// Makes it.
    #[allow(clippy::new_without_default, reason = "it reads the interface")]
    pub fn new() -> Self {
        let writer = Writer::new();
        let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
        let whole = wit_component::dummy_module(&writer.resolve, writer.world, abi);
        Self { writer, whole }
    }

    /// What an input stands for; not every one stands for something.
    pub fn make(&self, input: &[u8]) -> Option<Vec<u8>> {
        let (kind, rest) = input.split_first()?;
        match kind % 6 {
            0 => Some(rest.to_vec()),
            1 => wasm_smith::Component::new(feasible(), &mut Unstructured::new(rest)).ok().map(|made| made.to_bytes()),
            2 => self.writer.component(self.smith(rest)?),
            3 => self.writer.component(tamed(&self.smith(rest)?)?),
            4 => self.writer.written(rest, ANSWER, "", "", ANSWER),
            _ => {
                let (imports, calls) = self.calls(rest);
                self.writer.written(&rest[..rest.len().min(ANSWER)], TEXTS, &imports, &calls, NOTHING)
            }
        }
    }

    /// A module that exports what a plugin has to, and in it is anything.
    fn smith(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let exact = wasm_smith::Config {
            available_imports: Some(self.whole.clone()),
            exports: Some(self.whole.clone()),
            ..feasible()
        };
        wasm_smith::Module::new(exact, &mut Unstructured::new(bytes)).ok().map(|made| made.to_bytes())
    }

    /// All imports of the world as text, and calls of them as the bytes say.
    fn calls(&self, bytes: &[u8]) -> (String, String) {
        let functions = imports(&self.whole);
        let declared = functions.iter().enumerate().map(|(number, (module, name, ty))| {
            let (params, results) = (values(ty.params()), values(ty.results()));
            format!(r#"(import "{module}" "{name}" (func $f{number} (param {params}) (result {results})))"#)
        });
        let (mut calls, mut bytes) = (String::new(), bytes.iter().copied());
        for _ in 0..CALLS_MAX {
            let (Some(which), Some(often)) = (bytes.next(), bytes.next()) else { break };
            let number = usize::from(which) % functions.len();
            let ty = &functions[number].2;
            let arguments: String =
                ty.params().iter().map(|ty| format!("({ty}.const {})", number_of(bytes.next().unwrap_or(0)))).collect();
            let dropped = "drop ".repeat(ty.results().len());
            let times = if often < 250 { 1 } else { 1_000_000 };
            let round = "(br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))";
            // Writing into a `String` cannot fail.
            let _ = write!(
                calls,
                "(local.set $n (i32.const {times})) (loop {arguments} call $f{number} {dropped} {round})"
            );
        }
        (declared.collect(), calls)
    }
}

/// An argument: a small number, a place where texts are, or an edge.
fn number_of(byte: u8) -> i32 {
    match byte {
        0..64 => byte.into(),
        64..192 => i32::from(byte - 64) + TEXTS as i32,
        _ => EDGES[usize::from(byte) % EDGES.len()],
    }
}

fn values(types: &[ValType]) -> String {
    types.iter().map(|ty| format!("{ty} ")).collect()
}

/// What a module imports: functions alone.
fn imports(module: &[u8]) -> Vec<(String, String, FuncType)> {
    let (mut types, mut found) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("the module is good") {
            Payload::TypeSection(section) => {
                types.extend(section.into_iter_err_on_gc_types().map(|ty| ty.expect("the module is good")));
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.expect("the module is good");
                    let TypeRef::Func(ty) = import.ty else { continue };
                    found.push((import.module.to_owned(), import.name.to_owned(), types[ty as usize].clone()));
                }
            }
            _ => {}
        }
    }
    found
}

/// What wasmtime is built for here, and not so much of it that an input takes long.
fn feasible() -> wasm_smith::Config {
    wasm_smith::Config {
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        max_funcs: 12,
        max_instructions: 200,
        max_memory32_bytes: 1 << 22,
        max_memory64_bytes: 1 << 22,
        max_table_elements: 2000,
        ..wasm_smith::Config::default()
    }
}

/// The module with room in its memory, an allocator that allocates and a `configure` that agrees, so that its `process` runs.
fn tamed(module: &[u8]) -> Option<Vec<u8>> {
    let mut tamer = Tamer::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::ImportSection(section) => {
                let functions =
                    section.into_imports().filter(|import| matches!(import, Ok(i) if matches!(i.ty, TypeRef::Func(_))));
                tamer.next = u32::try_from(functions.count()).ok()?;
            }
            Payload::ExportSection(section) => {
                for export in section.into_iter().flatten().filter(|export| export.kind == ExternalKind::Func) {
                    match export.name {
                        "cabi_realloc" => tamer.allocate = export.index,
                        name if name.ends_with("#configure") => tamer.configure = export.index,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let mut tame = Module::new();
    tamer.parse_core_module(&mut tame, Parser::new(0), module).ok()?;
    Some(tame.finish())
}

/// Puts other bodies into two functions.
#[derive(Default)]
struct Tamer {
    /// The number of the next body's function.
    next: u32,
    allocate: u32,
    configure: u32,
}

impl Reencode for Tamer {
    type Error = std::convert::Infallible;

    fn memory_type(&mut self, ty: wasmparser::MemoryType) -> Result<MemoryType, reencode::Error<Self::Error>> {
        let ty = reencode::utils::memory_type(self, ty);
        Ok(MemoryType { minimum: ty.minimum.max(4), maximum: ty.maximum.map(|most| most.max(4)), ..ty })
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let number = self.next;
        self.next += 1;
        let mut other = wasm_encoder::Function::new([]);
        let mut say = other.instructions();
        if number == self.allocate {
            // How far it got stands at 8; what it gives begins in the second page.
            let at = wasm_encoder::MemArg { offset: 8, align: 2, memory_index: 0 };
            say.i32_const(0).i32_const(0).i32_load(at).local_get(3).i32_add().i32_const(7).i32_add();
            say.i32_const(0x0001_fff8).i32_and().i32_store(at);
            say.i32_const(0).i32_load(at).local_get(3).i32_sub().i32_const(0x0001_fff8).i32_and();
            say.i32_const(65_536).i32_add().end();
        } else if number == self.configure {
            say.i32_const(NOTHING as i32).end();
        } else {
            return reencode::utils::parse_function_body(self, code, body);
        }
        code.function(&other);
        Ok(())
    }
}
