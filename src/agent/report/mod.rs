//! What to report about a node to the API server. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{NodeSpec, NodeStatus},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use serde_json::{Value, json};

use super::{OWN, name::Name, pass_result::PassResult};
use crate::{
    call::CallError,
    group::{NODE_CONDITION, NOT_READY_TAINT, PROFILE_LABEL_PREFIX},
    profile::Digest,
    watch::Object,
};

/// Why a report failed.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("cannot {what}")]
    Call { what: &'static str, source: CallError },
    #[error("cannot {what}: {why}")]
    Unreadable { what: &'static str, why: String },
    /// The node object is missing. Everything is reported once it exists.
    #[error("there is no Node {name:?}")]
    NoNode { name: String },
}

/// How many profiles a message names.
const MOST_NAMED: usize = 3;

/// The longest message, since many clients read nodes.
const LONGEST_MESSAGE: usize = 512;

/// What the API server holds of our reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    pub node_uid: String,
    /// Our own labels only.
    pub labels: BTreeMap<String, String>,
    pub condition: Option<Condition>,
    /// The transition time of the condition.
    pub condition_since: Option<Timestamp>,
    pub is_tainted: bool,
    /// The `SeccompNode`: the uids of its owners, and its status.
    pub object: Option<(Vec<String>, Value)>,
}

/// The node condition `SeccompProfilesReady`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// One call of the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Create the `SeccompNode`, owned by the node of this uid.
    Create(String),
    /// Make the node of this uid the owner of the existing `SeccompNode`.
    Own(String),
    /// The whole status of the `SeccompNode`.
    Status(Value),
    Condition(Condition),
    /// The labels to set and to remove.
    Labels(BTreeMap<String, Option<String>>),
    Untaint,
}

/// The writes of a report, in this order: first the inventory, then the condition, and only then
/// labels and taint, by which pods are scheduled.
///
/// `refresh` writes the condition even if it has not changed, as a heartbeat.
///
/// Before the profiles of the cluster are known, the condition of an earlier run stays only while
/// our files are still those of its report: the disk may have been replaced.
pub fn writes(found: &PassResult, seen: &Published, refresh: bool) -> Vec<Write> {
    let mut writes = Vec::new();
    let status = status(found);
    match &seen.object {
        None => writes.push(Write::Create(seen.node_uid.clone())),
        Some((owners, _)) if owners[..] != [seen.node_uid.clone()] => {
            writes.push(Write::Own(seen.node_uid.clone()));
        }
        Some(_) => {}
    }
    let reported = seen.object.as_ref().map(|(_, it)| it);
    if reported != Some(&status) {
        writes.push(Write::Status(status.clone()));
    }
    let condition = if found.is_decided || found.is_replaced {
        Some(condition(found))
    } else {
        let still = reported.is_some_and(|it| ours(it).eq(ours(&status)));
        (!still && seen.condition.is_some())
            .then(|| Condition::not("Starting", "the files are not those that were reported last"))
    };
    if let Some(condition) = condition.filter(|it| refresh || seen.condition.as_ref() != Some(it)) {
        writes.push(Write::Condition(condition));
    }
    let labels = labels(found, &seen.labels);
    if !labels.is_empty() {
        writes.push(Write::Labels(labels));
    }
    if found.admits_pods() && seen.is_tainted {
        writes.push(Write::Untaint);
    }
    writes
}

/// The `status` of the `SeccompNode`; null values are left out.
fn status(found: &PassResult) -> Value {
    let entries = found.entries.iter().map(|it| {
        let mut entry = json!({ "path": it.path, "size": it.size, "source": it.source.as_str() });
        if let Some(digest) = it.digest {
            entry["digest"] = digest.to_string().into();
        }
        if let Some(problem) = it.problem {
            entry["problem"] = problem.as_str().into();
        }
        if let Some(doubt) = it.doubt {
            entry["doubt"] = doubt.as_str().into();
        }
        entry
    });
    let entries: Vec<_> = entries.collect();
    let unlisted = Some(found.unlisted).filter(|it| *it > 0);
    json!({ "profiles": entries, "unlisted": unlisted, "containers": found.containers })
}

/// The paths and digests of the files in our own directory.
fn ours(status: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let all = status["profiles"].as_array().into_iter().flatten();
    all.filter(|it| {
        let path = it["path"].as_str().unwrap_or_default();
        path.strip_prefix(OWN).is_some_and(|it| it.starts_with('/'))
    })
    .map(|it| (&it["path"], &it["digest"]))
}

fn condition(found: &PassResult) -> Condition {
    if found.is_ready() {
        let message = match found.wanted {
            1 => "the only profile is in place".to_owned(),
            all => format!("all {all} profiles are in place"),
        };
        return Condition { status: "True".into(), reason: "Installed".into(), message };
    }
    let reasons: Vec<_> = found.failures.iter().take(MOST_NAMED).map(|it| &*it.why).collect();
    let more = found.failures.len().saturating_sub(MOST_NAMED);
    let mut message = reasons.join("; ");
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        message.push('…');
    }
    if more > 0 {
        message = format!("{message}; and {more} more");
    }
    Condition::not("NotInstalled", &message)
}

/// The changes to the labels. Before the profiles of the cluster are known, labels that are no
/// longer true are removed and none is added.
fn labels(found: &PassResult, seen: &BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    let usable = found.usable.iter();
    let wanted: BTreeMap<_, _> =
        usable.filter_map(|(name, digest)| Some((label(name)?, Digest::short(digest)))).collect();
    let stale = seen.iter().filter(|(key, value)| wanted.get(*key) != Some(value));
    let mut changes: BTreeMap<_, _> = stale.map(|(key, _)| (key.clone(), None)).collect();
    if found.is_decided {
        let missing = wanted.into_iter().filter(|(key, value)| seen.get(key) != Some(value));
        changes.extend(missing.map(|(key, value)| (key, Some(value))));
    }
    changes
}

/// The key of a profile's label; `None` if the name is too long for one.
fn label(name: &Name) -> Option<String> {
    const LONGEST: usize = 63;
    (name.as_str().len() <= LONGEST).then(|| format!("{PROFILE_LABEL_PREFIX}{name}"))
}

impl Condition {
    fn not(reason: &str, message: &str) -> Self {
        Self { status: "False".into(), reason: reason.into(), message: message.into() }
    }
}

impl Published {
    /// Reads our fields of a node, and of its `SeccompNode` if there is one.
    pub(super) fn of(node: &Object<'_>, object: Option<&Object<'_>>) -> Result<Self, String> {
        let labels: BTreeMap<String, String> = node.labels()?;
        let (spec, status): (NodeSpec, NodeStatus) = (node.spec()?, node.status()?);
        let mut conditions = status.conditions.into_iter().flatten();
        let condition = conditions.find(|it| it.type_ == NODE_CONDITION);
        let mut taints = spec.taints.into_iter().flatten();
        Ok(Self {
            node_uid: node.uid().to_owned(),
            labels: labels
                .into_iter()
                .filter(|(key, _)| key.starts_with(PROFILE_LABEL_PREFIX))
                .collect(),
            condition_since: condition
                .as_ref()
                .and_then(|it| it.last_transition_time.as_ref().map(|it| it.0)),
            condition: condition.map(|it| Condition {
                status: it.status,
                reason: it.reason.unwrap_or_default(),
                message: it.message.unwrap_or_default(),
            }),
            is_tainted: taints.any(|it| it.key == NOT_READY_TAINT),
            object: object.map(Self::object).transpose()?,
        })
    }

    fn object(object: &Object<'_>) -> Result<(Vec<String>, Value), String> {
        let owners: Vec<OwnerReference> = object.owner_references()?;
        // A status that cannot be read is overwritten.
        let status: Value = object.status().unwrap_or_default();
        let ours = json!({
            "profiles": status["profiles"],
            "unlisted": status["unlisted"],
            "containers": status["containers"],
        });
        Ok((owners.into_iter().map(|it| it.uid).collect(), ours))
    }
}

#[cfg(test)]
mod tests;
