//! How effects and architectures are called in messages.

use serde::Serialize;

use crate::{
    convert::error_name,
    profile::{Architecture, Effect, Outcome, Region},
};

/// An effect for programs.
#[derive(PartialEq, Eq, Serialize)]
pub(super) struct Said {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<String>,
    #[serde(skip)]
    passes: bool,
}

impl Said {
    /// Whether the call is or may be executed.
    pub(super) fn lets_through(&self) -> bool {
        self.passes
    }
}

/// What becomes of the call.
pub(super) fn effect(it: Effect) -> String {
    match it.action() {
        "SCMP_ACT_ALLOW" => "allowed".to_owned(),
        "SCMP_ACT_LOG" => "allowed and logged".to_owned(),
        "SCMP_ACT_ERRNO" if it.code() == 0 => "returns 0 without being executed".to_owned(),
        "SCMP_ACT_ERRNO" => format!("fails with {}", error(it.code())),
        "SCMP_ACT_KILL_PROCESS" => "kills the process".to_owned(),
        "SCMP_ACT_KILL_THREAD" => "kills the thread".to_owned(),
        "SCMP_ACT_TRAP" => "gets SIGSYS".to_owned(),
        "SCMP_ACT_TRACE" => "fails with ENOSYS, unless a tracer decides".to_owned(),
        "SCMP_ACT_NOTIFY" => "asks an agent".to_owned(),
        other => other.to_owned(),
    }
}

fn error(code: u16) -> String {
    match (code, error_name(code)) {
        (0, _) => "no error, without being executed".to_owned(),
        (_, Some(name)) => name.to_owned(),
        (_, None) => format!("error {code}"),
    }
}

pub(super) fn outcome(it: &Outcome) -> String {
    let effects: Vec<_> = it.effects().map(effect).collect();
    match effects.as_slice() {
        [only] => only.clone(),
        all => format!("{} (versions of libseccomp differ)", all.join(" or ")),
    }
}

/// The possible effects for programs.
pub(super) fn said(it: &Outcome) -> Vec<Said> {
    said_of(it.effects())
}

pub(super) fn said_of(effects: impl Iterator<Item = Effect>) -> Vec<Said> {
    let of = |it: Effect| Said {
        action: it.action(),
        errno: (it.action() == "SCMP_ACT_ERRNO").then(|| error(it.code())),
        passes: it.lets_through(),
    };
    effects.map(of).collect()
}

/// `if …`, or nothing if it is always so.
pub(super) fn when(regions: &[Region]) -> String {
    if regions.iter().any(Region::is_everything) {
        return String::new();
    }
    let all: Vec<_> = regions.iter().map(ToString::to_string).collect();
    format!(" if {}", all.join(", or if "))
}

/// The name that people have for it, and libseccomp's.
pub(super) fn architecture(it: Architecture) -> String {
    let short = match it.seccomp() {
        "SCMP_ARCH_X86_64" => "x86-64",
        "SCMP_ARCH_X86" => "i386",
        "SCMP_ARCH_X32" => "x32",
        "SCMP_ARCH_AARCH64" => "arm64",
        "SCMP_ARCH_ARM" => "arm",
        other => return other.to_owned(),
    };
    format!("{short} ({})", it.seccomp())
}

/// The architecture of nodes with this label.
pub(super) fn native(label: &str) -> Result<Architecture, String> {
    let known: Vec<_> = Architecture::of_nodes().map(Architecture::node).collect();
    match Architecture::of_node(label).filter(|it| known.contains(&it.node())) {
        Some(it) => Ok(it),
        None => Err(format!("expected one of {}", known.join(", "))),
    }
}
