//! What differs between a terminal and a pipe: colour, and nothing that could play tricks with a screen.

use std::io::{self, IsTerminal};

/// Whether to colour standard output: only in a terminal, and not against `NO_COLOR`.
pub(crate) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Foreign text on one line without control or invisible characters, cut off after 200.
pub(crate) fn plain(text: &str) -> String {
    let shown =
        |character: char| if character.is_alphanumeric() || (' '..='~').contains(&character) { character } else { '?' };
    text.chars().take(200).map(shown).collect()
}
