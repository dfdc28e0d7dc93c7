//! The log and its queue, with readers of their own.

use std::{
    panic::{catch_unwind, resume_unwind},
    sync::{
        Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use super::{
    queue::{MOST_WAITING, RESERVED},
    *,
};

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
    log.0.0.write_to(Pipe(writer), report_dropped).expect("there is room for a thread");
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
    while !log.0.0.is_taken() {
        thread::yield_now();
    }
}

/// A log whose writer has taken this line, which the test has not read yet.
fn log_that_is_writing(line: &str) -> (Log, Receiver<String>, Counter) {
    let (log, reader, dropped) = log();
    push(&log, Level::INFO, line);
    taken(&log);
    (log, reader, dropped)
}

#[test]
fn lines_that_do_not_fit_are_dropped_and_reported_in_their_place() {
    unblocked(|| {
        let (log, reader, dropped) = log_that_is_writing("first\n");
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
        let (log, reader, dropped) = log_that_is_writing("first\n");
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
            push(&log, Level::INFO, "to a closed pipe\n");
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
        log.0.0.write_to(Kept(Arc::clone(&written)), |_| ()).expect("there is room for a thread");
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
        log.print("to a reader that has stopped");
        let started = Instant::now();
        drop(log);
        assert!(started.elapsed() >= FLUSH);
        drop(reader);
    });
}
