//! The generated pages in docs, the limits of README, and the versions of Kubernetes.

#![expect(clippy::format_push_string, reason = "pages are short")]

mod api;
mod flags;
mod picture;
mod readme;
mod versions;

use std::{env, fs};

/// Compares a generated page with the one in the repository. With `UPDATE=1` in
/// the environment it is written instead.
fn assert_current(path: &str, generated: &str) {
    if env::var_os("UPDATE").is_some() {
        fs::write(path, generated).expect("the tree is writable");
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    let differs = written.lines().zip(generated.lines()).find(|(ours, new)| ours != new);
    assert!(
        written == generated,
        "{path} is out of date, `UPDATE=1 cargo test --test docs` writes it; {differs:#?}"
    );
}

/// A text as it may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A row of a table; an empty cell has one space.
fn row(cells: &[String]) -> String {
    let cells = cells.iter().map(|it| format!(" {it}").trim_end().to_owned() + " |");
    format!("|{}\n", cells.collect::<String>())
}
