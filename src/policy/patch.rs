//! Turns fixes into the JSON Patch (RFC 6902) that applies them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::{
    pod::{Annotation, Pod, Scope, Seccomp, Target},
    policy::{FieldPath, Fix, Level, Profile, pin},
    profile::ProfilePath,
};

/// What is done to a pod. No operation means that there is nothing to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    pub operations: Vec<Operation>,
    /// The profile that is set, if one is.
    pub injected: Option<Profile>,
    /// The profiles that the pod is kept to the nodes of.
    pub pinned: BTreeSet<ProfilePath>,
    /// The keys of the annotations that are taken away.
    pub removed: Vec<String>,
}

/// One step of a patch.
///
/// A patch that does not apply fails the request even where the webhook is set
/// to fail open (R1). So there is no `replace`, `add` only adds to objects that
/// are there, and `remove` only takes away what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    Add { path: String, value: Added },
    Remove { path: String },
}

/// What is added: a profile, inside a new security context where there is none;
/// or what a pod requires of its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Added {
    #[serde(rename_all = "camelCase")]
    Context {
        seccomp_profile: Declared,
    },
    Profile(Declared),
    Affinity(Value),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Declared {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    localhost_profile: Option<String>,
}

/// A fix, where it is wanted, and how seriously.
pub(super) struct Repair<'a> {
    pub(super) rule: &'static str,
    pub(super) field: FieldPath<'a>,
    pub(super) fix: Fix,
    pub(super) level: Level,
    pub(super) is_exempt: bool,
}

/// Where the profile of the policy is to be set, so that nothing of `repairs`
/// that it fixes remains.
///
/// `spared` is whether somebody is exempt from having a profile: only then is
/// it set per container. Otherwise one profile for the whole pod covers also
/// the sidecars and debug containers to come.
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

/// Builds the patch that removes the annotations of `repairs` from `pod`, an
/// object of kind Pod, sets `profile` at `places`, and keeps the pod to nodes
/// that have the `pinned` profiles.
pub(super) fn patch(
    pod: &Pod<'_>,
    scope: &Scope,
    repairs: &[&Repair<'_>],
    (profile, fields): (Option<&Profile>, &[FieldPath<'_>]),
    pinned: BTreeSet<ProfilePath>,
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
                    (parent, contexts.contains(field), Target::Container(name))
                }
                FieldPath::Pod | FieldPath::RuntimeClass | FieldPath::Annotation { .. } => {
                    ("/spec".to_owned(), pod.has_security_context(), Target::Pod)
                }
            };
            operations.push(add(&parent, has_context, profile));
            removed.extend(clashing.get(&target).into_iter().flatten());
        }
    }
    operations.extend(pin::steps(pod, &pinned.iter().filter_map(pin::label).collect()));
    let removed: Vec<_> = removed.into_iter().map(str::to_owned).collect();
    let remove =
        |key: &String| Operation::Remove { path: format!("/metadata/annotations/{}", escape(key)) };
    operations.extend(removed.iter().map(remove));
    Patch { operations, injected: injected.cloned(), pinned, removed }
}

/// The annotations that would make the API server refuse the pod for what we
/// inject (S15), by whom they are about. They go whatever the level of
/// `legacy-annotation`: the clash is of our making.
fn clashing<'a>(pod: &'a Pod<'_>, profile: &Profile) -> BTreeMap<Target<'a>, Vec<&'a str>> {
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

    /// No container can be called so, but nobody reads a name before we do.
    #[test]
    fn keys_are_escaped_as_pointers_demand() {
        assert_eq!(escape("a/b~c~1"), "a~1b~0c~01");
    }
}
