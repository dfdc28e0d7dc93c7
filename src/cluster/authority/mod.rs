//! Carries what was decided to the API server, and what it holds back.
//!
//! Nothing is decided here: [`keep()`] reads the Secret of the authority and the
//! bundles of our webhooks, asks what should be there, and writes that (design,
//! section 6).

mod bundle;
mod call;
mod clock;
mod keep;
mod log_once;
mod overwritten;
mod pace;
mod published;
mod secret;
mod watch;

use std::collections::BTreeMap;

use clap::Args;

pub use self::{
    call::CallError,
    clock::Reading,
    keep::{Decide, Kept, Order, Seen, keep},
};

/// The data of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// As whom we write: the API server notes who set which field.
const MANAGER: &str = "callgate-authority";

/// Whose webhooks get our bundle: somebody may have added one of his own.
const DOMAIN: &str = ".callgate.dev";

/// Where the authority is kept, and who has to know it.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    /// Secret in which all replicas share the CA
    #[arg(long, value_name = "NAME", default_value = "callgate-ca", env = "CALLGATE_CA_SECRET")]
    pub ca_secret: String,

    /// Namespace of that Secret; if unset, the namespace of the pod
    #[arg(long, value_name = "NAMESPACE", env = "CALLGATE_CA_SECRET_NAMESPACE")]
    pub ca_secret_namespace: Option<String>,

    /// `MutatingWebhookConfiguration` into which callgate writes the CA as caBundle
    #[arg(
        long,
        value_name = "NAME",
        default_value = "callgate",
        env = "CALLGATE_MUTATING_CONFIGURATION"
    )]
    pub mutating_configuration: String,

    /// `ValidatingWebhookConfiguration` into which callgate writes the CA as caBundle
    #[arg(
        long,
        value_name = "NAME",
        default_value = "callgate",
        env = "CALLGATE_VALIDATING_CONFIGURATION"
    )]
    pub validating_configuration: String,
}

#[cfg(test)]
mod tests;
