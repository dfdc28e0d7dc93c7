//! Counts the lines of a log as they come.

use std::collections::BTreeMap;

use super::{
    World,
    event::{Event, Meaning, Written, is_skipped},
    history::{Counts, FindingHistory, History, NamespaceHistory, OwnerHistory, Totals, VERSION},
};
use crate::{
    pod::Kind,
    scan::{Finding, Grade, Outcome, Owner, Part, judge, part},
};

/// A replay that is going on.
pub struct Replay<'a> {
    world: &'a World,
    totals: Totals,
    broken: Vec<String>,
    namespaces: BTreeMap<String, Namespace>,
    owners: usize,
}

#[derive(Debug, Default)]
struct Namespace {
    first: String,
    last: String,
    pods: Counts,
    templates: Counts,
    without_object: u64,
    owners: BTreeMap<Owner, Workload>,
    others: u64,
}

#[derive(Debug, Default)]
struct Workload {
    pods: Counts,
    templates: Counts,
    findings: BTreeMap<(&'static str, String), FindingHistory>,
    more: u64,
}

/// What is kept is bounded, whatever the log has.
const MOST_BROKEN: usize = 10;
const MOST_NAMESPACES: usize = 20_000;
const MOST_OWNERS: usize = 20_000;
const MOST_FINDINGS: usize = 20;

impl<'a> Replay<'a> {
    pub fn new(world: &'a World) -> Self {
        Self {
            world,
            totals: Totals::default(),
            broken: Vec::new(),
            namespaces: BTreeMap::new(),
            owners: 0,
        }
    }

    /// Takes a line; `place` says where it is.
    pub fn take(&mut self, line: &[u8], place: impl FnOnce() -> String) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        self.totals.lines += 1;
        if is_skipped(line) {
            self.totals.skipped += 1;
            return;
        }
        match Event::read(line).map(Event::meaning) {
            Err(why) => self.is_broken(&why, place),
            Ok(Meaning::Skipped) => self.totals.skipped += 1,
            Ok(Meaning::NotStored) => self.totals.not_stored += 1,
            Ok(Meaning::PodUpdated) => self.totals.pod_updates += 1,
            Ok(Meaning::Written(it)) => self.written(it),
        }
    }

    /// Counts a line that is too long to be read.
    pub fn take_too_long(&mut self, place: impl FnOnce() -> String) {
        self.totals.lines += 1;
        self.is_broken("it is too long", place);
    }

    fn is_broken(&mut self, why: &str, place: impl FnOnce() -> String) {
        self.totals.broken += 1;
        if self.broken.len() < MOST_BROKEN {
            self.broken.push(format!("{}: {why}", place()));
        }
    }

    fn written(&mut self, it: Written<'_>) {
        let Written { kind, namespace, name, at, object } = it;
        let judged = object.map(|it| self.judge(kind, &namespace, &name, it));
        // Made by a controller whose own template is judged.
        if let Some(Ok(None)) = judged {
            self.totals.skipped += 1;
            return;
        }
        let owner = || Owner::of_kind(kind, &name);
        let (owner, outcome) = match judged {
            None | Some(Ok(None)) => (owner(), None),
            Some(Ok(Some((owner, outcome)))) => (owner, Some(outcome)),
            Some(Err(why)) => (owner(), Some(unreadable(&why))),
        };
        let grade = match &outcome {
            None => Some(Grade::Unknown),
            Some(it) => it.findings.iter().map(|it| it.grade).max(),
        };
        let is_changed = outcome.as_ref().is_some_and(|it| it.change.is_some());
        let counts = |pods: &mut Counts, templates: &mut Counts| {
            let counts = if kind == Kind::Pod { pods } else { templates };
            counts.add(is_changed, grade);
        };
        counts(&mut self.totals.pods, &mut self.totals.templates);
        let has_room = self.namespaces.len() < MOST_NAMESPACES;
        let namespace = if has_room || self.namespaces.contains_key(&namespace) {
            namespace
        } else {
            "(others)".to_owned()
        };
        let namespace = self.namespaces.entry(namespace).or_default();
        namespace.note(&at);
        counts(&mut namespace.pods, &mut namespace.templates);
        // Without the object the owner is not known, either.
        let Some(outcome) = outcome else {
            namespace.without_object += 1;
            return;
        };
        if !namespace.owners.contains_key(&owner) {
            if self.owners >= MOST_OWNERS {
                namespace.others += 1;
                return;
            }
            self.owners += 1;
        }
        let workload = namespace.owners.entry(owner).or_default();
        counts(&mut workload.pods, &mut workload.templates);
        for it in outcome.findings {
            workload.note(it, kind.prefix(), &at);
        }
    }

    /// The owner and what becomes of its pods; `None` for what the controller of another template
    /// makes.
    fn judge(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        object: &str,
    ) -> Result<Option<(Owner, Outcome)>, String> {
        let Some(Part { owner, text }) = part(kind, name, object)? else { return Ok(None) };
        let outcome = judge(kind, text, self.world.facts(namespace))?;
        Ok(Some((owner, outcome)))
    }

    /// What follows from all lines that were taken.
    pub fn finish(self) -> History {
        let Self { world, totals, broken, namespaces, .. } = self;
        let namespaces = namespaces.into_iter().map(|(name, it)| it.finish(name)).collect();
        let policy = world.policy.name().to_owned();
        History { version: VERSION, command: "callgate replay", policy, totals, broken, namespaces }
    }
}

fn unreadable(why: &str) -> Outcome {
    let finding = Finding {
        rule: "unreadable",
        grade: Grade::Denied,
        field: String::new(),
        message: format!("it cannot be read: {why}"),
        fix: None,
        exemption: None,
        container: None,
    };
    Outcome { findings: vec![finding], ..Outcome::default() }
}

/// Times of one format, in UTC, are ordered as texts are.
fn widen(first: &mut String, last: &mut String, at: &str) {
    if first.is_empty() || at < first.as_str() {
        at.clone_into(first);
    }
    if at > last.as_str() {
        at.clone_into(last);
    }
}

impl Namespace {
    fn note(&mut self, at: &str) {
        widen(&mut self.first, &mut self.last, at);
    }

    fn finish(self, name: String) -> NamespaceHistory {
        let Self { first, last, pods, templates, without_object, owners, others } = self;
        let owners =
            owners.into_iter().filter(|(_, it)| it.pods.is_notable() || it.templates.is_notable());
        let owners = owners.map(|(owner, it)| it.finish(owner)).collect();
        NamespaceHistory { name, first, last, pods, templates, without_object, owners, others }
    }
}

impl Workload {
    fn note(&mut self, it: Finding, prefix: &str, at: &str) {
        let Finding { rule, grade, field, message, fix, container, .. } = it;
        let place = match container {
            Some((list, name)) => format!("{list} {name}"),
            None => field.clone(),
        };
        let is_full = self.findings.len() >= MOST_FINDINGS;
        let key = (rule, place);
        if is_full && !self.findings.contains_key(&key) {
            self.more += 1;
            return;
        }
        let known = self.findings.entry(key).or_insert_with(|| FindingHistory {
            rule,
            grade,
            field: format!("{prefix}{field}"),
            message,
            fix,
            times: 0,
            first: String::new(),
            last: String::new(),
        });
        known.times += 1;
        known.grade = known.grade.max(grade);
        widen(&mut known.first, &mut known.last, at);
    }

    fn finish(self, owner: Owner) -> OwnerHistory {
        let Self { pods, templates, findings, more } = self;
        let mut findings: Vec<_> = findings.into_values().collect();
        findings.sort_by_key(|it| std::cmp::Reverse(it.grade));
        OwnerHistory { owner, pods, templates, findings, more }
    }
}
