#![doc = include_str!("invalid-path.md")]

use crate::{
    pod::Seccomp,
    policy::{Check, Context, Finding, Level, Rule},
    profile::ProfilePath,
};

/// S2, S3: whole paths are compared, so a path has exactly one spelling.
pub(super) const RULE: Rule = Rule {
    id: "invalid-path",
    level: Level::Deny,
    page: include_str!("invalid-path.md"),
    check: Check::Profile(check),
};

fn check(declared: Seccomp<'_>, _: &Context<'_>) -> Option<Finding> {
    match declared {
        Seccomp::Localhost(None) => Some(Finding::new("type Localhost needs a localhostProfile")),
        Seccomp::Localhost(Some(path)) => {
            path.parse::<ProfilePath>().err().map(|it| Finding::new(it.to_string()))
        }
        Seccomp::Contradictory { kind, path } => Some(Finding::new(format!(
            "localhostProfile {path:?} is only for type Localhost, not for {kind}"
        ))),
        Seccomp::RuntimeDefault | Seccomp::Unconfined | Seccomp::Unrecognised(_) => None,
    }
}
