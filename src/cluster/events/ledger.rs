//! Decides which Event to write and when: one for all denials of one owner for one reason, with few
//! writes however many denials there are.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::Denial;
use crate::{
    cluster::{budget::Budget, clock_reading::ClockReading},
    pod::Owner,
};

/// How long after its first write an Event is updated at the earliest. It doubles with every write,
/// like the backoff of the controllers that retry.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(10);

/// After this long without a denial a series is over, and the next denial begins another.
///
/// A controller retries after 17 minutes at the latest, and by default the API server deletes an
/// Event an hour after its last write.
const OVER: Duration = Duration::from_mins(30);

/// How many series are kept; the one whose last denial is oldest makes room.
const MOST: usize = 512;

/// How many of them may be of one namespace, so that no namespace takes all the room.
const MOST_OF_ONE: usize = 32;

/// How many writes may follow each other at once, and the interval between further ones.
const BUDGET: Budget = Budget::new(50, Duration::from_secs(1));

/// The state of a series, to write as an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    pub(super) denial: Denial,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: u32,
    /// Whether nothing has been written about it yet.
    pub(super) is_new: bool,
}

/// The recent denials, and what was written about them.
#[derive(Debug)]
pub(super) struct Ledger {
    series: BTreeMap<Key, Series>,
    budget: Budget,
}

/// What the denials of one series have in common.
///
/// A user who creates a pod may write any uid into its owner reference, so the namespace is part of
/// the key: a namespace cannot affect the series of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    namespace: String,
    uid: String,
    why: String,
}

#[derive(Debug)]
struct Series {
    api_version: String,
    kind: String,
    name: String,
    first: Timestamp,
    last: ClockReading,
    count: u32,
    /// The count in the last write; 0 if there was none.
    written: u32,
    /// The earliest instant for the next write.
    due: Instant,
    pause: Duration,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { series: BTreeMap::new(), budget: BUDGET }
    }
}

impl Ledger {
    /// Records a denial. Returns `false` if a series had to be dropped before it was written.
    pub(super) fn note(&mut self, denial: Denial, now: ClockReading) -> bool {
        let Denial { namespace, owner: Owner { api_version, kind, name, uid }, why, times } =
            denial;
        let key = Key { namespace, uid, why };
        let is_over = |it: &Series| now.since(it.last) >= OVER && it.written == it.count;
        if self.series.get(&key).is_some_and(is_over) {
            self.series.remove(&key);
        }
        if let Some(series) = self.series.get_mut(&key) {
            series.count = series.count.saturating_add(times);
            series.last = now;
            return true;
        }
        self.series.retain(|_, it| !is_over(it));
        let in_full = self.make_room(&key.namespace);
        let (first, count) = (now.wall, times);
        let (due, pause) = (now.monotonic, SHORTEST);
        let series =
            Series { api_version, kind, name, first, last: now, count, written: 0, due, pause };
        self.series.insert(key, series);
        in_full
    }

    /// The next Event to write, if one is due; it counts as written.
    pub(super) fn next(&mut self, now: ClockReading) -> Option<Occurrence> {
        if self.budget.free() > Some(now.monotonic) {
            return None;
        }
        let due =
            self.series.iter_mut().filter(|(_, it)| it.is_unwritten() && it.due <= now.monotonic);
        let (key, series) = due.min_by_key(|(_, it)| it.due)?;
        self.budget.spend(now.monotonic);
        let is_new = series.written == 0;
        series.written = series.count;
        series.due = now.monotonic + series.pause;
        series.pause = (series.pause * 2).min(LONGEST);
        Some(series.occurrence(key, is_new))
    }

    /// When the next write is due, if nothing happens until then.
    pub(super) fn wake(&self) -> Option<Instant> {
        let unwritten = self.series.values().filter(|it| it.is_unwritten());
        let due = unwritten.map(|it| it.due).min()?;
        Some(self.budget.free().map_or(due, |it| it.max(due)))
    }

    fn make_room(&mut self, namespace: &str) -> bool {
        let of_one = |key: &Key| key.namespace == namespace;
        let share = self.series.keys().filter(|it| of_one(it)).count();
        if share < MOST_OF_ONE && self.series.len() < MOST {
            return true;
        }
        let candidates = self.series.iter().filter(|(it, _)| share < MOST_OF_ONE || of_one(it));
        let oldest = candidates.min_by_key(|(_, it)| it.last.monotonic).map(|(key, _)| key.clone());
        oldest.and_then(|it| self.series.remove(&it)).is_none_or(|it| !it.is_unwritten())
    }
}

impl Series {
    fn is_unwritten(&self) -> bool {
        self.written < self.count
    }

    fn occurrence(&self, key: &Key, is_new: bool) -> Occurrence {
        let Self { api_version, kind, name, first, last, count, written: _, due: _, pause: _ } =
            self;
        let Key { namespace, uid, why } = key.clone();
        let (api_version, kind, name) = (api_version.clone(), kind.clone(), name.clone());
        let owner = Owner { api_version, kind, name, uid };
        let denial = Denial { namespace, owner, why, times: *count };
        Occurrence { denial, first: *first, last: last.wall, count: *count, is_new }
    }
}
