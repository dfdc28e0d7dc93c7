//! The lines that wait to be written, in bounded memory, and the thread that writes them.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

/// How many bytes of lines may wait to be written. As many may be in the write that is in progress.
pub(super) const MOST_WAITING: usize = 1024 * 1024;

/// The part of it that only warnings and errors may use: they are few, while clients can cause any
/// number of other lines.
pub(super) const RESERVED: usize = MOST_WAITING / 4;

/// The pause before a non-blocking stderr is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// The queue between the threads that log and the one that writes.
pub(super) struct LineQueue {
    state: Mutex<State>,
    changed: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether there is a thread that writes the lines.
    has_writer: bool,
    is_writing: bool,
    /// Lines that were dropped since their number was last logged.
    unreported: u64,
}

impl LineQueue {
    /// `dropped` counts the lines that do not fit, and those that the sink does not take.
    pub(super) fn new(dropped: Counter) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), dropped }
    }

    /// Starts the thread that writes the lines. `report_dropped` logs how many were dropped.
    pub(super) fn write_to(
        self: &Arc<Self>,
        sink: impl Write + Send + 'static,
        report_dropped: impl Fn(u64) + Send + 'static,
    ) -> io::Result<()> {
        let queue = Arc::clone(self);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || queue.write_all_to(sink, report_dropped))?;
        self.lock().has_writer = true;
        Ok(())
    }

    pub(super) fn has_writer(&self) -> bool {
        self.lock().has_writer
    }

    /// Waits until all lines are written, for so long at most.
    pub(super) fn flush(&self, patience: Duration) {
        let waits = |it: &mut State| it.has_writer && (it.is_writing || !it.waiting.is_empty());
        drop(self.changed.wait_timeout_while(self.lock(), patience, waits));
    }

    /// Whether the writer has taken all lines and tries to write them.
    #[cfg(test)]
    pub(super) fn is_taken(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    pub(super) fn push(&self, line: &[u8], is_urgent: bool) {
        let most = if is_urgent { MOST_WAITING } else { MOST_WAITING - RESERVED };
        let mut state = self.lock();
        if state.waiting.len() + line.len() > most {
            state.unreported += 1;
            self.dropped.inc();
            return;
        }
        let writer_sleeps = state.waiting.is_empty() && !state.is_writing;
        state.waiting.extend_from_slice(line);
        drop(state);
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
        let mut state = self.lock();
        state.is_writing = false;
        self.changed.notify_all();
        let idle = |it: &mut State| it.waiting.is_empty() && (it.unreported == 0 || is_failing);
        let mut state =
            self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.waiting, batch);
        state.is_writing = true;
        if is_failing { 0 } else { std::mem::take(&mut state.unreported) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self, lines: u64) {
        if lines > 0 {
            self.dropped.inc_by(lines);
            self.lock().unreported += lines;
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
