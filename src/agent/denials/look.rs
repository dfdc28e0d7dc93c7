//! Reads which processes there are.

use std::fs;

use crate::denials::Process;

/// The process with this ID, if it runs.
pub(super) fn one(pid: u32) -> Option<Process> {
    // A process may give itself a name that is not UTF-8.
    let read = |file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    Process::read(&read("stat")?, &read("cgroup")?)
}

/// All processes that run.
pub(super) fn all() -> Vec<(u32, Process)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, one(pid)?))).collect()
}
