//! The `stile` program: see `stile --help`.

fn main() -> std::process::ExitCode {
    stile::cli::main()
}
