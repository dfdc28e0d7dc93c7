//! The architectures for which a filter can be made.

use crate::profile::syscalls;

/// An architecture of libseccomp. A processor can have several, each with its
/// own system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Architecture(&'static Traits);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Traits {
    /// The name in `architectures`.
    seccomp: &'static str,
    /// The label `kubernetes.io/arch` of nodes with this native architecture;
    /// empty, if there are none.
    node: &'static str,
    width: Width,
    order: Order,
    /// Whether `socketcall` and `ipc` multiplex the calls of sockets and System V.
    multiplexes: bool,
    /// The column in the table of system calls, if it has one.
    table: Option<usize>,
}

/// How many bits of an argument a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

/// The byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Little,
    Big,
}

/// `AUDIT_ARCH_X86_64`, which programs of x32 have too.
pub(super) const AUDIT_X86_64: u32 = 0xc000_003e;
/// Marks the numbers of calls of x32 (`__X32_SYSCALL_BIT`).
pub(super) const OF_X32: u32 = 0x4000_0000;

use Order::{Big, Little};
use Width::{Bits32, Bits64};

const fn of(
    seccomp: &'static str,
    node: &'static str,
    width: Width,
    order: Order,
    multiplexes: bool,
    table: Option<usize>,
) -> Traits {
    Traits { seccomp, node, width, order, multiplexes, table }
}

/// The architectures that runc knows (libcontainer/seccomp/config.go), with the
/// properties that libseccomp gives them (`arch_def_…`).
const ALL: &[Traits] = &[
    of("SCMP_ARCH_X86", "386", Bits32, Little, true, Some(0)),
    of("SCMP_ARCH_X86_64", "amd64", Bits64, Little, false, Some(1)),
    of("SCMP_ARCH_X32", "", Bits32, Little, false, Some(syscalls::X32)),
    of("SCMP_ARCH_ARM", "arm", Bits32, Little, false, Some(2)),
    of("SCMP_ARCH_AARCH64", "arm64", Bits64, Little, false, Some(3)),
    of("SCMP_ARCH_MIPS", "mips", Bits32, Big, true, None),
    of("SCMP_ARCH_MIPS64", "mips64", Bits64, Big, false, None),
    of("SCMP_ARCH_MIPS64N32", "", Bits32, Big, false, None),
    of("SCMP_ARCH_MIPSEL", "mipsle", Bits32, Little, true, None),
    of("SCMP_ARCH_MIPSEL64", "mips64le", Bits64, Little, false, None),
    of("SCMP_ARCH_MIPSEL64N32", "", Bits32, Little, false, None),
    of("SCMP_ARCH_PPC", "", Bits32, Big, true, None),
    of("SCMP_ARCH_PPC64", "ppc64", Bits64, Big, true, Some(4)),
    of("SCMP_ARCH_PPC64LE", "ppc64le", Bits64, Little, true, Some(4)),
    of("SCMP_ARCH_RISCV64", "riscv64", Bits64, Little, false, Some(5)),
    of("SCMP_ARCH_S390", "", Bits32, Big, true, None),
    of("SCMP_ARCH_S390X", "s390x", Bits64, Big, true, Some(6)),
    of("SCMP_ARCH_LOONGARCH64", "loong64", Bits64, Little, false, Some(7)),
];

impl Architecture {
    /// The native architectures for which kubelets are built, by Kubernetes or others.
    pub(crate) fn of_nodes() -> impl Iterator<Item = Self> {
        const NODES: [&str; 6] = ["amd64", "arm64", "ppc64le", "s390x", "riscv64", "loong64"];
        NODES.iter().filter_map(|it| Self::of_node(it))
    }

    /// The native architecture of nodes with this label `kubernetes.io/arch`.
    pub fn of_node(label: &str) -> Option<Self> {
        ALL.iter().find(|it| !label.is_empty() && it.node == label).map(Self)
    }

    /// The native architecture of this machine, for which this program was built.
    pub(crate) fn of_this_machine() -> Option<Self> {
        let node = if cfg!(target_arch = "x86_64") {
            "amd64"
        } else if cfg!(target_arch = "aarch64") {
            "arm64"
        } else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
            "ppc64le"
        } else if cfg!(target_arch = "s390x") {
            "s390x"
        } else if cfg!(target_arch = "riscv64") {
            "riscv64"
        } else if cfg!(target_arch = "loongarch64") {
            "loong64"
        } else if cfg!(target_arch = "arm") {
            "arm"
        } else {
            ""
        };
        Self::of_node(node)
    }

    /// The architecture with this name in `architectures`.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|it| it.seccomp == name).map(Self)
    }

    /// All names that `architectures` can hold.
    pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
        ALL.iter().map(|it| it.seccomp)
    }

    /// The label `kubernetes.io/arch` of nodes with this native architecture.
    pub(crate) fn node(self) -> &'static str {
        self.0.node
    }

    pub(crate) fn seccomp(self) -> &'static str {
        self.0.seccomp
    }

    /// What the kernel adds to the numbers of its calls, which the table has without it.
    pub(super) fn mark(self) -> u32 {
        if self.0.seccomp == "SCMP_ARCH_X32" { OF_X32 } else { 0 }
    }

    pub(super) fn width(self) -> Width {
        self.0.width
    }

    pub(super) fn multiplexes(self) -> bool {
        self.0.multiplexes
    }

    /// Its number in `struct seccomp_data` (`AUDIT_ARCH_…` in include/uapi/linux/audit.h), if its calls
    /// are in the table.
    pub(crate) fn audit(self) -> Option<u32> {
        Some(match self.0.seccomp {
            "SCMP_ARCH_X86" => 0x4000_0003,
            "SCMP_ARCH_X86_64" | "SCMP_ARCH_X32" => AUDIT_X86_64,
            "SCMP_ARCH_ARM" => 0x4000_0028,
            "SCMP_ARCH_AARCH64" => 0xc000_00b7,
            "SCMP_ARCH_PPC64" => 0x8000_0015,
            "SCMP_ARCH_PPC64LE" => 0xc000_0015,
            "SCMP_ARCH_RISCV64" => 0xc000_00f3,
            "SCMP_ARCH_S390X" => 0x8000_0016,
            "SCMP_ARCH_LOONGARCH64" => 0xc000_0102,
            _ => return None,
        })
    }

    pub(super) fn is_big_endian(self) -> bool {
        self.0.order == Big
    }

    /// Whether one filter can cover both architectures (libseccomp: `EDOM`).
    pub(super) fn has_the_byte_order_of(self, other: Self) -> bool {
        self.0.order == other.0.order
    }

    /// The column in the table of system calls; `None` if the table lacks the architecture.
    pub(super) fn column(self) -> Option<usize> {
        self.0.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_is_found_by_each_of_its_names() {
        for it in ALL {
            assert_eq!(Architecture::named(it.seccomp), Some(Architecture(it)));
            let found = Architecture::of_node(it.node);
            assert_eq!(found, (!it.node.is_empty()).then_some(Architecture(it)));
        }
        assert_eq!(Architecture::of_node(""), None);
        assert_eq!(Architecture::of_nodes().count(), 6);
    }

    #[test]
    fn nodes_that_kubelets_are_built_for_have_calls_that_are_known() {
        assert!(Architecture::of_nodes().all(|it| it.column().is_some()));
    }
}
