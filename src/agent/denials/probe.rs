//! Makes a call of its own, to see whether its record arrives.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io, thread,
};

use tokio::sync::watch;

use crate::denials::Record;

/// The actions that leave a record if their filter says so.
const ACTIONS: [&str; 7] =
    ["kill_process", "kill_thread", "trap", "errno", "user_notif", "trace", "log"];

/// Where the kernel says which actions it records.
const LOGGED: &str = "/proc/sys/kernel/seccomp/actions_logged";

/// Why no record arrives.
#[derive(Debug)]
pub enum Silence {
    /// The socket receives nothing, as it does outside the first network namespace (K6).
    NoRecord,
    /// The process has another ID in the record: ours are not of the first process namespace.
    OtherProcesses,
    /// The call could not be made.
    NoCall(io::Error),
}

/// A call by a process with a name that no other has.
pub(super) struct Probe {
    name: String,
    /// The process that the last record names.
    seen: watch::Sender<Option<u32>>,
}

impl Probe {
    pub(super) fn new() -> Self {
        let number = RandomState::new().build_hasher().finish() & 0xffff_ffff_ffff;
        // The kernel keeps 15 bytes of the name of a thread.
        Self { name: format!("cg-{number:012x}"), seen: watch::Sender::new(None) }
    }

    /// Makes the call, in a child, and returns the ID of that.
    pub(super) fn make_call(&self) -> io::Result<u32> {
        self.seen.send_replace(None);
        // The child has the name of the thread that starts it.
        let thread = thread::Builder::new().name(self.name.clone()).spawn(confine::log_a_call)?;
        thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }

    /// Whether a record is of such a call, which is then seen.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        let is_ours = record.command == self.name.as_bytes();
        if is_ours {
            self.seen.send_replace(Some(record.process));
        }
        is_ours
    }

    /// Waits for the record of the last call; returns the ID of its process.
    pub(super) async fn seen(&self) -> u32 {
        let mut seen = self.seen.subscribe();
        // `self` holds the sender.
        let seen = seen.wait_for(Option::is_some).await;
        seen.ok().and_then(|it| *it).unwrap_or_default()
    }
}

/// The actions that the kernel does not record, whatever a filter says (K5).
pub fn not_logged() -> Vec<&'static str> {
    let logged = fs::read_to_string(LOGGED).unwrap_or_else(|_| ACTIONS.join(" "));
    let is_logged = |it: &&str| logged.split_ascii_whitespace().any(|logged| logged == *it);
    ACTIONS.into_iter().filter(|it| !is_logged(it)).collect()
}
