//! How many connections and files a process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For all that is no connection of a webhook's client: those to the admin port and to the API
/// server, listeners, and files that are read again.
const RESERVED: u64 = 128;

/// Lets this process have as many open as it may have at most, as the runtime of Go does by
/// itself, and returns how many of them are left for clients.
///
/// Where container runtimes give what systemd gives, it is 1,024 until a process asks for more,
/// and as many clients would leave nothing to ask the API server with, or to read a file.
pub fn room_for_clients() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    let room = limit.map_or(u64::MAX, |it| it.saturating_sub(RESERVED).max(1));
    usize::try_from(room).unwrap_or(usize::MAX)
}
