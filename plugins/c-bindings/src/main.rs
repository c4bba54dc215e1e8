//! Writes the C side of a filter's interface: `stile-c-bindings WIT OUT`, both folders. Of the world `filter` it makes
//! `filter.h`, `filter.c` and an object that carries the interface into the component.

use std::path::Path;
use std::process::ExitCode;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [wit, out] = arguments.as_slice() else { return failed("usage: stile-c-bindings WIT OUT") };
    match write(wit.as_ref(), out.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

#[expect(clippy::print_stderr, reason = "it is a command")]
fn failed(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn write(wit: &Path, out: &Path) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let read = resolve.push_path(wit).and_then(|(package, _)| resolve.select_world(&[package], Some("filter")));
    let world = read.map_err(|error| format!("{}: {error:#}", wit.display()))?;
    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files).map_err(|error| format!("{error:#}"))?;
    for (name, content) in files.iter() {
        let path = out.join(name);
        std::fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
