//! Remembers names for a moment, and only a limited number of them.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Names that are each remembered for the same time. If there is no room, further names are not.
#[derive(Debug)]
pub(crate) struct RecentNames {
    names: Mutex<BTreeMap<String, Instant>>,
    /// Whether there are any names: most look-ups then need no lock.
    is_any: AtomicBool,
    lasts: Duration,
    most: usize,
}

impl RecentNames {
    /// Remembers `most` names, each for as long as `lasts`.
    pub(crate) fn new(lasts: Duration, most: usize) -> Self {
        Self { names: Mutex::default(), is_any: AtomicBool::new(false), lasts, most }
    }

    pub(crate) fn note(&self, name: &str) {
        let mut names = self.names();
        if names.len() >= self.most {
            names.retain(|_, at| at.elapsed() < self.lasts);
        }
        if names.len() < self.most {
            names.insert(name.to_owned(), Instant::now());
            self.is_any.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let mut names = self.names();
        if names.values().all(|at| at.elapsed() >= self.lasts) {
            names.clear();
            self.is_any.store(false, Ordering::Relaxed);
        }
        names.get(name).is_some_and(|at| at.elapsed() < self.lasts)
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many names are stored, expired ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.names().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1024;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_recent_for_a_moment_and_few_are_remembered() {
        let lasts = Duration::from_secs(3);
        let recent = RecentNames::new(lasts, MOST);
        assert!(!recent.contains("shop"));
        for at in 0..MOST + 10 {
            recent.note(&format!("team-{at}"));
        }
        assert!(recent.contains("team-0") && recent.contains(&format!("team-{}", MOST - 1)));
        assert!(!recent.contains(&format!("team-{MOST}")), "there is no room");
        tokio::time::advance(lasts).await;
        recent.note("shop");
        assert!(recent.contains("shop") && !recent.contains("team-0"));
        tokio::time::advance(lasts).await;
        assert!(!recent.contains("shop"));
        assert!(!recent.is_any.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn each_name_expires_on_its_own_while_later_ones_are_remembered() {
        let lasts = Duration::from_secs(3);
        let recent = RecentNames::new(lasts, MOST);
        recent.note("shop");
        tokio::time::advance(Duration::from_secs(2)).await;
        recent.note("bank");
        assert!(recent.contains("shop") && recent.contains("bank"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!recent.contains("shop") && recent.contains("bank"));
        recent.note("shop");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(recent.contains("shop") && !recent.contains("bank"));
    }
}
