#![doc = include_str!("unknown-key.md")]

use super::{Anchor, Check, Lint, Reading, Remark, Severity, Shape, docker_key, remark::quoted};
use crate::{profile::decode::field, spelling};

/// L4: Go drops unknown keys without an error.
pub(super) const LINT: Lint = Lint {
    id: "unknown-key",
    severity: Severity::Warning,
    page: include_str!("unknown-key.md"),
    check: Check::Profile(check),
};

fn check(reading: &Reading<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for object in reading.objects() {
        for (key, value) in object.value.members() {
            let fields = object.shape.fields();
            // "comment" is a key of Docker and Podman without effect.
            let known = field(key, fields).is_some() || key == "comment";
            if known || docker_key::named(object.shape, key).is_some() {
                continue;
            }
            let message = format!("the runtime drops {}, which it does not know", quoted(key));
            let remark = Remark::new(Anchor::Key(value.node), message);
            remarks.push(if object.shape == Shape::Profile && key == "spec" {
                remark.hint("a profile file holds what an object has under \"spec\"")
            } else {
                remark.did_you_mean(spelling::nearest(key, fields.iter().copied()))
            });
        }
    }
    remarks
}
