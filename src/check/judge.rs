//! The verdict on the pods of one object, as diagnostics.

use std::ops::Range;

use serde::Deserialize;

use super::{
    Checker, fields,
    kinds::{self, PodAt},
    locate::{self, Step},
    objects::Object,
    topics,
};
use crate::{
    pod::{Kind, Pod, Scope},
    policy::{Facts, FieldPath, Judged, Level, Mode, Patch, Policy, RULES, Verdict, cut, patched},
    report::{Diagnostic, Place, Severity, Source, Suppressed},
    yaml::{NodeId, documents},
};

/// One pod of an object, and what governs it.
struct Judge<'a> {
    checker: &'a Checker<'a>,
    object: &'a Object<'a>,
    source: &'a Source<'a>,
    namespace: &'a str,
    policy: &'a Policy,
    mode: Mode,
    pod: PodAt,
}

/// Judges the pods of an object; `None` if it holds none.
pub(super) fn object(
    checker: &Checker<'_>,
    object: &Object<'_>,
    source: &Source<'_>,
) -> Option<Vec<Diagnostic>> {
    let pods = kinds::pods(object, &checker.world.kinds);
    if pods.is_empty() {
        return None;
    }
    let namespace = object.namespace().unwrap_or(&checker.world.namespace);
    let mut found = Vec::new();
    for pod in pods {
        fields::check(object, &pod, source, &mut found);
        match checker.governing(namespace) {
            Ok((policy, mode)) => {
                let judge = Judge { checker, object, source, namespace, policy, mode, pod };
                judge.judge(&mut found);
            }
            Err(why) => {
                let span = locate::span(object.document, object.node, &locate::keys(&["metadata"]));
                let message = format!("pods in namespace {namespace:?} cannot be judged: {why}");
                let place = source.place(span);
                let topic = topics::UNKNOWN_POLICY;
                found.push(Diagnostic {
                    identity: vec![object.identity(namespace)],
                    notes: origins(object),
                    ..Diagnostic::new(Severity::Error, topic, message, place)
                });
            }
        }
    }
    Some(found)
}

/// What the webhook would change in a pod; `None`: nothing.
pub(super) fn patch(checker: &Checker<'_>, object: &Object<'_>, pod: &PodAt) -> Option<Patch> {
    let namespace = object.namespace().unwrap_or(&checker.world.namespace);
    let (policy, mode) = checker.governing(namespace).ok()?;
    let text = object.document.json(pod.node);
    let pod = read(&text).ok()?;
    let patch = patch_of(&pod, checker.facts(policy, namespace), mode);
    (!patch.operations.is_empty()).then_some(patch)
}

fn patch_of(pod: &Pod<'_>, facts: Facts<'_>, mode: Mode) -> Patch {
    if pod.is_mirror() {
        return Patch::default();
    }
    Verdict::of_pods(Kind::Pod, pod, &Scope::Whole, facts, mode).patch(pod, &Scope::Whole)
}

impl Judge<'_> {
    fn judge(&self, found: &mut Vec<Diagnostic>) {
        let text = self.object.document.json(self.pod.node);
        let pod = match read(&text) {
            Ok(pod) => pod,
            Err((path, why)) => return found.push(self.unreadable(&path, &why)),
        };
        let facts = self.checker.facts(self.policy, self.namespace);
        // What the API server does to each pod: `/mutate`, then `/validate`.
        let patch = patch_of(&pod, facts, self.mode);
        let changed = (!patch.operations.is_empty()).then(|| patched(&text, &patch)).flatten();
        let after = changed.as_deref().and_then(|it| read(it).ok());
        let pod = after.as_ref().unwrap_or(&pod);
        let verdict = Verdict::of_pods(self.pod.kind, pod, &Scope::Whole, facts, self.mode);
        let judged = verdict.judged().iter().filter(|it| it.level > Level::Off);
        found.extend(judged.map(|it| self.diagnostic(it, verdict.hint(it).as_deref())));
        let rest = verdict.counts().values().sum::<usize>() - verdict.judged().len();
        if let Some(last) = found.last_mut().filter(|_| rest > 0) {
            last.notes.push(format!("{rest} more findings of this object are not listed"));
        }
        found.extend(self.injected(&patch));
    }

    fn diagnostic(&self, judged: &Judged<'_>, hint: Option<&str>) -> Diagnostic {
        let field = judged.found.field;
        let rule = judged.found.rule;
        let topic = topics::of_rule(rule);
        let mut severity = match judged.level {
            Level::Deny => Severity::Error,
            Level::Warn => Severity::Warning,
            Level::Audit | Level::Off => Severity::Note,
        };
        let mut help: Vec<_> = hint.into_iter().map(|it| self.in_words_of(it)).collect();
        if rule.id == "missing-profile" && !self.checker.world.knows_profiles() {
            severity = Severity::Note;
            help = vec!["say by --profiles or --inventory which profiles there are".to_owned()];
        }
        let suppressed = judged.exemption.map(|it| Suppressed {
            is_inline: false,
            reason: format!("exemption {:?}: {}", it.name.as_str(), it.reason.as_str()),
        });
        let message = cut(judged.found.finding.message.clone());
        let field_text = format!("{}{field}", self.pod.prefix);
        let mut notes = vec![self.who(judged.level, &field_text)];
        notes.extend(origins(self.object));
        let part = match field {
            FieldPath::Container { list, name, .. } => {
                format!("{}spec.{} {name}", self.pod.prefix, list.field())
            }
            FieldPath::Pod | FieldPath::RuntimeClass | FieldPath::Annotation { .. } => {
                field_text.clone()
            }
        };
        Diagnostic {
            field: field_text,
            help,
            notes,
            identity: vec![self.object.identity(self.namespace), part],
            suppressed,
            ..Diagnostic::new(severity, topic, message, self.place(rule.id, field))
        }
    }

    /// The way out with the path of the pod in this object.
    fn in_words_of(&self, hint: &str) -> String {
        let path = self.pod.kind.prefix();
        if path == self.pod.prefix || path.is_empty() {
            return hint.to_owned();
        }
        hint.replace(&format!("set {path}"), &format!("set {}", self.pod.prefix))
    }

    /// Which policy does what to which object, and at which field.
    fn who(&self, level: Level, field: &str) -> String {
        let does = match level {
            Level::Deny => "denies",
            Level::Warn => "warns of",
            Level::Audit | Level::Off => "records",
        };
        let pods = if self.pod.prefix.is_empty() { "" } else { "the pods of " };
        let noun = self.object.noun();
        let name = self.object.name().map(|it| format!(" {it:?}")).unwrap_or_default();
        let (policy, namespace) = (self.policy.name(), self.namespace);
        format!("policy {policy:?} {does} {pods}{noun}{name} in namespace {namespace:?}: {field}")
    }

    fn place(&self, rule: &str, field: FieldPath<'_>) -> Place {
        let document = self.object.document;
        let path = locate::path(rule, field);
        let span = locate::span(document, self.pod.node, &path);
        let name = locate::container(document, self.pod.node, field)
            .and_then(|it| document.field(it, "name"))
            .map(|it| document.span(it.value));
        let others: Vec<(Range<usize>, String)> = match field {
            FieldPath::Container { name: called, .. } => {
                name.into_iter().map(|it| (it, format!("container {called:?}"))).collect()
            }
            FieldPath::Pod | FieldPath::RuntimeClass | FieldPath::Annotation { .. } => Vec::new(),
        };
        self.source.place_with(span, "", &others)
    }

    fn unreadable(&self, path: &str, why: &str) -> Diagnostic {
        let steps: Vec<Step> = locate::steps(path);
        let span = locate::span(self.object.document, self.pod.node, &steps);
        let field = format!("{}{path}", self.pod.prefix);
        let message = format!("{field} cannot be read: {why}");
        let mut notes = vec![format!("it is in {}", self.object.title())];
        notes.extend(origins(self.object));
        Diagnostic {
            identity: vec![self.object.identity(self.namespace), field.clone()],
            field,
            notes,
            ..Diagnostic::new(Severity::Error, topics::UNREADABLE, message, self.source.place(span))
        }
    }

    /// What the webhook changes in the pods.
    fn injected(&self, patch: &Patch) -> Option<Diagnostic> {
        let mut changes = Vec::new();
        if let Some(profile) = &patch.injected {
            changes.push(format!("sets {profile}"));
        }
        if !patch.pinned.is_empty() {
            let paths: Vec<_> =
                patch.pinned.iter().map(|it| format!("{:?}", it.as_str())).collect();
            changes.push(format!("pins it to nodes with {}", paths.join(", ")));
        }
        for key in &patch.removed {
            changes.push(format!("removes the annotation {key:?}"));
        }
        if changes.is_empty() {
            return None;
        }
        let what = if self.pod.prefix.is_empty() { "this pod" } else { "its pods" };
        let changes = changes.join(", ").replace("pins it", &format!("pins {what}"));
        let message = format!("in {what} callgate {changes}");
        let rule = RULES.iter().find(|it| it.id == "unset")?;
        let topic = topics::of_rule(rule);
        let span = locate::span(self.object.document, self.pod.node, &locate::keys(&["spec"]));
        let place = self.source.place(span);
        Some(Diagnostic {
            field: format!("{}spec", self.pod.prefix),
            notes: origins(self.object),
            identity: vec![self.object.identity(self.namespace), self.pod.prefix.clone()],
            ..Diagnostic::new(Severity::Note, topic, message, place)
        })
    }
}

/// Reads a pod; an error has the path of the field that cannot be read.
fn read(text: &str) -> Result<Pod<'_>, (String, String)> {
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let deserializer = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    Pod::deserialize(deserializer).map_err(|error| {
        let path = track.path().to_string();
        let why = error.to_string();
        // The position is that in the JSON made of the document.
        let why = why.split(" at line ").next().unwrap_or_default().to_owned();
        (if path == "." { String::new() } else { path }, why)
    })
}

/// Where Helm and kustomize say that the object comes from.
pub(super) fn origins(object: &Object<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let comments = object.document.comments.iter();
    let mut templates = comments.filter_map(|it| it.text.strip_prefix(" Source: "));
    if let Some(template) = templates.next() {
        notes.push(format!("Helm rendered it from {}", template.trim()));
    }
    if let Some(text) = object.annotation("config.kubernetes.io/origin")
        && let Some(Ok(origin)) = documents(text).next()
    {
        let text = |key: &str| {
            let node: NodeId = origin.at(origin.root(), &[key])?;
            origin.text(node).map(str::to_owned)
        };
        let repository = text("repo").map(|it| format!(" of {it}")).unwrap_or_default();
        if let Some(path) = text("path") {
            notes.push(format!("kustomize took it from {path}{repository}"));
        }
    }
    notes
}
