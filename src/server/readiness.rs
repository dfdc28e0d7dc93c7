//! Readiness: whether all conditions are met, and which are not.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

/// Conditions that all have to be met, and that the server is not draining.
///
/// A clone is a handle to the same conditions.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Shared>);

/// One of the conditions; unmet at first.
#[derive(Clone, Debug)]
pub struct Condition(Arc<State>);

#[derive(Debug, Default)]
struct Shared {
    conditions: Mutex<Vec<Condition>>,
    draining: AtomicBool,
    /// Notified when a condition changes.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    name: &'static str,
    met: AtomicBool,
    changed: watch::Sender<()>,
}

impl Readiness {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition, which must be met for readiness.
    #[must_use = "a condition that nobody holds is never met"]
    pub fn condition(&self, name: &'static str) -> Condition {
        let changed = self.0.changed.clone();
        let condition = Condition(Arc::new(State { name, met: AtomicBool::new(false), changed }));
        self.conditions().push(condition.clone());
        condition
    }

    /// Waits until no condition is missing.
    pub async fn ready(&self) {
        let mut changes = self.0.changed.subscribe();
        while !self.missing().is_empty() {
            // `self` holds a sender, so the channel cannot be closed.
            let _ = changes.changed().await;
        }
    }

    /// The conditions that are not met, in the order in which they were added; ready if there are
    /// none.
    pub fn missing(&self) -> Vec<&'static str> {
        let unmet: Vec<_> =
            self.conditions().iter().filter(|it| !it.is_met()).map(|it| it.0.name).collect();
        let draining = self.0.draining.load(Ordering::Relaxed);
        draining.then_some("draining").into_iter().chain(unmet).collect()
    }

    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    fn conditions(&self) -> MutexGuard<'_, Vec<Condition>> {
        self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    pub fn met(&self) {
        self.0.met.store(true, Ordering::Relaxed);
        self.0.changed.send_replace(());
    }

    pub fn unmet(&self) {
        self.0.met.store(false, Ordering::Relaxed);
        self.0.changed.send_replace(());
    }

    fn is_met(&self) -> bool {
        self.0.met.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_missing_without_conditions() {
        assert!(Readiness::new().missing().is_empty());
    }

    #[test]
    fn all_conditions_have_to_be_met_and_stay_met() {
        let readiness = Readiness::new();
        let certificate = readiness.condition("certificate");
        let policies = readiness.condition("policies");
        assert_eq!(readiness.missing(), ["certificate", "policies"]);
        certificate.met();
        assert_eq!(readiness.missing(), ["policies"]);
        policies.met();
        assert!(readiness.missing().is_empty());
        certificate.unmet();
        assert_eq!(readiness.missing(), ["certificate"]);
    }

    #[tokio::test]
    async fn a_waiter_is_woken_by_the_last_condition() {
        let readiness = Readiness::new();
        let (first, second) = (readiness.condition("first"), readiness.condition("second"));
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.ready().await }
        });
        second.met();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        first.met();
        waiting.await.unwrap();
    }

    #[test]
    fn a_draining_server_is_not_ready_and_every_handle_knows() {
        let readiness = Readiness::new();
        readiness.condition("certificate").met();
        readiness.clone().drain();
        assert_eq!(readiness.missing(), ["draining"]);
    }
}
