//! Carries a report to the API server.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::agent::{
    found::Found,
    report::{CONDITION, Condition, ReportError, Seen, TAINT, Write, writes},
};

/// As whom we write: the API server notes who set which field.
const MANAGER: &str = "callgate-agent";

/// How long one call may take, kube's own retries included.
const DEADLINE: Duration = Duration::from_secs(10);

/// The two objects that a node's agent writes.
pub(super) struct Teller {
    name: String,
    nodes: Api<Node>,
    objects: Api<DynamicObject>,
    resource: ApiResource,
}

impl Teller {
    pub(super) fn new(client: &Client, node: &str) -> Self {
        let resource = seccomp_nodes();
        Self {
            name: node.to_owned(),
            nodes: Api::all(client.clone()),
            objects: Api::all_with(client.clone(), &resource),
            resource,
        }
    }

    /// Tells what is new of it, and says in how many calls. The first one that
    /// fails ends it, so that nothing is told before what it rests on.
    pub(super) async fn tell(&self, found: &Found, refresh: bool) -> Result<usize, ReportError> {
        // A node that is gone has nobody to be told of.
        let Some(node) = call("read the node", self.nodes.get_opt(&self.name)).await? else {
            return Ok(0);
        };
        let object = call("read the SeccompNode", self.objects.get_opt(&self.name)).await?;
        let object = object.map(|it| serde_json::to_value(it).unwrap_or_default());
        let seen = Seen::of(&node, object.as_ref());
        let writes = writes(found, &seen, refresh);
        let calls = writes.len();
        for write in writes {
            self.write(write, &seen, &node).await?;
        }
        Ok(calls)
    }

    /// How many nodes there are, if the API server says so.
    pub(super) async fn nodes(&self) -> Option<usize> {
        let params = ListParams::default().limit(1);
        let one = self.nodes.list_metadata(&params);
        let list = call("count the nodes", one).await.ok()?;
        let others = list.metadata.remaining_item_count.unwrap_or_default();
        Some(list.items.len() + usize::try_from(others).unwrap_or_default())
    }

    async fn write(&self, write: Write, seen: &Seen, node: &Node) -> Result<(), ReportError> {
        let name = &self.name;
        let as_us = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        match write {
            Write::Create(uid) => {
                let mut object =
                    DynamicObject::new(name, &self.resource).data(json!({ "spec": {} }));
                object.metadata.owner_references = serde_json::from_value(self.owner(&uid)).ok();
                let as_us = PostParams { field_manager: Some(MANAGER.into()), dry_run: false };
                call("create the SeccompNode", self.objects.create(&as_us, &object)).await?;
            }
            Write::Own(uid) => {
                let change = json!({ "metadata": { "ownerReferences": self.owner(&uid) } });
                let change = Patch::Merge(change);
                call("own the SeccompNode", self.objects.patch(name, &as_us, &change)).await?;
            }
            Write::Status(status) => {
                let change = Patch::Merge(json!({ "status": status }));
                let written = self.objects.patch_status(name, &as_us, &change);
                call("write the SeccompNode", written).await?;
            }
            Write::Condition(condition) => {
                let same = seen.condition.as_ref().is_some_and(|it| it.status == condition.status);
                let since = if same { since(node) } else { None };
                let condition = written(&condition, Timestamp::now(), since);
                let change = json!({ "status": { "conditions": [condition] } });
                let change = Patch::Strategic(change);
                call("set the node's condition", self.nodes.patch_status(name, &as_us, &change))
                    .await?;
            }
            Write::Labels(labels) => {
                let change = Patch::Merge(json!({ "metadata": { "labels": labels } }));
                call("label the node", self.nodes.patch(name, &as_us, &change)).await?;
            }
            Write::Untaint => self.untaint(&as_us).await?,
        }
        Ok(())
    }

    /// The list of taints can only be written as a whole: over the one that was
    /// read, and over no other.
    async fn untaint(&self, as_us: &PatchParams) -> Result<(), ReportError> {
        let node = call("read the node", self.nodes.get(&self.name)).await?;
        let taints = node.spec.and_then(|it| it.taints).unwrap_or_default();
        let others: Vec<Taint> = taints.into_iter().filter(|it| it.key != TAINT).collect();
        let change = json!({
            "metadata": { "resourceVersion": node.metadata.resource_version },
            "spec": { "taints": others },
        });
        let change = Patch::Merge(change);
        call("remove the node's taint", self.nodes.patch(&self.name, as_us, &change)).await?;
        Ok(())
    }

    /// The object goes when its node goes.
    fn owner(&self, uid: &str) -> Value {
        json!([{ "apiVersion": "v1", "kind": "Node", "name": self.name, "uid": uid }])
    }
}

/// Deletes a pod; whoever made it makes another one.
pub(super) async fn delete_pod(
    client: Client,
    namespace: &str,
    name: &str,
) -> Result<(), ReportError> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    call("delete the agent's own pod", pods.delete(name, &DeleteParams::default())).await?;
    Ok(())
}

pub(in crate::agent) fn seccomp_nodes() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("callgate.dev", "v1alpha1", "SeccompNode"))
}

/// Since when the condition has been what it is.
fn since(node: &Node) -> Option<Timestamp> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    let ours = conditions.iter().find(|it| it.type_ == CONDITION)?;
    ours.last_transition_time.as_ref().map(|it| it.0)
}

fn written(condition: &Condition, now: Timestamp, since: Option<Timestamp>) -> Value {
    let Condition { status, reason, message } = condition;
    // The API server's times have no fraction.
    let time = |it: Timestamp| it.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "type": CONDITION, "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": time(now), "lastTransitionTime": time(since.unwrap_or(now)),
    })
}

async fn call<T>(
    what: &'static str,
    answer: impl Future<Output = kube::Result<T>>,
) -> Result<T, ReportError> {
    match timeout(DEADLINE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(ReportError::Refused { what, source }),
        Err(_) => Err(ReportError::Late { what, seconds: DEADLINE.as_secs() }),
    }
}
