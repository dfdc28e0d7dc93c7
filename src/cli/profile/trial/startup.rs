//! The calls that runc makes under the filter before the program of a container starts.

use crate::profile::{Architecture, Filter, Observed, STARTUP_CALLS};

/// Those that are denied, whatever their arguments are.
pub(super) fn denied(filter: &Filter<'_>, native: Architecture) -> Vec<Observed> {
    let is_denied = |name: &&&str| {
        let outcomes = filter.outcomes(native, name);
        outcomes.is_some_and(|all| !all.iter().any(|it| it.0.may_pass()))
    };
    let observed = |name: &&str| {
        let (_, number) = native.seen(name)?;
        Some(Observed { architecture: native, number, arguments: [0; 6] })
    };
    STARTUP_CALLS.iter().filter(is_denied).filter_map(observed).collect()
}

pub(super) fn report(denied: &[Observed], name: &str) -> String {
    let names: Vec<_> = denied.iter().filter_map(|it| it.architecture.call(it.number)).collect();
    if names.is_empty() {
        return format!("{name} allows what runc needs to start a container");
    }
    format!(
        "{name} denies calls that some versions of runc need to start a container: {}",
        names.join(", ")
    )
}
