//! The objects of files that decide about others: policies, labels of namespaces, profiles.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    locate::{self, Step},
    objects::{self, Object},
    topics,
};
use crate::{
    group::{GROUP, MODE_LABEL, POLICY, POLICY_LABEL, PROFILE},
    policy::{Builtin, Labels, Policy, PolicyIndex, Presence},
    profile::{DecodedProfile, Managed, ProfilePath},
    report::{Diagnostic, Severity, Source},
    yaml::{NodeId, documents},
};

/// What the files say about others.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    pub policies: BTreeMap<String, Policy>,
    /// The policies that cannot be read, and why.
    pub unreadable: BTreeMap<String, String>,
    pub namespaces: BTreeMap<String, Labels>,
    pub profiles: BTreeMap<ProfilePath, Managed>,
}

/// An object that decides about others.
pub(super) enum Own {
    Policy(Result<Policy, String>),
    Namespace(Labels),
    Profile(DecodedProfile),
}

impl Collected {
    /// Takes what is in a file; what cannot be read is left out.
    pub fn add(&mut self, text: &str) {
        // Most files have none of them, and need not be read twice.
        if ![POLICY.kind, PROFILE.kind, POLICY_LABEL].iter().any(|it| text.contains(it)) {
            return;
        }
        for document in documents(text).flatten() {
            objects::each(&document, |object| {
                let Some(name) = object.name() else { return };
                match of(&object) {
                    Some(Own::Policy(Ok(policy))) => {
                        self.policies.insert(name.to_owned(), policy);
                    }
                    Some(Own::Policy(Err(why))) => {
                        self.unreadable.insert(name.to_owned(), why);
                    }
                    Some(Own::Namespace(labels)) => {
                        self.namespaces.insert(name.to_owned(), labels);
                    }
                    Some(Own::Profile(profile)) => {
                        if let Ok(path) = ProfilePath::of_object(name) {
                            self.profiles.insert(path, profile.managed());
                        }
                    }
                    None => {}
                }
            });
        }
    }

    /// The same with what another file has; of two objects of a name the later one counts.
    pub fn extend(&mut self, other: Self) {
        let Self { policies, unreadable, namespaces, profiles } = other;
        self.policies.extend(policies);
        self.unreadable.extend(unreadable);
        self.namespaces.extend(namespaces);
        self.profiles.extend(profiles);
    }
}

/// What an object decides about others, if it does.
pub(super) fn of(object: &Object<'_>) -> Option<Own> {
    if object.group() == GROUP && object.kind == POLICY.kind {
        return Some(Own::Policy(policy(object)));
    }
    if object.group() == GROUP && object.kind == PROFILE.kind {
        let object = value(object, object.node);
        return Some(Own::Profile(DecodedProfile::of_object(&object)));
    }
    let is_namespace = object.group().is_empty() && object.kind == "Namespace";
    is_namespace.then(|| {
        let label = |key| object.label(key).map(str::to_owned);
        Own::Namespace(Labels { policy: label(POLICY_LABEL), mode: label(MODE_LABEL) })
    })
}

fn policy(object: &Object<'_>) -> Result<Policy, String> {
    let name = object.name().unwrap_or_default();
    if let Some(why) = Builtin::reserves(name) {
        return Err(why);
    }
    Policy::read(&value(object, object.node)).map_err(|it| it.to_string())
}

fn value(object: &Object<'_>, node: NodeId) -> Value {
    serde_json::from_str(&object.document.json(node)).unwrap_or_default()
}

/// What is wrong with such an object.
pub(super) fn findings(
    object: &Object<'_>,
    source: &Source<'_>,
    own: &Own,
    index: &PolicyIndex,
) -> Vec<Diagnostic> {
    let at = |path: &[Step]| source.place(locate::span(object.document, object.node, path));
    let diagnostic = |severity, topic, message: String, path: &[Step]| Diagnostic {
        identity: vec![object.identity(""), locate::text(path)],
        notes: vec![format!("it is in {}", object.title())],
        ..Diagnostic::new(severity, topic, message, at(path))
    };
    match own {
        Own::Policy(Ok(_)) => Vec::new(),
        Own::Policy(Err(why)) => {
            let message = format!("the policy cannot be read: {why}");
            let path = locate::keys(&["spec"]);
            vec![diagnostic(Severity::Error, topics::UNKNOWN_POLICY, message, &path)]
        }
        Own::Namespace(labels) => {
            let why = index.validate_labels(&Labels::default(), labels, &Presence::Unknown);
            let key = if why.as_ref().is_some_and(|it| it.starts_with(MODE_LABEL)) {
                MODE_LABEL
            } else {
                POLICY_LABEL
            };
            let path = locate::keys(&["metadata", "labels", key]);
            let why = why.map(|it| diagnostic(Severity::Error, topics::UNKNOWN_POLICY, it, &path));
            why.into_iter().collect()
        }
        Own::Profile(profile) => {
            let found = profile.findings().into_iter().map(|it| {
                let mut path = locate::keys(&["spec"]);
                path.extend(locate::steps(&it.location.path));
                let (severity, topic) = topics::of_lint(it.lint);
                let mut diagnostic = diagnostic(severity, topic, it.message.clone(), &path);
                diagnostic.field = format!("spec.{}", it.location.path);
                diagnostic.help = it.hint.iter().cloned().collect();
                diagnostic
            });
            found.collect()
        }
    }
}
