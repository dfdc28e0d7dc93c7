//! How many connections and files a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Reserved for files that are not connections of webhook clients: those to the admin port and to
/// the API server, listeners, and files that are read again.
const RESERVED: u64 = 128;

/// Raises the limit of open files to the hard limit, as the runtime of Go does, and returns how
/// many are left for clients.
///
/// Where container runtimes pass on systemd's default, the soft limit is 1,024. That many clients
/// would leave no file descriptor for a connection to the API server or for a file.
pub fn room_for_clients() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    let room = limit.map_or(u64::MAX, |it| it.saturating_sub(RESERVED).max(1));
    usize::try_from(room).unwrap_or(usize::MAX)
}
