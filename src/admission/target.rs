//! Which requests are judged, and which part of their object (1.7).

use crate::{
    group::{GROUP, OwnKind, POLICY, PROFILE},
    pod::Kind,
};

/// What is judged of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReviewTarget {
    /// The whole object: a new pod, or a template that is written.
    Whole(Kind),
    /// The ephemeral containers that the pod did not have before.
    Added,
    /// The containers of an existing pod whose image changes.
    ImagesChanged,
    /// The labels of a namespace that is written.
    Labels,
    /// A `SeccompPolicy` that is written.
    Policy,
    /// A `SeccompPolicy` that is deleted.
    PolicyDeleted,
    /// A `SeccompProfile` that is written.
    Profile,
    /// A `SeccompProfile` that is deleted.
    ProfileDeleted,
}

impl ReviewTarget {
    /// `None` for requests that are allowed unread (Q1): other kinds, and deletions of pods. Of an
    /// existing pod only images can change (S18).
    pub(super) fn of(group: &str, resource: &str, sub: &str, operation: &str) -> Option<Self> {
        let written = sub.is_empty() && matches!(operation, "CREATE" | "UPDATE");
        let deleted = operation == "DELETE";
        let own = |it: OwnKind| group == GROUP && resource == it.plural;
        match resource {
            "namespaces" if group.is_empty() && written => return Some(Self::Labels),
            _ if own(POLICY) && written => return Some(Self::Policy),
            _ if own(PROFILE) && written => return Some(Self::Profile),
            _ if own(POLICY) && deleted => return Some(Self::PolicyDeleted),
            _ if own(PROFILE) && deleted => return Some(Self::ProfileDeleted),
            _ => {}
        }
        let kind = Kind::of_resource(group, resource)?;
        match (kind, sub, operation) {
            (Kind::Pod, "", "CREATE") => Some(Self::Whole(kind)),
            (Kind::Pod, "", "UPDATE") => Some(Self::ImagesChanged),
            (Kind::Pod, "ephemeralcontainers", "UPDATE") => Some(Self::Added),
            (Kind::Pod, ..) => None,
            _ if written => Some(Self::Whole(kind)),
            _ => None,
        }
    }

    /// The kind of an object that is read in the same pass as the request.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::Whole(kind) => Some(kind),
            Self::Added | Self::ImagesChanged => Some(Kind::Pod),
            Self::Labels | Self::Policy | Self::PolicyDeleted => None,
            Self::Profile | Self::ProfileDeleted => None,
        }
    }

    /// The noun for the object in messages.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Whole(kind) => kind.noun(),
            Self::Added | Self::ImagesChanged => Kind::Pod.noun(),
            Self::Labels => "namespace",
            Self::Policy | Self::PolicyDeleted => "policy",
            Self::Profile | Self::ProfileDeleted => "profile",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_new_pod("", "pods", "", "CREATE", Some(ReviewTarget::Whole(Kind::Pod)))]
    #[case::a_changed_pod("", "pods", "", "UPDATE", Some(ReviewTarget::ImagesChanged))]
    #[case::a_pods_status("", "pods", "status", "UPDATE", None)]
    #[case::a_deleted_pod("", "pods", "", "DELETE", None)]
    #[case::a_debug_container(
        "",
        "pods",
        "ephemeralcontainers",
        "UPDATE",
        Some(ReviewTarget::Added)
    )]
    #[case::a_binding("", "pods", "binding", "CREATE", None)]
    #[case::a_shell("", "pods", "exec", "CONNECT", None)]
    #[case::a_resize("", "pods", "resize", "UPDATE", None)]
    #[case::a_template(
        "apps",
        "deployments",
        "",
        "UPDATE",
        Some(ReviewTarget::Whole(Kind::Deployment))
    )]
    #[case::a_scaling("apps", "deployments", "scale", "UPDATE", None)]
    #[case::a_status("apps", "deployments", "status", "UPDATE", None)]
    #[case::a_stranger("example.com", "pods", "", "CREATE", None)]
    #[case::a_namespace("", "namespaces", "", "UPDATE", Some(ReviewTarget::Labels))]
    #[case::a_namespace_that_ends("", "namespaces", "", "DELETE", None)]
    #[case::the_end_of_a_namespace("", "namespaces", "finalize", "UPDATE", None)]
    #[case::a_policy("callgate.dev", "seccomppolicies", "", "CREATE", Some(ReviewTarget::Policy))]
    #[case::a_profile("callgate.dev", "seccompprofiles", "", "UPDATE", Some(ReviewTarget::Profile))]
    #[case::its_status("callgate.dev", "seccomppolicies", "status", "UPDATE", None)]
    #[case::its_end(
        "callgate.dev",
        "seccomppolicies",
        "",
        "DELETE",
        Some(ReviewTarget::PolicyDeleted)
    )]
    #[case::its_end_too(
        "callgate.dev",
        "seccompprofiles",
        "",
        "DELETE",
        Some(ReviewTarget::ProfileDeleted)
    )]
    #[case::a_config_map("", "configmaps", "", "CREATE", None)]
    fn is_ours(
        #[case] group: &str,
        #[case] resource: &str,
        #[case] sub: &str,
        #[case] operation: &str,
        #[case] expected: Option<ReviewTarget>,
    ) {
        assert_eq!(ReviewTarget::of(group, resource, sub, operation), expected);
    }
}
