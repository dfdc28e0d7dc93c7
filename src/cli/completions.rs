//! `callgate completions`: what completes commands in a shell, and in kubectl.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use anyhow::Context;
use clap::{Arg, Args, Command, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};

use crate::cli::{Cli, Outcome};

/// Print the script that completes commands in a shell
///
/// `kubectl` stands for the program that completes `kubectl callgate`: write
/// it to a file kubectl_complete-callgate on the PATH, and make it executable.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell, or kubectl
    #[arg(value_name = "SHELL", value_enum)]
    shell: Target,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    Bash,
    Elvish,
    Fish,
    Kubectl,
    Powershell,
    Zsh,
}

/// The candidates for the last word, as kubectl reads them.
#[derive(Args, Debug)]
pub(super) struct Complete {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#using-the-command-line-runtime-package>
const FOR_KUBECTL: &str = "#!/bin/sh
# kubectl runs kubectl_complete-callgate, a file on the PATH, to complete `kubectl callgate`.
exec kubectl-callgate __complete \"$@\"
";

/// What kubectl does with the candidates: offers them alone, or files too.
const NO_FILES: u8 = 4;
const FILES: u8 = 0;

const INFALLIBLE: &str = "a string takes everything";

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let shell = match self.shell {
            Target::Bash => Shell::Bash,
            Target::Elvish => Shell::Elvish,
            Target::Fish => Shell::Fish,
            Target::Kubectl => return print(FOR_KUBECTL.as_bytes()),
            Target::Powershell => Shell::PowerShell,
            Target::Zsh => Shell::Zsh,
        };
        let mut script = Vec::new();
        generate(shell, &mut Cli::command(), "callgate", &mut script);
        print(&script)
    }
}

impl Complete {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        print(candidates(&self.words).as_bytes())
    }
}

fn print(text: &[u8]) -> anyhow::Result<Outcome> {
    io::stdout().write_all(text).context("cannot write to standard output")?;
    Ok(Outcome::Success)
}

/// A line for each candidate with its description, then what kubectl does with them.
fn candidates(words: &[String]) -> String {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", words),
    };
    let mut command = Cli::command();
    for word in before {
        if let Some(inner) = command.find_subcommand(word) {
            command = inner.clone();
        }
    }
    let named = |it: &&Arg| it.get_long().map(|it| format!("--{it}")).as_ref() == before.last();
    let flag = command.get_arguments().find(named).filter(|it| it.get_action().takes_values());
    let mut text = String::new();
    let mut offer = |word: &str, about: Option<String>| {
        if word.starts_with(last) {
            let about = about.unwrap_or_default();
            let about = about.lines().next().unwrap_or_default();
            writeln!(text, "{word}\t{about}").expect(INFALLIBLE);
        }
    };
    let directive = if let Some(flag) = flag {
        let values = flag.get_possible_values();
        for it in &values {
            offer(it.get_name(), it.get_help().map(ToString::to_string));
        }
        if values.is_empty() { FILES } else { NO_FILES }
    } else if last.starts_with('-') {
        for it in command.get_arguments().filter(|it| !it.is_hide_set()) {
            let Some(long) = it.get_long() else { continue };
            offer(&format!("--{long}"), it.get_help().map(ToString::to_string));
        }
        NO_FILES
    } else {
        of_words(&command, &mut offer)
    };
    writeln!(text, ":{directive}").expect(INFALLIBLE);
    text
}

/// Offers commands, and the values of arguments without a name.
fn of_words(command: &Command, offer: &mut impl FnMut(&str, Option<String>)) -> u8 {
    for it in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        offer(it.get_name(), it.get_about().map(ToString::to_string));
    }
    let mut takes_files = false;
    for it in command.get_positionals() {
        let values = it.get_possible_values();
        takes_files |= values.is_empty();
        for it in &values {
            offer(it.get_name(), it.get_help().map(ToString::to_string));
        }
    }
    if takes_files { FILES } else { NO_FILES }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        candidates(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn commands_are_offered_and_no_files() {
        let expected = "check\tJudge manifests in files, as the webhook would judge them in a \
                        cluster\n:4\n";
        assert_eq!(of("che"), expected);
        assert!(of("profile ").starts_with("lint\t"));
        assert!(!of("").contains("__complete"));
    }

    #[test]
    fn flags_and_their_values_are_offered() {
        assert!(of("check --fail-").starts_with("--fail-on\t"));
        let expected = "deny\tWhat would be denied\n:4\n";
        assert_eq!(of("check . --fail-on d"), expected);
    }

    #[test]
    fn files_are_offered_where_they_are_taken() {
        assert_eq!(of("check "), ":0\n");
        assert_eq!(of("check --baseline "), ":0\n");
        assert_eq!(of("completions z"), "zsh\t\n:4\n");
    }
}
