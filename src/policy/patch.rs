//! Turns fixes into the JSON Patch (RFC 6902) that applies them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    pod::{Annotation, AnnotationTarget, Pod, Scope, Seccomp},
    policy::{
        FieldPath, Fix, Level, Profile,
        operation::{Added, Declared, Operation},
        pin::{self, NodeLabel},
    },
    profile::ProfilePath,
};

/// The changes to a pod. Without operations there is nothing to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    pub operations: Vec<Operation>,
    /// The profile that is injected, if one is.
    pub injected: Option<Profile>,
    /// The profiles to whose nodes the pod is pinned.
    pub pinned: BTreeSet<ProfilePath>,
    /// The keys of the annotations that are removed.
    pub removed: Vec<String>,
}

/// A fix, the field it is for, and the level of its finding.
pub(super) struct Repair<'a> {
    pub(super) rule: &'static str,
    pub(super) field: FieldPath<'a>,
    pub(super) fix: Fix,
    pub(super) level: Level,
    /// Its level in mode enforce, if it is not exempt.
    pub(super) enforced: Level,
    pub(super) is_exempt: bool,
}

/// The fields at which the profile of the policy is set, so that no finding remains that it
/// fixes.
///
/// `spared`: whether a container is exempt from having a profile. Only then it is set per
/// container. Otherwise one profile for the whole pod covers later sidecars and debug containers
/// too.
pub(super) fn injections<'a>(
    pod: &'a Pod<'_>,
    scope: &Scope,
    repairs: &[&Repair<'_>],
    spared: bool,
) -> Vec<FieldPath<'a>> {
    let unset = repairs.iter().filter(|it| it.fix == Fix::Inject);
    let unset: BTreeSet<_> = unset.map(|it| it.field).collect();
    let all = pod.containers().map(|it| FieldPath::of(&it));
    let fields: Vec<_> = all.filter(|it| unset.contains(it)).collect();
    let whole = *scope == Scope::Whole && !spared && !fields.is_empty();
    if whole { vec![FieldPath::Pod] } else { fields }
}

/// Builds the patch for `pod`, an object of kind Pod: removes the annotations of `repairs`, sets
/// `profile` at the fields, and pins the pod to nodes that have the `pinned` profiles.
pub(super) fn patch(
    pod: &Pod<'_>,
    scope: &Scope,
    repairs: &[&Repair<'_>],
    (profile, fields): (Option<&Profile>, &[FieldPath<'_>]),
    (pinned, labels): (BTreeSet<ProfilePath>, &BTreeSet<NodeLabel>),
) -> Patch {
    let mut operations = Vec::new();
    let mut removed: BTreeSet<&str> = BTreeSet::new();
    for it in repairs {
        if let (Fix::RemoveAnnotation, FieldPath::Annotation { key }) = (&it.fix, it.field) {
            removed.insert(key);
        }
    }
    let injected = profile.filter(|_| !fields.is_empty());
    if let Some(profile) = injected {
        let contexts = pod.containers().filter(|it| it.has_security_context);
        let contexts: BTreeSet<_> = contexts.map(|it| FieldPath::of(&it)).collect();
        let clashing = match scope {
            Scope::Whole => clashing(pod, profile),
            Scope::AddedTo { .. } | Scope::ImagesChanged { .. } => BTreeMap::new(),
        };
        for field in fields {
            let (parent, has_context, target) = match field {
                FieldPath::Container { list, index, name, .. } => {
                    let parent = format!("/spec/{}/{index}", list.field());
                    (parent, contexts.contains(field), AnnotationTarget::Container(name))
                }
                FieldPath::Pod | FieldPath::RuntimeClass | FieldPath::Annotation { .. } => {
                    ("/spec".to_owned(), pod.has_security_context(), AnnotationTarget::Pod)
                }
            };
            operations.push(add(&parent, has_context, profile));
            removed.extend(clashing.get(&target).into_iter().flatten());
        }
    }
    operations.extend(pin::steps(pod, labels));
    let removed: Vec<_> = removed.into_iter().map(str::to_owned).collect();
    let remove =
        |key: &String| Operation::Remove { path: format!("/metadata/annotations/{}", escape(key)) };
    operations.extend(removed.iter().map(remove));
    Patch { operations, injected: injected.cloned(), pinned, removed }
}

/// The annotations for which the API server would reject the pod after the injection (S15), by
/// the container that they are about. They are removed whatever the level of
/// `legacy-annotation`: callgate causes the conflict.
fn clashing<'a>(
    pod: &'a Pod<'_>,
    profile: &Profile,
) -> BTreeMap<AnnotationTarget<'a>, Vec<&'a str>> {
    let injected = match profile {
        Profile::RuntimeDefault => Seccomp::RuntimeDefault,
        Profile::Localhost(path) => Seccomp::Localhost(Some(path.as_str())),
    };
    let mut clashing = BTreeMap::<_, Vec<_>>::new();
    for Annotation { key, target, .. } in
        pod.legacy_annotations().filter(|it| it.contradicts(injected))
    {
        clashing.entry(target).or_default().push(key);
    }
    clashing
}

fn add(parent: &str, has_context: bool, profile: &Profile) -> Operation {
    let declared = match profile {
        Profile::RuntimeDefault => Declared { kind: "RuntimeDefault", localhost_profile: None },
        Profile::Localhost(path) => {
            Declared { kind: "Localhost", localhost_profile: Some(path.as_str().to_owned()) }
        }
    };
    let path = format!("{parent}/securityContext");
    if has_context {
        Operation::Add { path: path + "/seccompProfile", value: Added::Profile(declared) }
    } else {
        Operation::Add { path, value: Added::Context { seccomp_profile: declared } }
    }
}

/// RFC 6901, section 3 (S17).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The API server allows no such name, but it validates names after the webhooks.
    #[test]
    fn keys_are_escaped_as_pointers_demand() {
        assert_eq!(escape("a/b~c~1"), "a~1b~0c~01");
    }
}
