//! The command line in, completions for shells and the manual pages out.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::args::Arguments;
use crate::end::{End, Failure};

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<End, Failure> {
    // Into memory first: the generator panics where writing fails.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "token", &mut text);
    io::stdout().write_all(&text)?;
    Ok(End::Yes)
}

/// The page of a command (none: of the program), or every page into a folder.
pub(crate) fn man(page: &[String], folder: Option<&Path>) -> Result<End, Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    if let Some(folder) = folder {
        let cannot = |error: io::Error| Failure::input(format!("{}: {error}", folder.display()));
        std::fs::create_dir_all(folder).map_err(cannot)?;
        clap_mangen::generate_to(command, folder).map_err(cannot)?;
        return Ok(End::Yes);
    }
    let mut command = &command;
    for name in page {
        let inner = command.get_subcommands().find(|inner| inner.get_name() == name);
        command =
            inner.ok_or_else(|| Failure::input(format!("no page: {} has no command {name:?}", command.get_name())))?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    io::stdout().write_all(&text)?;
    Ok(End::Yes)
}
