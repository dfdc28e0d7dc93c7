//! Follows the cluster, keeps the files, and reports.

mod pace;
mod reasons;
mod reporter;

pub(super) use self::reporter::call;

use std::{
    future::pending,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio::{
    runtime::Handle,
    select,
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use self::{
    pace::REFRESH,
    reasons::Reasons,
    reporter::{Reporter, delete_pod},
};
use super::{
    event::{AgentEvent, EventHandler},
    name::Name,
    pass_result::PassResult,
    reconciler::Reconciler,
    report::ReportError,
    wanted::Wanted,
    watch::{fetch, follow, touches},
    witness::{Lookout, follow_pods},
};
use crate::witness::Pods;

/// How often all files are looked at: a changed file is repaired within this time and that of a
/// pass.
const SCAN: Duration = Duration::from_secs(10);

/// How long changes of profiles are gathered before a pass.
const GATHER: Duration = Duration::from_millis(50);

/// A pass takes longer than this only if a file access hangs, such as on a network file system
/// whose server is away.
const LATE: Duration = Duration::from_mins(5);

/// The result of the last pass.
#[derive(Clone)]
struct Looked {
    found: Arc<PassResult>,
    /// When the pass ended.
    at: Instant,
}

/// The agent of one node.
pub struct Agent {
    pub client: Client,
    /// For watches: it does not retry, since a watch must report each failure.
    pub watches: Client,
    /// The name of its node.
    pub node: String,
    /// The seccomp directory of the kubelet.
    pub root: PathBuf,
    /// How long the file of a deleted `SeccompProfile` stays.
    pub keep_deleted_for: Duration,
    /// The namespace and name of the pod that it runs in, if there is one.
    pub pod: Option<(String, String)>,
    /// Looks at the processes of the node, if they are to be looked at.
    pub lookout: Option<Lookout>,
}

/// What a pass starts from.
struct Wants {
    wanted: watch::Receiver<Option<Wanted>>,
    pods: watch::Receiver<Option<Pods>>,
}

impl Agent {
    /// Runs until the seccomp directory is no longer the one that the kubelet reads. The pod has
    /// then the old directory mounted, and only a new pod mounts the new one, so the agent deletes
    /// its own pod. The future may be dropped at any moment.
    ///
    /// While the API server is away, the files are kept as they were last wanted. Before its first
    /// answer, nothing is written or removed.
    pub async fn run(self, handler: EventHandler) {
        let Self { client, watches, node, root, keep_deleted_for, pod, lookout } = self;
        let (send_wanted, wanted) = watch::channel(None);
        let (send_pods, pods) = watch::channel(None);
        let wants = Wants { wanted, pods };
        let (found, finds) = watch::channel(None);
        let (runtime, reader) = (Handle::current(), client.clone());
        // Called by the thread that makes the passes, which may block.
        let fetch = Box::new(move |name: &Name| runtime.block_on(fetch(&reader, name)));
        let reconciler = Reconciler::new(root, keep_deleted_for, fetch);
        let has_lookout = lookout.is_some();
        let pods = async {
            if has_lookout {
                follow_pods(watches.clone(), &node, send_pods, Arc::clone(&handler)).await;
            }
            pending::<()>().await;
        };
        select! {
            () = follow(watches.clone(), send_wanted, Arc::clone(&handler)) => {}
            () = pods => {}
            () = keep(reconciler, lookout, wants, found, Arc::clone(&handler)) => {}
            () = report(client.clone(), watches.clone(), &node, finds, Arc::clone(&handler)) => {
                if let Some((namespace, name)) = pod {
                    let ended = delete_pod(client, &namespace, &name).await;
                    ended.unwrap_or_else(|it| handler(AgentEvent::ReportFailed(&it)));
                }
            }
        }
    }
}

/// Makes a pass whenever profiles change, and every [`SCAN`].
async fn keep(
    mut reconciler: Reconciler,
    mut lookout: Option<Lookout>,
    Wants { mut wanted, pods }: Wants,
    found: watch::Sender<Option<Looked>>,
    handler: EventHandler,
) {
    let mut last = Instant::now();
    loop {
        let wants = wanted.borrow_and_update().clone();
        let on_node = lookout.is_some().then(|| pods.borrow().clone()).flatten();
        let elapsed = last.elapsed();
        last = Instant::now();
        let pass = spawn_blocking(move || {
            let mut result = reconciler.pass(wants.as_ref(), elapsed);
            result.containers = lookout.as_mut().and_then(|it| it.look(on_node.as_ref()));
            (reconciler, lookout, result)
        });
        let Ok((reconciler_back, lookout_back, result)) = pass.await else { return };
        (reconciler, lookout) = (reconciler_back, lookout_back);
        handler(AgentEvent::Passed(&result));
        let at = Instant::now();
        found.send_if_modified(|it| match it {
            Some(it) if it.found.has_the_same_report(&result) => {
                it.at = at;
                false
            }
            _ => {
                *it = Some(Looked { found: Arc::new(result), at });
                true
            }
        });
        if let Ok(Ok(())) = timeout(SCAN, wanted.changed()).await {
            sleep(GATHER).await;
        }
    }
}

/// Reports what the passes found: when it is new, when another client has changed what we wrote,
/// and every [`REFRESH`].
async fn report(
    client: Client,
    watches: Client,
    node: &str,
    mut finds: watch::Receiver<Option<Looked>>,
    handler: EventHandler,
) {
    let reporter = Reporter::new(&client, node);
    let (touch, mut touched) = watch::channel(());
    let notice = touches(watches, node, touch, Arc::clone(&handler));
    let start = Instant::now();
    let mut reasons = Reasons::new(node);
    let reports = async {
        loop {
            let now = start.elapsed();
            let looked = finds.borrow_and_update().clone();
            let is_late = looked.as_ref().is_some_and(|it| it.at.elapsed() > LATE);
            if is_late && !reasons.is_late {
                handler(AgentEvent::PassHangs);
            }
            reasons.is_late = is_late;
            let found = looked.map(|it| it.found);
            let due = found.as_ref().map(|it| reasons.due(it, now));
            let wait = due.map_or(REFRESH, |it| it.saturating_sub(now));
            // A report that is due comes before new events, which may never end.
            if !wait.is_zero() {
                let news = async {
                    select! {
                        _ = finds.changed() => false,
                        _ = touched.changed() => true,
                    }
                };
                if let Ok(is_touch) = timeout(wait, news).await {
                    reasons.is_touched |= is_touch;
                    continue;
                }
            }
            let Some(found) = found else { continue };
            touched.mark_unchanged();
            // If another client has undone our write, the last report is written again, and new
            // findings no sooner than they are due.
            let is_new = reasons.is_new(&found, start.elapsed());
            let content = if is_new { &found } else { reasons.last().unwrap_or(&found) };
            let refresh = reasons.is_stale(start.elapsed());
            let nodes = if refresh { reporter.nodes().await } else { None };
            match reporter.report(content, refresh).await {
                Ok(calls) => {
                    let (at, skew) = (reporter.time(), reporter.skew());
                    handler(AgentEvent::Reported { found: content, calls, at, skew });
                    let last = Arc::clone(content);
                    reasons.success(last, calls, refresh, nodes, start.elapsed());
                }
                Err(error) => {
                    handler(AgentEvent::ReportFailed(&error));
                    match error {
                        // Not retried before the watch reports the node.
                        ReportError::NoNode { .. } => {
                            let last = Arc::clone(content);
                            reasons.success(last, 0, refresh, nodes, start.elapsed());
                        }
                        _ => reasons.failure(start.elapsed()),
                    }
                }
            }
            if found.is_replaced {
                return;
            }
        }
    };
    select! {
        () = notice => {}
        () = reports => {}
    }
}
