//! `callgate profile show`: what a profile does.

mod call;
mod overview;
mod process;

use std::{
    io::{self, Write},
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use self::process::Process;
use super::{
    input::{Input, Loaded},
    words::native,
};
use crate::{
    cli::Outcome,
    profile::{self, Architecture},
    spelling,
};

/// Show what a profile allows and denies
///
/// The answer is that of the filter which runc and libseccomp make of the profile, for the programs
/// of every architecture that a node can run. With --pid it is that of the filters that a process has.
#[derive(Args, Debug)]
pub(in crate::cli) struct Show {
    /// Profile file or `SeccompProfile` in YAML or JSON, `-` for standard input, or the default profile of a runtime, such as
    /// containerd@2.4
    #[arg(value_name = "FILE", required_unless_present = "pid", conflicts_with = "pid")]
    file: Option<PathBuf>,

    /// Show the filters that a running process has, as root on its node
    #[arg(long, env = "CALLGATE_PID", value_name = "PID")]
    pid: Option<u32>,

    /// Show what becomes of this system call, and which line decides
    #[arg(long, env = "CALLGATE_SYSCALL", value_name = "NAME")]
    syscall: Option<String>,

    /// Value of an argument of the call, counted from 0, such as 0=38 or 1=0x80000
    #[arg(
        long = "arg",
        env = "CALLGATE_ARG",
        value_name = "N=VALUE",
        value_delimiter = ',',
        requires = "syscall"
    )]
    args: Vec<Argument>,

    /// Architecture of the node as in its label kubernetes.io/arch
    #[arg(
        long,
        env = "CALLGATE_ARCH",
        value_name = "ARCH",
        default_value = "amd64",
        value_parser = native
    )]
    arch: Architecture,

    /// List the calls of every effect by name, not only those of the rarer ones
    #[arg(long, env = "CALLGATE_ALL", conflicts_with = "syscall")]
    all: bool,

    /// Format of the output
    #[arg(long, env = "CALLGATE_OUTPUT", value_name = "FORMAT", default_value = "human")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    Human,
    Json,
}

/// The value of one argument of a call.
#[derive(Clone, Copy, Debug)]
struct Argument {
    index: usize,
    value: u64,
}

impl FromStr for Argument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (index, value) = text
            .split_once('=')
            .ok_or("expected the number of an argument and its value, such as 0=38")?;
        let index = index.parse().ok().filter(|it| *it < 6);
        let index = index.ok_or("system calls have arguments 0 to 5")?;
        let parsed = match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => value.parse(),
        };
        let value =
            parsed.map_err(|_| format!("{value:?} is no number from 0 to {:#x}", u64::MAX))?;
        Ok(Self { index, value })
    }
}

impl Show {
    pub(in crate::cli) fn run(self) -> anyhow::Result<Outcome> {
        let Self { file, pid, syscall, args, arch, all, output } = self;
        let mut known = [None; 6];
        for Argument { index, value } in args {
            if known[index].replace(value).is_some() {
                bail!("argument {index} has two values");
            }
        }
        let subject = match (file, pid) {
            (Some(file), _) => Subject::Profile(Box::new(Input::of(&file)?.load(arch)?)),
            (None, pid) => Subject::Process(Process::of(pid.unwrap_or_default())?),
        };
        let text = if let Some(name) = syscall {
            let name = checked(&name)?;
            let answer = match &subject {
                Subject::Profile(it) => call::answer(it, arch, name, known)?,
                Subject::Process(it) => call::of_process(it, here()?, name, &known),
            };
            match output {
                Output::Human => answer.human(),
                Output::Json => json(&answer)?,
            }
        } else {
            let overview = match &subject {
                Subject::Profile(it) => overview::of(it, arch)?,
                Subject::Process(it) => overview::of_process(it, here()?),
            };
            match output {
                Output::Human => overview.human(all),
                Output::Json => json(&overview)?,
            }
        };
        print(&text)?;
        Ok(Outcome::Success)
    }
}

/// What is shown.
enum Subject {
    Profile(Box<Loaded>),
    Process(Process),
}

/// The architecture of this machine, and so of its processes.
pub(super) fn here() -> anyhow::Result<Architecture> {
    Architecture::of_this_machine()
        .context("callgate does not know the system calls of this machine")
}

/// The name, if there is such a call.
fn checked(name: &str) -> anyhow::Result<&'static str> {
    match profile::system_calls().find(|it| *it == name) {
        Some(it) => Ok(it),
        None => match spelling::nearest(name, profile::system_calls()) {
            Some(near) => bail!("there is no system call {name:?}, did you mean {near:?}?"),
            None => bail!("there is no system call {name:?}"),
        },
    }
}

pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    text.push('\n');
    Ok(text)
}

pub(super) fn print(text: &str) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}
