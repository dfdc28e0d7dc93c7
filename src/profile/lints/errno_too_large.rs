#![doc = include_str!("errno-too-large.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity};
use crate::profile::{action::Action, document::Spanned};

/// runc keeps 16 bits (1.10.1), and libseccomp takes none from 4095 on.
pub(super) const LINT: Lint = Lint {
    id: "errno-too-large",
    severity: Severity::Error,
    page: include_str!("errno-too-large.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let document = reading.document;
    let default = (&document.default_action, &document.default_errno);
    let rules = reading.rules().map(|it| (&it.action, &it.errno));
    let all = std::iter::once(default).chain(rules);
    all.filter_map(|(action, errno)| too_large(action, errno.as_ref()?)).collect()
}

fn too_large(action: &str, errno: &Spanned<u64>) -> Option<Remark> {
    let number = errno.it;
    let kept = number & 0xffff;
    let message = match Action::parse(action)? {
        Action::Errno if kept > Action::LARGEST_ERRNO => format!(
            "is {number}, errors end at {}: the runtime refuses the profile and no container starts",
            Action::LARGEST_ERRNO
        ),
        Action::Errno if number != kept => format!(
            "is {number}, errors end at {}: the call fails with {kept}",
            Action::LARGEST_ERRNO
        ),
        Action::Trace if number != kept => {
            format!("is {number}, messages for a tracer have 16 bits: it gets {kept}")
        }
        _ => return None,
    };
    Some(Remark::new(Anchor::Value(errno.node), message))
}
