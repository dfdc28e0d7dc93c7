//! What a scan answers: for each namespace whether a policy can be enforced, and what would change.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde::Serialize;

use super::{
    DenialTotals, Grade, Owner, Scan, SeenContainer, SeenDenial, SeenTotals, Unread, World,
    fold::{Found, Namespace, Workload},
    runs::RunsUnder,
    safety::{Safety, general_doubts, is_left_out, mode, next_step},
    texts::Text,
    world::Ungovernable,
};
use crate::{policy::Mode, report::counted};

/// The number goes up when a field changes its meaning or is removed.
const VERSION: u32 = 1;

/// The result of a scan; its JSON is `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    pub version: u32,
    pub command: &'static str,
    /// Why objects are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    pub unread: Vec<Unread>,
    pub totals: Totals,
    /// What agents saw of all containers; absent if none looks at them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<SeenTotals>,
    /// What filters denied in containers; absent if no node reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denials: Option<DenialTotals>,
    pub namespaces: Vec<NamespaceOverview>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub namespaces: usize,
    pub safe: usize,
    pub not_safe: usize,
    pub unknown: usize,
    pub pods: usize,
    pub unfiltered: usize,
    pub workloads: usize,
    pub changed: usize,
    pub warned: usize,
    pub denied: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceOverview {
    pub name: String,
    /// The policy that would be enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whether it is enforced already.
    pub is_enforced: bool,
    /// Whether the webhook configurations leave it out.
    pub is_left_out: bool,
    pub safe: Safety,
    pub reasons: Vec<String>,
    /// The next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    pub pods: Pods,
    /// Containers that run without a filter, by the kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfiltered: Vec<SeenContainer>,
    /// Calls that filters denied in its containers, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<SeenDenial>,
    pub workloads: Workloads,
    pub owners: Vec<OwnerOverview>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pods {
    pub all: usize,
    pub unfiltered: usize,
    /// Pods of kubelets, which are not judged.
    #[serde(rename = "static")]
    pub of_kubelets: usize,
    pub changed: usize,
    pub denied: usize,
    pub runs_under: BTreeMap<RunsUnder, usize>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Workloads {
    pub all: usize,
    pub changed: usize,
    pub warned: usize,
    pub unknown: usize,
    pub denied: usize,
}

/// An owner whose pods would be changed, or have findings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerOverview {
    #[serde(flatten)]
    pub owner: Owner,
    pub pods: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<Owner>,
    /// What callgate would do to its pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Text>,
    #[serde(skip)]
    pub has_template: bool,
    pub findings: Vec<FindingOverview>,
    /// How many findings are not listed.
    pub more: usize,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingOverview {
    pub rule: &'static str,
    pub grade: Grade,
    pub field: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Text>,
    /// The list of that container.
    #[serde(skip)]
    pub list: Option<&'static str>,
    #[serde(skip)]
    pub service_account: Text,
    pub message: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption: Option<Text>,
    pub in_template: bool,
    /// The number of pods with it, and the names of the first.
    pub pods: usize,
    pub names: Vec<Text>,
}

impl Overview {
    pub(super) fn of(scan: Scan<'_>, stopped: Option<String>, missing: Vec<Unread>) -> Self {
        let Scan { world, mut namespaces, nameless, came, .. } = scan;
        for name in world.namespaces.keys() {
            namespaces.entry(name.clone()).or_default();
        }
        let general = general_doubts(world, stopped.as_deref(), &missing, nameless);
        let namespaces: Vec<_> = namespaces
            .into_iter()
            .map(|(name, it)| {
                let unfiltered = world.seen.in_namespace(&name, &came);
                NamespaceOverview { unfiltered, ..NamespaceOverview::of(world, name, it, &general) }
            })
            .collect();
        let mut totals = Totals { namespaces: namespaces.len(), ..Totals::default() };
        for it in &namespaces {
            *match it.safe {
                Safety::Yes => &mut totals.safe,
                Safety::No => &mut totals.not_safe,
                Safety::Unknown => &mut totals.unknown,
            } += 1;
            totals.pods += it.pods.all;
            totals.unfiltered += it.pods.unfiltered;
            totals.workloads += it.workloads.all;
            totals.changed += it.workloads.changed;
            totals.warned += it.workloads.warned;
            totals.denied += it.workloads.denied;
        }
        let unread = world.unread.iter().cloned().chain(missing).collect();
        let (version, command, seen) = (VERSION, "callgate scan", world.seen.totals());
        let denials = world.seen.denials();
        Self { version, command, stopped, unread, totals, seen, denials, namespaces }
    }

    /// Whether something would be denied, and whether something leads to a warning at least.
    pub fn worst(&self) -> Option<Grade> {
        let denied = self.namespaces.iter().any(|it| it.safe == Safety::No);
        let warned = self.totals.warned > 0;
        denied.then_some(Grade::Denied).or(warned.then_some(Grade::Warned))
    }

    /// Whether everything was read that was asked for.
    pub fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.unread.is_empty()
    }
}

impl NamespaceOverview {
    fn of(world: &World, name: String, it: Namespace, general: &[String]) -> Self {
        let Namespace { pods, static_pods, changed_pods, denied_pods, runs, owners, doubts } = it;
        let mut workloads = Workloads { all: owners.len(), ..Workloads::default() };
        let mut rules = BTreeSet::new();
        for it in owners.values() {
            workloads.changed += usize::from(it.change.is_some());
            match it.grade() {
                Some(Grade::Denied) => workloads.denied += 1,
                Some(Grade::Unknown) => workloads.unknown += 1,
                Some(Grade::Warned) => workloads.warned += 1,
                Some(Grade::Recorded) | None => {}
            }
            let denied = it.findings.iter().filter(|(_, it)| it.grade == Grade::Denied);
            rules.extend(denied.map(|((rule, _), _)| *rule));
            rules.extend(it.unreadable.is_some().then_some("unreadable"));
        }
        let governing = world.governing(&name);
        let mut unknown: Vec<_> = doubts.into_iter().chain(general.iter().cloned()).collect();
        let mut denied = Vec::new();
        match &governing {
            Ok(_) => {}
            Err(Ungovernable::NoSuchPolicy(why)) => denied.push(why.clone()),
            Err(Ungovernable::NotRead(why)) => unknown.push(why.clone()),
        }
        if workloads.denied > 0 {
            let rules = rules.into_iter().collect::<Vec<_>>().join(", ");
            let all = counted(workloads.all, "workload");
            denied.push(format!("pods of {} of {all} would be denied ({rules})", workloads.denied));
        }
        let safe = match (denied.is_empty(), unknown.is_empty()) {
            (false, _) => Safety::No,
            (true, false) => Safety::Unknown,
            (true, true) => Safety::Yes,
        };
        let policy = governing.ok().map(|it| it.name().to_owned());
        let labels = world.namespaces.get(&name).cloned().unwrap_or_default();
        let is_enforced =
            policy.is_some() && labels.policy == policy && mode(&labels) == Mode::Enforce;
        let is_left_out = is_left_out(&name);
        let command = policy
            .as_deref()
            .filter(|_| !is_enforced)
            .and_then(|policy| next_step(&name, policy, &labels, safe));
        let unfiltered = runs.iter().filter(|(it, _)| it.is_unfiltered()).map(|(_, it)| it).sum();
        let is_shown = |it: &Workload| it.change.is_some() || it.grade().is_some();
        let owners = owners.into_iter().filter(|(_, it)| is_shown(it)).map(OwnerOverview::of);
        Self {
            denials: world.seen.denied_in(&name),
            owners: owners.collect(),
            name,
            policy,
            is_enforced,
            is_left_out,
            safe,
            reasons: denied.into_iter().chain(unknown).collect(),
            command,
            unfiltered: Vec::new(),
            pods: Pods {
                all: pods,
                unfiltered,
                of_kubelets: static_pods,
                changed: changed_pods,
                denied: denied_pods,
                runs_under: runs,
            },
            workloads,
        }
    }
}

impl OwnerOverview {
    fn of((owner, it): (Owner, Workload)) -> Self {
        let Workload { pods, has_template, made_by, change, findings, more, unreadable, .. } = it;
        let mut findings: Vec<_> =
            findings.into_iter().map(|((rule, _), it)| FindingOverview::of(rule, it)).collect();
        findings.sort_by_key(|it| Reverse(it.grade));
        Self { owner, pods, made_by, change, unreadable, has_template, findings, more }
    }
}

impl FindingOverview {
    fn of(rule: &'static str, it: Found) -> Self {
        let (list, container) = it.container.unzip();
        Self {
            rule,
            grade: it.grade,
            field: it.field,
            container,
            list,
            service_account: it.service_account,
            message: it.message,
            fix: it.fix,
            exemption: it.exemption,
            in_template: it.in_template,
            pods: it.pods,
            names: it.names,
        }
    }
}
