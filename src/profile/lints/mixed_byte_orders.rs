#![doc = include_str!("mixed-byte-orders.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::architecture::Architecture;

/// libseccomp: `EDOM` for an architecture whose byte order is not that of the first.
pub(super) const LINT: Lint = Lint {
    id: "mixed-byte-orders",
    severity: Severity::Error,
    page: include_str!("mixed-byte-orders.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let all = &reading.document.architectures;
    let known = all.iter().filter_map(|it| Some((it.node, Architecture::named(it)?)));
    let mut known = known.collect::<Vec<_>>().into_iter();
    if let Some(native) = reading.target.architecture
        && let Some((node, other)) = known.clone().find(|it| !it.1.has_the_byte_order_of(native))
    {
        let message = format!(
            "{} has another byte order than {} nodes: the runtime refuses the profile and no container starts",
            other.seccomp(),
            native.node()
        );
        return vec![Remark::new(Anchor::Value(node), message).hint("write a profile for each")];
    }
    let Some((first_node, first)) = known.next() else {
        return Vec::new();
    };
    let Some((node, other)) = known.find(|it| !it.1.has_the_byte_order_of(first)) else {
        return Vec::new();
    };
    let message = format!(
        "{} has another byte order than {}: the runtime refuses the profile and no container starts",
        other.seccomp(),
        first.seccomp()
    );
    let remark = Remark::new(Anchor::Value(node), message).also([Anchor::Value(first_node)]);
    vec![remark.hint("write a profile for each")]
}
