//! docs/flags.md, from the definitions of the command line.

use std::{collections::BTreeSet, fs};

use callgate::cli::Cli;
use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::{assert_current, cell, row};

const HEAD: &str = "\
# Flags

What `callgate COMMAND --help` prints, on one page.
This page is generated: change the help texts in `src` and run `UPDATE=1 cargo test --test docs`.

- Every flag can be set by an environment variable instead. The flag wins over its variable.
- A duration is a number with a unit, such as `500ms`, `5s` or `1m30s`.
- A flag marked with … can be repeated; its variable holds the values separated by commas.
- A flag without a value is set by `true` in its variable.
- Exit codes: 0 done, 1 an error was found in the input, 2 the command could not do its work.
";

#[test]
fn docs_flags_is_generated_from_the_command_line() {
    assert_current("docs/flags.md", &page());
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    commands("callgate", &Cli::command(), &mut page);
    page
}

/// A section for each command without commands of its own.
fn commands(name: &str, command: &Command, page: &mut String) {
    for it in command.get_subcommands().filter(|it| it.get_name() != "help" && !it.is_hide_set()) {
        let name = format!("{name} {}", it.get_name());
        section(&name, it, page);
        commands(&name, it, page);
    }
}

fn section(name: &str, command: &Command, page: &mut String) {
    let is_shown = |it: &&Arg| !it.is_hide_set() && it.get_id() != "help";
    let all: Vec<_> = command.get_arguments().filter(is_shown).collect();
    if all.is_empty() && command.has_subcommands() {
        return;
    }
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    *page += &format!("\n## {name}\n\n");
    for paragraph in about.split("\n\n") {
        *page += &format!("{}.\n", cell(paragraph).trim_end_matches('.'));
    }
    let positional: Vec<_> = all.iter().filter(|it| it.is_positional()).collect();
    if !positional.is_empty() {
        *page += "\n| argument | |\n| --- | --- |\n";
        for it in positional {
            *page += &row(&[format!("`{}`", value(it)), help(it)]);
        }
    }
    let flags = || all.iter().filter(|it| !it.is_positional());
    let mut headings: Vec<_> = flags().map(|it| it.get_help_heading()).collect();
    headings.dedup();
    let mut seen = BTreeSet::new();
    for heading in headings.into_iter().filter(|it| seen.insert(*it)) {
        if let Some(heading) = heading {
            *page += &format!("\n### {heading}{}\n", suffix(name, heading));
        }
        *page += "\n| flag | variable | default | |\n| --- | --- | --- | --- |\n";
        for it in flags().filter(|it| it.get_help_heading() == heading) {
            *page += &flag(it);
        }
    }
}

/// Some commands have flags for logging, and links need headings that differ.
fn suffix(name: &str, heading: &str) -> &'static str {
    match name.rsplit(' ').next() {
        Some("agent") if heading == "Logging" => " of the agent",
        Some("denials") if heading == "Logging" => " of denials",
        _ => "",
    }
}

fn flag(flag: &Arg) -> String {
    let long = flag.get_long().expect("it is no positional argument");
    let repeats = if matches!(flag.get_action(), ArgAction::Append) { " …" } else { "" };
    let written = format!("--{long} {}", value(flag));
    let variable = flag.get_env().and_then(|it| it.to_str()).unwrap_or_default();
    let takes_a_value = flag.get_action().takes_values();
    let defaults = flag.get_default_values().iter().filter(|_| takes_a_value);
    let default: Vec<_> = defaults.map(|it| format!("`{}`", it.to_string_lossy())).collect();
    row(&[
        format!("`{}`{repeats}", cell(&written)),
        format!("`{variable}`"),
        default.join(" "),
        help(flag),
    ])
}

fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let names = names.unwrap_or_default();
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The help, and the values that are possible, if they are few.
fn help(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string);
    let mut help = cell(&help.unwrap_or_default());
    let values = arg.get_possible_values().into_iter().filter(|_| arg.get_action().takes_values());
    let values: Vec<_> = values.collect();
    if !values.is_empty() {
        let words = values.iter().map(|it| match it.get_help() {
            Some(meaning) => format!("`{}` ({})", it.get_name(), decapitalised(meaning)),
            None => format!("`{}`", it.get_name()),
        });
        help += &format!(": {}", words.collect::<Vec<_>>().join(" or "));
    }
    help
}

fn decapitalised(text: &impl ToString) -> String {
    let text = text.to_string();
    match text.split_at_checked(1) {
        // Not `JSON`.
        Some((first, rest)) if rest.starts_with(|it: char| !it.is_uppercase()) => {
            first.to_lowercase() + rest
        }
        _ => text,
    }
}

/// Flags of other programs that these pages name.
const OF_OTHERS: &[&str] = &["--create-namespace", "--register-with-taints", "--set", "--tag"];

#[test]
fn every_flag_that_a_page_names_exists() {
    let page = page();
    let is_part = |it: char| it.is_ascii_lowercase() || it == '-';
    for document in ["README.md", "docs/agent.md", "docs/glossary.md", "docs/install.md"] {
        let text = fs::read_to_string(document).expect("it is there");
        for word in text.split(|it| !is_part(it)).filter(|it| it.starts_with("--")) {
            let ours = [" ", "`"].iter().any(|end| page.contains(&format!("`{word}{end}")));
            let known = ours || OF_OTHERS.contains(&word) || word.trim_matches('-').is_empty();
            assert!(known, "{document}: there is no flag {word}");
        }
    }
}
