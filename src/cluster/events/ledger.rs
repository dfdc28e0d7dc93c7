//! When to write which Event: one for all refusals of one owner for one reason,
//! and seldom, however many there are.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{Owner, Refusal};
use crate::cluster::clock_reading::ClockReading;

/// How long the count of an Event waits for more, the first time. It doubles
/// with every write, as the back-off of the controllers that try again does.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(10);

/// Without a refusal for so long a series is over, and the next begins another.
///
/// A controller tries again after 17 minutes at the latest, and the API server
/// forgets an Event an hour after it was written, if nobody says otherwise.
const OVER: Duration = Duration::from_mins(30);

/// How many series are known at a time; the one seen last longest ago makes room.
const MOST: usize = 512;

/// How many of them may be of one namespace, so that none fills all the room.
const MOST_OF_ONE: usize = 32;

/// Writes that may follow each other at once, and how many may go on.
const BURST: u32 = 50;
const EVERY: Duration = Duration::from_secs(1);

/// What there is to say of a series now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    pub(super) refusal: Refusal,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: u32,
    /// Whether nothing has been said of it yet.
    pub(super) is_new: bool,
}

/// What was refused lately, and what was said of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    series: BTreeMap<Key, Series>,
    budget: Budget,
}

/// What makes refusals the same.
///
/// Whoever creates a pod may write any uid into it: those of one namespace say
/// nothing about another.
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
    /// The count that was said last; 0 for none.
    said: u32,
    /// Nothing is said of it before.
    due: Instant,
    pause: Duration,
}

/// What may still be written, by whichever series.
#[derive(Debug, Default)]
struct Budget {
    /// All that was written would have taken until then, one at a time.
    spent: Option<Instant>,
}

impl Ledger {
    /// Takes a refusal in. `false` if there was no room, and another was
    /// forgotten of which nothing had been said.
    pub(super) fn note(&mut self, refusal: Refusal, now: ClockReading) -> bool {
        let Refusal { namespace, owner: Owner { api_version, kind, name, uid }, why } = refusal;
        let key = Key { namespace, uid, why };
        let is_over = |it: &Series| now.since(it.last) >= OVER && it.said == it.count;
        if self.series.get(&key).is_some_and(is_over) {
            self.series.remove(&key);
        }
        if let Some(series) = self.series.get_mut(&key) {
            series.count = series.count.saturating_add(1);
            series.last = now;
            return true;
        }
        self.series.retain(|_, it| !is_over(it));
        let in_full = self.make_room(&key.namespace);
        let (first, count) = (now.wall, 1);
        let (due, pause) = (now.monotonic, SHORTEST);
        let series =
            Series { api_version, kind, name, first, last: now, count, said: 0, due, pause };
        self.series.insert(key, series);
        in_full
    }

    /// What to write now, if anything; it counts as said.
    pub(super) fn next(&mut self, now: ClockReading) -> Option<Occurrence> {
        if self.budget.free() > Some(now.monotonic) {
            return None;
        }
        let due =
            self.series.iter_mut().filter(|(_, it)| it.is_untold() && it.due <= now.monotonic);
        let (key, series) = due.min_by_key(|(_, it)| it.due)?;
        self.budget.spend(now.monotonic);
        let is_new = series.said == 0;
        series.said = series.count;
        series.due = now.monotonic + series.pause;
        series.pause = (series.pause * 2).min(LONGEST);
        Some(series.occurrence(key, is_new))
    }

    /// When there will be something to write, if nothing else happens.
    pub(super) fn wake(&self) -> Option<Instant> {
        let untold = self.series.values().filter(|it| it.is_untold());
        let due = untold.map(|it| it.due).min()?;
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
        oldest.and_then(|it| self.series.remove(&it)).is_none_or(|it| !it.is_untold())
    }
}

impl Series {
    fn is_untold(&self) -> bool {
        self.said < self.count
    }

    fn occurrence(&self, key: &Key, is_new: bool) -> Occurrence {
        let Self { api_version, kind, name, first, last, count, said: _, due: _, pause: _ } = self;
        let Key { namespace, uid, why } = key.clone();
        let (api_version, kind, name) = (api_version.clone(), kind.clone(), name.clone());
        let refusal = Refusal { namespace, owner: Owner { api_version, kind, name, uid }, why };
        Occurrence { refusal, first: *first, last: last.wall, count: *count, is_new }
    }
}

impl Budget {
    /// From when on one more may be written; `None` for always.
    fn free(&self) -> Option<Instant> {
        self.spent?.checked_sub(EVERY * (BURST - 1))
    }

    fn spend(&mut self, now: Instant) {
        let spent = self.spent.map_or(now, |it| it.max(now));
        self.spent = Some(spent + EVERY);
    }
}
