//! The API group `callgate.dev`: the names of what callgate reads and writes in
//! a cluster, each written here once.
//!
//! Derives of serde and kube take literals alone, so theirs are repeated there;
//! tests compare them with these.

/// The group of callgate's own kinds, and the domain of its keys.
pub const GROUP: &str = "callgate.dev";

/// How the names of callgate's webhooks end.
pub const WEBHOOK_SUFFIX: &str = ".callgate.dev";

/// `apiVersion` of callgate's own kinds.
pub const API_VERSION: &str = "callgate.dev/v1alpha1";

/// The path below which the API server has callgate's own kinds.
pub const API_PATH: &str = "/apis/callgate.dev/v1alpha1";

/// A kind of the group: its name, its plural, and where its objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnKind {
    pub kind: &'static str,
    pub plural: &'static str,
    pub path: &'static str,
}

pub const POLICY: OwnKind = OwnKind {
    kind: "SeccompPolicy",
    plural: "seccomppolicies",
    path: "/apis/callgate.dev/v1alpha1/seccomppolicies",
};

pub const PROFILE: OwnKind = OwnKind {
    kind: "SeccompProfile",
    plural: "seccompprofiles",
    path: "/apis/callgate.dev/v1alpha1/seccompprofiles",
};

pub const NODE: OwnKind = OwnKind {
    kind: "SeccompNode",
    plural: "seccompnodes",
    path: "/apis/callgate.dev/v1alpha1/seccompnodes",
};

/// Of the component `evidence`. Its objects have a namespace each; the path is that of all.
pub const EVIDENCE: OwnKind = OwnKind {
    kind: "SeccompEvidence",
    plural: "seccompevidences",
    path: "/apis/callgate.dev/v1alpha1/seccompevidences",
};

/// Of the component `in-process` alone.
pub const COMPILED: OwnKind = OwnKind {
    kind: "CompiledPolicies",
    plural: "compiledpolicies",
    path: "/apis/callgate.dev/v1alpha1/compiledpolicies",
};

/// The label by which a namespace opts in; its value is the name of a policy.
pub const POLICY_LABEL: &str = "callgate.dev/policy";

/// The label that sets the mode of a namespace.
pub const MODE_LABEL: &str = "callgate.dev/mode";

/// The prefix of the labels that an agent sets on its node, one for each profile
/// that is installed there; the value is the beginning of the file's digest.
pub const PROFILE_LABEL_PREFIX: &str = "profile.callgate.dev/";

/// The taint with which a node may register, so that no pod lands on it before
/// its profiles are installed.
pub const NOT_READY_TAINT: &str = "callgate.dev/agent-not-ready";

/// The condition that an agent sets on its node.
pub const NODE_CONDITION: &str = "SeccompProfilesReady";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_of_the_group() {
        assert_eq!(WEBHOOK_SUFFIX, format!(".{GROUP}"));
        assert_eq!(API_VERSION, format!("{GROUP}/v1alpha1"));
        assert_eq!(API_PATH, format!("/apis/{API_VERSION}"));
        for kind in [POLICY, PROFILE, NODE, EVIDENCE, COMPILED] {
            assert_eq!(kind.path, format!("{API_PATH}/{}", kind.plural));
        }
        for key in [POLICY_LABEL, MODE_LABEL, NOT_READY_TAINT] {
            assert!(key.starts_with(&format!("{GROUP}/")), "{key}");
        }
        assert_eq!(PROFILE_LABEL_PREFIX, format!("profile.{GROUP}/"));
    }
}
