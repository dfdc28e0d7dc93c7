//! Judges the objects of files as the webhook would judge them: from texts to diagnostics.
//!
//! `collect` finds what decides about the others, policies, labels of namespaces and profiles;
//! `check` judges the pods and pod templates of one file.

mod baseline;
mod collect;
mod fields;
mod fix;
mod ignore;
mod judge;
mod kinds;
pub(crate) mod locate;
mod objects;
mod topics;

use std::{ops::Range, sync::Arc};

use jiff::civil::Date;

use crate::{
    placement::Nodes,
    policy::{Facts, Governed, Mode, Policy, PolicyIndex, RuntimeClasses},
    profile::Catalog,
    report::{Checked, Diagnostic, Severity, Source},
    yaml::{self, Mistake},
};

pub use baseline::Baseline;
pub use collect::Collected;
pub use fix::Fixed;
pub use kinds::CustomKind;
pub use topics::{TOPICS, of_lint};

use objects::Object;

/// All that the findings depend on besides the file.
#[derive(Clone, Debug)]
pub struct World {
    /// The policy of every object; `None`: the files say which.
    pub policy: Option<Policy>,
    /// The mode of objects whose namespace has none.
    pub mode: Mode,
    /// The policy of objects about which the files say nothing.
    pub fallback: Policy,
    pub collected: Collected,
    pub catalog: Catalog,
    pub nodes: Nodes,
    pub classes: RuntimeClasses,
    /// The namespace of objects that name none.
    pub namespace: String,
    pub kinds: Vec<CustomKind>,
    pub today: Date,
}

impl World {
    /// The policies by which labels of namespaces choose.
    fn index(&self) -> PolicyIndex {
        let policies = self.collected.policies.values().cloned();
        PolicyIndex::of_cluster(policies, self.collected.namespaces.clone(), None)
            .with_unreadable(self.collected.unreadable.clone())
            .with_default_mode(self.mode)
    }

    /// Whether it is known which profiles there are.
    fn knows_profiles(&self) -> bool {
        !self.catalog.is_empty() || !self.nodes.paths().is_empty()
    }
}

/// Judges files, one after the other, by the same facts.
pub struct Checker<'a> {
    world: &'a World,
    index: PolicyIndex,
}

impl<'a> Checker<'a> {
    pub fn new(world: &'a World) -> Self {
        Self { world, index: world.index() }
    }

    fn facts<'b>(&'b self, policy: &'b Policy, namespace: &'b str) -> Facts<'b> {
        let World { catalog, nodes, classes, today, .. } = self.world;
        Facts { policy, catalog, nodes, classes, namespace, today: *today }
    }

    /// The policy of a namespace, and its mode.
    fn governing(&self, namespace: &str) -> Result<(&Policy, Mode), String> {
        let World { policy, mode, fallback, collected, .. } = self.world;
        if let Some(policy) = policy {
            return Ok((policy, *mode));
        }
        let only = || match &collected.policies.values().collect::<Vec<_>>()[..] {
            [only] => *only,
            _ => fallback,
        };
        match self.index.governing(namespace) {
            Governed::By(policy, mode) => Ok((policy, mode)),
            Governed::UnknownPolicy(name) => Err(self.index.no_such_policy(name)),
            Governed::Ungoverned | Governed::Unknown => Ok((only(), *mode)),
        }
    }

    /// Judges the objects of a file.
    pub fn check(&self, name: &str, text: &[u8]) -> Vec<Checked> {
        let source = Source::new(name, text);
        match std::str::from_utf8(text) {
            Ok(whole) => self.check_cut(&source, whole, 0..whole.len()),
            Err(error) => vec![not_text(&source, error.valid_up_to())],
        }
    }

    /// Judges the objects in one of the [cuts](yaml::cuts) of a text.
    pub fn check_cut(&self, source: &Source<'_>, text: &str, cut: Range<usize>) -> Vec<Checked> {
        let mut checked = Vec::new();
        for document in yaml::documents_within(text, cut) {
            match document {
                Err(mistake) => checked.push(unreadable(source, mistake)),
                Ok(document) => {
                    let mut found = Vec::new();
                    objects::each(&document, |object| {
                        found.extend(self.check_object(&object, source));
                    });
                    ignore::apply(&document, source, self.world.today, &mut found);
                    checked.append(&mut found);
                }
            }
        }
        checked
    }

    /// `None` for an object that callgate has nothing to do with.
    fn check_object(&self, object: &Object<'_>, source: &Source<'_>) -> Option<Checked> {
        let found = match collect::of(object) {
            Some(own) => collect::findings(object, source, &own, &self.index),
            None => judge::object(self, object, source)?,
        };
        Some(Checked { file: Arc::clone(source.name()), name: object.title(), found })
    }
}

fn not_text(source: &Source<'_>, at: usize) -> Checked {
    let message = "it is not UTF-8, as YAML has to be for callgate".to_owned();
    unreadable(source, Mistake { span: at..at, message })
}

fn unreadable(source: &Source<'_>, Mistake { span, message }: Mistake) -> Checked {
    let diagnostic =
        Diagnostic::new(Severity::Error, topics::UNREADABLE, message, source.place(span));
    Checked {
        file: Arc::clone(source.name()),
        name: "document that cannot be read".to_owned(),
        found: vec![diagnostic],
    }
}

/// Passes the kind and the JSON of each object of a text on.
///
/// # Errors
/// The first document that cannot be read, or what `on_object` says.
pub fn each_object(
    text: &str,
    mut on_object: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), String> {
    for document in yaml::documents(text) {
        let document = document.map_err(|it| {
            let line = Source::new("", text.as_bytes()).position(it.span.start).line;
            format!("line {line}: {}", it.message)
        })?;
        let mut result = Ok(());
        objects::each(&document, |object| {
            if result.is_ok() {
                let json = document.json(object.node);
                result = on_object(&object.kind, &json)
                    .map_err(|why| format!("{}: {why}", object.title()));
            }
        });
        result?;
    }
    Ok(())
}
