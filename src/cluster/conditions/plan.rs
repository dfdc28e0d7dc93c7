//! Decides which condition to write, and when.
//!
//! Every replica may write every condition, and each sees the write of another only a moment later.
//! So a replica waits until an object has not changed for a moment. The wait differs between
//! replicas, so one of them writes first and the others see that by their watches.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    ObjectType, Topic,
    verdict::{Verdict, Wanted},
};
use crate::cluster::clock_reading::ClockReading;

/// How long a replica waits before it writes to the same generation again. Two replicas of
/// different versions may reach different verdicts on one object, and each would overwrite the
/// other for ever.
const PAUSE: Duration = Duration::from_mins(1);

/// How long an object must be unchanged before a condition is written. It doubles with every
/// condition that any replica writes, until the object was unchanged for [`CALM`].
const QUIET: Duration = Duration::from_millis(250);
const LONGEST_QUIET: Duration = Duration::from_secs(10);
const CALM: Duration = Duration::from_secs(30);

/// The range over which replicas spread a write that all of them would do at one moment.
const SPREAD: Duration = Duration::from_millis(750);

/// The longest wait for a condition whose content changes, where the object never stops changing.
/// It doubles as [`QUIET`] does.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The backoff after a conflict with another write. It doubles with each.
const LOST: Duration = Duration::from_millis(500);

/// How long a condition stays that this replica would not write. It was written by replicas with
/// another flag, which run beside this one during an update, and write it again when it is removed.
const LINGERS: Duration = Duration::from_mins(10);

/// How many writes may follow each other at once, and the interval between further ones.
const BURST: u32 = 50;
const EVERY: Duration = Duration::from_millis(50);

/// An object as the watch last reported it, and our verdict on it.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Stored {
    /// `metadata.generation`, which counts the changes of the spec.
    pub(super) generation: i64,
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    /// The condition in its status.
    pub(super) condition: Option<Condition>,
    pub(super) wanted: Wanted,
}

/// A condition to write, if the object still has that version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    pub(super) topic: Topic,
    pub(super) kind: ObjectType,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) generation: i64,
    /// `None`: it is removed.
    pub(super) condition: Option<Condition>,
}

/// The condition of one type of all policies and profiles, as one replica knows them.
#[derive(Debug)]
pub(super) struct Plan {
    topic: Topic,
    /// Differs between replicas, so that they wait for different times.
    seed: u64,
    objects: BTreeMap<Key, Object>,
    /// When to write a condition, for the objects that need one.
    due: BTreeSet<(Instant, Key)>,
    /// When all writes so far would have ended, had they been [`EVERY`] apart.
    spent: Option<Instant>,
}

type Key = (ObjectType, String);

#[derive(Debug)]
struct Object {
    stored: Stored,
    /// When the last change of the spec was observed.
    changed: Instant,
    /// Since when the condition has been wrong, or the last attempt to write it, if that is later.
    since: Instant,
    /// How many conditions were written or lost to a conflict since the object was last calm.
    writes: u32,
    attempt: Option<Attempt>,
    /// When to write a condition.
    due: Option<Instant>,
}

/// The last attempt of this replica to write.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    generation: i64,
    /// When to try again, if the condition is still wrong then.
    next: Instant,
}

impl Plan {
    pub(super) fn new(topic: Topic, seed: u64) -> Self {
        Self { topic, seed, objects: BTreeMap::new(), due: BTreeSet::new(), spent: None }
    }

    pub(super) fn saw(&mut self, kind: ObjectType, name: String, stored: Stored, now: Instant) {
        let key = (kind, name);
        let object = match self.remove(&key) {
            None => Object::new(stored, now),
            Some(known) => known.changed_to(stored, now),
        };
        self.insert(key, object);
    }

    pub(super) fn gone(&mut self, kind: ObjectType, name: String) {
        self.remove(&(kind, name));
    }

    /// A list of all objects of that kind follows.
    pub(super) fn begins(&mut self, kind: ObjectType) {
        self.objects.retain(|(it, _), _| *it != kind);
        self.due.retain(|(_, (it, _))| *it != kind);
    }

    /// The next write that is due, if any. The watch shows whether it succeeded; if it did not, it
    /// is tried again after a minute.
    pub(super) fn next(&mut self, now: ClockReading) -> Option<Write> {
        if self.wake()? > now.monotonic {
            return None;
        }
        let (_, key) = self.due.first()?.clone();
        let object = self.remove(&key)?;
        let (generation, version) = (object.stored.generation, object.stored.version.clone());
        let condition = object.stored.renewed(self.topic, now);
        let (kind, name) = key.clone();
        self.insert(key, object.attempted(generation, PAUSE, now.monotonic));
        let spent = self.spent.map_or(now.monotonic, |it| it.max(now.monotonic));
        self.spent = Some(spent + EVERY);
        Some(Write { topic: self.topic, kind, name, version, generation, condition })
    }

    /// The write met a conflict: the object has changed, most likely because another replica wrote
    /// the same condition.
    pub(super) fn lost(&mut self, write: &Write, now: Instant) {
        let key = (write.kind, write.name.clone());
        let Some(object) = self.remove(&key) else { return };
        let writes = object.writes + 1;
        let object = Object { writes, ..object };
        self.insert(key, object.attempted(write.generation, doubled(LOST, writes, PAUSE), now));
    }

    /// When the next write is due, if nothing changes until then.
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

    /// A number from 0 to 1 that differs between replicas and between generations.
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
        let since = if is_write || self.stored.is_current() { now } else { self.since };
        Self { stored, changed, since, writes, due: None, ..self }
    }

    /// Records an attempt: this generation is not written again before `pause` is over.
    fn attempted(self, generation: i64, pause: Duration, now: Instant) -> Self {
        let attempt = Some(Attempt { generation, next: now + pause });
        Self { attempt, since: now, ..self }
    }

    /// When to write a condition; `spread` is the delay of this replica against the others.
    fn due(&self, spread: Duration) -> Option<Instant> {
        if self.stored.is_current() {
            return None;
        }
        if self.stored.wanted == Wanted::Nothing {
            return Some(self.since + LINGERS + spread);
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
    /// Whether the stored condition is correct; its time of transition does not matter.
    fn is_current(&self) -> bool {
        let observed = self.condition.as_ref().and_then(|it| it.observed_generation);
        match &self.wanted {
            Wanted::Is(_) => {
                self.has_the_same_content_for_another_generation()
                    && observed == Some(self.generation)
            }
            Wanted::Nothing => self.condition.is_none(),
            Wanted::Unknown => true,
        }
    }

    /// Whether the condition has the right content, though it may be for another generation.
    fn has_the_same_content_for_another_generation(&self) -> bool {
        let (Some(it), Wanted::Is(verdict)) = (&self.condition, &self.wanted) else { return false };
        let Verdict { status, reason, message } = verdict;
        (&*it.status, &*it.reason, &it.message) == (status, reason, message)
    }

    /// The condition as it is to be stored.
    fn renewed(&self, topic: Topic, now: ClockReading) -> Option<Condition> {
        let Wanted::Is(Verdict { status, reason, message }) = self.wanted.clone() else {
            return None;
        };
        let before = self.condition.as_ref().filter(|it| it.status == status);
        Some(Condition {
            last_transition_time: before
                .map_or(Time(now.wall), |it| it.last_transition_time.clone()),
            message,
            observed_generation: Some(self.generation),
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: topic.condition().to_owned(),
        })
    }
}
