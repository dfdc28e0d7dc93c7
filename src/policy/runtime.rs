//! Runtime classes, and the handlers that run the containers of their pods.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, de};

use crate::{profile::is_label, spelling};

/// The handler of each `RuntimeClass`. Outside a cluster the classes are unknown: each then has
/// a handler of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeClasses(Option<Arc<BTreeMap<String, String>>>);

/// The handlers that apply seccomp profiles, by the names that the container runtime has for
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handlers(Vec<String>);

/// What containerd and CRI-O call the two runtimes that install the profile by libseccomp.
const WELL_KNOWN: [&str; 2] = ["runc", "crun"];

impl RuntimeClasses {
    pub fn of_cluster(handlers: BTreeMap<String, String>) -> Self {
        Self(Some(Arc::new(handlers)))
    }

    /// The handler of a class; `None` if the class does not exist.
    pub fn handler<'a>(&'a self, class: &'a str) -> Option<&'a str> {
        match &self.0 {
            Some(handlers) => handlers.get(class).map(String::as_str),
            None => Some(class),
        }
    }

    /// The existing class with the most similar name, if one is similar.
    pub(super) fn closest(&self, class: &str) -> Option<&str> {
        let classes = self.0.iter().flat_map(|it| it.keys());
        spelling::nearest(class, classes.map(String::as_str))
    }
}

impl Handlers {
    pub(super) fn contains(&self, handler: &str) -> bool {
        self.0.iter().any(|it| it == handler)
    }
}

impl Default for Handlers {
    fn default() -> Self {
        Self(WELL_KNOWN.map(str::to_owned).into())
    }
}

impl<'de> Deserialize<'de> for Handlers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(names) = Option::<Vec<String>>::deserialize(deserializer)? else {
            return Ok(Self::default());
        };
        match names.iter().find(|it| !is_label(it)) {
            None => Ok(Self(names)),
            Some(none) => Err(de::Error::custom(format!(
                "{none:?} is no name of a runtime handler: at most 63 lower case letters, digits and hyphens"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_cluster_a_class_stands_for_a_handler_of_its_name() {
        let classes = RuntimeClasses::default();
        assert_eq!(classes.handler("kata"), Some("kata"));
        assert_eq!(classes.closest("kato"), None);
    }

    #[test]
    fn in_a_cluster_a_class_has_the_handler_of_its_object_or_is_none() {
        let handlers = [("sandboxed", "runsc"), ("fast", "runc")];
        let handlers = handlers.map(|(class, handler)| (class.to_owned(), handler.to_owned()));
        let classes = RuntimeClasses::of_cluster(handlers.into());
        assert_eq!(classes.handler("sandboxed"), Some("runsc"));
        assert_eq!(classes.handler("runsc"), None);
        assert_eq!(classes.closest("fats"), Some("fast"));
        assert_eq!(classes.closest("something-else"), None);
    }
}
