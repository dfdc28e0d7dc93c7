//! The node selector and the tolerations of a pod.

use crate::{
    json::{Entry, objects},
    pod::{Pod, Str},
};

objects! {
    /// A toleration. An absent field is the empty string, as in Go.
    pub struct Toleration<'a> {
        key("key"): Str<'a>,
        operator("operator"): Str<'a>,
        value("value"): Str<'a>,
        effect("effect"): Str<'a>,
    }
}

impl Entry for Toleration<'_> {}

impl<'a> Pod<'a> {
    /// The labels that a node must have.
    pub fn node_selector(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.spec.as_ref().and_then(|it| it.node_selector.as_ref());
        pairs.into_iter().flat_map(|it| it.0.iter().map(|(key, value)| (&**key, &**value)))
    }

    pub fn tolerations(&self) -> &[Toleration<'a>] {
        let tolerations = self.spec.as_ref().and_then(|it| it.tolerations.as_deref());
        tolerations.unwrap_or_default()
    }
}

impl Toleration<'_> {
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    pub fn operator(&self) -> &str {
        self.operator.as_deref().unwrap_or_default()
    }

    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    pub fn effect(&self) -> &str {
        self.effect.as_deref().unwrap_or_default()
    }
}
