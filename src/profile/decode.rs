//! Decodes a profile in the same way as containerd.
//!
//! containerd calls Go's `json.Unmarshal` on the file with the OCI runtime
//! specification's `LinuxSeccomp` (contrib/seccomp/seccomp.go): unknown keys
//! are dropped, keys are compared without case, the last of two equal keys
//! wins, and `null` leaves a value as it was (L4). A profile takes effect as
//! containerd decodes it, so this module decodes in the same way.

use crate::profile::{
    Broken, DecodedProfile,
    document::{Arg, Document, Spanned, Syscall},
    json::{Content, Json, NodeId, Value, same_key},
};

/// A value whose type is not that of its field.
pub(crate) struct TypeMismatch {
    pub(crate) node: NodeId,
    pub(crate) found: &'static str,
    pub(crate) expected: &'static str,
}

impl Document {
    /// Decodes a profile file.
    ///
    /// # Errors
    /// The runtime cannot decode the file: it is not JSON, or a field has the wrong type.
    pub fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        let profile = DecodedProfile::parse(bytes)?;
        profile.document()?;
        Ok(profile.document)
    }

    /// Decodes all fields that can be decoded. Go does so too: it continues after
    /// a value of the wrong type, and then returns an error.
    pub(crate) fn decode(json: &Json) -> (Self, Vec<TypeMismatch>) {
        let (mut document, mut decoder) = (Self::default(), Decoder::default());
        decoder.document(&mut document, json.root());
        (document, decoder.mismatches)
    }
}

impl TypeMismatch {
    pub(crate) fn broken(&self, json: &Json) -> Broken {
        let Self { node, found, expected } = *self;
        let path = json.path(node);
        let at = if path.is_empty() { "it".to_owned() } else { path };
        Broken::WrongType { at, found, expected }
    }
}

/// Each method decodes into an existing value, as Go does: `null` leaves it
/// unchanged, and the second of two equal keys is decoded over the first.
#[derive(Default)]
pub(crate) struct Decoder {
    /// In the order of the document.
    pub(crate) mismatches: Vec<TypeMismatch>,
}

impl Decoder {
    pub(crate) fn document(&mut self, into: &mut Document, value: Value<'_>) {
        for (key, value) in self.members(value) {
            match field(key, Document::FIELDS) {
                Some("defaultAction") => self.string(&mut into.default_action, value),
                Some("defaultErrnoRet") => self.optional(&mut into.default_errno, value),
                Some("architectures") => self.list(&mut into.architectures, value, Self::string),
                Some("flags") => self.list(&mut into.flags, value, Self::string),
                Some("listenerPath") => self.string(&mut into.listener_path, value),
                Some("listenerMetadata") => self.string(&mut into.listener_metadata, value),
                Some("syscalls") => self.list(&mut into.syscalls, value, Self::syscall),
                _ => into.unknown_keys.push(key.to_owned()),
            }
        }
    }

    fn syscall(&mut self, into: &mut Spanned<Syscall>, value: Value<'_>) {
        into.node = value.node;
        let into = &mut into.it;
        for (key, value) in self.members(value) {
            match field(key, Syscall::FIELDS) {
                Some("names") => self.list(&mut into.names, value, Self::string),
                Some("action") => self.string(&mut into.action, value),
                Some("errnoRet") => self.optional(&mut into.errno, value),
                Some("args") => self.list(&mut into.args, value, Self::arg),
                _ => {}
            }
        }
    }

    fn arg(&mut self, into: &mut Spanned<Arg>, value: Value<'_>) {
        into.node = value.node;
        let into = &mut into.it;
        for (key, value) in self.members(value) {
            match field(key, Arg::FIELDS) {
                Some("index") => self.unsigned(&mut into.index, value),
                Some("value") => self.unsigned(&mut into.value, value),
                Some("valueTwo") => self.unsigned(&mut into.value_two, value),
                Some("op") => self.string(&mut into.op, value),
                _ => {}
            }
        }
    }

    pub(crate) fn string(&mut self, into: &mut Spanned<String>, value: Value<'_>) {
        match value.content() {
            Content::Null => into.node = into.node.max(value.node),
            Content::String(text) => *into = Spanned { it: text.clone(), node: value.node },
            _ => self.wrong(value, "a string"),
        }
    }

    fn unsigned(&mut self, into: &mut Spanned<u64>, value: Value<'_>) {
        let number =
            if let Content::Number(text) = value.content() { text.parse().ok() } else { None };
        match (value.content(), number) {
            (Content::Null, _) => {}
            (_, Some(it)) => *into = Spanned { it, node: value.node },
            (_, None) => self.wrong(value, "a whole number from 0 to 2^64-1"),
        }
    }

    fn optional(&mut self, into: &mut Option<Spanned<u64>>, value: Value<'_>) {
        if *value.content() == Content::Null {
            *into = None;
        } else {
            self.unsigned(into.get_or_insert_default(), value);
        }
    }

    pub(crate) fn list<T: Default>(
        &mut self,
        into: &mut Vec<T>,
        value: Value<'_>,
        element: impl Fn(&mut Self, &mut T, Value<'_>),
    ) {
        if !matches!(value.content(), Content::Null | Content::Array) {
            return self.wrong(value, "a list");
        }
        into.resize_with(value.elements().count(), T::default);
        for (slot, item) in into.iter_mut().zip(value.elements()) {
            element(self, slot, item);
        }
    }

    /// The members of an object. `null` decodes into every type and has no members.
    pub(crate) fn members<'a>(
        &mut self,
        value: Value<'a>,
    ) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        if !matches!(value.content(), Content::Null | Content::Object) {
            self.wrong(value, "an object");
        }
        value.members()
    }

    fn wrong(&mut self, value: Value<'_>, expected: &'static str) {
        self.mismatches.push(TypeMismatch { node: value.node, found: value.type_name(), expected });
    }
}

/// The field that Go decodes `key` into.
pub(crate) fn field<'a>(key: &str, names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|it| same_key(key, it))
}
