//! `stile completions` and `stile man`: what packages install beside the program.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Arguments as Root, fail};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  stile completions bash > /etc/bash_completion.d/stile
  stile completions fish > ~/.config/fish/completions/stile.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Print the manual page
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  stile man | man -l -")]
pub(super) struct Man {}

pub(super) fn completions(arguments: &Completions) -> ExitCode {
    clap_complete::generate(arguments.shell, &mut Root::command(), "stile", &mut std::io::stdout());
    ExitCode::SUCCESS
}

/// One page with all verbs: each has its own section.
pub(super) fn man() -> ExitCode {
    let mut page = Vec::new();
    let root = Root::command();
    let mut rendered = clap_mangen::Man::new(root.clone()).render(&mut page);
    for verb in root.get_subcommands() {
        let name = format!("stile {}", verb.get_name());
        let verb = verb.clone().bin_name(name.clone()).display_name(name);
        let man = clap_mangen::Man::new(verb);
        rendered = rendered.and_then(|()| {
            man.render_name_section(&mut page)?;
            man.render_synopsis_section(&mut page)?;
            man.render_description_section(&mut page)?;
            man.render_options_section(&mut page)?;
            man.render_extra_section(&mut page)
        });
    }
    match rendered.and_then(|()| std::io::Write::write_all(&mut std::io::stdout(), &page)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}
