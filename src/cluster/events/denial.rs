//! A denied pod, as Events report it.

use crate::{cluster::cut, pod::Owner, profile::is_subdomain};

/// In bytes: what the API server allows (`NoteLengthLimit` in
/// pkg/apis/core/validation/events.go).
const LONGEST_NOTE: usize = 1024;

/// In bytes. No object has a longer name, but a user who creates a pod may write any text into its
/// owner references.
pub(super) const LONGEST_NAME: usize = 253;

/// A denied pod, or denied calls of a container, and the owner of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The namespace of the pod, which is also that of its owner.
    pub namespace: String,
    /// The pod itself, if it has none and exists.
    pub owner: Owner,
    /// The same text for all pods that are denied for the same reason.
    pub why: String,
    /// How often.
    pub times: u32,
}

/// What is denied, as Events name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct What {
    reason: &'static str,
    action: &'static str,
}

impl What {
    /// A pod, by the webhook.
    pub const POD: Self = Self { reason: "SeccompRefused", action: "CreatePod" };
    /// A system call, by a profile.
    pub const CALL: Self = Self { reason: "SeccompDenied", action: "SystemCall" };

    pub(super) fn reason(self) -> &'static str {
        self.reason
    }

    pub(super) fn action(self) -> &'static str {
        self.action
    }
}

impl Denial {
    /// Cuts the texts to the limits of Events; `None` if it names an object that cannot exist.
    pub(super) fn shortened(mut self) -> Option<Self> {
        let Owner { api_version, kind, name, uid } = &self.owner;
        let texts = [api_version, kind, name, uid, &self.namespace];
        if texts.iter().any(|it| it.len() > LONGEST_NAME) || !is_subdomain(name) {
            return None;
        }
        if self.why.len() > LONGEST_NOTE {
            const END: &str = "…";
            self.why = format!("{}{END}", cut(&self.why, LONGEST_NOTE - END.len()));
        }
        Some(self)
    }
}
