//! What a test has shown, as a row of a table: `cargo xtask test` puts the rows together as `tests/REPORT.md`.

use std::path::Path;

/// Notes one row of a section's table. Rows are ordered by `name`; a second run replaces the first.
///
/// Without the directory that `cargo xtask test` names in `TOKEN_EVIDENCE`, the row is printed and nothing is kept.
///
/// # Panics
/// When the directory cannot be written to.
#[allow(clippy::print_stdout)]
pub fn note(section: &str, name: &str, cells: &[&str]) {
    let row = format!("| {} |\n", cells.join(" | "));
    print!("{section}: {row}");
    if let Some(folder) = std::env::var_os("TOKEN_EVIDENCE") {
        let folder = Path::new(&folder).join(section);
        std::fs::create_dir_all(&folder).expect("a folder for the report's rows");
        std::fs::write(folder.join(name.replace(['/', ' '], "-")), row).expect("a row of the report");
    }
}
