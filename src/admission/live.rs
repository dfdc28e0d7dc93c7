//! What is asked of the cluster before our own configuration is judged.
//!
//! A snapshot is always a moment old. Whoever applies a policy together with a
//! namespace that names it would be refused for that, and a policy could be
//! deleted just after somebody has come to obey it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    admission::review::{AdmissionRequest, Object, Own},
    policy::{Builtin, Presence},
};

/// Asks whether a policy is there.
pub type FindPolicy = Arc<dyn Fn(&str) -> BoxFuture<'static, Presence> + Send + Sync>;

/// Asks for the names of the namespaces that name a policy; `None` if nobody
/// can say.
pub type FindObeying = Arc<dyn Fn(&str) -> BoxFuture<'static, Option<Vec<String>>> + Send + Sync>;

/// Whom to ask.
#[derive(Clone)]
pub struct Ask {
    pub policy: FindPolicy,
    pub obeying: FindObeying,
}

/// What was answered; of what was not asked, nothing is known.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The policy that a namespace is to obey.
    pub(super) policy: Presence,
    /// The namespaces that name the policy which is deleted.
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
