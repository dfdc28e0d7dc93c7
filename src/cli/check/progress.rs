//! How far the work is, on a terminal: on one line of standard error, which is erased at the end.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Work that takes no longer is not reported.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is written.
const PACE: Duration = Duration::from_millis(100);
/// Goes to the beginning of the line, and erases it.
const ERASE: &str = "\r\u{1b}[K";

pub(super) struct Progress {
    total: usize,
    done: AtomicUsize,
    start: Instant,
    /// When the line was last written.
    written: Mutex<Option<Duration>>,
    is_shown: bool,
}

impl Progress {
    pub(super) fn of_files(total: usize) -> Self {
        let is_shown = io::stderr().is_terminal();
        let (done, written) = (AtomicUsize::new(0), Mutex::new(None));
        Self { total, done, start: Instant::now(), written, is_shown }
    }

    /// A file is done.
    pub(super) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.is_shown {
            return;
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line(self.start.elapsed(), &mut written, done, self.total) {
            // Standard error may be closed.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.written.get_mut().is_ok_and(|it| it.is_some()) {
            let _ = io::stderr().write_all(ERASE.as_bytes());
        }
    }
}

/// The line, if it is due.
fn line(
    now: Duration,
    written: &mut Option<Duration>,
    done: usize,
    total: usize,
) -> Option<String> {
    let is_due = now > PATIENCE && written.is_none_or(|it| now >= it + PACE);
    is_due.then(|| {
        *written = Some(now);
        format!("{ERASE}checked {done} of {total} files")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_that_takes_longer_than_a_second_is_reported_and_not_at_each_step() {
        let mut written = None;
        let mut at =
            |milliseconds, done| line(Duration::from_millis(milliseconds), &mut written, done, 9);
        assert_eq!(at(900, 1), None);
        assert_eq!(at(1001, 2).unwrap(), "\r\u{1b}[Kchecked 2 of 9 files");
        assert_eq!(at(1050, 3), None);
        assert_eq!(at(1101, 4).unwrap(), "\r\u{1b}[Kchecked 4 of 9 files");
    }
}
