//! Runs a command under a seccomp filter that asks this process about some calls, and reads the filters
//! of processes.
//!
//! What the standard library and rustix cannot do without `unsafe` is in [`kernel`]; everything else
//! in callgate forbids it.

mod child;
mod kernel;
mod supervise;
mod traced;

use std::{
    ffi::{CString, OsString},
    io,
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    process::ExitStatus,
};

pub use child::log_a_call;
pub use kernel::Instruction;
pub use supervise::Waiting;
pub use traced::filters;

/// A command.
pub struct Command {
    /// The file that is executed; it is not searched in `PATH`.
    pub file: PathBuf,
    /// Its arguments, from the name of the program on.
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
}

/// A call that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub process: u32,
    pub number: u32,
    /// `AUDIT_ARCH_…`.
    pub architecture: u32,
    pub arguments: [u64; 6],
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is executed.
    Execute,
    /// It fails with this error or, with 0, does nothing and returns 0.
    Fail(u16),
}

/// How a command ended.
#[derive(Debug)]
pub enum End {
    Exited(ExitStatus),
    /// It did not start: `execve` failed.
    NotExecuted(io::Error),
}

impl Command {
    /// Runs the command to its end; `answer` answers the calls for which `filter` returns
    /// `SECCOMP_RET_USER_NOTIF`. Neither the command nor what it starts can gain rights
    /// (`no_new_privs`).
    ///
    /// Calls that processes of the command make after its end fail with `ENOSYS`.
    ///
    /// # Errors
    /// The kernel refuses the filter, or the process.
    pub fn run(
        &self,
        filter: &[Instruction],
        answer: impl FnMut(&Waiting<'_>) -> Answer + Send,
    ) -> io::Result<End> {
        supervise::run(self, filter, answer)
    }

    fn environment(&self) -> io::Result<Vec<CString>> {
        let joined = self.environment.iter().map(|(key, value)| {
            let mut all = key.clone();
            all.push("=");
            all.push(value);
            all
        });
        joined.map(text).collect()
    }
}

fn text(it: OsString) -> io::Result<CString> {
    CString::new(it.into_vec()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
