//! The input of lints: a profile as written and as the runtime decodes it.

use super::Target;
use crate::profile::{
    DecodedProfile,
    action::Action,
    calls::Calls,
    decode::TypeMismatch,
    document::{Arg, Document, Spanned, Syscall},
    json::{Json, Value, same_key},
};

/// A profile, its decoded document, and its evaluated rules.
pub(super) struct Reading<'a> {
    pub(super) json: &'a Json,
    pub(super) document: &'a Document,
    /// Values of the wrong type; the document holds all others.
    pub(super) mismatches: &'a [TypeMismatch],
    pub(super) calls: Calls<'a>,
    pub(super) target: &'a Target,
}

/// A JSON object whose keys the runtime reads.
pub(super) struct Object<'a> {
    pub(super) value: Value<'a>,
    pub(super) shape: Shape,
}

/// The type of such an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Profile,
    Rule,
    Condition,
}

impl<'a> Reading<'a> {
    pub(super) fn of(profile: &'a DecodedProfile, target: &'a Target) -> Self {
        let DecodedProfile { json, document, mismatches } = profile;
        Self { json, document, mismatches, calls: Calls::of(document), target }
    }

    /// The default action, if it is valid.
    pub(super) fn default(&self) -> Option<Action> {
        Action::parse(&self.document.default_action)
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &'a Spanned<Syscall>> {
        self.document.syscalls.iter()
    }

    /// The conditions that the runtime reads: it skips those of rules without names.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &'a Spanned<Arg>> {
        self.rules().filter(|it| !it.names.is_empty()).flat_map(|it| &it.args)
    }

    /// Every object of the profile, in the order of the document.
    pub(super) fn objects(&self) -> Vec<Object<'a>> {
        let root = self.json.root();
        let mut objects = vec![Object { value: root, shape: Shape::Profile }];
        for rule in inside(root, "syscalls") {
            objects.push(Object { value: rule, shape: Shape::Rule });
            let condition = |value| Object { value, shape: Shape::Condition };
            objects.extend(inside(rule, "args").map(condition));
        }
        objects
    }
}

fn inside<'a>(object: Value<'a>, list: &'static str) -> impl Iterator<Item = Value<'a>> {
    let lists = object.members().filter(move |it| same_key(it.0, list));
    lists.flat_map(|it| it.1.elements())
}

impl Shape {
    /// The keys that the runtime reads.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Profile => Document::FIELDS,
            Self::Rule => Syscall::FIELDS,
            Self::Condition => Arg::FIELDS,
        }
    }
}
