//! What can be wrong with a profile, seen from the container that names it.

/// Why a profile does not do what a pod that names it expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The runtime loads it, and filters nothing.
    #[error(transparent)]
    Hollow(#[from] Hollow),
    /// The runtime refuses it, so no container that names it ever starts.
    #[error(transparent)]
    Broken(#[from] Broken),
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
    #[error("its defaultAction is {default} and no rule denies anything{}", no_calls(.skipped))]
    Permissive {
        default: &'static str,
        /// Names in denying rules that are no system calls: runc skips them
        /// without a word.
        skipped: Vec<String>,
    },
}

/// Why a runtime cannot load a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it is not JSON: {0}")]
    NotJson(String),
    #[error("{at} is {found}, expected {expected}")]
    WrongType { at: String, found: &'static str, expected: &'static str },
    #[error("{at} is {}", unknown(.value))]
    UnknownValue { at: String, value: String },
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

fn unknown(value: &str) -> String {
    match value {
        "" => "missing".to_owned(),
        _ => format!("{value:?}, which the runtime does not know"),
    }
}

fn meant(misspelt: Option<&str>) -> String {
    misspelt.map(|it| format!(" ({it:?} is not \"defaultAction\")")).unwrap_or_default()
}

fn no_calls(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => format!(" ({name:?} is no system call)"),
        [name, rest @ ..] => format!(" ({name:?} and {} more are no system calls)", rest.len()),
    }
}
