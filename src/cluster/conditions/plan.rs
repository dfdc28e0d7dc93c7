//! Which condition to write where, and when.
//!
//! Every replica may write every condition, and each of them hears of a write only a moment after
//! it. So a replica waits until an object has been left alone for a moment, a little longer or
//! shorter than the others do, and finds by its watch that one of them has written already.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Kind, verdict::Verdict};
use crate::cluster::clock_reading::ClockReading;

/// Two replicas of different versions may make different things of one object,
/// and each would for ever put right what the other wrote.
const PAUSE: Duration = Duration::from_mins(1);

/// For how long an object is left alone before a condition is written. It doubles with every
/// condition that is written, by whichever replica, until the object was left alone for [`CALM`].
const QUIET: Duration = Duration::from_millis(250);
const LONGEST_QUIET: Duration = Duration::from_secs(10);
const CALM: Duration = Duration::from_secs(30);

/// Over how long replicas spread what all of them would write at one moment.
const SPREAD: Duration = Duration::from_millis(750);

/// How long a condition waits that says something else now, of an object that is never left alone.
/// It doubles as [`QUIET`] does.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// After how long a write is tried again that somebody else was quicker than. It doubles with each.
const LOST: Duration = Duration::from_millis(500);

/// How many writes may follow each other at once, and at which pace they go on.
const BURST: u32 = 50;
const EVERY: Duration = Duration::from_millis(50);

/// An object as it was seen last, and what is made of it.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Stored {
    /// Counts the changes of the spec.
    pub(super) generation: i64,
    /// Of the object as a whole.
    pub(super) version: String,
    /// What was said of it until now.
    pub(super) condition: Option<Condition>,
    pub(super) verdict: Verdict,
}

/// What to write, over exactly that version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) condition: Condition,
}

/// All objects of ours, as one replica knows them.
#[derive(Debug)]
pub(super) struct Plan {
    /// Differs between replicas.
    seed: u64,
    objects: BTreeMap<Key, Object>,
    /// When a condition is to be written, of the objects that need one.
    due: BTreeSet<(Instant, Key)>,
    /// All that was written would have taken until then, one at a time.
    spent: Option<Instant>,
}

type Key = (Kind, String);

#[derive(Debug)]
struct Object {
    stored: Stored,
    /// When the spec was seen to change last.
    changed: Instant,
    /// Since when the condition is not what it should be; if it was tried to be written meanwhile,
    /// since then.
    since: Instant,
    /// How many conditions have been written or lost since the object was left alone.
    writes: u32,
    attempt: Option<Attempt>,
    /// When a condition is to be written.
    due: Option<Instant>,
}

/// What this replica tried to write last.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    generation: i64,
    /// When it is tried again, if the condition is not what it should be then.
    next: Instant,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, objects: BTreeMap::new(), due: BTreeSet::new(), spent: None }
    }

    pub(super) fn saw(&mut self, kind: Kind, name: String, stored: Stored, now: Instant) {
        let key = (kind, name);
        let object = match self.remove(&key) {
            None => Object::new(stored, now),
            Some(known) => known.changed_to(stored, now),
        };
        self.insert(key, object);
    }

    pub(super) fn gone(&mut self, kind: Kind, name: String) {
        self.remove(&(kind, name));
    }

    /// A list of all objects of that kind follows.
    pub(super) fn begins(&mut self, kind: Kind) {
        self.objects.retain(|(it, _), _| *it != kind);
        self.due.retain(|(_, (it, _))| *it != kind);
    }

    /// What to write now, if anything. Whether that succeeds is seen by what the watch tells; if it
    /// does not, it is tried again after a minute.
    pub(super) fn next(&mut self, now: ClockReading) -> Option<Write> {
        if self.wake()? > now.monotonic {
            return None;
        }
        let (_, key) = self.due.first()?.clone();
        let object = self.remove(&key)?;
        let (generation, version) = (object.stored.generation, object.stored.version.clone());
        let condition = object.stored.wanted(now);
        let (kind, name) = key.clone();
        self.insert(key, object.attempted(generation, PAUSE, now.monotonic));
        let spent = self.spent.map_or(now.monotonic, |it| it.max(now.monotonic));
        self.spent = Some(spent + EVERY);
        Some(Write { kind, name, version, condition })
    }

    /// Somebody has changed the object before that was written: most likely another replica, with
    /// the same condition.
    pub(super) fn lost(&mut self, write: &Write, now: Instant) {
        let key = (write.kind, write.name.clone());
        let Some(object) = self.remove(&key) else { return };
        let writes = object.writes + 1;
        let generation = write.condition.observed_generation.unwrap_or_default();
        let object = Object { writes, ..object };
        self.insert(key, object.attempted(generation, doubled(LOST, writes, PAUSE), now));
    }

    /// When there will be something to write, if nothing else happens.
    pub(super) fn wake(&self) -> Option<Instant> {
        let (due, _) = self.due.first()?;
        let free = self.spent.and_then(|it| it.checked_sub(EVERY * (BURST - 1)));
        Some(free.map_or(*due, |it| it.max(*due)))
    }

    fn insert(&mut self, key: Key, object: Object) {
        let due = object.due(SPREAD.mul_f64(self.part(&key, object.stored.generation)));
        self.due.extend(due.map(|it| (it, key.clone())));
        self.objects.insert(key, Object { due, ..object });
    }

    fn remove(&mut self, key: &Key) -> Option<Object> {
        let (key, object) = self.objects.remove_entry(key)?;
        if let Some(due) = object.due {
            self.due.remove(&(due, key));
        }
        Some(object)
    }

    /// From 0 to 1: another part for each replica, and for each change.
    fn part(&self, key: &Key, generation: i64) -> f64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, key.0.as_str(), &key.1, generation).hash(&mut hasher);
        f64::from((hasher.finish() >> 32) as u32) / f64::from(u32::MAX)
    }
}

impl Object {
    fn new(stored: Stored, now: Instant) -> Self {
        Self { stored, changed: now, since: now, writes: 0, attempt: None, due: None }
    }

    fn changed_to(self, stored: Stored, now: Instant) -> Self {
        let is_change = self.stored.generation != stored.generation;
        let is_write = self.stored.condition != stored.condition;
        let is_calm = is_change && now.saturating_duration_since(self.changed) > CALM;
        let writes = if is_calm { 0 } else { self.writes + u32::from(is_write) };
        let changed = if is_change { now } else { self.changed };
        let since = if is_write || self.stored.is_told() { now } else { self.since };
        Self { stored, changed, since, writes, due: None, ..self }
    }

    /// Nothing of this generation is written again for so long.
    fn attempted(self, generation: i64, pause: Duration, now: Instant) -> Self {
        let attempt = Some(Attempt { generation, next: now + pause });
        Self { attempt, since: now, ..self }
    }

    /// When a condition is to be written; `spread` is how much later than others this replica is.
    fn due(&self, spread: Duration) -> Option<Instant> {
        if self.stored.is_told() {
            return None;
        }
        if let Some(it) = self.attempt.filter(|it| it.generation == self.stored.generation) {
            return Some(it.next);
        }
        let quiet = self.changed + doubled(QUIET, self.writes, LONGEST_QUIET);
        let longest = if self.stored.has_the_same_content_for_another_generation() {
            PAUSE
        } else {
            doubled(LONGEST_WAIT, self.writes, PAUSE)
        };
        Some(quiet.min(self.since + longest) + spread)
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

impl Stored {
    /// Whether all that is to be said is said; since when does not matter.
    fn is_told(&self) -> bool {
        let observed = self.condition.as_ref().and_then(|it| it.observed_generation);
        self.has_the_same_content_for_another_generation() && observed == Some(self.generation)
    }

    /// Whether the condition says the same, if maybe of another spec.
    fn has_the_same_content_for_another_generation(&self) -> bool {
        let Verdict { status, reason, message } = &self.verdict;
        self.condition
            .as_ref()
            .is_some_and(|it| (&*it.status, &*it.reason, &it.message) == (status, reason, message))
    }

    fn wanted(&self, now: ClockReading) -> Condition {
        let Verdict { status, reason, message } = self.verdict.clone();
        let before = self.condition.as_ref().filter(|it| it.status == status);
        Condition {
            last_transition_time: before
                .map_or(Time(now.wall), |it| it.last_transition_time.clone()),
            message,
            observed_generation: Some(self.generation),
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: super::ACCEPTED.to_owned(),
        }
    }
}
