//! A profile as containerd decodes it.

use std::ops::Deref;

use crate::profile::{
    Architecture, Broken, Defect, Doubt,
    decode::{Decoder, TypeMismatch},
    json::{Json, NodeId, Position},
};

/// The largest file that is looked into. The largest real profile, the default
/// of the Docker engine, is 20 KB.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The largest file that agents bring to nodes.
pub const MOST_FILE_BYTES: usize = 256 * 1024;

/// The OCI runtime specification's `LinuxSeccomp`: what is left of a file when
/// containerd has decoded it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    pub(crate) default_action: Spanned<String>,
    pub(crate) default_errno: Option<Spanned<u64>>,
    pub(crate) architectures: Vec<Spanned<String>>,
    pub(crate) flags: Vec<Spanned<String>>,
    pub(crate) listener_path: Spanned<String>,
    pub(crate) listener_metadata: Spanned<String>,
    pub(crate) syscalls: Vec<Spanned<Syscall>>,
    /// Keys of the top level that the runtime drops.
    pub(crate) unknown_keys: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Syscall {
    pub(crate) names: Vec<Spanned<String>>,
    pub(crate) action: Spanned<String>,
    pub(crate) errno: Option<Spanned<u64>>,
    pub(crate) args: Vec<Spanned<Arg>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arg {
    pub(crate) index: Spanned<u64>,
    pub(crate) value: Spanned<u64>,
    pub(crate) value_two: Spanned<u64>,
    pub(crate) op: Spanned<String>,
}

/// Something decoded, and the value it was decoded from last: the root, if
/// there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spanned<T> {
    pub(crate) it: T,
    pub(crate) node: NodeId,
}

impl<T> Spanned<T> {
    /// Where it is, or else where it is missing.
    pub(crate) fn node_in<U>(&self, whole: &Spanned<U>) -> NodeId {
        self.node.max(whole.node)
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.it
    }
}

impl Document {
    /// Reads a profile file; an error is what makes the runtime refuse it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        let json = Json::parse(bytes).map_err(|malformed| {
            let Position { line, column } = Position::of(malformed.offset, bytes);
            Broken::NotJson(format!("{malformed} at line {line} column {column}"))
        })?;
        match Self::decode(&json) {
            (document, mismatches) if mismatches.is_empty() => Ok(document),
            (_, mismatches) => Err(mismatches[0].broken(&json)),
        }
    }

    /// Decodes as far as it goes, as Go does, which goes on after a mistake and
    /// then refuses the whole.
    pub(crate) fn decode(json: &Json) -> (Self, Vec<TypeMismatch>) {
        let (mut document, mut decoder) = (Self::default(), Decoder::default());
        decoder.document(&mut document, json.root());
        (document, decoder.mismatches)
    }

    /// Reads a profile file and says what is wrong with it, if anything.
    pub fn inspect(bytes: &[u8]) -> Option<Defect> {
        match Self::parse(bytes) {
            Err(broken) => Some(broken.into()),
            Ok(document) => document.defect(),
        }
    }

    /// The same, and of what is sound whether it is hardly meant so.
    pub fn appraise(bytes: &[u8]) -> Option<Defect> {
        Self::inspect(bytes).or_else(|| Doubt::of(bytes).map(Defect::Doubtful))
    }

    /// What [`inspect`](Self::inspect) says on a node whose own architecture this is.
    pub fn inspect_on(bytes: &[u8], native: Architecture) -> Option<Defect> {
        match Self::parse(bytes) {
            Err(broken) => Some(broken.into()),
            Ok(document) => document.defect_on(native),
        }
    }

    pub(crate) const FIELDS: &[&str] = &[
        "defaultAction",
        "defaultErrnoRet",
        "architectures",
        "flags",
        "listenerPath",
        "listenerMetadata",
        "syscalls",
    ];
}

impl Syscall {
    pub(crate) const FIELDS: &[&str] = &["names", "action", "errnoRet", "args"];
}

impl Arg {
    pub(crate) const FIELDS: &[&str] = &["index", "value", "valueTwo", "op"];
}
