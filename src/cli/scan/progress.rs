//! What a scan is doing, on a terminal.

use std::{
    cell::Cell,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// One line on standard error that is written again and again; nothing if that is no terminal.
pub(in crate::cli) struct Progress {
    is_shown: bool,
    last: Cell<Option<Instant>>,
}

const PAUSE: Duration = Duration::from_millis(100);

impl Progress {
    pub(in crate::cli) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal(), last: Cell::new(None) }
    }

    pub(in crate::cli) fn show(&self, what: &str, count: usize) {
        if !self.is_shown || self.last.get().is_some_and(|it| it.elapsed() < PAUSE) {
            return;
        }
        self.last.set(Some(Instant::now()));
        write(&format!("\r\x1b[Kreading {what}: {count}"));
    }

    pub(in crate::cli) fn clear(&self) {
        if self.is_shown {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = io::stderr();
    // Standard error may be closed.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
