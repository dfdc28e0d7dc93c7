//! What can be wrong with a profile, seen from the container that names it.

use crate::profile::{Doubt, runtime::Action};

/// Why a profile does not do what a pod that names it expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The runtime loads it, and filters nothing.
    #[error(transparent)]
    Hollow(#[from] Hollow),
    /// The runtime refuses it, so no container that names it ever starts.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It is loaded and filters, and is hardly what is meant.
    #[error(transparent)]
    Doubtful(#[from] Doubt),
}

/// How a profile comes to filter nothing (L1, L3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hollow {
    /// runc: "No default action specified, no syscalls listed, assume seccomp
    /// disabled" (specconv, `SetupSeccomp`). CRI-O decides the same.
    #[error("it has neither a defaultAction nor syscalls, so the runtime switches seccomp off{}", meant(.misspelt.as_deref()))]
    Disabled {
        /// A key that was probably meant to be `defaultAction`.
        misspelt: Option<String>,
    },
    #[error("its defaultAction is {default} and no rule denies anything{}", because(.idle.as_ref()))]
    Permissive {
        default: &'static str,
        /// Why the first rule that seems to deny something does not.
        idle: Option<Idle>,
    },
}

/// Why a rule has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Idle {
    /// runc skips them without a word.
    #[error("{}", no_calls(.0))]
    NoCalls(Vec<String>),
    #[error("{call:?} is no system call of {}", or(.nodes))]
    Elsewhere { call: String, nodes: Vec<&'static str> },
    /// libseccomp takes the first of two, or the more general one.
    #[error("{by} overrules {at} for {call}")]
    Overruled { at: String, by: String, call: String },
    #[error("no call of {call} meets the conditions of {at}")]
    Unmet { at: String, call: String },
    /// Only some versions of libseccomp do that.
    #[error(
        "{call:?} is no system call there, and some versions of libseccomp lose all rules if every other call has more conditions"
    )]
    Lost { call: String },
    /// Versions of libseccomp differ, or it is hard to tell.
    #[error(
        "the conditions of {at} overlap with others for {call}, and which of them hold depends on the version of libseccomp"
    )]
    Undecided { at: String, call: String },
}

/// Why a runtime cannot load a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// runc would load it, but no profile needs as much.
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it is not JSON: {0}")]
    NotJson(String),
    #[error("{at} is {found}, expected {expected}")]
    WrongType { at: String, found: &'static str, expected: &'static str },
    #[error("{at} is {}", unknown(.value))]
    UnknownValue { at: String, value: String },
    #[error("{at} is {value}, and errors end at {}", Action::LARGEST_ERRNO)]
    ErrnoTooLarge { at: String, value: u64 },
    #[error("{at} has the conditions of {first}, or some of them, and another action for {call}")]
    Conflict { at: String, first: String, call: String },
    #[error("{at} is {value}, whose byte order is not that of {other}")]
    ByteOrder { at: String, value: &'static str, other: String },
    #[error("it has syscalls but no defaultAction")]
    NoDefaultAction,
    #[error("{at} is empty, a system call needs a name")]
    EmptyName { at: String },
    #[error("{at} is {value}, system calls have arguments 0 to 5")]
    NoSuchArgument { at: String, value: u64 },
    #[error("{at} is SCMP_ACT_NOTIFY, which needs a listenerPath and cannot be the default")]
    Notify { at: String },
    /// runc itself would wait for an answer that it has to ask for by writing.
    #[error("{at} is write, which cannot have SCMP_ACT_NOTIFY")]
    NotifyOnWrite { at: String },
}

impl Broken {
    /// Whether it is the runtime that cannot load it, or only callgate that has
    /// not looked into it.
    pub fn is_of_the_runtime(&self) -> bool {
        !matches!(self, Self::Unreadable(_) | Self::TooLarge { .. })
    }
}

fn unknown(value: &str) -> String {
    match value {
        "" => "missing".to_owned(),
        _ => format!("{value:?}, which the runtime does not know"),
    }
}

fn meant(misspelt: Option<&str>) -> String {
    misspelt.map(|it| format!(" ({it:?} is not \"defaultAction\")")).unwrap_or_default()
}

fn because(idle: Option<&Idle>) -> String {
    idle.map(|it| format!(" ({it})")).unwrap_or_default()
}

fn no_calls(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => format!("{name:?} is no system call"),
        [name, rest @ ..] => format!("{name:?} and {} more are no system calls", rest.len()),
    }
}

fn or(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
