//! Looks at the processes of the node, and follows its pods.

use std::{
    cell::RefCell,
    fs, mem,
    path::PathBuf,
    time::{Duration, Instant},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use tokio::sync::watch;

use super::{
    event::{AgentEvent, EventHandler},
    watch::{report, source},
};
use crate::{
    pod::Owner,
    watch::{Change, Event, Object, stream},
    witness::{Containers, PodOnNode, Pods, Witness},
};

/// Where the API server has the pods of all namespaces.
const PODS: &str = "/api/v1/pods";

/// The least time between two looks: a runtime installs the filter of a process within it.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Looks at the processes of a node, again and again.
pub struct Lookout {
    /// The file system of processes of the node.
    proc: PathBuf,
    witness: Witness,
    /// When it looked last, and what it saw.
    last: Option<(Instant, Option<Containers>)>,
}

impl Lookout {
    pub fn new(proc: PathBuf) -> Self {
        Self { proc, witness: Witness::default(), last: None }
    }

    /// What the containers run under, by a look that is not much older than [`LOOK_EVERY`]. `None`
    /// before that is known.
    pub(super) fn look(&mut self, pods: Option<&Pods>) -> Option<Containers> {
        let pods = pods?;
        match &self.last {
            Some((at, seen)) if at.elapsed() < LOOK_EVERY => seen.clone(),
            _ => {
                let seen = self.look_now(pods);
                self.last = Some((Instant::now(), seen.clone()));
                seen
            }
        }
    }

    /// Looks at once.
    pub fn look_now(&mut self, pods: &Pods) -> Option<Containers> {
        // A process may end at any moment: what cannot be read is left out. It may give itself any
        // name, and that need not be UTF-8.
        let read = |pid: u32, file| {
            let bytes = fs::read(self.proc.join(format!("{pid}/{file}"))).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let entries = fs::read_dir(&self.proc).into_iter().flatten().flatten();
        let processes = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
        let cgroups = processes.filter_map(|pid| Some((pid, read(pid, "cgroup")?)));
        self.witness.look(pods, cgroups, |pid| read(pid, "status"))
    }
}

/// Watches the pods of a node, for ever. Nothing is sent before all have been listed.
pub(super) async fn follow_pods(
    client: Client,
    node: &str,
    pods: watch::Sender<Option<Pods>>,
    handler: EventHandler,
) {
    let listing = RefCell::new(Pods::default());
    let source = source(PODS, format!("spec.nodeName={node}"));
    stream(&client, source, read, move |event| match event {
        Event::Change(it) => take(it, &mut listing.borrow_mut(), &pods, &handler),
        it => report(it, "pods", &handler),
    })
    .await;
}

fn read(object: &Object<'_>) -> Result<PodOnNode, String> {
    let identity = (object.namespace(), object.name(), object.uid());
    // Of owners that cannot be read, the pod has none.
    let owners = object.owner_references().unwrap_or_default();
    PodOnNode::read(
        identity,
        controller(owners),
        object.spec_text().unwrap_or("null"),
        object.status_text().unwrap_or("{}"),
    )
}

/// The controller among the owners of a pod. That of a static pod is its node, which creates no other
/// pods, and does not count.
fn controller(owners: Vec<OwnerReference>) -> Option<Owner> {
    let controller = owners.into_iter().find(|it| it.controller == Some(true))?;
    let OwnerReference { api_version, kind, name, uid, .. } = controller;
    (kind != "Node").then_some(Owner { api_version, kind, name, uid })
}

fn take(
    change: Change<Result<PodOnNode, String>>,
    listing: &mut Pods,
    pods: &watch::Sender<Option<Pods>>,
    handler: &EventHandler,
) {
    let put = |pods: &mut Pods, key: String, pod| match pod {
        Ok(pod) => pods.put(key, pod),
        Err(why) => {
            pods.remove(&key);
            let why = format!("pod {key:?}: {why}");
            handler(AgentEvent::Unreadable { object: "pods", why: &why });
        }
    };
    match change {
        Change::Begin => *listing = Pods::default(),
        Change::Listed(key, pod) => put(listing, key, pod),
        Change::End => drop(pods.send_replace(Some(mem::take(listing)))),
        Change::Put(key, pod) => pods.send_modify(|it| put(it.get_or_insert_default(), key, pod)),
        Change::Gone(key) => pods.send_modify(|it| {
            if let Some(it) = it {
                it.remove(&key);
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::none(json!([]), None)]
    #[case::the_controller(
        json!([{ "kind": "Team", "name": "a" }, { "kind": "Job", "name": "b", "controller": true }]),
        Some("b"),
    )]
    #[case::no_controller(
        json!([{ "kind": "Team", "name": "a" }, { "kind": "Job", "name": "b", "controller": false }]),
        None,
    )]
    #[case::a_static_pod(json!([{ "kind": "Node", "name": "node-a", "controller": true }]), None)]
    fn the_controller_of_a_pod_creates_others_like_it(
        #[case] mut owners: Value,
        #[case] expected: Option<&str>,
    ) {
        for it in owners.as_array_mut().unwrap() {
            it["apiVersion"] = "v1".into();
            it["uid"] = "u".into();
        }
        let found = controller(serde_json::from_value(owners).unwrap());
        assert_eq!(found.map(|it| it.name).as_deref(), expected);
    }
}
