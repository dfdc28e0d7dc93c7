//! The filters of a process.

use std::{collections::BTreeSet, fs, io};

use anyhow::{Context, anyhow, bail};

use crate::{
    bpf::{Instruction, Program},
    cli::profile::words,
    profile::{Architecture, Effect},
};

/// A process with a filter.
pub(super) struct Process {
    /// Its number and its name.
    pub(super) name: String,
    /// The oldest first.
    filters: Vec<Program>,
}

impl Process {
    /// Reads the filters of its main thread; none, if seccomp is off.
    pub(super) fn of(number: u32) -> anyhow::Result<Self> {
        let status = match fs::read_to_string(format!("/proc/{number}/status")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("there is no process {number}")
            }
            other => {
                other.with_context(|| format!("cannot read the status of process {number}"))?
            }
        };
        let field = |key: &str| {
            let line = status.lines().find_map(|it| it.strip_prefix(key)).unwrap_or_default();
            line.trim().to_owned()
        };
        let name = format!("process {number} ({})", field("Name:"));
        match field("Seccomp:").as_str() {
            "0" => return Ok(Self { name, filters: Vec::new() }),
            "1" => bail!("{name} is in strict mode: it may read, write and exit"),
            _ => {}
        }
        let refused = |error: &io::Error| {
            error.kind() == io::ErrorKind::PermissionDenied
                || fs::read_to_string("/proc/self/status")
                    .is_ok_and(|it| !it.contains("Seccomp:\t0"))
        };
        let filters = confine::filters(number).map_err(|error| {
            if refused(&error) {
                anyhow!(
                    "cannot read the filters of {name}: the kernel shows them only to root on the node itself, \
                     outside of containers and without a filter"
                )
            } else {
                anyhow!(error).context(format!("cannot read the filters of {name}"))
            }
        })?;
        let program = |it: &Vec<confine::Instruction>| {
            let own = it.iter().map(|it| {
                let (code, k) = (it.code, it.k);
                Instruction { code, jt: it.jt, jf: it.jf, k }
            });
            Program::new(&own.collect::<Vec<_>>())
        };
        let filters = filters.iter().map(program).collect::<Result<_, _>>();
        Ok(Self { filters: filters.with_context(|| name.clone())?, name })
    }

    pub(super) fn filters(&self) -> usize {
        self.filters.len()
    }

    /// What may become of a call; empty, if it depends on too much.
    pub(super) fn effects(
        &self,
        architecture: Architecture,
        call: &str,
        known: &[Option<u64>; 6],
    ) -> Vec<Effect> {
        let Some((audit, number)) = architecture.seen(call) else { return Vec::new() };
        let mut effects = BTreeSet::from([Effect::of_returned(ALLOW)]);
        for filter in &self.filters {
            let Some(results) = filter.results(number, audit, known) else { return Vec::new() };
            let newer = results.into_iter().map(Effect::of_returned);
            let both = newer.flat_map(|newer| effects.iter().map(move |it| it.and(newer)));
            effects = both.collect();
        }
        effects.into_iter().collect()
    }
}

const ALLOW: u32 = 0x7fff_0000;

/// Effects one of which a call has, by arguments that are not known.
pub(super) fn any_of(effects: &[Effect]) -> String {
    let (mut passing, stopping): (Vec<_>, Vec<_>) =
        effects.iter().copied().partition(|it| it.lets_through());
    passing.extend(stopping);
    passing.into_iter().map(words::effect).collect::<Vec<_>>().join(" or ")
}
