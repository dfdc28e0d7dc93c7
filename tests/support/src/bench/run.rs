//! What one run of a program takes.

use std::{
    io,
    process::{Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::usage::Usage;

/// One run.
#[derive(Clone, Copy)]
pub struct Run {
    pub time: Duration,
    /// The time its threads ran, in steps of 10 ms.
    pub cpu: Duration,
    /// The largest resident memory that was seen, in kB.
    pub peak: u64,
}

/// How often a program is looked at. What it does after the last time is not seen.
const GLANCE: Duration = Duration::from_millis(2);

/// Runs it without input and output, and waits.
///
/// # Errors
///
/// If it does not start.
pub fn run(command: &mut Command) -> io::Result<(ExitStatus, Run)> {
    let null = Stdio::null;
    let start = Instant::now();
    let mut child = command.stdin(null()).stdout(null()).stderr(null()).spawn()?;
    let usage = Usage(child.id());
    let mut run = Run { time: Duration::ZERO, cpu: Duration::ZERO, peak: 0 };
    loop {
        run.cpu = run.cpu.max(usage.cpu_in_all().unwrap_or_default());
        run.peak = run.peak.max(usage.peak().unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            return Ok((status, Run { time: start.elapsed(), ..run }));
        }
        sleep(GLANCE);
    }
}

/// The middle one.
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}
