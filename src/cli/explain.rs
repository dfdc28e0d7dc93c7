//! `callgate explain`: prints the page of a rule or lint, or a built-in policy.

use std::io::{self, Write};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::{
    check,
    cli::Outcome,
    policy::{BUILTIN, Builtin, RULES},
    profile::LINTS,
    report::Topic,
    spelling, suite,
};

/// Explain a rule or a lint, or print a built-in policy
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Explain {
    /// Id of the rule or lint, which stands in brackets at the end of a finding
    #[arg(value_name = "RULE", required = true)]
    rule: Option<String>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a built-in policy, as the start of a policy of your own
    Policy {
        /// Name of the policy: baseline or restricted
        name: String,
    },
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self { rule, what } = self;
        let text = match (what, rule) {
            (Some(What::Policy { name }), _) => match Builtin::named(&name) {
                Some(builtin) => builtin.yaml,
                None => {
                    bail!("no policy {name:?} is built in, only {}", names(BUILTIN, |it| it.name))
                }
            },
            (None, rule) => {
                let id = rule.unwrap_or_default();
                let rule = RULES.iter().find(|it| it.id == id).map(|it| it.page);
                let lint = || LINTS.iter().find(|it| it.id == id).map(|it| it.page);
                let topic = || topics().find(|it| it.id == id).map(|it| it.page);
                let Some(page) = rule.or_else(lint).or_else(topic) else {
                    let known = RULES.iter().map(|it| it.id).chain(LINTS.iter().map(|it| it.id));
                    let known = known.chain(topics().map(|it| it.id));
                    let near = spelling::nearest(&id, known);
                    let hint = near.map(|it| format!(", did you mean {it:?}?"));
                    bail!(
                        "there is no rule or lint {id:?}{}\nrules: {}\nlints: {}\nof check and test: {}",
                        hint.unwrap_or_default(),
                        names(RULES, |it| it.id),
                        names(LINTS, |it| it.id),
                        topics().map(|it| it.id).collect::<Vec<_>>().join(", ")
                    )
                };
                page
            }
        };
        io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(Outcome::Success)
    }
}

fn topics() -> impl Iterator<Item = &'static Topic> {
    check::TOPICS.iter().chain(suite::TOPICS)
}

fn names<T>(all: &[T], name: impl Fn(&T) -> &'static str) -> String {
    all.iter().map(name).collect::<Vec<_>>().join(", ")
}
