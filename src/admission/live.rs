//! Live look-ups before callgate's own configuration is judged.
//!
//! A snapshot lags behind the API server. By it alone, a namespace would be denied that names a
//! policy applied just before, and a policy could be deleted that a namespace has just named.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    admission::{
        FindNamespace, RecentChanges,
        request::{AdmissionRequest, Object, Own},
    },
    policy::{Builtin, Presence},
};

/// Looks up a policy.
pub type FindPolicy = Arc<dyn Fn(&str) -> BoxFuture<'static, Presence> + Send + Sync>;

/// Lists the names of the namespaces that name a policy; `None` if the API server does not
/// answer.
pub type FindObeying = Arc<dyn Fn(&str) -> BoxFuture<'static, Option<Vec<String>>> + Send + Sync>;

/// The look-ups.
#[derive(Clone)]
pub struct Ask {
    pub policy: FindPolicy,
    pub obeying: FindObeying,
    /// Looks up a namespace whose labels have just changed. Where that fails, the snapshot decides.
    pub namespace: FindNamespace,
    pub recent: Arc<RecentChanges>,
}

/// The results; the default is "not asked".
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The policy that the namespace names.
    pub(super) policy: Presence,
    /// The namespaces that name the policy being deleted.
    pub(super) obeying: Option<Vec<String>>,
}

impl Ask {
    pub(super) async fn about(&self, request: &AdmissionRequest<'_>) -> Live {
        let mut live = Live::default();
        let Object::Own(own) = &request.object else { return live };
        match own {
            Own::Labels { before, after } => {
                let new = after.policy.as_deref().filter(|_| after.policy != before.policy);
                if let Some(name) = new.filter(|it| Builtin::named(it).is_none()) {
                    live.policy = (self.policy)(name).await;
                }
            }
            Own::PolicyDeleted => {
                live.obeying = (self.obeying)(request.name().unwrap_or_default()).await;
            }
            Own::Policy(_) | Own::Profile(_) | Own::ProfileDeleted => {}
        }
        live
    }
}
