//! `leakscope man`: the manual page of every command, one after the other.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;
use crate::exit::{Exit, Failure};
use crate::output;

pub(crate) fn run() -> Result<Exit, Failure> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut page = Vec::new();
    render(root.clone(), &mut page)?;
    for command in root.get_subcommands() {
        render(command.clone(), &mut page)?;
    }
    output::data(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}

fn render(command: clap::Command, page: &mut Vec<u8>) -> Result<(), Failure> {
    Man::new(command).render(page).map_err(|error| Failure::usage(format!("the manual page cannot be made: {error}")))
}
