//! What is reported of the containers of a node.

use serde::{Deserialize, Serialize};

use super::{Container, Declared, PodOnNode};

/// How many containers a report names.
pub const MOST_LISTED: usize = 100;

/// The containers of a node, by what they run under. Its JSON is `status.containers` of a
/// `SeccompNode`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Containers {
    /// Every process that was seen is under a filter.
    pub filter: usize,
    /// At least one process is not.
    pub none: usize,
    /// Every process is in the strict mode.
    pub strict: usize,
    /// It runs, and no process of it was seen, or none for long enough.
    pub unknown: usize,
    /// Those of `none`: first those whose pod declares a filter.
    pub unfiltered: Vec<Unfiltered>,
    /// How many more there are in `none` than the list has room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlisted: Option<usize>,
}

/// A container of a pod, and what the pod declares for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub container: String,
    #[serde(flatten)]
    pub declared: Declared,
}

/// A container that runs without a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfiltered {
    #[serde(flatten)]
    pub place: Place,
    pub processes: Extent,
    /// Whether none of the processes without a filter can gain rights.
    pub no_new_privs: bool,
}

/// Which processes of a container are without a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Extent {
    All,
    Some,
}

impl Containers {
    /// Puts the list into its order, and cuts it.
    pub(super) fn bounded(mut self) -> Self {
        self.unfiltered.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let more = self.unfiltered.len().saturating_sub(MOST_LISTED);
        self.unlisted = Some(more).filter(|it| *it > 0);
        self.unfiltered.truncate(MOST_LISTED);
        self
    }

    /// The listed containers whose pod declares a filter.
    pub fn contradictions(&self) -> impl Iterator<Item = &Unfiltered> {
        self.unfiltered.iter().filter(|it| it.place.declared.asks_for_a_filter())
    }
}

impl Place {
    pub(crate) fn of(pod: &PodOnNode, container: &Container) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
            container: container.name.clone(),
            declared: container.declared.clone(),
        }
    }
}

impl Unfiltered {
    fn rank(&self) -> (bool, &str, &str, &str) {
        let Place { namespace, pod, container, declared, .. } = &self.place;
        (!declared.asks_for_a_filter(), namespace, pod, container)
    }
}
