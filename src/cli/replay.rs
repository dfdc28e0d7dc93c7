//! `callgate replay`: judges what an audit log remembers.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use flate2::bufread::MultiGzDecoder;

use crate::{
    cli::{
        Outcome,
        check::inventory::Inventories,
        fail_on::FailOn,
        file::{is_standard_input, shown},
        today,
    },
    policy::Mode,
    replay::{self, History, World, summary, text},
    standalone::Sources,
};

/// Judge the pods of an audit log: what would have been changed, warned of or denied?
///
/// Reads the audit log of an API server, in JSON lines, with the pods and templates that were
/// written while it was recorded.
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// Files of the audit log, compressed by gzip or not, in any order; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,

    /// Name of a built-in policy (baseline, restricted), or path of a file that holds a
    /// `SeccompPolicy`
    #[arg(long, env = "CALLGATE_POLICY", value_name = "NAME|FILE", default_value = "restricted")]
    policy: String,

    /// Directory of profiles that pods may name in localhostProfile, laid out as the kubelet's
    /// seccomp directory
    #[arg(long, env = "CALLGATE_PROFILES", value_name = "DIR")]
    profiles: Option<PathBuf>,

    /// File with the nodes of a cluster: the output of
    /// `kubectl get nodes,seccompnodes,runtimeclasses -o yaml`
    #[arg(long, env = "CALLGATE_INVENTORY", value_name = "FILE")]
    inventory: Option<PathBuf>,

    /// Format: text or json
    #[arg(long, env = "CALLGATE_OUTPUT", value_name = "FORMAT", default_value = "text")]
    output: Form,

    /// From which findings on the exit code is 1
    #[arg(long, env = "CALLGATE_FAIL_ON", value_name = "LEVEL", default_value = "deny")]
    fail_on: FailOn,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Text,
    Json,
}

/// The longest line: an event has at most two objects, and an object in a cluster is smaller than
/// two megabytes.
const LONGEST_LINE: u64 = 16 << 20;

const BUFFER: usize = 256 << 10;

impl Replay {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let world = self.world()?;
        let mut replay = replay::Replay::new(&world);
        let mut failures = Vec::new();
        for path in &self.paths {
            let read = open(path).and_then(|mut it| lines(&mut *it, &shown(path), &mut replay));
            failures.extend(read.with_context(|| format!("cannot read {:?}", shown(path))).err());
        }
        let history = replay.finish();
        self.write(&history).context("cannot write to standard output")?;
        let mut said: Vec<_> = failures.iter().map(|why| format!("error: {why:#}\n")).collect();
        said.push(summary(&history) + "\n");
        // Standard error may be closed.
        let _ = io::stderr().write_all(said.concat().as_bytes());
        if !failures.is_empty() || history.totals.broken > 0 {
            bail!("not everything could be read");
        }
        Ok(if self.fail_on.fails(history.worst()) { Outcome::Errors } else { Outcome::Success })
    }

    fn world(&self) -> anyhow::Result<World> {
        let sources = Sources {
            policy: self.policy.clone(),
            mode: Mode::Enforce,
            profiles: self.profiles.clone(),
        };
        let facts = sources.read()?;
        let inventories = self.inventory.as_deref().map(Inventories::read).transpose()?;
        let inventories = inventories.unwrap_or_default();
        Ok(World {
            policy: facts.policy,
            catalog: inventories.catalog(&facts.catalog),
            classes: inventories.runtime_classes(),
            nodes: inventories.nodes,
            today: today(),
        })
    }

    fn write(&self, history: &History) -> anyhow::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        match self.output {
            Form::Text => out.write_all(text(history).as_bytes())?,
            Form::Json => {
                serde_json::to_writer_pretty(&mut out, history)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(out.flush()?)
    }
}

/// Opens a file; what is compressed is told by its first bytes, not by its name.
fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    let input: Box<dyn Read> =
        if is_standard_input(path) { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut input = BufReader::with_capacity(BUFFER, input);
    Ok(if input.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input)))
    } else {
        Box::new(input)
    })
}

/// Passes on each line; one that is too long is read past.
fn lines(
    input: &mut dyn BufRead,
    name: &str,
    replay: &mut replay::Replay<'_>,
) -> anyhow::Result<()> {
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        if (&mut *input).take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        let place = || format!("{name}:{number}");
        if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
            replay.take_too_long(place);
            while line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
                line.clear();
                (&mut *input).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            }
            continue;
        }
        replay.take(&line, place);
    }
}
