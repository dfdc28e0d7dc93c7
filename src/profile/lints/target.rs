//! For which nodes a profile is linted.

use crate::profile::architecture::Architecture;

/// What is known of the nodes; what is not known can be anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target {
    /// Their native architecture.
    pub architecture: Option<Architecture>,
    /// Their version of libseccomp.
    pub libseccomp: Option<[u32; 3]>,
    /// Whether their runtime resolves the keys of Docker and Podman, as in the document that is
    /// linted.
    pub resolves_keys: bool,
}

impl Target {
    /// Whether some of the nodes may have an older libseccomp.
    pub(super) fn may_precede(&self, version: [u32; 3]) -> bool {
        self.libseccomp.is_none_or(|it| it < version)
    }
}
