//! The CPU time and memory of a process.

use std::{fs, time::Duration};

/// A process that runs, by its id.
#[derive(Clone, Copy)]
pub struct Usage(pub u32);

impl Usage {
    /// The time its threads have run so far, in the kernel too.
    ///
    /// `stat` counts in steps of 10 ms, `schedstat` in nanoseconds, but brings a
    /// thread up to date only when it pauses: ask when the process is idle.
    pub fn cpu(self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0)).expect("it runs");
        let nanoseconds = threads.map(|it| {
            let path = it.expect("it runs").path().join("schedstat");
            let text = fs::read_to_string(path).expect("a kernel with scheduler statistics");
            text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// The time its threads have run so far, also those that have ended, in steps of 10 ms; `None` if it is gone.
    pub fn cpu_in_all(self) -> Option<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        // The name in parentheses can hold anything. Behind it, `utime` and `stime` are the 12th and the 13th.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
    }

    /// The largest resident memory so far, in kB; `None` if it has ended.
    pub fn peak(self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let value = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
        value.split_whitespace().next()?.parse().ok()
    }

    /// A field of its status that is in kB.
    pub fn status(self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("it runs");
        let value = status.lines().find_map(|it| it.strip_prefix(field)?.strip_prefix(':'));
        value.and_then(|it| it.split_whitespace().next()?.parse().ok()).expect("it is in kB")
    }
}
