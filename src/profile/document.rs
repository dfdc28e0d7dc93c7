//! A profile as containerd decodes it.

use std::ops::Deref;

use crate::profile::{
    Architecture, Broken, Defect, Doubt,
    decode::{Decoder, Mistake},
    json::{Json, Position, Spot},
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
    pub(super) default_action: Placed<String>,
    pub(super) default_errno: Option<Placed<u64>>,
    pub(super) architectures: Vec<Placed<String>>,
    pub(super) flags: Vec<Placed<String>>,
    pub(super) listener_path: Placed<String>,
    pub(super) listener_metadata: Placed<String>,
    pub(super) syscalls: Vec<Placed<Syscall>>,
    /// Keys of the top level that the runtime drops.
    pub(super) unknown_keys: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Syscall {
    pub(super) names: Vec<Placed<String>>,
    pub(super) action: Placed<String>,
    pub(super) errno: Option<Placed<u64>>,
    pub(super) args: Vec<Placed<Arg>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arg {
    pub(super) index: Placed<u64>,
    pub(super) value: Placed<u64>,
    pub(super) value_two: Placed<u64>,
    pub(super) op: Placed<String>,
}

/// Something decoded, and the value it was decoded from last: the root, if
/// there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Placed<T> {
    pub(super) it: T,
    pub(super) spot: Spot,
}

impl<T> Placed<T> {
    /// Where it is, or else where it is missing.
    pub(super) fn spot_in<U>(&self, whole: &Placed<U>) -> Spot {
        self.spot.max(whole.spot)
    }
}

impl<T> Deref for Placed<T> {
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
            (document, mistakes) if mistakes.is_empty() => Ok(document),
            (_, mistakes) => Err(mistakes[0].broken(&json)),
        }
    }

    /// Decodes as far as it goes, as Go does, which goes on after a mistake and
    /// then refuses the whole.
    pub(super) fn decode(json: &Json) -> (Self, Vec<Mistake>) {
        let (mut document, mut decoder) = (Self::default(), Decoder::default());
        decoder.document(&mut document, json.root());
        (document, decoder.mistakes)
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

    pub(super) const FIELDS: &[&str] = &[
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
    pub(super) const FIELDS: &[&str] = &["names", "action", "errnoRet", "args"];
}

impl Arg {
    pub(super) const FIELDS: &[&str] = &["index", "value", "valueTwo", "op"];
}
