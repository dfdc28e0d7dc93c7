//! Compares our list of system calls with the kernel's tables.

use std::{collections::BTreeSet, fmt::Write, fs};

use syscalls::{aarch64, arm, loongarch64, powerpc64, riscv64, s390x, x86, x86_64};

const LIST: &str = "src/profile/syscalls.txt";

/// Newer than the tables: Linux 6.19 and 7.0.
const NEWER: [&str; 2] = ["listns", "rseq_slice_yield"];

/// What libseccomp 2.5.4 resolves besides: calls of Arm's own, and of
/// architectures that the tables do not have.
const RESOLVED: [&str; 10] = [
    "break",
    "breakpoint",
    "cachectl",
    "cacheflush",
    "get_tls",
    "set_tls",
    "syscall",
    "sysmips",
    "usr26",
    "usr32",
];

/// `CALLGATE_UPDATE=1 cargo test --test syscalls` writes the list anew.
#[test]
fn the_list_holds_the_calls_of_every_architecture() {
    let mut names = BTreeSet::from(NEWER);
    names.extend(RESOLVED);
    names.extend(aarch64::Sysno::iter().map(|it| it.name()));
    names.extend(arm::Sysno::iter().map(|it| it.name()));
    names.extend(loongarch64::Sysno::iter().map(|it| it.name()));
    names.extend(powerpc64::Sysno::iter().map(|it| it.name()));
    names.extend(riscv64::Sysno::iter().map(|it| it.name()));
    names.extend(s390x::Sysno::iter().map(|it| it.name()));
    names.extend(x86::Sysno::iter().map(|it| it.name()));
    names.extend(x86_64::Sysno::iter().map(|it| it.name()));
    let mut expected = String::new();
    for name in names {
        writeln!(expected, "{name}").expect("a string takes everything");
    }
    if std::env::var_os("CALLGATE_UPDATE").is_some() {
        fs::write(LIST, &expected).expect("the source tree is writable");
    }
    assert_eq!(fs::read_to_string(LIST).expect("the list is there"), expected);
}
