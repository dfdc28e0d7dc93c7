//! What enforcing a policy would do to the pods of one object.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    pod::{Effective, Kind, Pod, Scope, Seccomp},
    policy::{Facts, FieldPath, Judged, Level, Mode, Patch, Verdict, cut, patched},
    profile::ProfilePath,
};

/// What happens to a pod because of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It is let through, and recorded.
    Recorded,
    Warned,
    /// It depends on what was not seen.
    Unknown,
    Denied,
}

/// What is found in a pod after callgate has changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static str,
    pub grade: Grade,
    /// The field, below the path of the pod.
    pub field: String,
    pub message: String,
    /// The way out.
    pub fix: Option<String>,
    /// The exemption that lets it pass.
    pub exemption: Option<String>,
    /// The list and the name of the container, if it is about one.
    pub container: Option<(&'static str, String)>,
}

/// What enforcing does to the pods of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What callgate would change, in words.
    pub change: Option<String>,
    pub findings: Vec<Finding>,
    /// How many findings are not listed.
    pub more: usize,
    /// What was not seen and may change the verdict.
    pub doubts: BTreeSet<String>,
    pub service_account: String,
}

/// Judges a pod, or the template of one, that is part of an object of `kind`, by its text: as the
/// API server would call `/mutate`, then `/validate`, in mode enforce.
///
/// # Errors
/// Why it cannot be read. Such a pod is denied.
pub fn judge(kind: Kind, text: &str, facts: Facts<'_>) -> Result<Outcome, String> {
    let read = |text| serde_json::from_str::<Pod<'_>>(text).map_err(|it| it.to_string());
    let pod = read(text)?;
    if pod.is_mirror() {
        return Ok(Outcome::default());
    }
    let first = Verdict::of_pods(Kind::Pod, &pod, &Scope::Whole, facts, Mode::Enforce);
    let patch = first.patch(&pod, &Scope::Whole);
    let changed = (!patch.operations.is_empty()).then(|| patched(text, &patch)).flatten();
    let after = changed.as_deref().map(read).transpose()?;
    let pod = after.as_ref().unwrap_or(&pod);
    let verdict = Verdict::of_pods(kind, pod, &Scope::Whole, facts, Mode::Enforce);
    let judged = verdict.judged().iter().filter(|it| it.level > Level::Off);
    let mut outcome = Outcome {
        change: words(&patch),
        service_account: pod.service_account().to_owned(),
        ..Outcome::default()
    };
    for it in judged {
        let doubt = doubt(it, pod, facts);
        let grade = match (it.level, &doubt) {
            (Level::Deny, Some(_)) => Grade::Unknown,
            (Level::Deny, None) => Grade::Denied,
            (Level::Warn, _) => Grade::Warned,
            (Level::Audit | Level::Off, _) => Grade::Recorded,
        };
        if grade == Grade::Unknown {
            outcome.doubts.extend(doubt);
        }
        outcome.findings.push(finding(it, verdict.hint(it), grade));
    }
    outcome.more = verdict.counts().values().sum::<usize>() - verdict.judged().len();
    Ok(outcome)
}

fn finding(it: &Judged<'_>, fix: Option<String>, grade: Grade) -> Finding {
    let field = it.found.field;
    let container = match field {
        FieldPath::Container { list, name, .. } => Some((list.field(), name.to_owned())),
        FieldPath::Pod | FieldPath::RuntimeClass | FieldPath::Annotation { .. } => None,
    };
    Finding {
        rule: it.found.rule.id,
        grade,
        field: field.to_string(),
        message: cut(it.found.finding.message.clone()),
        fix,
        exemption: it.exemption.map(|it| it.name.as_str().to_owned()),
        container,
    }
}

/// Why a profile that seems to be missing may be there: a node on which the pod can land has not
/// reported its files.
fn doubt(it: &Judged<'_>, pod: &Pod<'_>, facts: Facts<'_>) -> Option<String> {
    if it.found.rule.id != "missing-profile" {
        return None;
    }
    let declared = match it.found.field {
        FieldPath::Pod => pod.seccomp(),
        FieldPath::Container { list, index, .. } => {
            let mut all = pod.containers();
            match all.find(|it| it.list == list && it.index == index)?.effective {
                Effective::Own(it) | Effective::Inherited(it) => Some(it),
                Effective::Unset => None,
            }
        }
        FieldPath::RuntimeClass | FieldPath::Annotation { .. } => None,
    };
    let Some(Seccomp::Localhost(Some(path))) = declared else { return None };
    let path: ProfilePath = path.parse().ok()?;
    // A profile that is known and cannot be loaded is no matter of nodes.
    if facts.catalog.get(&path).is_some() {
        return None;
    }
    let nodes = facts.nodes.distribution(pod, &path);
    (nodes.unknown > 0 || nodes.eligible == 0).then(|| {
        format!(
            "whether the nodes have profile {:?} is not known: no agent reports it",
            path.as_str()
        )
    })
}

/// What a patch does, in words; `None` if nothing.
fn words(patch: &Patch) -> Option<String> {
    let mut changes = Vec::new();
    if let Some(profile) = &patch.injected {
        changes.push(format!("set {profile}"));
    }
    if !patch.pinned.is_empty() {
        let paths: Vec<_> = patch.pinned.iter().map(|it| format!("{:?}", it.as_str())).collect();
        changes.push(format!("pin it to nodes with {}", paths.join(", ")));
    }
    for key in &patch.removed {
        changes.push(format!("remove the annotation {key:?}"));
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}
