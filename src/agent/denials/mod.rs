//! Listens to the kernel's records of denied calls, and reports those of the containers of a node.

mod listen;
mod look;
mod probe;
mod report;
mod socket;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use kube::Client;
use tokio::{
    join,
    sync::watch,
    task::spawn_blocking,
    time::{interval, timeout},
};

pub use self::probe::{Silence, not_logged};
use self::{
    listen::{Heard, listen},
    probe::Probe,
    report::Reporter,
    socket::Socket,
};
use super::{event::EventHandler, report::ReportError, witness::follow_pods};
use crate::{
    denials::{Denials, Denied, Totals},
    profile::Architecture,
    witness::Pods,
};

/// How often calls are attributed to containers.
const SETTLE: Duration = Duration::from_secs(1);

/// How often all processes are looked at: for the records of those that end.
const LOOK: Duration = Duration::from_secs(10);

/// The least time between two reports.
const REPORT: Duration = Duration::from_mins(1);

/// How long after its own call its record must have arrived, and how often that is tried.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(30);

/// What listens on one node.
pub struct Listener {
    pub client: Client,
    /// For watches: it does not retry, since a watch must report each failure.
    pub watches: Client,
    /// The name of its node.
    pub node: String,
}

/// An event for metrics, readiness and logs.
pub enum ListenerEvent<'a> {
    /// A record of a call of its own has arrived.
    Listens,
    /// None has arrived; it is tried again.
    Silent(Silence),
    /// Calls were attributed to containers.
    Settled {
        denied: &'a [Denied],
        totals: &'a Totals,
    },
    Reported,
    ReportFailed(&'a ReportError),
}

/// Handles an event; it must not block.
pub type ListenerEvents = Arc<dyn Fn(ListenerEvent<'_>) + Send + Sync>;

impl Listener {
    /// Listens for ever.
    ///
    /// # Errors
    /// The kernel gives no socket, or closes it.
    pub async fn run(self, handler: ListenerEvents, watching: EventHandler) -> io::Result<()> {
        let Self { client, watches, node } = self;
        let socket = Socket::open()?;
        let probe = Arc::new(Probe::new());
        let heard = Arc::new(Mutex::new(Heard::new(Architecture::of_this_machine(), now())));
        let (send_pods, pods) = watch::channel(None);
        let (end, ended) = tokio::sync::oneshot::channel();
        let (into, own) = (Arc::clone(&heard), Arc::clone(&probe));
        let thread = std::thread::Builder::new().name("records".to_owned());
        // It ends with the process.
        thread.spawn(move || end.send(listen(&socket, &into, &own)))?;
        let reports = async {
            confirm(&probe, &handler).await;
            report(&heard, &pods, &Reporter::new(client, &node), &handler).await;
        };
        let all = async {
            join!(follow_pods(watches, &node, send_pods, watching), look(&heard), reports)
        };
        tokio::select! {
            failed = ended => Err(failed.unwrap_or_else(|_| io::ErrorKind::BrokenPipe.into())),
            _ = all => Ok(()),
        }
    }
}

/// Makes calls of its own until a record of one arrives.
async fn confirm(probe: &Arc<Probe>, handler: &ListenerEvents) {
    loop {
        let maker = Arc::clone(probe);
        let made = spawn_blocking(move || maker.make_call()).await;
        let silence = match made {
            Ok(Ok(process)) => match timeout(PATIENCE, probe.seen()).await {
                Ok(seen) if seen == process => return handler(ListenerEvent::Listens),
                Ok(_) => Silence::OtherProcesses,
                Err(_) => Silence::NoRecord,
            },
            Ok(Err(error)) => Silence::NoCall(error),
            Err(error) => Silence::NoCall(io::Error::other(error)),
        };
        handler(ListenerEvent::Silent(silence));
        tokio::time::sleep(AGAIN).await;
    }
}

/// Looks at all processes, for ever.
async fn look(heard: &Arc<Mutex<Heard>>) {
    let mut ticks = interval(LOOK);
    loop {
        ticks.tick().await;
        let Ok(all) = spawn_blocking(look::all).await else { return };
        lock(heard).processes.look(all.into_iter());
    }
}

/// Attributes calls, and reports them, for ever.
async fn report(
    heard: &Mutex<Heard>,
    pods: &watch::Receiver<Option<Pods>>,
    reporter: &Reporter,
    handler: &ListenerEvents,
) {
    let mut ticks = interval(SETTLE);
    let (mut written, mut last) = (None, None::<Instant>);
    loop {
        ticks.tick().await;
        let (denied, totals, report) = {
            let pods = pods.borrow();
            let mut heard = lock(heard);
            let denied = pods.as_ref().map(|it| heard.tally.settle(it, now()));
            let is_due = denied.is_some() && last.is_none_or(|it| it.elapsed() >= REPORT);
            (denied, heard.tally.totals().clone(), is_due.then(|| heard.tally.report()))
        };
        handler(ListenerEvent::Settled { denied: &denied.unwrap_or_default(), totals: &totals });
        let is_new = |it: &Denials| written.as_ref().is_none_or(|old| !it.has_the_same_calls(old));
        let Some(report) = report.filter(is_new) else { continue };
        last = Some(Instant::now());
        match reporter.write(&report).await {
            Ok(()) => {
                written = Some(report);
                handler(ListenerEvent::Reported);
            }
            Err(error) => handler(ListenerEvent::ReportFailed(&error)),
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In seconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
