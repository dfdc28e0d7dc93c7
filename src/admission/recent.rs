//! Namespaces whose labels have just changed, or are about to.
//!
//! The snapshot hears of a change by a watch, and a pod may be reviewed before that. So for a
//! moment after a change the labels of such a namespace are looked up, and of no other.

use std::time::Duration;

use crate::{
    admission::request::{AdmissionRequest, Object, Own},
    recent::RecentNames,
};

/// For how long labels are looked up after a change.
const RECENT: Duration = Duration::from_secs(3);

/// How many namespaces are remembered; of further ones the snapshot decides.
const MOST: usize = 1024;

/// The namespaces, by name.
#[derive(Debug)]
pub struct RecentChanges(RecentNames);

impl Default for RecentChanges {
    fn default() -> Self {
        Self(RecentNames::new(RECENT, MOST))
    }
}

impl RecentChanges {
    /// The labels of a namespace have changed, or will, if the API server stores them.
    pub fn note(&self, namespace: &str) {
        self.0.note(namespace);
    }

    /// Notes the namespace whose labels a request changes.
    pub(super) fn note_change(&self, request: &AdmissionRequest<'_>) {
        if let Object::Own(Own::Labels { before, after }) = &request.object
            && before != after
            && !request.is_dry_run()
            && let Some(name) = request.name()
        {
            self.note(name);
        }
    }

    pub(super) fn contains(&self, namespace: &str) -> bool {
        self.0.contains(namespace)
    }
}
