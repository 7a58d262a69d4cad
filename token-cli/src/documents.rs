//! The command line in, completions for shells and the manual page out.

use std::io;

use clap::CommandFactory;

use crate::args::Arguments;
use crate::end::{End, Failure};

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<End, Failure> {
    // Into memory first: the generator panics where writing fails.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "token", &mut text);
    io::Write::write_all(&mut io::stdout(), &text)?;
    Ok(End::Yes)
}

pub(crate) fn man() -> Result<End, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut text)?;
    io::Write::write_all(&mut io::stdout(), &text)?;
    Ok(End::Yes)
}
