//! The request of an `AdmissionReview`, as it is judged.

use crate::{
    admission::{raw::RawRequest, target::ReviewTarget},
    pod::{Kind, Scope, Str, Subject},
    policy::{Labels, Policy},
    profile::Finding,
};

/// The fields of `AdmissionRequest` that are used (2.2).
#[derive(Debug)]
pub(super) struct AdmissionRequest<'a> {
    pub(super) uid: Str<'a>,
    pub(super) object: Object<'a>,
    pub(super) raw: RawRequest<'a>,
}

/// The object of a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a request, and it stays on the stack")]
pub(super) enum Object<'a> {
    /// An object without a pod spec, or a request that is not judged.
    NotOurs,
    Judge {
        kind: Kind,
        scope: Scope,
        subject: Subject<'a>,
    },
    Own(Own),
    /// An object that must be judged and cannot be read; `target` is `None` if not even the
    /// kind of request can be read.
    Unreadable {
        target: Option<ReviewTarget>,
        why: String,
    },
}

/// An object of callgate's own configuration.
#[derive(Debug)]
pub(super) enum Own {
    /// The labels of a namespace before and after the request.
    Labels { before: Labels, after: Labels },
    /// A policy that is written.
    Policy(Box<Policy>),
    /// A policy that is deleted; the request names it.
    PolicyDeleted,
    /// A profile that is deleted; the request names it.
    ProfileDeleted,
    /// A profile that is written, and what is wrong with it.
    Profile(Vec<Finding>),
}

impl AdmissionRequest<'_> {
    /// The namespace of the request; the object need not name it.
    pub(super) fn namespace(&self) -> &str {
        self.raw.namespace.as_deref().unwrap_or_default()
    }

    /// Empty until the API server has generated it (2.2).
    pub(super) fn name(&self) -> Option<&str> {
        self.raw.name()
    }

    /// The plural name of the resource, such as `pods`.
    pub(super) fn resource(&self) -> &str {
        self.raw.resource.as_ref().and_then(|it| it.resource.as_deref()).unwrap_or_default()
    }

    pub(super) fn operation(&self) -> &str {
        self.raw.operation.as_deref().unwrap_or_default()
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.raw.dry_run.unwrap_or_default()
    }

    pub(super) fn is_from_a_node(&self) -> bool {
        let groups = self.raw.user.as_ref().and_then(|it| it.groups.as_ref());
        groups.is_some_and(|it| it.of_nodes)
    }
}

impl<'a> Object<'a> {
    /// A pod has a spec; a workload may leave out its template (S21).
    pub(super) fn judge(
        kind: Kind,
        scope: Scope,
        subject: Option<Subject<'a>>,
    ) -> Result<Self, &'static str> {
        match subject {
            Some(subject) if kind.is_template() || subject.pod.has_spec() => {
                Ok(Self::Judge { kind, scope, subject })
            }
            None if kind.is_template() => Ok(Self::NotOurs),
            _ => Err("it has no spec"),
        }
    }
}
