//! Multiplexed calls: `socketcall` and `ipc`.
//!
//! On some architectures the calls of sockets and of System V can be made through
//! one call, whose first argument selects the real one. libseccomp adds each rule
//! to both (`abi_rule_add`) and drops conditions on the first argument there.

use crate::profile::{architecture::Architecture, syscalls};

/// `include/uapi/linux/net.h` of the kernel.
const SOCKETS: &[&str] = &[
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// `include/uapi/linux/ipc.h` of the kernel.
const SYSTEM_V: &[(&str, u64)] = &[
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The calls through which a call can be made on an architecture, each with the
/// first argument that selects it.
pub(super) fn ways(architecture: Architecture, call: &str) -> Vec<(&str, Option<u64>)> {
    let mut ways = Vec::new();
    if architecture.multiplexes() {
        ways.extend(shared(call).map(|(shared, first)| (shared, Some(first))));
    }
    if syscalls::exists_on(architecture, call) {
        ways.push((call, None));
    }
    ways
}

/// The call that multiplexes this one, and the first argument that selects it.
pub(in crate::profile) fn shared(call: &str) -> Option<(&'static str, u64)> {
    let socket = SOCKETS.iter().zip(1..).find(|it| *it.0 == call).map(|it| ("socketcall", it.1));
    let system_v = || SYSTEM_V.iter().find(|it| it.0 == call).map(|it| ("ipc", it.1));
    socket.or_else(system_v)
}
