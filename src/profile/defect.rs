//! The defects of a profile, by their effect on a container that uses it.

use crate::profile::{Doubt, action::Action, calls::MOST_RULES};

/// Why a profile does not confine a container that uses it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The runtime loads the profile, and the filter denies nothing.
    #[error(transparent)]
    Hollow(#[from] Hollow),
    /// The runtime cannot load the profile, so no container that uses it starts.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The runtime loads the profile, but it probably does not do what its author wants.
    #[error(transparent)]
    Doubtful(#[from] Doubt),
}

/// Why a profile denies nothing (L1, L3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hollow {
    /// runc: "No default action specified, no syscalls listed, assume seccomp
    /// disabled" (specconv, `SetupSeccomp`). CRI-O decides the same.
    #[error("it has neither a defaultAction nor syscalls, so the runtime switches seccomp off{}", meant(.misspelt.as_deref()))]
    Disabled {
        /// A key that is probably a misspelt `defaultAction`.
        misspelt: Option<String>,
    },
    #[error("its defaultAction is {default} and no rule denies anything{}", because(.idle.as_ref()))]
    Permissive {
        default: &'static str,
        /// Why the first rule with a denying action has no effect.
        idle: Option<Idle>,
    },
}

/// Why a rule has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Idle {
    /// runc skips unknown names without an error.
    #[error("{}", no_calls(.0))]
    NoCalls(Vec<String>),
    #[error("{call:?} is no system call of {}", or(.nodes))]
    Elsewhere { call: String, nodes: Vec<&'static str> },
    /// Of two rules, libseccomp keeps the first or the one with fewer conditions.
    #[error("{by} overrules {at} for {call}")]
    Overruled { at: String, by: String, call: String },
    #[error("no call of {call} meets the conditions of {at}")]
    Unmet { at: String, call: String },
    /// Happens with some versions of libseccomp only.
    #[error(
        "{call:?} is no system call there, and some versions of libseccomp lose all rules if every other call has more conditions"
    )]
    Lost { call: String },
    /// Versions of libseccomp differ, or the result is expensive to compute.
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
    /// runc would load it; the limit is callgate's own.
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// Where none of them says what another says already, the kernel refuses the
    /// filter too.
    #[error("it has more than {MOST_RULES} rules, counted by system call and set of conditions")]
    TooManyRules,
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
    /// runc sends the notification descriptor by `write`, so it would wait for itself.
    #[error("{at} is write, which cannot have SCMP_ACT_NOTIFY")]
    NotifyOnWrite { at: String },
}

impl Broken {
    /// Whether the runtime cannot load the profile. False where callgate has not
    /// read all of the file, so that the runtime may load it.
    pub fn is_of_the_runtime(&self) -> bool {
        !matches!(self, Self::Unreadable(_) | Self::TooLarge { .. } | Self::TooManyRules)
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
