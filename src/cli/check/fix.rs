//! `--fix`: a diff of what the webhook would set, or the files with it.

use std::{
    fs,
    io::{self, Write},
};

use anyhow::{Context, bail};
use similar::TextDiff;

use super::{files::Input, pool};
use crate::{
    check::{Checker, Fixed},
    cli::Outcome,
    report::counted,
};

/// Prints the diff, or writes the files; what cannot be written is said.
pub(super) fn run(
    inputs: &[Input],
    checker: &Checker<'_>,
    write: bool,
    mut failures: Vec<anyhow::Error>,
) -> anyhow::Result<Outcome> {
    let results = pool::map(inputs, |it| -> anyhow::Result<_> {
        let content = it.read()?;
        let text =
            std::str::from_utf8(&content).with_context(|| format!("{:?} is not UTF-8", it.name))?;
        Ok((text.to_owned(), checker.fix(text)))
    });
    let (mut diff, mut said, mut objects, mut files) = (String::new(), String::new(), 0, 0);
    for (input, result) in inputs.iter().zip(results) {
        let (before, Fixed { text, changed, left }) = match result {
            Ok(it) => it,
            Err(why) => {
                failures.push(why);
                continue;
            }
        };
        let name = &input.name;
        said.extend(left.iter().map(|it| format!("{name}: not written: {it}\n")));
        if changed.is_empty() {
            continue;
        }
        objects += changed.len();
        files += 1;
        if write {
            failures.extend(input.write(&text).err());
        } else {
            said.extend(changed.iter().map(|it| format!("{name}: {it}\n")));
            let changes = TextDiff::from_lines(&before, &text);
            diff.push_str(&changes.unified_diff().header(name, name).to_string());
        }
    }
    io::stdout().write_all(diff.as_bytes()).context("cannot write to standard output")?;
    said.extend(failures.iter().map(|why| format!("error: {why:#}\n")));
    let does = if write { "changed" } else { "would change" };
    let (objects, files) = (counted(objects, "object"), counted(files, "file"));
    said.extend([does, " ", &objects, " in ", &files, "\n"]);
    // Standard error may be closed.
    let _ = io::stderr().write_all(said.as_bytes());
    if !failures.is_empty() {
        bail!("not everything could be read or written");
    }
    Ok(if diff.is_empty() { Outcome::Success } else { Outcome::Errors })
}

impl Input {
    /// Replaces the content of a file.
    fn write(&self, text: &str) -> anyhow::Result<()> {
        if self.is_read_once() {
            bail!("{:?} cannot be written, only files can", self.name);
        }
        fs::write(self.path(), text).with_context(|| format!("cannot write {:?}", self.name))
    }
}
