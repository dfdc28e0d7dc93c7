//! Pods that are created without a pause, while something happens.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::api::{Api, Reply};

/// What became of the pods.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) created: usize,
    /// When, counted from the beginning, and why.
    pub(crate) refused: Vec<(Duration, String)>,
    /// Those that got in without a filter.
    pub(crate) unprotected: usize,
}

/// Callers at once: each has one request under way and the next one soon after.
const CALLERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(5);

/// Lets pods be created in the namespace, all the while and until `happening`
/// has come to its end.
///
/// It is a dry run: the API server does all that it does for a pod, but for
/// writing it down, so that a thousand pods do not fill two nodes.
pub(crate) async fn during<T>(
    api: &Api,
    namespace: &str,
    happening: impl Future<Output = T>,
) -> (T, Outcome) {
    let over = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (api, over) = (api.clone(), Arc::clone(&over));
            let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
            tokio::spawn(async move {
                let mut outcome = Outcome::default();
                while !over.load(Ordering::Relaxed) {
                    outcome.take(start.elapsed(), &api.post(&path, &pod()).await);
                    tokio::time::sleep(PAUSE).await;
                }
                outcome
            })
        })
        .collect();
    let result = happening.await;
    over.store(true, Ordering::Relaxed);
    let mut all = Outcome::default();
    for caller in callers {
        let Outcome { created, refused, unprotected } = caller.await.expect("it does not panic");
        all.created += created;
        all.refused.extend(refused);
        all.unprotected += unprotected;
    }
    all.refused.sort();
    (result, all)
}

/// A pod for both webhooks: there is something to set, and something to judge.
fn pod() -> Value {
    let own = json!({ "seccompProfile": { "type": "RuntimeDefault" } });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "generateName": "load-" },
        "spec": { "containers": [
            { "name": "app", "image": "busybox:1" },
            { "name": "sidecar", "image": "busybox:1", "securityContext": own },
        ]},
    })
}

impl Outcome {
    fn take(&mut self, at: Duration, reply: &Reply) {
        if !reply.is_ok() {
            self.refused.push((at, format!("{} {}", reply.status, reply.message())));
            return;
        }
        self.created += 1;
        let profile = &reply.body["spec"]["securityContext"]["seccompProfile"]["type"];
        self.unprotected += usize::from(*profile != "RuntimeDefault");
    }
}
