//! Follows the cluster, keeps the files, and reports.

mod tell;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio::{
    select,
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use self::tell::Teller;
pub(super) use self::tell::seccomp_nodes;
use super::{
    found::Found,
    keeper::Keeper,
    report::ReportError,
    wanted::Wanted,
    watch::{follow, touches},
};

/// How often all files are looked at: what somebody changed is repaired within
/// this time and that of a pass.
const SCAN: Duration = Duration::from_secs(10);

/// How long changes of profiles are gathered before they are acted on.
const GATHER: Duration = Duration::from_millis(50);

/// How often the API server is told although nothing has changed, so that a
/// condition that nobody keeps can be told from one that is kept.
const REFRESH: Duration = Duration::from_mins(5);

/// How long to wait after a failed report: from the first to the last.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Between two reports at least, so that we never fight at full speed with
/// somebody who overwrites what we wrote.
const BREATH: Duration = Duration::from_millis(300);

/// The agent of one node.
pub struct Agent {
    pub client: Client,
    /// The name of its node.
    pub node: String,
    /// The seccomp directory of the kubelet.
    pub root: PathBuf,
    /// How long a file stays whose `SeccompProfile` is gone.
    pub keep_deleted_for: Duration,
}

/// What an agent has to tell.
pub enum News<'a> {
    /// The files were looked at.
    Passed(&'a Found),
    /// The API server knows all that was found, which is that profiles are in
    /// place, if it was known which are wanted.
    Reported(&'a Found),
    ReportFailed(&'a ReportError),
    WatchFailed(&'a kube::runtime::watcher::Error),
}

/// Hears the news; it must not block.
pub type Hear = Arc<dyn Fn(News<'_>) + Send + Sync>;

impl Agent {
    /// Runs for ever: drop it to end it, at any moment.
    ///
    /// While the API server is away the files are kept as they were wanted
    /// last. Before it has ever answered, nothing is written or removed.
    pub async fn run(self, hear: Hear) {
        let Self { client, node, root, keep_deleted_for } = self;
        let (wanted, wants) = watch::channel(None);
        let (found, finds) = watch::channel(None);
        let keeper = Keeper::new(root, keep_deleted_for);
        select! {
            () = follow(client.clone(), wanted, Arc::clone(&hear)) => {}
            () = keep(keeper, wants, found, Arc::clone(&hear)) => {}
            () = report(client, node, finds, hear) => {}
        }
    }
}

/// Passes again and again: when profiles change, and every [`SCAN`].
async fn keep(
    mut keeper: Keeper,
    mut wants: watch::Receiver<Option<Wanted>>,
    found: watch::Sender<Option<Arc<Found>>>,
    hear: Hear,
) {
    let mut last = Instant::now();
    loop {
        let wanted = wants.borrow_and_update().clone();
        let elapsed = last.elapsed();
        last = Instant::now();
        let pass = spawn_blocking(move || {
            let result = keeper.pass(wanted.as_ref(), elapsed);
            (keeper, result)
        });
        let Ok((back, result)) = pass.await else { return };
        keeper = back;
        hear(News::Passed(&result));
        found.send_if_modified(|it| {
            let is_news = it.as_deref().is_none_or(|it| !it.says_the_same(&result));
            if is_news {
                *it = Some(Arc::new(result));
            }
            is_news
        });
        if let Ok(Ok(())) = timeout(SCAN, wants.changed()).await {
            sleep(GATHER).await;
        }
    }
}

/// Reports what was found: when it is new, when somebody has touched what we
/// wrote, and every [`REFRESH`].
async fn report(
    client: Client,
    node: String,
    mut finds: watch::Receiver<Option<Arc<Found>>>,
    hear: Hear,
) {
    let teller = Teller::new(&client, &node);
    let (touch, mut touched) = watch::channel(());
    let notice = touches(client, &node, touch, Arc::clone(&hear));
    let stagger = stagger(&node);
    let mut refreshed = None::<Instant>;
    let mut pause = PATIENCE.0;
    let reports = async {
        loop {
            touched.mark_unchanged();
            let found = finds.borrow_and_update().clone();
            let refresh = refreshed.is_none_or(|it| it.elapsed() >= REFRESH);
            let wait = match &found {
                None => REFRESH,
                Some(found) => match teller.tell(found, refresh).await {
                    Ok(()) => {
                        hear(News::Reported(found));
                        if refresh {
                            refreshed = Some(Instant::now());
                        }
                        pause = PATIENCE.0;
                        REFRESH
                    }
                    Err(error) => {
                        hear(News::ReportFailed(&error));
                        let wait = pause;
                        pause = (pause * 2).min(PATIENCE.1);
                        wait.mul_f64(stagger)
                    }
                },
            };
            sleep(BREATH).await;
            let again = async {
                select! {
                    _ = finds.changed() => {}
                    _ = touched.changed() => {}
                }
            };
            drop(timeout(wait, again).await);
        }
    };
    select! {
        () = notice => {}
        () = reports => {}
    }
}

/// Something from 1 to 1.5, another for every node: thousands that have lost the
/// API server at one moment must not come back at one moment.
fn stagger(node: &str) -> f64 {
    let sum = node.bytes().fold(0_u8, |sum, it| sum.wrapping_mul(31).wrapping_add(it));
    1.0 + f64::from(sum) / 512.0
}

impl Found {
    /// Whether the API server would be told the same of both.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.is_decided, self.wanted) == (other.is_decided, other.wanted)
            && self.entries == other.entries
            && self.usable == other.usable
            && self.failures == other.failures
    }
}
