//! Writes log lines to stderr from a separate thread, so that a slow reader of stderr delays
//! nothing else.

mod queue;

use std::{
    fmt::Display,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{Arc, LazyLock},
    time::Duration,
};

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use self::queue::LineQueue;
use super::lines;

/// How long the process waits at its end for lines to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// The counter of this process, which has one stderr.
static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Adds `callgate_log_lines_dropped_total` to the metrics of a process.
pub(super) fn register(registry: &mut Registry) {
    let help = "Log lines that were dropped because the reader of stderr is too slow";
    registry.register("log_lines_dropped", help, DROPPED.clone());
}

/// The log of this process. Dropping it writes the waiting lines, unless stderr is not read for a
/// while: a reader that has stopped must not keep the process from ending.
///
/// `tracing-appender` has a queue as well, but bounds it in lines of unknown length, and does not
/// log how many lines it dropped.
pub struct Log(Lines);

/// The lines that wait to be written.
#[derive(Clone)]
pub(super) struct Lines(Arc<LineQueue>);

impl Default for Log {
    fn default() -> Self {
        Self::counting(DROPPED.clone())
    }
}

impl Log {
    fn counting(dropped: Counter) -> Self {
        Self(Lines(Arc::new(LineQueue::new(dropped))))
    }

    /// Starts the thread that writes to stderr.
    pub(super) fn start(&self) -> io::Result<()> {
        // Not the handle of the standard library: a blocked write would hold its lock for ever.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        self.0.0.write_to(stderr, |lines| {
            tracing::warn!(lines, "log lines were dropped, the reader of stderr is too slow");
        })
    }

    pub(super) fn lines(&self) -> Lines {
        self.0.clone()
    }

    /// Writes a line that is not an event, after all waiting lines.
    pub fn print(&self, line: impl Display) {
        let line = format!("{}\n", lines::bounded(&line.to_string()));
        if self.0.0.has_writer() {
            self.0.0.push(line.as_bytes(), true);
        } else {
            // Stderr may be closed.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Whether the lines were written or not, the process ends now.
        self.0.0.flush(FLUSH);
    }
}

/// The writer of one line.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    is_urgent: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, is_urgent: false }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, is_urgent: *metadata.level() <= Level::WARN }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.0.push(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
