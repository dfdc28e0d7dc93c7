//! Which taints keep a pod away.

use crate::{placement::Taint, pod::Toleration};

/// The taint that stands for `spec.unschedulable`: a pod that tolerates it may land on a cordoned
/// node (pkg/scheduler/framework/plugins/nodeunschedulable).
pub(super) fn cordon() -> Taint {
    let key = "node.kubernetes.io/unschedulable".to_owned();
    Taint { key, value: String::new(), effect: "NoSchedule".to_owned() }
}

impl Taint {
    /// Whether the taint keeps pods off the node; `PreferNoSchedule` is only a preference
    /// (`DoNotScheduleTaintsFilterFunc` in pkg/scheduler/framework/plugins/helper).
    pub(super) fn is_hard(&self) -> bool {
        matches!(&*self.effect, "NoSchedule" | "NoExecute")
    }

    /// As `Toleration.ToleratesTaint` in k8s.io/api/core/v1/toleration.go.
    ///
    /// `Gt` and `Lt` count, though their feature gate (`TaintTolerationComparisonOperators`) is off
    /// in Kubernetes 1.37: where it is off, the API server rejects such pods.
    pub(super) fn is_tolerated(&self, toleration: &Toleration<'_>) -> bool {
        let any_or = |text: &str, own: &str| text.is_empty() || text == own;
        any_or(toleration.effect(), &self.effect)
            && any_or(toleration.key(), &self.key)
            && match toleration.operator() {
                "" | "Equal" => toleration.value() == self.value,
                "Exists" => true,
                "Gt" => numbers(&self.value, toleration.value()).is_some_and(|(a, b)| a > b),
                "Lt" => numbers(&self.value, toleration.value()).is_some_and(|(a, b)| a < b),
                _ => false,
            }
    }
}

fn numbers(taint: &str, toleration: &str) -> Option<(i64, i64)> {
    Some((canonical(taint)?, canonical(toleration)?))
}

/// An integer without a plus or needless zeros (`content.IsDecimalInteger` in
/// k8s.io/apimachinery).
fn canonical(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
