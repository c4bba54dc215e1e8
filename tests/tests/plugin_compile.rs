//! The hidden verb that compiles a plugin: what it makes of files that are none, and what it gives up before it reads one.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Output, Stdio};

use stile_tests::{command, within};

/// The first bytes of a component, and the least of all components.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE: &[u8] = b"\0asm\x01\0\0\0";

fn start(cpu_seconds: &str, memory: &str) -> Child {
    let mut command = command();
    command.args(["compile-plugin", "--cpu-seconds", cpu_seconds, "--memory", memory]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn compile_with(component: &[u8], cpu_seconds: &str, memory: &str) -> Output {
    let mut child = start(cpu_seconds, memory);
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A child that refuses what it has read so far closes its end.
        scope.spawn(move || stdin.write_all(component));
        child.wait_with_output().unwrap()
    })
}

fn compile(component: &[u8]) -> Output {
    compile_with(component, "60", "2147483648")
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

/// A component with a core module in it whose one function has `code`, one parameter and no result.
fn component(code: &[u8]) -> Vec<u8> {
    let body = [&[0][..], code, &[0x0b]].concat();
    let codes = [&leb(1)[..], &leb(body.len()), &body].concat();
    let module = [CORE, &section(1, &[1, 0x60, 1, 0x7f, 0]), &section(3, &[1, 0]), &section(10, &codes)].concat();
    [COMPONENT, &section(1, &module)].concat()
}

#[test]
fn a_component_is_compiled_and_always_to_the_same_bytes() {
    let add_to_the_parameter = [0x20, 0, 0x41, 1, 0x6a, 0x21, 0];
    let first = compile(&component(&add_to_the_parameter));
    assert!(first.status.success() && first.stderr.is_empty(), "{first:?}");
    assert!(first.stdout.starts_with(b"\x7fELF"), "{:?}", &first.stdout[..20]);
    assert_eq!(compile(&component(&add_to_the_parameter)).stdout, first.stdout);
}

#[test]
fn what_is_no_good_component_is_refused_in_one_line() {
    let good = component(&[0x20, 0, 0x1a]);
    let random: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for (bytes, said) in [
        (&b""[..], "it is empty"),
        (b"(component)", "as text"),
        (&random, "no WebAssembly"),
        (CORE, "core WebAssembly module"),
        (&good[..good.len() - 1], "out of bounds"),
        (&good[..9], "unexpected"),
        (&component(&[0x6a]), "type mismatch"),
        (&[COMPONENT, &random].concat(), "unexpected end-of-file"),
        (&vec![0; 100_000_000], "more than 67108864 bytes"),
    ] {
        let output = compile(bytes);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{said}: {error}");
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn a_component_that_would_take_for_ever_ends_with_its_cpu_time() {
    let output = compile_with(&component(&[0x20, 0, 0x41, 1, 0x6a, 0x21, 0].repeat(1_000_000)), "1", "2147483648");
    assert_eq!((output.status.signal(), output.stdout.len()), (Some(24), 0), "SIGXCPU: {output:?}");
}

#[test]
fn a_component_that_needs_more_memory_than_there_is_ends_its_child_alone() {
    let output = compile_with(&component(&[0x20, 0, 0x41, 1, 0x6a, 0x21, 0].repeat(1_000_000)), "60", "300000000");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn before_it_reads_it_has_given_up_what_it_does_not_need() {
    let mut child = start("60", "2147483648");
    let proc = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    within("it has entered the sandbox", || proc("status").contains("Seccomp:\t2").then_some(()));
    assert!(proc("status").contains("NoNewPrivs:\t1"), "{}", proc("status"));
    let limits = proc("limits");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max cpu time"), ["60", "61"]);
    assert_eq!(limit("Max address space"), ["2147483648", "2147483648"]);
    for (name, most) in
        [("Max open files", "3"), ("Max processes", "0"), ("Max file size", "0"), ("Max core file size", "0")]
    {
        assert_eq!(limit(name), [most, most], "{name}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_is_no_verb_for_people() {
    let (code, help, _) = stile_tests::check(&["--help"]);
    assert!(code == 0 && !help.contains("compile-plugin"), "{help}");
}
