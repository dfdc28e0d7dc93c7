//! What seccomp filters denied, by the audit records of the kernel: from the bytes of a record, texts
//! of `/proc` and pods to a report, nothing else.
//!
//! A record names a process (K5), and the cgroup of that process its container. What processes of no
//! container of the node's pods were denied is never reported.

mod process;
mod record;
mod report;
mod tally;

pub use self::{
    process::{Process, Processes},
    record::{Message, Record},
    report::{Denials, DeniedCall, MOST_LISTED},
    tally::{Denied, Tally, Totals},
};
