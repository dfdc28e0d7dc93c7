//! Writes into the files what the mutating webhook would set, and leaves every other byte alone.

mod edit;
mod place;

use std::ops::Range;

use serde_json::Value;

use self::edit::Edit;
use super::{
    Checker, judge,
    kinds::{self, PodAt},
    objects,
};
use crate::{
    policy::{Operation, Patch, patched},
    yaml::{self, Document, NodeId},
};

/// A file with what the webhook would set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The whole text; as it was, if nothing is to be set.
    pub text: String,
    /// The objects that changed.
    pub changed: Vec<String>,
    /// What could not be written, in a line each.
    pub left: Vec<String>,
}

/// The changes of one document.
struct Plan<'a> {
    document: &'a Document<'a>,
    edits: Vec<Edit>,
    titles: Vec<String>,
    /// Whether every change has a place in the style of the document.
    is_possible: bool,
    /// Each object as it has to be afterwards.
    expected: Vec<Value>,
}

impl Checker<'_> {
    /// What the webhook would set in the pods of a file, written into it.
    pub fn fix(&self, text: &str) -> Fixed {
        let (mut changed, mut left) = (Vec::new(), Vec::new());
        let mut edits = Vec::new();
        for document in yaml::documents(text).flatten() {
            let plan = self.plan(&document, text);
            if plan.titles.is_empty() {
                continue;
            }
            if plan.is_possible && plan.holds(text) {
                edits.extend(plan.edits);
                changed.extend(plan.titles);
            } else {
                let titles = plan.titles.join(", ");
                left.push(format!("{titles}: anchors or the style of the file do not allow it"));
            }
        }
        let text = edit::applied(text, 0..text.len(), &edits);
        Fixed { text, changed, left }
    }

    fn plan<'a>(&self, document: &'a Document<'a>, text: &str) -> Plan<'a> {
        let mut plan = Plan {
            document,
            edits: Vec::new(),
            titles: Vec::new(),
            is_possible: true,
            expected: Vec::new(),
        };
        objects::each(document, |object| {
            let json = document.json(object.node);
            let mut value: Value = serde_json::from_str(&json).unwrap_or_default();
            let mut is_changed = false;
            for pod in kinds::pods(&object, &self.world.kinds) {
                let Some(patch) = judge::patch(self, &object, &pod) else { continue };
                is_changed = true;
                plan.add(&pod, &patch, text);
                set(&mut value, &pod, document, &patch);
            }
            if is_changed {
                let template = judge::origins(&object);
                let template: String = template.iter().flat_map(|it| [" (", it, ")"]).collect();
                plan.titles.push(format!("{}{template}", object.title()));
            }
            plan.expected.push(value);
        });
        plan
    }
}

impl Plan<'_> {
    fn add(&mut self, pod: &PodAt, patch: &Patch, text: &str) {
        for operation in &patch.operations {
            let edit = match operation {
                Operation::Add { path, value } => serde_json::to_value(value)
                    .ok()
                    .and_then(|it| place::added(self.document, pod.node, path, &it, text)),
                Operation::Remove { path } => place::removed(self.document, pod.node, path, text),
            };
            self.is_possible &= edit.is_some();
            self.edits.extend(edit);
        }
    }

    /// Whether the edited document has the expected objects, and no others.
    fn holds(&self, text: &str) -> bool {
        let edited = edit::applied(text, self.document.range.clone(), &self.edits);
        let mut all = Vec::new();
        for document in yaml::documents(&edited) {
            let Ok(document) = document else { return false };
            objects::each(&document, |it| {
                let json = document.json(it.node);
                all.push(serde_json::from_str::<Value>(&json).unwrap_or_default());
            });
        }
        all == self.expected
    }
}

/// Applies the patch of a pod within the object.
fn set(object: &mut Value, pod: &PodAt, document: &Document<'_>, patch: &Patch) {
    let before = document.json(pod.node);
    let Some(after) = patched(&before, patch).and_then(|it| serde_json::from_str(&it).ok()) else {
        return;
    };
    let steps = pod.prefix.replace(['[', '.'], "/").replace(']', "");
    let steps = steps.trim_end_matches('/');
    let pointer = if steps.is_empty() { String::new() } else { format!("/{steps}") };
    if let Some(place) = object.pointer_mut(&pointer) {
        *place = after;
    }
}

/// A node below a pod, if it is written there and not elsewhere.
fn own(document: &Document<'_>, from: NodeId, steps: &[&str]) -> Option<NodeId> {
    let mut at = from;
    for step in steps {
        at = match step.parse::<usize>() {
            Ok(index) => *document.items(at).get(index)?,
            Err(_) => document.field(at, step)?.value,
        };
        if document.target(at) != at {
            return None;
        }
    }
    Some(at)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |it| it + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |it| at + it + 1)
}

/// Whether there is nothing before a byte on its line but space.
fn is_first(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at].trim().is_empty()
}

fn is_within(inner: &Range<usize>, outer: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

#[cfg(test)]
mod tests;
