//! The properties of nodes that a profile can depend on.

use std::{fmt, str::FromStr};

use crate::spelling;

/// The nodes that a profile is for. The profile may not depend on a property that
/// is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    pub architecture: Option<Architecture>,
    pub kernel: Option<Kernel>,
}

/// An architecture of nodes, by the name that Kubernetes has for it (the label
/// `kubernetes.io/arch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture(&'static Names);

/// The names of one architecture.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    go: &'static str,
    /// The name in `arches`.
    native: &'static str,
    /// The name in `archMap`.
    seccomp: &'static str,
}

/// `goToNative` and `nativeToSeccomp` in `seccomp/seccomp_linux.go` of
/// moby/profiles, without those that Go does not support.
const ARCHITECTURES: &[Names] = &[
    Names { go: "amd64", native: "amd64", seccomp: "SCMP_ARCH_X86_64" },
    Names { go: "arm64", native: "arm64", seccomp: "SCMP_ARCH_AARCH64" },
    Names { go: "386", native: "x86", seccomp: "SCMP_ARCH_X86" },
    Names { go: "arm", native: "arm", seccomp: "SCMP_ARCH_ARM" },
    Names { go: "ppc64le", native: "ppc64le", seccomp: "SCMP_ARCH_PPC64LE" },
    Names { go: "s390x", native: "s390x", seccomp: "SCMP_ARCH_S390X" },
    Names { go: "riscv64", native: "riscv64", seccomp: "SCMP_ARCH_RISCV64" },
    Names { go: "loong64", native: "loongarch64", seccomp: "SCMP_ARCH_LOONGARCH64" },
    Names { go: "mips64", native: "mips64", seccomp: "SCMP_ARCH_MIPS64" },
    Names { go: "mips64le", native: "mipsel64", seccomp: "SCMP_ARCH_MIPSEL64" },
    Names { go: "mipsle", native: "mipsel", seccomp: "SCMP_ARCH_MIPSEL" },
    Names { go: "ppc64", native: "ppc64", seccomp: "SCMP_ARCH_PPC64" },
];

/// Other names that profiles have in `arches`: those of libseccomp
/// (`seccomp_arch_resolve_name`), and one of Docker's own.
const OTHER_ARCHES: &[&str] = &[
    "x32",
    "mips",
    "mips64n32",
    "mipsel64n32",
    "mips3l64n32",
    "parisc",
    "parisc64",
    "ppc",
    "s390",
    "m68k",
    "sh",
    "sheb",
];

/// Common names of architectures, with those of Go.
const ALIASES: &[(&str, &str)] = &[
    ("x86_64", "amd64"),
    ("x86-64", "amd64"),
    ("x64", "amd64"),
    ("aarch64", "arm64"),
    ("i386", "386"),
    ("i686", "386"),
    ("x86", "386"),
    ("loongarch64", "loong64"),
];

/// The version of a kernel, as far as Docker compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel {
    pub version: u32,
    pub major: u32,
}

/// Why a text is not a property of nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANode {
    #[error("{}", unknown_architecture(.0))]
    Architecture(String),
    #[error("{0:?} is no version of a kernel, expected one such as 5.15")]
    Kernel(String),
}

impl Architecture {
    /// Whether `arch`, a name in `arches`, is this architecture.
    pub(super) fn is(self, arch: &str) -> bool {
        self.0.native == arch
    }

    pub(super) fn seccomp(self) -> &'static str {
        self.0.seccomp
    }

    /// Whether all errors have the numbers of `asm-generic`.
    pub(super) fn has_common_errors(self) -> bool {
        !self.0.go.starts_with("mips")
    }
}

/// Checks a name in `arches`.
///
/// # Errors
/// Docker does not know it; returns the name to suggest, if there is one.
pub(super) fn arch_meant(arch: &str) -> Result<(), Option<&'static str>> {
    let native = || ARCHITECTURES.iter().map(|it| it.native);
    let known = || native().chain(OTHER_ARCHES.iter().copied());
    if known().any(|it| it == arch) {
        return Ok(());
    }
    let alias = ALIASES.iter().find(|it| it.0.eq_ignore_ascii_case(arch)).map(|it| it.1);
    let of_go = ARCHITECTURES.iter().find(|it| Some(it.go) == alias || it.go == arch);
    Err(of_go.map(|it| it.native).or_else(|| spelling::nearest(arch, known())))
}

fn unknown_architecture(word: &str) -> String {
    let known = || ARCHITECTURES.iter().map(|it| it.go);
    let alias = ALIASES.iter().find(|it| it.0.eq_ignore_ascii_case(word)).map(|it| it.1);
    if let Some(near) = alias.or_else(|| spelling::nearest(word, known())) {
        return format!("there is no architecture {word:?}, did you mean {near:?}?");
    }
    format!("there is no architecture {word:?}, only {}", known().collect::<Vec<_>>().join(", "))
}

impl FromStr for Architecture {
    type Err = NotANode;

    fn from_str(word: &str) -> Result<Self, NotANode> {
        let names = ARCHITECTURES.iter().find(|it| it.go == word);
        names.map(Self).ok_or_else(|| NotANode::Architecture(word.to_owned()))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.go)
    }
}

impl Kernel {
    /// Later than every one that a profile asks for.
    pub(super) const NEWEST: Self = Self { version: u32::MAX, major: u32::MAX };

    /// Reads `minKernel` as `KernelVersion.UnmarshalJSON` does in moby/profiles:
    /// an empty one is no condition.
    pub(super) fn parse_minimum(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self { version: 0, major: 0 });
        }
        let (version, major) = text.split_once('.')?;
        let number = |it: &str| {
            let digits = it.bytes().all(|it| it.is_ascii_digit());
            if digits { it.parse::<u8>().ok().map(u32::from) } else { None }
        };
        let kernel = Self { version: number(version)?, major: number(major)? };
        (!kernel.is_any()).then_some(kernel)
    }

    /// Whether every kernel is at least as new.
    pub(super) fn is_any(self) -> bool {
        self == Self { version: 0, major: 0 }
    }
}

/// Reads the output of `uname -r`, too: only the first two numbers count.
impl FromStr for Kernel {
    type Err = NotANode;

    fn from_str(text: &str) -> Result<Self, NotANode> {
        let first = |it: &str| {
            let end = it.find(|it: char| !it.is_ascii_digit()).unwrap_or(it.len());
            it[..end].parse().ok()
        };
        let parts = text.split_once('.').and_then(|(version, rest)| {
            let whole = version.bytes().all(|it| it.is_ascii_digit());
            if whole { Some((first(version)?, first(rest)?)) } else { None }
        });
        let (version, major) = parts.ok_or_else(|| NotANode::Kernel(text.to_owned()))?;
        Ok(Self { version, major })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.version, self.major)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("5.15", Some((5, 15)))]
    #[case("5.15.0-91-generic", Some((5, 15)))]
    #[case("6.1-rc3", Some((6, 1)))]
    #[case("3.12foobar", Some((3, 12)))]
    #[case("5", None)]
    #[case("5.", None)]
    #[case(".15", None)]
    #[case("5a.15", None)]
    #[case("-5.15", None)]
    #[case("", None)]
    #[case("99999999999.1", None)]
    fn kernels(#[case] text: &str, #[case] expected: Option<(u32, u32)>) {
        let expected = expected.map(|(version, major)| Kernel { version, major });
        let error = || NotANode::Kernel(text.to_owned());
        assert_eq!(text.parse::<Kernel>(), expected.ok_or_else(error));
    }

    #[rstest]
    #[case("4.8", Some((4, 8)))]
    #[case("", Some((0, 0)))]
    #[case("0.0", None)]
    #[case("4", None)]
    #[case("4.8.1", None)]
    #[case("+4.8", None)]
    #[case("4.256", None)]
    #[case("4.", None)]
    fn minimal_kernels(#[case] text: &str, #[case] expected: Option<(u32, u32)>) {
        let expected = expected.map(|(version, major)| Kernel { version, major });
        assert_eq!(Kernel::parse_minimum(text), expected);
    }

    #[rstest]
    #[case("amd64", Ok(()))]
    #[case("x32", Ok(()))]
    #[case("x86_64", Err(Some("amd64")))]
    #[case("aarch64", Err(Some("arm64")))]
    #[case("386", Err(Some("x86")))]
    #[case("risc64", Err(Some("riscv64")))]
    #[case("toaster", Err(None))]
    fn arches(#[case] word: &str, #[case] expected: Result<(), Option<&str>>) {
        assert_eq!(arch_meant(word), expected);
    }
}
