//! The pages in docs: those that are generated, and what they show.

use std::{env, fs, path::PathBuf};

/// Compares a generated page with the one in the repository. With `UPDATE=1` in
/// the environment it is written instead. `command` is what to run for that.
pub fn assert_current(path: &str, generated: &str, command: &str) {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path);
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, generated).expect("the tree is writable");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let differs = written.lines().zip(generated.lines()).find(|(ours, new)| ours != new);
    assert!(
        written == generated,
        "{path} is out of date, `UPDATE=1 {command}` writes it; {differs:#?}"
    );
}

/// The fenced blocks of a document in a language.
pub fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(document).expect("documents are text");
    let fence = format!("```{language}\n");
    let starts = text.split(&fence).skip(1);
    starts.map(|it| it.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The commands `callgate profile …` of a document, each with the block behind it that follows these words.
pub fn examples(document: &str, words: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(document).expect("documents are text");
    let block_of = |example: &str| {
        let (command, rest) = example.split_once('`').expect("a command ends");
        let (_, block) = rest.split_once(&format!(" {words}\n\n```text\n"))?;
        let (block, _) = block.split_once("```").expect("a block ends");
        Some((command.to_owned(), block.to_owned()))
    };
    text.split("\n`callgate profile ").skip(1).filter_map(block_of).collect()
}

/// A text as it may stand in a cell of a table.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A row of a table; an empty cell has one space.
pub fn row(cells: &[String]) -> String {
    let cells = cells.iter().map(|it| format!(" {it}").trim_end().to_owned() + " |");
    format!("|{}\n", cells.collect::<String>())
}
