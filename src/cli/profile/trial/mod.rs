//! `callgate profile try`: runs a command under a profile.

mod calls;
mod command;
mod denials;
mod startup;

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context, anyhow};
use clap::Args;
use confine::{Answer, End, Instruction};

use self::denials::Denials;
use super::{input::Input, show::here};
use crate::{
    cli::Outcome,
    profile::{Amended, Architecture, Effect, Filter},
};

/// Run a command under a profile on this machine
///
/// It needs neither root nor a container runtime, and its exit code is the command's. The command cannot
/// gain rights (`no_new_privs`). What was denied is said on standard error when it has ended.
#[derive(Args, Debug)]
pub(in crate::cli) struct Try {
    /// Profile file or `SeccompProfile` in YAML or JSON, `-` for standard input, or the default profile of a runtime, such as
    /// containerd@2.4
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Deny nothing, and say what would have been denied
    #[arg(long, env = "CALLGATE_OBSERVE")]
    observe: bool,

    /// File for a copy of the profile that allows what would have been denied
    #[arg(long, env = "CALLGATE_WRITE", value_name = "FILE", requires = "observe")]
    write: Option<PathBuf>,

    /// Say which calls are denied that runc makes before the program of a container starts; with --write
    /// they are allowed, too
    #[arg(long, env = "CALLGATE_AS_CONTAINER")]
    as_container: bool,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
}

/// `SIGSYS`
const BAD_CALL: i32 = 31;
/// What shells and `env` answer for a command that is there and cannot be executed, for one that is not,
/// and for the first signal.
const NOT_EXECUTED: u8 = 126;
const NOT_FOUND: u8 = 127;
const SIGNALLED: i32 = 128;

impl Try {
    pub(in crate::cli) fn run(self) -> anyhow::Result<Outcome> {
        let Self { file, observe, write, as_container, command } = self;
        let native = here()?;
        let loaded = Input::of(&file)?.load(native)?;
        if let Some((path, at)) = loaded.supervised() {
            let (line, column, name) = (at.line, at.column, loaded.name());
            return Err(anyhow!(
                "{name}:{line}:{column}: {path}: only the agent at listenerPath knows what becomes of the call"
            ));
        }
        let name = command.first().cloned().unwrap_or_default();
        let shown = name.to_string_lossy();
        let Some(command) = command::find(command) else {
            say(&format!("error: there is no command {shown:?}"));
            return Ok(Outcome::Code(NOT_FOUND));
        };
        let filter = loaded.filter(native)?;
        let mut denials = Denials::new(&loaded, &filter, native)?;
        let ended = command
            .run(&program(&filter, native, observe, loaded.name())?, |waiting| {
                let error = denials.note(waiting);
                if observe { Answer::Execute } else { Answer::Fail(error) }
            })
            .with_context(|| format!("cannot run {shown:?} under a filter"))?;
        say(&denials.report(observe));
        let startup = if as_container { startup::denied(&filter, native) } else { Vec::new() };
        if as_container {
            say(&startup::report(&startup, loaded.name()));
        }
        if let Some(target) = write {
            let amended = loaded.amended(native, denials.observed().chain(&startup))?;
            write_amended(&amended, &denials, &target)?;
        }
        Ok(match ended {
            End::Exited(status) => Outcome::Code(code(status, observe)),
            End::NotExecuted(error) => {
                say(&format!("error: cannot execute {shown:?}: {error}"));
                Outcome::Code(NOT_EXECUTED)
            }
        })
    }
}

/// The filter that the kernel runs: it asks this process about the calls that fail or, to observe, about
/// all that are denied.
fn program(
    filter: &Filter<'_>,
    native: Architecture,
    observe: bool,
    name: &str,
) -> anyhow::Result<Vec<Instruction>> {
    const ASK: u32 = 0x7fc0_0000;
    let returns = |effect: Effect| {
        let asks = if observe { effect.stops() } else { effect.action() == "SCMP_ACT_ERRNO" };
        if asks { ASK } else { effect.returned() }
    };
    let program = filter.program(native, returns).with_context(|| name.to_owned())?;
    let converted = program.iter().map(|it| {
        let (code, k) = (it.code, it.k);
        Instruction { code, jt: it.jt, jf: it.jf, k }
    });
    Ok(converted.collect())
}

/// The exit code as shells have it.
fn code(status: ExitStatus, observe: bool) -> u8 {
    let signal = status.signal();
    if signal == Some(BAD_CALL) && !observe {
        say(
            "the command was ended by SIGSYS: the profile kills or traps one of its calls, and `--observe` shows which",
        );
    }
    let code = status.code().or(signal.map(|it| SIGNALLED + it));
    code.and_then(|it| u8::try_from(it).ok()).unwrap_or(u8::MAX)
}

fn write_amended(amended: &Amended, denials: &Denials<'_>, target: &Path) -> anyhow::Result<()> {
    let shown = target.display().to_string();
    fs::write(target, &amended.text).with_context(|| format!("cannot write {shown:?}"))?;
    say(&format!("{shown}: written"));
    for call in denials.said_of(&amended.left) {
        say(&format!("  still denied, change it by hand: {call}"));
    }
    Ok(())
}

/// The command has standard output for itself.
fn say(text: &str) {
    // If that fails, standard error is closed.
    let _ = writeln!(io::stderr(), "callgate: {text}");
}
