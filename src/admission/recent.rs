//! Namespaces whose labels have just changed, or are about to.
//!
//! The snapshot hears of a change by a watch, and a pod may be reviewed before that. So for a
//! moment after a change the labels of such a namespace are looked up, and of no other.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::admission::review::{AdmissionRequest, Object, Own};

/// For how long labels are looked up after a change.
const RECENT: Duration = Duration::from_secs(3);

/// How many namespaces are remembered; of further ones the snapshot decides.
const MOST: usize = 1024;

/// The namespaces, by name.
#[derive(Debug, Default)]
pub struct RecentChanges {
    changes: Mutex<BTreeMap<String, Instant>>,
    /// Whether there are any: most reviews need not wait for the others.
    is_any: AtomicBool,
}

impl RecentChanges {
    /// The labels of a namespace have changed, or will, if the API server stores them.
    pub fn note(&self, namespace: &str) {
        let mut changes = self.changes();
        if changes.len() >= MOST {
            changes.retain(|_, at| at.elapsed() < RECENT);
        }
        if changes.len() < MOST {
            changes.insert(namespace.to_owned(), Instant::now());
            self.is_any.store(true, Ordering::Relaxed);
        }
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
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let mut changes = self.changes();
        if changes.values().all(|at| at.elapsed() >= RECENT) {
            changes.clear();
            self.is_any.store(false, Ordering::Relaxed);
        }
        changes.get(namespace).is_some_and(|at| at.elapsed() < RECENT)
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_recent_for_a_moment_and_few_are_remembered() {
        let recent = RecentChanges::default();
        assert!(!recent.contains("shop"));
        for at in 0..MOST + 10 {
            recent.note(&format!("team-{at}"));
        }
        assert!(recent.contains("team-0") && recent.contains(&format!("team-{}", MOST - 1)));
        assert!(!recent.contains(&format!("team-{MOST}")), "there is no room");
        tokio::time::advance(RECENT).await;
        recent.note("shop");
        assert!(recent.contains("shop") && !recent.contains("team-0"));
        tokio::time::advance(RECENT).await;
        assert!(!recent.contains("shop"));
        assert!(!recent.is_any.load(Ordering::Relaxed));
    }
}
