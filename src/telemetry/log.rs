//! Writes log lines to stderr from a separate thread, so that a slow reader of stderr delays
//! nothing else.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::lines;

/// How many bytes of lines may wait to be written. As many may be in the write that is in progress.
const MOST_WAITING: usize = 1024 * 1024;

/// The part of it that only warnings and errors may use: they are few, while clients can cause any
/// number of other lines.
const RESERVED: usize = MOST_WAITING / 4;

/// How long the process waits at its end for lines to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// The pause before a non-blocking stderr is tried again.
const PAUSE: Duration = Duration::from_millis(10);

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
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// Whether there is a thread that writes the lines.
    has_writer: bool,
    is_writing: bool,
    /// Lines that were dropped since their number was last logged.
    unreported: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self::counting(DROPPED.clone())
    }
}

impl Log {
    fn counting(dropped: Counter) -> Self {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        Self(Lines(Arc::new(Shared { queue, changed, dropped })))
    }

    /// Starts the thread that writes to stderr.
    pub(super) fn start(&self) -> io::Result<()> {
        // Not the handle of the standard library: a blocked write would hold its lock for ever.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        self.write_to(stderr, |lines| {
            tracing::warn!(lines, "log lines were dropped, the reader of stderr is too slow");
        })
    }

    /// `report_dropped` logs how many lines were dropped.
    fn write_to(
        &self,
        sink: impl Write + Send + 'static,
        report_dropped: impl Fn(u64) + Send + 'static,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.0.0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_all_to(sink, report_dropped))?;
        self.0.0.queue().has_writer = true;
        Ok(())
    }

    pub(super) fn lines(&self) -> Lines {
        self.0.clone()
    }

    /// Writes a line that is not an event, after all waiting lines.
    pub fn print(&self, line: impl Display) {
        let line = format!("{}\n", lines::bounded(&line.to_string()));
        let has_writer = self.0.0.queue().has_writer;
        if has_writer {
            self.0.0.push(line.as_bytes(), true);
        } else {
            // Stderr may be closed.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let Shared { changed, .. } = &*self.0.0;
        let waits = |it: &mut Queue| it.has_writer && (it.is_writing || !it.waiting.is_empty());
        // Whether the lines were written or not, the process ends now.
        drop(changed.wait_timeout_while(self.0.0.queue(), FLUSH, waits));
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8], is_urgent: bool) {
        let most = if is_urgent { MOST_WAITING } else { MOST_WAITING - RESERVED };
        let mut queue = self.queue();
        if queue.waiting.len() + line.len() > most {
            queue.unreported += 1;
            self.dropped.inc();
            return;
        }
        let writer_sleeps = queue.waiting.is_empty() && !queue.is_writing;
        queue.waiting.extend_from_slice(line);
        drop(queue);
        if writer_sleeps {
            self.changed.notify_all();
        }
    }

    /// Writes for ever.
    fn write_all_to(&self, mut sink: impl Write, report_dropped: impl Fn(u64)) {
        let mut batch = Vec::new();
        let mut is_failing = false;
        loop {
            let lines = self.next(&mut batch, is_failing);
            if lines > 0 {
                // The queue has room again, and the dropped lines were to follow this batch.
                report_dropped(lines);
            }
            let written = write(&mut sink, &batch);
            is_failing = written < batch.len();
            let lost = batch[written..].split_inclusive(|it| *it == b'\n').count();
            self.lost(lost.try_into().unwrap_or(u64::MAX));
        }
    }

    /// Waits for lines, and returns how many were dropped after them; 0 while stderr fails, since
    /// nothing can be logged then.
    fn next(&self, batch: &mut Vec<u8>, is_failing: bool) -> u64 {
        batch.clear();
        let mut queue = self.queue();
        queue.is_writing = false;
        self.changed.notify_all();
        let idle = |it: &mut Queue| it.waiting.is_empty() && (it.unreported == 0 || is_failing);
        let mut queue =
            self.changed.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut queue.waiting, batch);
        queue.is_writing = true;
        if is_failing { 0 } else { std::mem::take(&mut queue.unreported) }
    }

    fn lost(&self, lines: u64) {
        if lines > 0 {
            self.dropped.inc_by(lines);
            self.queue().unreported += lines;
        }
    }
}

/// Returns how many bytes the sink took before it failed.
fn write(sink: &mut impl Write, batch: &[u8]) -> usize {
    let mut written = 0;
    while written < batch.len() {
        match sink.write(&batch[written..]) {
            Ok(0) => break,
            Ok(taken) => written += taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(_) => break,
        }
    }
    written
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
mod tests {
    use std::{
        panic::{catch_unwind, resume_unwind},
        sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
        time::Instant,
    };

    use super::*;

    /// After this time a test has hung. It does not say how fast anything has to be.
    const PATIENCE: Duration = Duration::from_mins(1);

    /// Runs a test on a thread of its own, so that it fails where the log blocks it for ever.
    fn unblocked(test: impl FnOnce() + Send + 'static) {
        let (ends, ended) = sync_channel::<()>(0);
        let running = thread::spawn(move || {
            let _ends = ends;
            test();
        });
        let waited = ended.recv_timeout(PATIENCE);
        assert_eq!(waited, Err(RecvTimeoutError::Disconnected), "the log blocks its writers");
        running.join().unwrap_or_else(|it| resume_unwind(it));
    }

    /// A pipe that only the test reads. The writer fails once the reader is dropped.
    struct Pipe(SyncSender<String>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).expect("lines are text");
            self.0.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A file that can always be written.
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log() -> (Log, Receiver<String>, Counter) {
        let dropped = Counter::default();
        let (log, (writer, reader)) = (Log::counting(dropped.clone()), sync_channel(0));
        let lines = log.lines();
        let report_dropped = move |it| lines.0.push(format!("{it} dropped\n").as_bytes(), true);
        log.write_to(Pipe(writer), report_dropped).expect("there is room for a thread");
        (log, reader, dropped)
    }

    fn push(log: &Log, level: Level, line: &str) {
        let is_urgent = level <= Level::WARN;
        log.0.0.push(line.as_bytes(), is_urgent);
    }

    /// Logs the line until one is dropped.
    fn fill(log: &Log, level: Level, line: &str, dropped: &Counter) {
        let before = dropped.get();
        // The queue, and the batch that the writer has taken meanwhile.
        for _ in 0..=2 * MOST_WAITING / line.len() {
            push(log, level, line);
            if dropped.get() > before {
                return;
            }
        }
        panic!("the queue takes more than its limit");
    }

    /// Waits until the writer has taken the waiting lines and tries to write them.
    fn taken(log: &Log) {
        while !log.0.0.queue().waiting.is_empty() {
            thread::yield_now();
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_dropped_and_reported_in_their_place() {
        unblocked(|| {
            let (log, reader, dropped) = log();
            push(&log, Level::INFO, "first\n");
            taken(&log);
            let line = format!("{}\n", "x".repeat(1023));
            let most = (MOST_WAITING - RESERVED) / line.len();
            for _ in 0..most + 5 {
                push(&log, Level::INFO, &line);
            }
            assert_eq!(dropped.get(), 5);
            assert_eq!(reader.recv().unwrap(), "first\n");
            assert_eq!(reader.recv().unwrap(), line.repeat(most));
            assert_eq!(reader.recv().unwrap(), "5 dropped\n");
            push(&log, Level::INFO, "last\n");
            assert_eq!(reader.recv().unwrap(), "last\n");
            assert_eq!(dropped.get(), 5);
        });
    }

    #[test]
    fn there_is_room_for_warnings_when_there_is_none_for_the_rest() {
        unblocked(|| {
            let (log, reader, dropped) = log();
            push(&log, Level::INFO, "first\n");
            taken(&log);
            let line = format!("{}\n", "x".repeat(1023));
            fill(&log, Level::INFO, &line, &dropped);
            push(&log, Level::ERROR, "an error\n");
            push(&log, Level::WARN, "a warning\n");
            assert_eq!(dropped.get(), 1);
            reader.recv().unwrap();
            assert!(reader.recv().unwrap().ends_with("x\nan error\na warning\n"));
            fill(&log, Level::ERROR, &line, &dropped);
            drop(reader);
        });
    }

    #[test]
    fn lines_lost_by_a_closed_reader_are_counted_and_stop_nothing() {
        unblocked(|| {
            let (log, reader, dropped) = log();
            drop(reader);
            for count in 1..4 {
                push(&log, Level::INFO, "to nobody\n");
                taken(&log);
                while dropped.get() < count {
                    thread::yield_now();
                }
            }
            assert_eq!(dropped.get(), 3);
        });
    }

    #[test]
    fn queued_lines_are_written_before_a_panic_ends_the_process() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let ended = catch_unwind(|| {
            let log = Log::counting(Counter::default());
            log.write_to(Kept(Arc::clone(&written)), |_| ()).expect("there is room for a thread");
            log.print("its last words");
            panic!("as if main had");
        });
        assert!(ended.is_err());
        assert_eq!(*written.lock().unwrap(), b"its last words\n");
    }

    #[test]
    fn a_reader_that_has_stopped_is_not_waited_for() {
        unblocked(|| {
            let (log, reader, _) = log();
            log.print("to nobody");
            let started = Instant::now();
            drop(log);
            assert!(started.elapsed() >= FLUSH);
            drop(reader);
        });
    }
}
