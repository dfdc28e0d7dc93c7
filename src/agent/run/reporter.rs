//! Writes a report to the API server.

use std::time::{Duration, SystemTime};

use http::Request as HttpRequest;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NodeSpec, Taint};
use kube::{
    Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, ValidationDirective},
    core::{Request, request::Error as RequestError},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use crate::{
    agent::{
        pass_result::PassResult,
        report::{Condition, Published, ReportError, Write, writes},
        watch::NODES,
    },
    call::{CallError, within},
    clock::{ClockSkew, LocalTime, ServerClock},
    group::{API_VERSION, NODE, NODE_CONDITION, NOT_READY_TAINT},
    watch::Object,
};

/// The field manager of our writes.
const MANAGER: &str = "callgate-agent";

/// The deadline of one call, kube's own retries included.
const DEADLINE: Duration = Duration::from_secs(10);

/// Writes the two objects of a node: the `Node` and the `SeccompNode`.
pub(super) struct Reporter {
    client: Client,
    /// Times in reports are the API server's, since others compare them with it.
    clock: ServerClock,
    /// The name of both objects.
    name: String,
}

/// The number of objects in a list.
#[derive(Deserialize)]
struct Count {
    metadata: CountMetadata,
    items: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountMetadata {
    #[serde(default)]
    remaining_item_count: usize,
}

impl Reporter {
    pub(super) fn new(client: &Client, node: &str) -> Self {
        let (client, clock) = ServerClock::watched_by(client);
        Self { client, clock, name: node.to_owned() }
    }

    /// The API server's time; the system clock's if the last answer had none.
    pub(super) fn time(&self) -> SystemTime {
        let now = LocalTime::now();
        self.clock.read().map_or(now.wall, |it| it.now(now))
    }

    /// How the system clock differs from the API server's; `None` if the last answer had no time.
    pub(super) fn skew(&self) -> Option<ClockSkew> {
        self.clock.read().map(|it| it.compare(LocalTime::now()))
    }

    /// Writes what has changed; returns the number of calls. The first failure ends it, so that no
    /// write precedes one that it depends on.
    pub(super) async fn report(
        &self,
        found: &PassResult,
        refresh: bool,
    ) -> Result<usize, ReportError> {
        let node = self.get("read the node", NODES).await?;
        let node = node.ok_or_else(|| ReportError::NoNode { name: self.name.clone() })?;
        let object = self.get("read the SeccompNode", NODE.path).await?;
        let node = read("read the node", &node)?;
        let object = object.as_deref().map(|it| read("read the SeccompNode", it)).transpose()?;
        let unreadable = |why| ReportError::Unreadable { what: "read the node", why };
        let seen = Published::of(&node, object.as_ref()).map_err(unreadable)?;
        let writes = writes(found, &seen, refresh);
        let calls = writes.len();
        for write in writes {
            self.write(write, &seen).await?;
        }
        Ok(calls)
    }

    /// The number of nodes; `None` if the API server does not answer.
    pub(super) async fn nodes(&self) -> Option<usize> {
        let request = Request::new(NODES).list_metadata(&ListParams::default().limit(1));
        let list = self.call("count the nodes", request).await.ok()?;
        let Count { metadata, items } = serde_json::from_str(&list).ok()?;
        Some(items.len() + metadata.remaining_item_count)
    }

    async fn write(&self, write: Write, seen: &Published) -> Result<(), ReportError> {
        let name = &self.name;
        let as_us = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        match write {
            Write::Create(uid) => {
                let object = json!({
                    "apiVersion": API_VERSION, "kind": NODE.kind,
                    "metadata": { "name": name, "ownerReferences": self.owner(&uid) },
                    "spec": {},
                });
                let as_us = PostParams { field_manager: Some(MANAGER.into()), dry_run: false };
                let body = object.to_string().into_bytes();
                let request = Request::new(NODE.path).create(&as_us, body);
                self.call("create the SeccompNode", request).await?;
            }
            Write::Own(uid) => {
                let change = json!({ "metadata": { "ownerReferences": self.owner(&uid) } });
                let change = Patch::Merge(change);
                let request = Request::new(NODE.path).patch(name, &as_us, &change);
                self.call("own the SeccompNode", request).await?;
            }
            Write::Status(status) => {
                let change = Patch::Merge(json!({ "status": status }));
                // For each field that an older CRD does not know the API server sends a warning in
                // a header of its own (R6). One in every file is more than the HTTP client accepts.
                let no_warnings =
                    PatchParams { field_validation: Some(ValidationDirective::Ignore), ..as_us };
                let request = patch_status(NODE.path, name, &no_warnings, &change);
                self.call("write the SeccompNode", request).await?;
            }
            Write::Condition(condition) => {
                let same = seen.condition.as_ref().is_some_and(|it| it.status == condition.status);
                let since = seen.condition_since.filter(|_| same);
                // A time that no timestamp can hold is that of a broken clock.
                let now = Timestamp::try_from(self.time()).unwrap_or_default();
                let condition = written(&condition, now, since);
                let change = json!({ "status": { "conditions": [condition] } });
                let request = patch_status(NODES, name, &as_us, &Patch::Strategic(change));
                self.call("set the node's condition", request).await?;
            }
            Write::Labels(labels) => {
                let change = Patch::Merge(json!({ "metadata": { "labels": labels } }));
                let request = Request::new(NODES).patch(name, &as_us, &change);
                self.call("label the node", request).await?;
            }
            Write::Untaint => self.untaint(&as_us).await?,
        }
        Ok(())
    }

    /// The list of taints can only be replaced as a whole, so the write names the version that was
    /// read.
    async fn untaint(&self, as_us: &PatchParams) -> Result<(), ReportError> {
        let what = "remove the node's taint";
        let Some(text) = self.get("read the node", NODES).await? else { return Ok(()) };
        let node = read("read the node", &text)?;
        let unreadable = |why| ReportError::Unreadable { what, why };
        let taints = node.spec::<NodeSpec>().map_err(unreadable)?.taints.unwrap_or_default();
        let others: Vec<Taint> =
            taints.into_iter().filter(|it| it.key != NOT_READY_TAINT).collect();
        let change = json!({
            "metadata": { "resourceVersion": node.version() },
            "spec": { "taints": others },
        });
        let request = Request::new(NODES).patch(&self.name, as_us, &Patch::Merge(change));
        self.call(what, request).await?;
        Ok(())
    }

    /// The text of one of the two objects; `None` if it does not exist.
    async fn get(&self, what: &'static str, path: &str) -> Result<Option<String>, ReportError> {
        let request = Request::new(path).get(&self.name, &<_>::default());
        match self.call(what, request).await {
            Ok(text) => Ok(Some(text)),
            Err(ReportError::Call { source: CallError::Answer(kube::Error::Api(it)), .. })
                if it.is_not_found() =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn call(
        &self,
        what: &'static str,
        request: Result<HttpRequest<Vec<u8>>, RequestError>,
    ) -> Result<String, ReportError> {
        call(&self.client, what, request).await
    }

    /// The garbage collector deletes the object together with its node.
    fn owner(&self, uid: &str) -> Value {
        json!([{ "apiVersion": "v1", "kind": "Node", "name": self.name, "uid": uid }])
    }
}

/// Deletes a pod; its controller creates another one.
pub(super) async fn delete_pod(
    client: Client,
    namespace: &str,
    name: &str,
) -> Result<(), ReportError> {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let request = Request::new(pods).delete(name, &DeleteParams::default());
    call(&client, "delete the agent's own pod", request).await?;
    Ok(())
}

fn read<'a>(what: &'static str, text: &'a str) -> Result<Object<'a>, ReportError> {
    Object::read(text).map_err(|why| ReportError::Unreadable { what, why })
}

fn patch_status(
    path: &str,
    name: &str,
    params: &PatchParams,
    change: &Patch<Value>,
) -> Result<HttpRequest<Vec<u8>>, RequestError> {
    Request::new(path).patch_subresource("status", name, params, change)
}

fn written(condition: &Condition, now: Timestamp, since: Option<Timestamp>) -> Value {
    let Condition { status, reason, message } = condition;
    // Times in the API server have no fraction.
    let time = |it: Timestamp| it.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "type": NODE_CONDITION, "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": time(now), "lastTransitionTime": time(since.unwrap_or(now)),
    })
}

/// Returns the answer as text. Other clients write into these objects as well, and kube's types
/// cannot hold everything that they may write.
pub(in crate::agent) async fn call(
    client: &Client,
    what: &'static str,
    request: Result<HttpRequest<Vec<u8>>, RequestError>,
) -> Result<String, ReportError> {
    let answer = async { client.request_text(request.map_err(kube::Error::BuildRequest)?).await };
    within(DEADLINE, answer).await.map_err(|source| ReportError::Call { what, source })
}
