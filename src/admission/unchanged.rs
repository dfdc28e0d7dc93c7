//! Whether an update leaves a pod template as it was.

use serde_json::value::RawValue;

use crate::{json::objects, pod::Kind};

objects! {
    struct Review<'a> {
        request("request"): Request<'a>,
    }

    struct Request<'a> {
        object("object"): &'a RawValue,
        old_object("oldObject"): &'a RawValue,
    }

    /// What may be on the way to a template.
    struct Parent<'a> {
        spec("spec"): &'a RawValue,
        job_template("jobTemplate"): &'a RawValue,
        template("template"): &'a RawValue,
    }
}

/// Whether both objects of a review have the same template, as text: the API server writes both in
/// one version and one order.
///
/// The body is read once more for that: only updates that would be denied pay for it.
pub(super) fn is_template_unchanged(body: &[u8], kind: Kind) -> bool {
    let templates = || {
        let Request { object, old_object } =
            serde_json::from_slice::<Review<'_>>(body).ok()?.request?;
        Some((template(kind, object?)?, template(kind, old_object?)?))
    };
    templates().is_some_and(|(new, old)| new.get() == old.get())
}

fn template(kind: Kind, object: &RawValue) -> Option<&RawValue> {
    kind.prefix().split_terminator('.').try_fold(object, |it, field| {
        let Parent { spec, job_template, template } = serde_json::from_str(it.get()).ok()?;
        match field {
            "spec" => spec,
            "jobTemplate" => job_template,
            "template" => template,
            _ => None,
        }
    })
}
