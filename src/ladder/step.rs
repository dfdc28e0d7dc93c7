//! Which steps are safe, and why not.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    api::{EvidenceFinding, EvidenceOwner, SeccompEvidenceStatus},
    group::{MODE_LABEL, POLICY_LABEL},
    policy::Mode,
    report::counted,
    scan::{NamespaceOverview, Safety},
};

/// The number goes up when a field changes its meaning or is removed.
const VERSION: u32 = 1;

/// How many findings a reason names.
const MOST_NAMED: usize = 3;

/// What is known of a namespace with a policy.
#[derive(Debug)]
pub struct Known<'a> {
    pub name: &'a str,
    pub policy: &'a str,
    pub mode: Mode,
    /// Since when its labels have named this policy and mode, at the earliest.
    pub labelled: Option<Timestamp>,
    /// Since when the policy has been as it is, at the earliest; `Ok(None)` for a built-in one.
    pub policy_changed: Result<Option<Timestamp>, String>,
    /// When its `SeccompEvidence` was created, and what that holds.
    pub evidence: Option<(Timestamp, &'a SeccompEvidenceStatus)>,
    /// What runs in it now.
    pub scanned: &'a NamespaceOverview,
}

/// The steps of all namespaces; its JSON is `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ladder {
    version: u32,
    command: &'static str,
    /// For how long a namespace has to be observed, in words.
    pub observed: String,
    pub namespaces: Vec<Step>,
}

/// A namespace, and the steps before it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub name: String,
    pub policy: String,
    pub mode: &'static str,
    /// Since when callgate has been watching it under this policy and mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many pods were denied, or would have been, since its evidence was created.
    pub pods: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// What was found in them.
    pub findings: Vec<EvidenceFinding>,
    /// How many containers run without a filter now, as far as agents look at processes.
    pub unfiltered: usize,
    /// What profiles denied in its containers within the time of observation, as far as nodes report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_calls: Option<DeniedCalls>,
    /// The steps to the other modes, the next one first.
    pub next: Vec<Next>,
}

/// Calls that were denied in containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeniedCalls {
    pub calls: u64,
    pub last: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    pub mode: &'static str,
    pub safe: Safety,
    pub reasons: Vec<String>,
    /// The command that takes the step, if it is safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Ladder {
    pub fn new(observed: String, namespaces: Vec<Step>) -> Self {
        Self { version: VERSION, command: "callgate ladder", observed, namespaces }
    }
}

/// The steps of a namespace. To deny pods is safe if nothing would have been denied within `window`
/// before `now`, callgate has been watching for as long, and nothing that runs now would be denied.
pub fn climb(known: &Known<'_>, window: (SignedDuration, &str), now: Timestamp) -> Step {
    let since = since(known);
    let status = known.evidence.map(|(_, it)| it);
    let modes: &[Mode] = match known.mode {
        Mode::Audit => &[Mode::Warn, Mode::Enforce],
        Mode::Warn => &[Mode::Enforce],
        Mode::Enforce => &[],
    };
    let next = modes.iter().map(|mode| {
        let (denied, unknown) = match mode {
            // It denies nothing.
            Mode::Audit | Mode::Warn => (Vec::new(), Vec::new()),
            Mode::Enforce => (denied(known, window, now), unknown(known, &since, window, now)),
        };
        let safe = match (denied.is_empty(), unknown.is_empty()) {
            (false, _) => Safety::No,
            (true, false) => Safety::Unknown,
            (true, true) => Safety::Yes,
        };
        let command = format!(
            "kubectl label namespace {} {POLICY_LABEL}={} {MODE_LABEL}={} --overwrite",
            known.name,
            known.policy,
            mode.as_str()
        );
        Next {
            mode: mode.as_str(),
            safe,
            reasons: denied.into_iter().chain(unknown).collect(),
            command: Some(command).filter(|_| safe == Safety::Yes),
        }
    });
    Step {
        name: known.name.to_owned(),
        policy: known.policy.to_owned(),
        mode: known.mode.as_str(),
        since: since.as_ref().ok().copied(),
        pods: status.map_or(0, |it| it.pods),
        last: status.and_then(|it| it.last.as_ref()).map(|it| it.0),
        findings: status.map(|it| it.findings.clone()).unwrap_or_default(),
        unfiltered: known.scanned.unfiltered.len(),
        denied_calls: denied_calls(known.scanned, window.0, now),
        next: next.collect(),
    }
}

/// What was denied within `window` before `now`. It forbids no step: a profile denied it, and would do
/// so in any mode.
fn denied_calls(
    scanned: &NamespaceOverview,
    window: SignedDuration,
    now: Timestamp,
) -> Option<DeniedCalls> {
    let calls = scanned.denials.iter().map(|it| &it.call).filter(|it| it.was_stopped());
    let recent = calls.filter(|it| now.duration_since(it.last) < window);
    recent.map(|it| DeniedCalls { calls: it.count, last: it.last }).reduce(|a, b| DeniedCalls {
        calls: a.calls.saturating_add(b.calls),
        last: a.last.max(b.last),
    })
}

/// Since when callgate has been watching this policy and mode in the namespace.
fn since(known: &Known<'_>) -> Result<Timestamp, Vec<String>> {
    let mut doubts = Vec::new();
    let mut times = Vec::new();
    match known.evidence {
        Some((created, _)) => times.push(created),
        None => doubts.push(
            "there is no evidence: the component \"evidence\" keeps it, in the namespaces that name \
             a policy"
                .to_owned(),
        ),
    }
    match known.labelled {
        Some(it) => times.push(it),
        None => doubts.push(
            "when the labels of the namespace were changed is not known: its managedFields do not \
             say"
            .to_owned(),
        ),
    }
    match &known.policy_changed {
        Ok(it) => times.extend(*it),
        Err(why) => doubts.push(why.clone()),
    }
    match times.into_iter().max() {
        Some(it) if doubts.is_empty() => Ok(it),
        _ => Err(doubts),
    }
}

/// Why pods would be denied.
fn denied(
    known: &Known<'_>,
    (window, words): (SignedDuration, &str),
    now: Timestamp,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if known.scanned.safe == Safety::No {
        reasons.extend(known.scanned.reasons.iter().cloned());
    }
    let Some((_, status)) = known.evidence else { return reasons };
    let is_recent = |it: Timestamp| now.duration_since(it) < window;
    if !status.last.as_ref().is_some_and(|it| is_recent(it.0)) {
        return reasons;
    }
    let recent = status.findings.iter().filter(|it| is_recent(it.last.0));
    let mut owners = BTreeMap::<&EvidenceOwner, BTreeSet<&str>>::new();
    for it in recent {
        owners.entry(&it.owner).or_default().insert(&it.rule);
    }
    let named: Vec<_> = owners
        .iter()
        .take(MOST_NAMED)
        .map(|(owner, rules)| {
            let rules = rules.iter().copied().collect::<Vec<_>>().join(", ");
            format!("{} {:?} ({rules})", owner.kind.to_lowercase(), owner.name)
        })
        .collect();
    let more = match owners.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and of {}", counted(more, "other owner")),
    };
    reasons.push(format!(
        "within the last {words} pods would have been denied: those of {}{more}",
        named.join(", ")
    ));
    reasons
}

/// What is not known.
fn unknown(
    known: &Known<'_>,
    since: &Result<Timestamp, Vec<String>>,
    (window, words): (SignedDuration, &str),
    now: Timestamp,
) -> Vec<String> {
    let mut reasons = match since {
        Err(doubts) => doubts.clone(),
        Ok(since) if now.duration_since(*since) < window => {
            vec![format!("observed since {since:.0}, which is less than {words}")]
        }
        Ok(_) => Vec::new(),
    };
    if known.scanned.safe == Safety::Unknown {
        reasons.extend(known.scanned.reasons.iter().cloned());
    }
    reasons
}
