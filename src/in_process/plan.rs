//! Decides when the object is written.
//!
//! Every replica may write it, and each sees the write of another only a moment later. So a replica
//! waits for a moment that differs between replicas: one of them writes first, and the others see
//! that by their watches.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Wanted;
use crate::compile::source;

/// The range over which replicas spread a write that all of them would do at one moment. A policy
/// that is edited has to be obeyed within two seconds.
const SPREAD: Duration = Duration::from_millis(300);

/// The shortest time between two writes of a replica, and the pause after a failure. The latter
/// doubles with each.
const EVERY: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a replica waits before it writes the same once more. Two replicas of different versions
/// or flags may want different things, and each would overwrite the other for ever.
const PAUSE: Duration = Duration::from_mins(1);

/// The object as the watch last reported it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    pub(super) spec: Value,
}

/// What a replica knows of the object.
#[derive(Clone, Debug, PartialEq)]
enum Sight {
    /// It has not been listed yet.
    Unlisted,
    Absent,
    There(Stored),
}

/// A write, if the object still has that version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    /// None: there is no object yet.
    pub(super) version: Option<String>,
    pub(super) spec: Value,
}

/// What one replica knows and wants.
#[derive(Debug)]
pub(super) struct Plan {
    /// How long this replica waits for others to write first.
    wait: Duration,
    sight: Sight,
    wanted: Option<Wanted>,
    /// Since when the two differ.
    since: Instant,
    /// What was written last, and when it may be written again.
    last: Option<(Wanted, Instant)>,
    /// When anything may be written again.
    free: Option<Instant>,
    failures: u32,
}

impl Write {
    pub(super) fn policies(&self) -> usize {
        self.spec["policies"].as_object().map_or(0, serde_json::Map::len)
    }
}

impl Plan {
    /// The seed differs between replicas, so that they wait for different times.
    pub(super) fn new(seed: u64) -> Self {
        let part = f64::from((seed >> 32) as u32) / f64::from(u32::MAX);
        Self {
            wait: SPREAD.mul_f64(part),
            sight: Sight::Unlisted,
            wanted: None,
            since: Instant::now(),
            last: None,
            free: None,
            failures: 0,
        }
    }

    /// `None` if there is no object.
    pub(super) fn saw(&mut self, stored: Option<Stored>, now: Instant) {
        let was_due = self.has_to_write();
        self.sight = stored.map_or(Sight::Absent, Sight::There);
        self.note(was_due, now);
    }

    pub(super) fn wants(&mut self, wanted: Option<Wanted>, now: Instant) {
        let was_due = self.has_to_write();
        self.wanted = wanted;
        self.note(was_due, now);
    }

    /// The write that is due, if any. The watch shows whether it succeeded; if it did not, it is
    /// tried again after a minute.
    pub(super) fn next(&mut self, now: Instant) -> Option<Write> {
        if self.wake()? > now {
            return None;
        }
        let spec = self.wanted.clone()?;
        let (version, is_behind) = match &self.sight {
            Sight::Unlisted => return None,
            Sight::Absent => (None, false),
            Sight::There(it) => (Some(it.version.clone()), is_newer(&spec, &it.spec)),
        };
        let write = Write { version, spec };
        // What a replica that lagged has written over is written again soon.
        let pause = if is_behind { EVERY } else { PAUSE };
        self.last = Some((write.spec.clone(), now + pause));
        self.free = Some(now + EVERY);
        Some(write)
    }

    /// The write met a conflict: another replica wrote first, and the watch will report it.
    pub(super) fn lost(&mut self, now: Instant) {
        self.last = None;
        self.free = Some(now + EVERY);
    }

    /// The API server rejected the write or did not answer.
    pub(super) fn failed(&mut self, now: Instant) {
        let pause = EVERY.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.last = None;
        self.free = Some(now + pause);
    }

    /// When the next write is due, if nothing changes until then.
    pub(super) fn wake(&self) -> Option<Instant> {
        if !self.has_to_write() {
            return None;
        }
        let wanted = self.wanted.as_ref();
        let again = self.last.as_ref().filter(|it| Some(&it.0) == wanted).map(|it| it.1);
        let due = again.unwrap_or(self.since + self.wait);
        Some(self.free.map_or(due, |it| it.max(due)))
    }

    fn note(&mut self, was_due: bool, now: Instant) {
        let is_due = self.has_to_write();
        if is_due && !was_due {
            self.since = now;
        }
        if !is_due {
            self.failures = 0;
        }
    }

    /// Whether what is stored is not what is wanted, and was not made from newer policies.
    fn has_to_write(&self) -> bool {
        let Some(wanted) = &self.wanted else { return false };
        match &self.sight {
            Sight::Unlisted => false,
            Sight::Absent => true,
            Sight::There(it) => it.spec != *wanted && !is_newer(&it.spec, wanted),
        }
    }
}

/// Whether a policy in `one` was read from a newer version of the same object than in `other`.
fn is_newer(one: &Value, other: &Value) -> bool {
    let policies = one["policies"].as_object().into_iter().flatten();
    policies.into_iter().any(|(name, it)| {
        let both = [it, &other["policies"][name]].map(|it| it.as_str().and_then(source));
        matches!(both, [Some(one), Some(other)] if one.0 == other.0 && one.1 > other.1)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// The object on a simulated API server that accepts a write only over the version that was
    /// read, and replicas that watch it and the policy.
    struct World {
        stored: Option<Stored>,
        version: u64,
        replicas: Vec<Replica>,
        start: Instant,
        elapsed: Duration,
        /// When each write happened, and by which replica.
        written: Vec<(Duration, usize)>,
        lost: usize,
    }

    struct Replica {
        plan: Plan,
        /// The flag of this replica, or its version.
        mode: &'static str,
        /// How much later it hears of policies than the others.
        lag: Duration,
        /// What it has yet to hear: when, and the generation of the policy.
        news: Vec<(Duration, i64)>,
    }

    const STEP: Duration = Duration::from_millis(10);
    const MINUTE: Duration = Duration::from_mins(1);

    fn spec(mode: &str, generation: i64) -> Value {
        let text = format!("* => RuntimeDefault\ngeneration {generation} of u");
        json!({ "defaultMode": mode, "policies": { "shop": text } })
    }

    impl World {
        fn of(replicas: &[(&'static str, Duration)]) -> Self {
            let seeds = [0, u64::MAX / 2, u64::MAX, u64::MAX / 4, u64::MAX / 3];
            let replicas = replicas.iter().zip(seeds).map(|((mode, lag), seed)| Replica {
                plan: Plan::new(seed),
                mode,
                lag: *lag,
                news: Vec::new(),
            });
            let mut world = Self {
                stored: None,
                version: 0,
                replicas: replicas.collect(),
                start: Instant::now(),
                elapsed: Duration::ZERO,
                written: Vec::new(),
                lost: 0,
            };
            for it in &mut world.replicas {
                it.plan.saw(None, world.start);
            }
            world
        }

        fn edit(&mut self, generation: i64) {
            for it in &mut self.replicas {
                it.news.push((self.elapsed + it.lag, generation));
            }
        }

        fn pass(&mut self, time: Duration) {
            let until = self.elapsed + time;
            while self.elapsed < until {
                self.step();
            }
        }

        fn step(&mut self) {
            let now = self.start + self.elapsed;
            let seen = self.stored.clone();
            for at in 0..self.replicas.len() {
                let it = &mut self.replicas[at];
                let elapsed = self.elapsed;
                let heard: Vec<_> = it.news.extract_if(.., |it| it.0 <= elapsed).collect();
                if let Some((_, generation)) = heard.last() {
                    it.plan.wants(Some(spec(it.mode, *generation)), now);
                }
                // Each sees what was stored before this step.
                if it.plan.sight != seen.clone().map_or(Sight::Absent, Sight::There) {
                    it.plan.saw(seen.clone(), now);
                }
                let Some(write) = it.plan.next(now) else { continue };
                if write.version == self.stored.as_ref().map(|it| it.version.clone()) {
                    self.version += 1;
                    let version = self.version.to_string();
                    self.stored = Some(Stored { version, spec: write.spec });
                    self.written.push((self.elapsed, at));
                } else {
                    self.lost += 1;
                    self.replicas[at].plan.lost(now);
                }
            }
            self.elapsed += STEP;
        }

        fn generation(&self) -> Option<i64> {
            source(self.stored.as_ref()?.spec["policies"]["shop"].as_str()?).map(|it| it.1)
        }
    }

    const PROMPT: (&str, Duration) = ("enforce", Duration::ZERO);

    #[test]
    fn replicas_write_once_for_each_edit_and_within_half_a_second() {
        let mut world = World::of(&[PROMPT; 5]);
        for generation in 1..=10 {
            world.edit(generation);
            world.pass(Duration::from_millis(500));
            assert_eq!(world.generation(), Some(generation));
            world.pass(MINUTE);
        }
        assert_eq!((world.written.len(), world.lost), (10, 0));
    }

    #[test]
    fn replicas_of_different_versions_write_once_a_minute_each() {
        let mut world = World::of(&[PROMPT, ("audit", Duration::ZERO)]);
        world.edit(1);
        world.pass(10 * MINUTE);
        for replica in 0..2 {
            let count = world.written.iter().filter(|it| it.1 == replica).count();
            assert!((5..=11).contains(&count), "{:?}", world.written);
        }
        world.edit(2);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.generation(), Some(2));
    }

    #[rstest]
    #[case::by_a_little(Duration::from_millis(400))]
    #[case::by_far(Duration::from_secs(10))]
    fn a_replica_that_lags_never_writes_what_is_older(#[case] lag: Duration) {
        let mut world = World::of(&[("enforce", lag), PROMPT]);
        let mut last = 0;
        for generation in 1..=5 {
            world.edit(generation);
            for _ in 0..1200 {
                world.step();
                let stored = world.generation().unwrap_or(last);
                assert!(stored >= last, "{stored} after {last}");
                last = stored;
            }
            assert_eq!(world.generation(), Some(generation));
        }
    }

    /// The object is created without a version to compare, so a replica that lags may win then.
    #[test]
    fn what_a_replica_that_lags_has_written_is_written_again_soon() {
        let mut world = World::of(&[PROMPT]);
        world.edit(8);
        world.pass(MINUTE);
        let stored = Stored { version: "x".to_owned(), spec: spec("enforce", 7) };
        world.stored = Some(stored);
        world.pass(Duration::from_secs(1));
        assert_eq!(world.generation(), Some(8));
    }

    #[rstest]
    #[case::edited(Some(Stored { version: "x".to_owned(), spec: json!({}) }))]
    #[case::deleted(None)]
    fn what_another_client_has_done_is_undone(#[case] done: Option<Stored>) {
        let mut world = World::of(&[PROMPT; 3]);
        world.edit(1);
        world.pass(2 * MINUTE);
        for _ in 0..5 {
            world.stored = done.clone();
            world.pass(2 * MINUTE);
            assert_eq!(world.generation(), Some(1));
        }
        assert!(world.written.len() <= 6, "{:?}", world.written);
    }

    #[test]
    fn a_storm_of_edits_leads_to_few_writes_and_the_last_one_is_stored() {
        let mut world = World::of(&[PROMPT; 3]);
        for generation in 1..=1000 {
            world.edit(generation);
            world.pass(STEP * 2);
        }
        let (writes, lost) = (world.written.len(), world.lost);
        assert!(writes + lost <= 3 * 2 * 21, "{writes} and {lost} in 20 seconds");
        world.pass(Duration::from_secs(1));
        assert_eq!(world.generation(), Some(1000));
    }

    #[test]
    fn a_failure_is_tried_again_with_longer_and_longer_pauses() {
        let mut plan = Plan::new(0);
        let mut now = Instant::now();
        plan.saw(None, now);
        plan.wants(Some(spec("enforce", 1)), now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(plan.next(now).is_some());
            plan.failed(now);
            let wake = plan.wake().expect("it is tried again");
            pauses.push((wake - now).as_millis());
            now = wake;
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }

    #[test]
    fn nothing_is_written_before_both_sides_are_known() {
        let now = Instant::now();
        let mut plan = Plan::new(0);
        plan.wants(Some(spec("enforce", 1)), now);
        assert_eq!(plan.wake(), None);
        let mut plan = Plan::new(0);
        plan.saw(None, now);
        plan.wants(None, now);
        assert_eq!((plan.wake(), plan.next(now + MINUTE)), (None, None));
    }
}
