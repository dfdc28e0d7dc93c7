//! Decides what to write about which namespace, and when: at most once a minute for each, however
//! many pods are denied.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::{Duration, Instant},
};

use super::tally::{Refused, Tally};
use crate::cluster::{budget::Budget, clock_reading::ClockReading};

/// How long after the first pod of a namespace it is written, so that the others of a rollout are
/// in the same write.
const SOON: Duration = Duration::from_secs(2);

/// The least time between two writes about one namespace.
const PAUSE: Duration = Duration::from_mins(1);

/// The backoff after a write that failed doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// The backoff after a conflict with another replica. It doubles with each.
const CONFLICT: Duration = Duration::from_secs(1);

/// How many findings are kept until they are written, in all namespaces together. If there is no room, a
/// namespace keeps those of one pod.
const MOST: usize = 5_000;

/// How many writes may follow each other at once, and the interval between further ones.
const BUDGET: Budget = Budget::new(50, Duration::from_millis(100));

/// What to write: the object of a namespace is created if there is none, and the counts are added
/// to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) namespace: String,
    /// Empty if the object is only to exist.
    pub(super) tally: Tally,
}

/// What was found and is not written yet, and which namespaces have an object.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The namespaces that are to have an object.
    wanted: BTreeSet<String>,
    /// Those that have one; `None` until they have been listed.
    present: Option<BTreeSet<String>>,
    namespaces: BTreeMap<String, Entry>,
    budget: Budget,
    is_stopping: bool,
}

#[derive(Debug)]
struct Entry {
    tally: Tally,
    /// Whether the object is to be created, even if nothing was found.
    is_missing: bool,
    /// The earliest instant for the next write.
    due: Instant,
    /// How many writes have failed since the last one that did not.
    failures: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            wanted: BTreeSet::new(),
            present: None,
            namespaces: BTreeMap::new(),
            budget: BUDGET,
            is_stopping: false,
        }
    }
}

impl Ledger {
    /// Counts a pod.
    pub(super) fn note(&mut self, pod: Refused, now: ClockReading) {
        let kept: usize = self.namespaces.values().map(|it| it.tally.listed()).sum();
        let soon = if self.is_stopping { Duration::ZERO } else { SOON };
        let entry = self.entry(&pod.namespace, now.monotonic);
        if entry.tally.is_empty() {
            entry.due = entry.due.max(now.monotonic + soon);
        }
        let may_grow = kept < MOST || entry.tally.listed() == 0;
        entry.tally.note(pod, may_grow, now.wall);
    }

    /// Sets the namespaces that are to have an object.
    pub(super) fn wants(&mut self, namespaces: BTreeSet<String>, now: Instant) {
        self.wanted = namespaces;
        self.find_missing(now);
    }

    /// Sets the namespaces that have an object.
    pub(super) fn listed(&mut self, namespaces: BTreeSet<String>, now: Instant) {
        self.present = Some(namespaces);
        self.find_missing(now);
    }

    fn find_missing(&mut self, now: Instant) {
        let Some(present) = &self.present else { return };
        let missing: BTreeSet<_> = self.wanted.difference(present).cloned().collect();
        for (namespace, it) in &mut self.namespaces {
            it.is_missing = missing.contains(namespace);
        }
        for namespace in missing {
            self.entry(&namespace, now).is_missing = true;
        }
        self.namespaces.retain(|_, it| it.is_open() || it.due > now);
    }

    /// Everything is to be written at once, since the replica stops.
    pub(super) fn stop(&mut self, now: Instant) {
        self.is_stopping = true;
        for it in self.namespaces.values_mut() {
            it.due = now;
        }
    }

    /// Whether something was found that is not written.
    pub(super) fn has_unwritten(&self) -> bool {
        self.namespaces.values().any(|it| !it.tally.is_empty())
    }

    /// The next write that is due, if any. Its counts are taken out.
    pub(super) fn next(&mut self, now: Instant) -> Option<Write> {
        if self.wake()? > now {
            return None;
        }
        let open = self.namespaces.iter_mut().filter(|(_, it)| it.is_open());
        let (namespace, entry) = open.min_by_key(|(_, it)| it.due)?;
        self.budget.spend(now);
        entry.due = now + PAUSE;
        entry.is_missing = false;
        let (namespace, tally) = (namespace.clone(), mem::take(&mut entry.tally));
        Some(Write { namespace, tally })
    }

    /// When the next write is due, if nothing happens until then.
    pub(super) fn wake(&self) -> Option<Instant> {
        let open = self.namespaces.values().filter(|it| it.is_open());
        let due = open.map(|it| it.due).min()?;
        Some(self.budget.free().map_or(due, |it| it.max(due)))
    }

    pub(super) fn written(&mut self, namespace: &str) {
        if let Some(present) = &mut self.present {
            present.insert(namespace.to_owned());
        }
        if let Some(it) = self.namespaces.get_mut(namespace) {
            it.failures = 0;
        }
    }

    /// The write failed: its counts are written later, with those that have come since.
    pub(super) fn failed(&mut self, write: Write, now: Instant) {
        self.put_back(write, now, PAUSE, LONGEST_PAUSE);
    }

    /// Another replica wrote at the same time.
    pub(super) fn conflicted(&mut self, write: Write, now: Instant) {
        self.put_back(write, now, CONFLICT, PAUSE);
    }

    /// The namespace is gone, or is being deleted.
    pub(super) fn gone(&mut self, namespace: &str) {
        self.wanted.remove(namespace);
        self.namespaces.remove(namespace);
    }

    fn put_back(&mut self, write: Write, now: Instant, least: Duration, most: Duration) {
        let Write { namespace, tally } = write;
        let is_missing = tally.is_empty();
        let entry = self.entry(&namespace, now);
        entry.tally.merge(tally);
        entry.is_missing |= is_missing;
        entry.due = now + least.saturating_mul(1 << entry.failures.min(16)).min(most);
        entry.failures += 1;
    }

    fn entry(&mut self, namespace: &str, now: Instant) -> &mut Entry {
        let fresh = || Entry { tally: Tally::default(), is_missing: false, due: now, failures: 0 };
        self.namespaces.entry(namespace.to_owned()).or_insert_with(fresh)
    }
}

impl Entry {
    /// Whether there is something to write.
    fn is_open(&self) -> bool {
        self.is_missing || !self.tally.is_empty()
    }
}
