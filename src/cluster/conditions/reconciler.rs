//! What is known of all objects, and the plans of their conditions.

use std::{collections::BTreeMap, time::Instant};

use super::{InProcess, ObjectType, Seen, Topic, WatchEvent, plan::Plan, verdict::Wanted};

/// What is known of all objects.
#[derive(Debug)]
pub(super) struct Reconciler {
    pub(super) accepted: Plan,
    pub(super) compiled: Plan,
    /// The policies, whose condition `Compiled` may change without them.
    policies: BTreeMap<String, Box<Seen>>,
    in_process: InProcess,
}

impl Reconciler {
    /// The seeds differ between replicas.
    pub(super) fn new([accepted, compiled]: [u64; 2], in_process: InProcess) -> Self {
        Self {
            accepted: Plan::new(Topic::Accepted, accepted),
            compiled: Plan::new(Topic::Compiled, compiled),
            policies: BTreeMap::new(),
            in_process,
        }
    }

    pub(super) fn take(&mut self, event: WatchEvent, now: Instant) {
        match event {
            WatchEvent::Begin(kind) => {
                self.accepted.begins(kind);
                if kind == ObjectType::Policy {
                    self.compiled.begins(kind);
                    self.policies.clear();
                }
            }
            WatchEvent::Object(kind, name, seen) => {
                let accepted = seen.stored(Topic::Accepted, Wanted::Is(seen.accepted.clone()));
                self.accepted.saw(kind, name.clone(), accepted, now);
                if kind == ObjectType::Policy {
                    self.policies.insert(name.clone(), seen);
                    self.judge_compiled(&name, now);
                }
            }
            WatchEvent::Gone(kind, name) => {
                if kind == ObjectType::Policy {
                    self.policies.remove(&name);
                    self.compiled.gone(kind, name.clone());
                }
                self.accepted.gone(kind, name);
            }
        }
    }

    pub(super) fn take_in_process(&mut self, in_process: InProcess, now: Instant) {
        self.in_process = in_process;
        for name in self.policies.keys().cloned().collect::<Vec<_>>() {
            self.judge_compiled(&name, now);
        }
    }

    fn judge_compiled(&mut self, name: &str, now: Instant) {
        let Some(seen) = self.policies.get(name) else { return };
        let Some(policy) = &seen.policy else { return };
        let stored = seen.stored(Topic::Compiled, policy.wanted(&self.in_process));
        self.compiled.saw(ObjectType::Policy, name.to_owned(), stored, now);
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        [&self.accepted, &self.compiled].into_iter().filter_map(Plan::wake).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        cluster::{clock_reading::ClockReading, conditions::plan::Write, conditions::seen},
        watch::Object,
    };

    const MINUTE: Duration = Duration::from_mins(1);

    /// A policy on a simulated API server, and replicas with and without the component.
    struct World {
        conditions: Vec<Condition>,
        version: u32,
        replicas: Vec<Reconciler>,
        now: ClockReading,
        /// The replica of each write of the condition `Compiled`, and its reason.
        written: Vec<(usize, Option<String>)>,
    }

    fn holds(reason: &str) -> InProcess {
        let text = if reason == "LeftToWebhook" {
            "left to the webhook: it is too large"
        } else {
            "* => RuntimeDefault"
        };
        let text = format!("{text}\ngeneration 1 of u");
        InProcess::Holds(json!({ "policies": { "shop": text } }))
    }

    impl World {
        fn of(replicas: &[InProcess]) -> Self {
            let seeds = (0..).map(|it| [it, it + 100]);
            let replicas = replicas.iter().zip(seeds);
            let mut world = Self {
                conditions: Vec::new(),
                version: 1,
                replicas: replicas.map(|(it, seeds)| Reconciler::new(seeds, it.clone())).collect(),
                now: ClockReading::now(),
                written: Vec::new(),
            };
            world.deliver();
            world
        }

        fn deliver(&mut self) {
            let object = json!({
                "metadata": {
                    "name": "shop", "uid": "u", "generation": 1,
                    "resourceVersion": self.version.to_string(),
                },
                "spec": { "default": { "type": "RuntimeDefault" } },
                "status": { "conditions": self.conditions },
            });
            let text = object.to_string();
            let seen = seen(ObjectType::Policy, &Object::read(&text).expect("an object"));
            for it in &mut self.replicas {
                let seen = Box::new(seen.clone());
                let event = WatchEvent::Object(ObjectType::Policy, "shop".to_owned(), seen);
                it.take(event, self.now.monotonic);
            }
        }

        fn pass(&mut self, time: Duration) {
            let step = Duration::from_millis(100);
            let end = self.now.monotonic + time;
            while self.now.monotonic < end {
                for at in 0..self.replicas.len() {
                    let all = &mut self.replicas[at];
                    let writes = [all.accepted.next(self.now), all.compiled.next(self.now)];
                    for write in writes.into_iter().flatten() {
                        self.apply(at, write);
                    }
                }
                self.now.monotonic += step;
                self.now.wall += step;
            }
        }

        fn apply(&mut self, replica: usize, write: Write) {
            if write.version != self.version.to_string() {
                let all = &mut self.replicas[replica];
                let plan = match write.topic {
                    Topic::Accepted => &mut all.accepted,
                    Topic::Compiled => &mut all.compiled,
                };
                plan.lost(&write, self.now.monotonic);
                return;
            }
            self.conditions.retain(|it| it.type_ != write.topic.condition());
            if write.topic == Topic::Compiled {
                let reason = write.condition.as_ref().map(|it| it.reason.clone());
                self.written.push((replica, reason));
            }
            self.conditions.extend(write.condition);
            self.version += 1;
            self.deliver();
        }

        fn shown(&self) -> Value {
            self.conditions.iter().map(|it| json!([it.type_, it.status, it.reason])).collect()
        }
    }

    #[test]
    fn both_conditions_are_written_once() {
        let mut world = World::of(&[holds("Complete"), holds("Complete"), holds("Complete")]);
        world.pass(60 * MINUTE);
        assert_eq!(world.written.len(), 1, "{:?}", world.written);
        let mut shown = world.shown();
        shown.as_array_mut().expect("a list").sort_by_key(ToString::to_string);
        let accepted = json!(["Accepted", "True", "Valid"]);
        assert_eq!(shown, json!([accepted, ["Compiled", "True", "Complete"]]));
    }

    #[test]
    fn a_condition_follows_what_the_api_server_has() {
        let mut world = World::of(&[InProcess::Unknown]);
        world.pass(MINUTE);
        assert_eq!(world.shown(), json!([["Accepted", "True", "Valid"]]));
        for (in_process, reason) in [
            (InProcess::Unavailable("it is old".to_owned()), "NotServed"),
            (holds("Complete"), "Complete"),
            (holds("LeftToWebhook"), "LeftToWebhook"),
        ] {
            let now = world.now.monotonic;
            world.replicas[0].take_in_process(in_process, now);
            world.pass(2 * MINUTE);
            assert_eq!(world.conditions[1].reason, reason);
        }
        let now = world.now.monotonic;
        world.replicas[0].take_in_process(InProcess::Holds(Value::Null), now);
        world.pass(10 * MINUTE);
        assert_eq!(world.conditions[1].reason, "LeftToWebhook", "until it is written anew");
    }

    #[test]
    fn during_an_update_a_condition_stays_and_is_removed_later() {
        let mut world = World::of(&[holds("Complete"), InProcess::Off]);
        world.pass(9 * MINUTE);
        assert_eq!(world.written, [(0, Some("Complete".to_owned()))]);
        let now = world.now.monotonic;
        world.replicas[0].take_in_process(InProcess::Off, now);
        world.pass(30 * MINUTE);
        assert_eq!(world.written.len(), 2, "{:?}", world.written);
        assert_eq!(world.shown(), json!([["Accepted", "True", "Valid"]]));
    }

    #[test]
    fn replicas_that_differ_for_ever_write_seldom() {
        let mut world = World::of(&[holds("Complete"), InProcess::Off, InProcess::Off]);
        world.pass(60 * MINUTE);
        assert!((6..=14).contains(&world.written.len()), "{:?}", world.written);
        assert!(world.shown().to_string().contains("Complete"), "most of the time");
    }
}
