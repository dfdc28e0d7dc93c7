//! Counts objects as they come, and keeps of each only what the overview shows.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Finding, Grade, Outcome, Owner, Unread, World, judge,
    overview::Overview,
    owner::Controllers,
    read::{self, Metadata, Named},
    runs::RunsUnder,
    texts::{Text, Texts},
    world::Ungovernable,
};
use crate::pod::{Effective, Kind, Pod, Seccomp};

/// A scan that is going on.
pub struct Scan<'a> {
    pub(super) world: &'a World,
    controllers: Controllers,
    pub(super) namespaces: BTreeMap<String, Namespace>,
    /// Objects whose namespace cannot be read.
    pub(super) nameless: usize,
    /// The UIDs of pods with a container that runs without a filter, and of these the pods that came.
    unfiltered: BTreeSet<&'a str>,
    pub(super) came: BTreeSet<&'a str>,
    texts: Texts,
}

/// What is known of one namespace.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub(super) pods: usize,
    /// Pods of kubelets, which callgate does not judge.
    pub(super) static_pods: usize,
    pub(super) changed_pods: usize,
    pub(super) denied_pods: usize,
    pub(super) runs: BTreeMap<RunsUnder, usize>,
    pub(super) owners: BTreeMap<Owner, Workload>,
    pub(super) doubts: BTreeSet<String>,
}

/// What is known of one owner of pods.
#[derive(Debug, Default)]
pub(super) struct Workload {
    pub(super) pods: usize,
    /// Whether its template was judged.
    pub(super) has_template: bool,
    /// What makes the workload itself, such as an operator's object.
    pub(super) made_by: Option<Owner>,
    pub(super) change: Option<Text>,
    pub(super) findings: BTreeMap<(&'static str, Text), Found>,
    pub(super) more: usize,
    /// Whether a denial is among those that are not kept.
    pub(super) denies_more: bool,
    pub(super) unreadable: Option<Text>,
}

/// A finding in the template of an owner or in its pods, once for all replicas.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) grade: Grade,
    pub(super) message: Text,
    pub(super) fix: Option<Text>,
    pub(super) exemption: Option<Text>,
    /// The list and the name of the container.
    pub(super) container: Option<(&'static str, Text)>,
    pub(super) service_account: Text,
    /// The field, in the owner if it is in its template, else in its pods.
    pub(super) field: Text,
    pub(super) in_template: bool,
    pub(super) pods: usize,
    /// The first of these pods.
    pub(super) names: Vec<Text>,
}

/// How many findings of one owner are kept, and how many names of pods with the same finding.
const MOST_FINDINGS: usize = 100;
const MOST_NAMES: usize = 5;
const MOST_DOUBTS: usize = 20;

impl Namespace {
    fn doubt(&mut self, doubts: BTreeSet<String>) {
        let room = MOST_DOUBTS.saturating_sub(self.doubts.len());
        self.doubts.extend(doubts.into_iter().take(room));
    }
}

impl Workload {
    pub(super) fn grade(&self) -> Option<Grade> {
        let grades = self.findings.values().map(|it| it.grade);
        let is_denied = self.denies_more || self.unreadable.is_some();
        grades.chain(is_denied.then_some(Grade::Denied)).max()
    }
}

impl<'a> Scan<'a> {
    pub fn new(world: &'a World) -> Self {
        Self {
            world,
            controllers: Controllers::default(),
            namespaces: BTreeMap::new(),
            nameless: 0,
            unfiltered: world.seen.uids(),
            came: BTreeSet::new(),
            texts: Texts::default(),
        }
    }

    /// Takes an object of that kind. Owners must come before what they make.
    pub fn take(&mut self, kind: Kind, text: &str) {
        let named: Result<Named<'_>, _> = serde_json::from_str(text);
        let metadata = named.ok().and_then(|it| it.metadata);
        let Some(metadata) = metadata else {
            self.nameless += 1;
            return;
        };
        let Some(namespace) = metadata.namespace.as_deref().map(str::to_owned) else {
            self.nameless += 1;
            return;
        };
        let result = match kind {
            Kind::Pod => self.pod(&namespace, &metadata, text),
            _ => self.template(kind, &namespace, &metadata, text),
        };
        if let Err((owner, why)) = result {
            let why = self.text(&why);
            let workload = self.workload(&namespace, owner);
            workload.unreadable.get_or_insert(why);
        }
    }

    /// What follows from all objects that were taken; and what was not, since it could not be read,
    /// or because the scan was stopped.
    pub fn finish(self, stopped: Option<String>, missing: Vec<Unread>) -> Overview {
        Overview::of(self, stopped, missing)
    }

    fn template(
        &mut self,
        kind: Kind,
        namespace: &str,
        metadata: &Metadata<'_>,
        text: &str,
    ) -> Result<(), (Owner, String)> {
        let name = metadata.name.as_deref().unwrap_or_default();
        let own = Owner::of_kind(kind, name);
        let controller = metadata.controller().map(Owner::of);
        let failed = |why| (own.clone(), why);
        let mut owner = own.clone();
        if matches!(kind, Kind::ReplicaSet | Kind::Job)
            && let Some(it) = &controller
        {
            self.controllers.insert(namespace, own.clone(), it.clone());
            // An old version of another workload makes no pods, either.
            if it.is_read() || read::is_scaled_to_zero(text).map_err(failed)? {
                return Ok(());
            }
            owner = it.clone();
        }
        if read::is_finished(kind, text).map_err(failed)? {
            return Ok(());
        }
        let failed = |why| (owner.clone(), why);
        let Some(pod) = read::template(kind, text).map_err(failed)? else { return Ok(()) };
        let outcome = self.judge(kind, namespace, pod).map_err(failed)?;
        let change = outcome.as_ref().and_then(|it| it.change.as_deref());
        let change = change.map(|it| self.text(it));
        let workload = self.workload(namespace, owner.clone());
        workload.has_template = true;
        workload.change = change;
        workload.made_by = controller.filter(|it| *it != owner);
        self.add(namespace, owner, kind.prefix(), outcome, None);
        Ok(())
    }

    fn pod(
        &mut self,
        namespace: &str,
        metadata: &Metadata<'_>,
        text: &str,
    ) -> Result<(), (Owner, String)> {
        let name = metadata.name.as_deref().unwrap_or_default();
        let own = Owner::of_kind(Kind::Pod, name);
        let failed = |why| (own.clone(), why);
        if read::is_finished(Kind::Pod, text).map_err(failed)? {
            return Ok(());
        }
        let uid = metadata.uid.as_deref().unwrap_or_default();
        self.came.extend(self.unfiltered.get(uid));
        let controller = metadata.controller().map(Owner::of);
        let owner =
            controller.map_or_else(|| own.clone(), |it| self.controllers.top(namespace, it));
        let entry = self.namespaces.entry(namespace.to_owned()).or_default();
        entry.pods += 1;
        let pod: Pod<'_> = serde_json::from_str(text).map_err(|it| failed(it.to_string()))?;
        *entry.runs.entry(RunsUnder::of(&pod, &self.world.nodes)).or_default() += 1;
        if pod.is_mirror() {
            entry.static_pods += 1;
            return Ok(());
        }
        let outcome = self.judge(Kind::Pod, namespace, text).map_err(failed)?;
        let change = outcome.as_ref().and_then(|it| it.change.as_deref());
        let change = change.map(|it| self.text(it));
        let entry = self.namespaces.entry(namespace.to_owned()).or_default();
        entry.changed_pods += usize::from(change.is_some());
        let is_denied = |it: &Outcome| it.findings.iter().any(|it| it.grade == Grade::Denied);
        entry.denied_pods += usize::from(outcome.as_ref().is_some_and(is_denied));
        let workload = entry.owners.entry(owner.clone()).or_default();
        workload.pods += 1;
        if !workload.has_template {
            workload.change = change.or(workload.change.take());
        }
        let name = self.text(name);
        self.add(namespace, owner, "", outcome, Some(&name));
        Ok(())
    }

    /// The outcome for the pod with that text; `None` where no policy can be applied.
    fn judge(
        &mut self,
        kind: Kind,
        namespace: &str,
        text: &str,
    ) -> Result<Option<Outcome>, String> {
        let policy = match self.world.governing(namespace) {
            Ok(policy) => policy,
            Err(Ungovernable::NoSuchPolicy(_) | Ungovernable::NotRead(_)) => return Ok(None),
        };
        let mut outcome = judge(kind, text, self.world.facts(policy, namespace))?;
        if !self.world.unread.is_empty() {
            let pod: Pod<'_> = serde_json::from_str(text).map_err(|it| it.to_string())?;
            let is_localhost = pod.containers().any(|it| {
                matches!(
                    it.effective,
                    Effective::Own(Seccomp::Localhost(_))
                        | Effective::Inherited(Seccomp::Localhost(_))
                )
            }) || policy.injected_paths().next().is_some();
            outcome.doubts.extend(self.world.doubts(is_localhost, pod.runtime_class().is_some()));
        }
        Ok(Some(outcome))
    }

    /// Adds what was found in the template of an owner, or in the pod of that name.
    fn add(
        &mut self,
        namespace: &str,
        owner: Owner,
        prefix: &str,
        outcome: Option<Outcome>,
        pod: Option<&Text>,
    ) {
        let Some(Outcome { change: _, findings, more, doubts, service_account }) = outcome else {
            return;
        };
        let account = self.text(&service_account);
        let findings: Vec<_> =
            findings.into_iter().map(|it| self.found(it, prefix, pod, &account)).collect();
        self.namespaces.entry(namespace.to_owned()).or_default().doubt(doubts);
        let workload = self.workload(namespace, owner);
        workload.more = workload.more.max(more);
        for (rule, place, found) in findings {
            let is_full = workload.findings.len() >= MOST_FINDINGS;
            match workload.findings.get_mut(&(rule, place.clone())) {
                Some(known) => {
                    known.grade = known.grade.max(found.grade);
                    known.pods += found.pods;
                    if known.names.len() < MOST_NAMES {
                        known.names.extend(found.names);
                    }
                }
                None if is_full => {
                    workload.more += 1;
                    workload.denies_more |= found.grade == Grade::Denied;
                }
                None => _ = workload.findings.insert((rule, place), found),
            }
        }
    }

    fn found(
        &mut self,
        it: Finding,
        prefix: &str,
        pod: Option<&Text>,
        service_account: &Text,
    ) -> (&'static str, Text, Found) {
        let Finding { rule, grade, field, message, fix, exemption, container } = it;
        // Where other webhooks add containers, the same one has another index in the pods.
        let place = match &container {
            Some((list, name)) => self.text(&format!("{list} {name}")),
            None => self.text(&field),
        };
        let found = Found {
            grade,
            field: self.text(&format!("{prefix}{field}")),
            message: self.text(&message),
            fix: fix.map(|it| self.text(&it)),
            exemption: exemption.map(|it| self.text(&it)),
            container: container.map(|(list, name)| (list, self.text(&name))),
            service_account: service_account.clone(),
            in_template: !prefix.is_empty(),
            pods: usize::from(pod.is_some()),
            names: pod.into_iter().cloned().collect(),
        };
        (rule, place, found)
    }

    fn workload(&mut self, namespace: &str, owner: Owner) -> &mut Workload {
        let namespace = self.namespaces.entry(namespace.to_owned()).or_default();
        namespace.owners.entry(owner).or_default()
    }

    fn text(&mut self, text: &str) -> Text {
        self.texts.of(text)
    }
}
