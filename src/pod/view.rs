//! The fields of a pod that callgate reads; the parser skips all others.
//!
//! All fields are optional, since mutating admission sees objects that the API
//! server has not validated yet (S1). A field that is there but has the wrong type
//! makes the pod unreadable, never a pod without that field.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{
    json::{Bounded, Entry, objects, within_bounds},
    pod::{Str, affinity::Affinity, annotation::is_read, toleration::Toleration},
};

objects! {
    /// A pod, or the template of one.
    pub struct Pod<'a> {
        pub(super) metadata("metadata"): Metadata<'a>,
        pub(super) spec("spec"): Spec<'a>,
    }

    /// The metadata of any object.
    pub struct Metadata<'a> {
        name("name"): Str<'a>,
        generate_name("generateName"): Str<'a>,
        labels("labels"): Pairs<'a, AllKeys>,
        annotations("annotations"): Pairs<'a, ReadAnnotations>,
    }

    /// The fields of `PodSpec` that callgate reads.
    pub struct Spec<'a> {
        os("os"): Os<'a>,
        pub(super) node_name("nodeName"): Str<'a>,
        pub(super) affinity("affinity"): Affinity<'a>,
        pub(super) node_selector("nodeSelector"): Pairs<'a, AllKeys>,
        pub(super) tolerations("tolerations"): Bounded<Toleration<'a>>,
        runtime_class_name("runtimeClassName"): Str<'a>,
        service_account_name("serviceAccountName"): Str<'a>,
        pub(super) security_context("securityContext"): SecurityContext<'a>,
        pub(super) init_containers("initContainers"): Bounded<RawContainer<'a>>,
        pub(super) containers("containers"): Bounded<RawContainer<'a>>,
        pub(super) ephemeral_containers("ephemeralContainers"): Bounded<RawContainer<'a>>,
    }

    struct Os<'a> {
        name("name"): Str<'a>,
    }

    /// The security context of a pod (which has no `privileged`, S11) or of a container.
    pub(super) struct SecurityContext<'a> {
        pub(super) privileged("privileged"): bool,
        pub(super) seccomp_profile("seccompProfile"): RawProfile<'a>,
    }

    pub(super) struct RawProfile<'a> {
        pub(super) kind("type"): Str<'a>,
        pub(super) localhost_profile("localhostProfile"): Str<'a>,
    }

    pub(super) struct RawContainer<'a> {
        pub(super) name("name"): Str<'a>,
        pub(super) image("image"): Str<'a>,
        pub(super) security_context("securityContext"): SecurityContext<'a>,
    }
}

impl Entry for RawContainer<'_> {}

/// Which keys of a string map are kept.
pub(super) trait Keys {
    fn keep(key: &str) -> bool;
}

#[derive(Debug, Default)]
pub(super) struct AllKeys;

#[derive(Debug, Default)]
pub(super) struct ReadAnnotations;

/// A string map as borrowed pairs, in the order of the document.
///
/// `kubectl.kubernetes.io/last-applied-configuration` may hold the whole
/// object once more: the values of other keys are skipped.
#[derive(Debug, Default)]
pub(super) struct Pairs<'a, K>(pub(super) Vec<(Str<'a>, Str<'a>)>, PhantomData<K>);

// === impl Pod ===

impl<'a> Pod<'a> {
    /// The name, or else `generateName`: the API server generates the name only
    /// after mutation.
    pub fn name(&self) -> Option<&str> {
        self.metadata.as_ref().and_then(Metadata::name)
    }

    pub fn is_windows(&self) -> bool {
        // S13: only `spec.os.name` counts. A node selector proves nothing.
        self.os() == Some("windows")
    }

    /// `spec.os.name`, if it is set.
    pub fn os(&self) -> Option<&str> {
        let os = self.spec.as_ref()?.os.as_ref()?;
        os.name.as_deref().filter(|it| !it.is_empty())
    }

    /// `spec.runtimeClassName`; without one, nodes use their default handler.
    pub fn runtime_class(&self) -> Option<&str> {
        let class = self.spec.as_ref()?.runtime_class_name.as_deref();
        class.filter(|it| !it.is_empty())
    }

    /// The service account; `default` if the spec names none, as in the API server.
    pub fn service_account(&self) -> &str {
        let named = self.spec.as_ref().and_then(|it| it.service_account_name.as_deref());
        named.filter(|it| !it.is_empty()).unwrap_or("default")
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.label(key)
    }

    pub(super) fn read_annotations(&self) -> impl Iterator<Item = (&Str<'a>, &Str<'a>)> {
        let annotations = self.metadata.as_ref().and_then(|it| it.annotations.as_ref());
        annotations.into_iter().flat_map(|it| it.0.iter().map(|(key, value)| (key, value)))
    }

    pub fn has_spec(&self) -> bool {
        self.spec.is_some()
    }

    /// Whether `spec.securityContext` is an object, so that a patch can add to it.
    pub fn has_security_context(&self) -> bool {
        self.spec.as_ref().is_some_and(|it| it.security_context.is_some())
    }
}

impl Metadata<'_> {
    pub fn label(&self, key: &str) -> Option<&str> {
        let labels = self.labels.as_ref()?;
        labels.0.iter().find(|(it, _)| &**it == key).map(|(_, value)| &**value)
    }

    pub(super) fn name(&self) -> Option<&str> {
        let name = self.name.as_deref().filter(|it| !it.is_empty());
        name.or(self.generate_name.as_deref().filter(|it| !it.is_empty()))
    }
}

impl Keys for AllKeys {
    fn keep(_: &str) -> bool {
        true
    }
}

impl Keys for ReadAnnotations {
    fn keep(key: &str) -> bool {
        is_read(key)
    }
}

impl<'de: 'a, 'a, K: Keys> Deserialize<'de> for Pairs<'a, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<'a, K>(PhantomData<(&'a (), K)>);

        impl<'de: 'a, 'a, K: Keys> Visitor<'de> for PairsVisitor<'a, K> {
            type Value = Pairs<'a, K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<Str<'a>>()? {
                    if K::keep(&key) {
                        // Go writes an empty string map value as "", but null is legal JSON.
                        let value = map.next_value::<Option<Str<'a>>>()?.unwrap_or_default();
                        pairs.push((key, value));
                        within_bounds(pairs.len())?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Pairs(pairs, PhantomData))
            }
        }

        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}
