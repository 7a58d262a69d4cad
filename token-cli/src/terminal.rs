//! What differs between a terminal and a pipe: colour, and nothing that could play tricks with a screen.

use std::io::{self, IsTerminal};

/// Whether to colour standard output: only in a terminal, and not against `NO_COLOR`.
pub(crate) fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How many columns the terminal has; as many as one likes where there is none.
pub(crate) fn columns() -> usize {
    terminal_size::terminal_size().map_or(usize::MAX, |(width, _)| width.0.into())
}

/// Foreign text on one line without control or invisible characters; what is cut off after 200 of them ends in three dots.
pub(crate) fn plain(text: &str) -> String {
    within(text, 200)
}

/// A sentence of this program's own, with texts from elsewhere in it: the same, and longer.
pub(crate) fn sentence(text: &str) -> String {
    within(text, 1500)
}

fn within(text: &str, longest: usize) -> String {
    let shown =
        |character: char| if character.is_alphanumeric() || (' '..='~').contains(&character) { character } else { '?' };
    let mut line: String = text.chars().take(longest).map(shown).collect();
    if text.chars().nth(longest).is_some() {
        line.push_str("...");
    }
    line
}

/// A line in pieces that fit into `columns`, all but the first indented by `indent`. Broken at blanks; a longer word stays whole.
pub(crate) fn wrapped(line: &str, indent: usize, columns: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = pieces.last_mut().expect("there is a first one");
        let is_empty = last.trim().is_empty();
        if !is_empty && last.chars().count() + word.trim_end().chars().count() > columns {
            pieces.push(format!("{:indent$}{word}", ""));
        } else {
            last.push_str(word);
        }
    }
    pieces.iter().map(|piece| piece.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_at_blanks_and_keeps_its_column() {
        for (line, columns, expected) in [
            ("ok    size", 80, vec!["ok    size"]),
            ("  why  one two three", 14, vec!["  why  one two", "       three"]),
            ("  why  one two three", 10, vec!["  why  one", "       two", "       three"]),
            ("  why  https://a.example/very/long", 10, vec!["  why", "       https://a.example/very/long"]),
            ("", 10, vec![""]),
        ] {
            assert_eq!(wrapped(line, 7, columns), expected, "{line} {columns}");
        }
    }

    #[test]
    fn what_is_cut_off_says_so() {
        assert_eq!(plain("a\u{1b}[31m\u{202e}b"), "a?[31m?b");
        assert_eq!(plain(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(plain(&"x".repeat(201)), format!("{}...", "x".repeat(200)));
    }
}
