//! A profile as containerd decodes it.

use std::ops::Deref;

use crate::profile::{Architecture, json::NodeId};

/// The largest file that is read, in bytes. The largest known profile, the
/// default of the Docker engine, is 20 KB.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The largest file that agents write to nodes, in bytes.
pub const MOST_FILE_BYTES: usize = 256 * 1024;

/// The OCI runtime specification's `LinuxSeccomp`, as containerd decodes it
/// from a file.
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

/// A decoded value and the JSON node that it was decoded from last; the root,
/// if the value is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spanned<T> {
    pub(crate) it: T,
    pub(crate) node: NodeId,
}

impl<T> Spanned<T> {
    /// The node of the value or, if the value is absent, of the object that lacks it.
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

impl Document {
    /// A profile under which all programs of such nodes may make every call, as without seccomp.
    pub(crate) fn allowing(native: Architecture) -> Self {
        let spanned = |it: &str| Spanned { it: it.to_owned(), node: NodeId::default() };
        let architectures = native.of_programs().iter().map(|it| spanned(it.seccomp())).collect();
        Self { default_action: spanned("SCMP_ACT_ALLOW"), architectures, ..Self::default() }
    }
}

impl Syscall {
    pub(crate) const FIELDS: &[&str] = &["names", "action", "errnoRet", "args"];
}

impl Arg {
    pub(crate) const FIELDS: &[&str] = &["index", "value", "valueTwo", "op"];
}
