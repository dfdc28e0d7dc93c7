//! The table of system calls of each architecture.

use std::sync::LazyLock;

use crate::profile::architecture::Architecture;

/// One call per line, sorted: its name, and its number in each column of
/// [`Architecture::column`]. `cargo test` compares the table with the kernel's
/// (crate `syscalls`) and with the further names that libseccomp resolves;
/// `e2e/oracle` compares it with libseccomp itself.
const TABLE: &str = include_str!("syscalls.txt");

/// The columns of the table, and one that is computed.
const COLUMNS: usize = 9;
const X86_64: usize = 1;
/// The column of x32.
pub(super) const X32: usize = 8;

/// x32 has the calls of x86-64, some by numbers of their own: abi `x32` in `syscall_64.tbl` of the
/// kernel. The bit that marks a number as one of x32 is left out.
const OF_X32: &[(&str, u32)] = &[
    ("rt_sigaction", 512),
    ("rt_sigreturn", 513),
    ("ioctl", 514),
    ("readv", 515),
    ("writev", 516),
    ("recvfrom", 517),
    ("sendmsg", 518),
    ("recvmsg", 519),
    ("execve", 520),
    ("ptrace", 521),
    ("rt_sigpending", 522),
    ("rt_sigtimedwait", 523),
    ("rt_sigqueueinfo", 524),
    ("sigaltstack", 525),
    ("timer_create", 526),
    ("mq_notify", 527),
    ("kexec_load", 528),
    ("waitid", 529),
    ("set_robust_list", 530),
    ("get_robust_list", 531),
    ("vmsplice", 532),
    ("move_pages", 533),
    ("preadv", 534),
    ("pwritev", 535),
    ("rt_tgsigqueueinfo", 536),
    ("recvmmsg", 537),
    ("sendmmsg", 538),
    ("process_vm_readv", 539),
    ("process_vm_writev", 540),
    ("setsockopt", 541),
    ("getsockopt", 542),
    ("io_setup", 543),
    ("io_submit", 544),
    ("execveat", 545),
    ("preadv2", 546),
    ("pwritev2", 547),
];

/// Calls of x86-64 that x32 lacks: abi `64` there, without one of x32.
const NOT_OF_X32: &[&str] = &[
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "map_shadow_stack",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uprobe",
    "uretprobe",
    "uselib",
    "vserver",
];

struct Row {
    name: &'static str,
    numbers: [Option<u32>; COLUMNS],
}

static SORTED: LazyLock<Vec<Row>> = LazyLock::new(|| TABLE.lines().map(Row::parse).collect());

impl Row {
    fn parse(line: &'static str) -> Self {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let mut numbers = [None; COLUMNS];
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = word.parse().ok();
        }
        let own = OF_X32.iter().find(|it| it.0 == name).map(|it| it.1);
        numbers[X32] = own.or(numbers[X86_64]).filter(|_| !NOT_OF_X32.contains(&name));
        Self { name, numbers }
    }
}

fn find(name: &str) -> Option<&'static Row> {
    let at = SORTED.binary_search_by(|it| it.name.cmp(name)).ok()?;
    SORTED.get(at)
}

/// Whether any architecture has a system call of this name.
///
/// runc skips a name that libseccomp resolves on no architecture, without an
/// error (1.10.1).
pub(super) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// Whether the architecture has this call. True for every call if the table
/// lacks the architecture.
pub(super) fn exists_on(architecture: Architecture, name: &str) -> bool {
    let column = architecture.column();
    find(name).is_some_and(|it| column.is_none_or(|column| it.numbers[column].is_some()))
}

/// The number of the call on the architecture, if both are in the table.
pub(super) fn number_on(architecture: Architecture, name: &str) -> Option<u32> {
    find(name)?.numbers[architecture.column()?]
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SORTED.iter().map(|it| it.name)
}
