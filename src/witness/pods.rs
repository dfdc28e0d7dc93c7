//! The pods of a node: their containers, by ID, and what is declared for each.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::pod::{self, Effective, Owner, Pod, Seccomp};

/// The longest path of a profile that is kept; the schema of `SeccompNode` has the same limit.
const LONGEST_PATH: usize = 1024;

/// The pods of a node, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Pods(BTreeMap<String, PodOnNode>);

/// What is kept of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodOnNode {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub controller: Option<Owner>,
    /// Those that have been created.
    pub containers: Vec<Container>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// As the runtime names it.
    pub id: String,
    pub name: String,
    pub is_running: bool,
    pub declared: Declared,
}

/// What the spec of a pod says about seccomp for a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "declared", content = "localhostProfile")]
pub enum Declared {
    RuntimeDefault,
    /// With the path of the profile.
    Localhost(String),
    Unconfined,
    /// S10: no filter, whatever else is declared.
    Privileged,
    /// S6: the kubelet decides.
    Unset,
    /// What no kubelet takes.
    Invalid,
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RuntimeDefault => "RuntimeDefault",
            Self::Localhost(path) => return write!(f, "Localhost {path:?}"),
            Self::Unconfined => "Unconfined",
            Self::Privileged => "privileged",
            Self::Unset => "no profile",
            Self::Invalid => "an invalid profile",
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(rename = "initContainerStatuses")]
    init: Option<Vec<ContainerStatus>>,
    #[serde(rename = "containerStatuses")]
    main: Option<Vec<ContainerStatus>>,
    #[serde(rename = "ephemeralContainerStatuses")]
    ephemeral: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    id: Option<String>,
    state: Option<State>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<IgnoredAny>,
}

impl Pods {
    pub fn put(&mut self, key: String, pod: PodOnNode) {
        self.0.insert(key, pod);
    }

    pub fn remove(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// The containers with their pods, by ID.
    pub(crate) fn by_id(&self) -> BTreeMap<&str, (&PodOnNode, &Container)> {
        let all = self.0.values().flat_map(|pod| pod.containers.iter().map(move |it| (pod, it)));
        all.map(|(pod, it)| (&*it.id, (pod, it))).collect()
    }
}

impl PodOnNode {
    /// Reads a pod from the texts of its spec and its status.
    ///
    /// # Errors
    /// When one of them is not what an API server stores.
    pub fn read(
        (namespace, name, uid): (&str, &str, &str),
        controller: Option<Owner>,
        spec: &str,
        status: &str,
    ) -> Result<Self, String> {
        let text = format!("{{\"spec\":{spec}}}");
        let pod: Pod<'_> = serde_json::from_str(&text).map_err(|it| format!("spec: {it}"))?;
        let status: Status = serde_json::from_str(status).map_err(|it| format!("status: {it}"))?;
        let declared: BTreeMap<_, _> =
            pod.containers().map(|it| (it.name.to_owned(), Declared::of(&it).bounded())).collect();
        let Status { init, main, ephemeral } = status;
        let lists = [init, main, ephemeral];
        let containers = lists.into_iter().flatten().flatten().filter_map(|it| {
            // It is `containerd://ID`.
            let (_, id) = it.id.as_deref()?.split_once("://")?;
            let is_running = it.state.is_some_and(|it| it.running.is_some());
            let declared = declared.get(&it.name)?.clone();
            Some(Container { id: id.to_owned(), name: it.name, is_running, declared })
        });
        Ok(Self {
            containers: containers.collect(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            controller,
        })
    }
}

impl Declared {
    pub fn of(container: &pod::Container<'_>) -> Self {
        if container.privileged {
            return Self::Privileged;
        }
        let (Effective::Own(declared) | Effective::Inherited(declared)) = container.effective
        else {
            return Self::Unset;
        };
        match declared {
            Seccomp::RuntimeDefault => Self::RuntimeDefault,
            Seccomp::Unconfined => Self::Unconfined,
            Seccomp::Localhost(Some(path)) => Self::Localhost(path.to_owned()),
            Seccomp::Localhost(None) | Seccomp::Unrecognised(_) | Seccomp::Contradictory { .. } => {
                Self::Invalid
            }
        }
    }

    fn bounded(self) -> Self {
        match self {
            Self::Localhost(path) if path.len() > LONGEST_PATH => Self::Invalid,
            it => it,
        }
    }

    /// Whether a container that runs without a filter is not what was declared.
    pub fn asks_for_a_filter(&self) -> bool {
        matches!(self, Self::RuntimeDefault | Self::Localhost(_))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(spec: &Value, status: &Value) -> Result<PodOnNode, String> {
        PodOnNode::read(("shop", "web-0", "u1"), None, &spec.to_string(), &status.to_string())
    }

    #[test]
    fn every_container_that_was_created_has_what_is_declared_for_it() {
        let localhost = json!({ "type": "Localhost", "localhostProfile": "callgate/web.json" });
        let spec = json!({
            "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
            "initContainers": [{ "name": "setup" }],
            "containers": [
                { "name": "app", "securityContext": { "seccompProfile": localhost } },
                { "name": "root", "securityContext": { "privileged": true } },
                { "name": "open", "securityContext": { "seccompProfile": { "type": "Unconfined" } } },
                { "name": "odd", "securityContext": { "seccompProfile": { "type": "Localhost" } } },
                { "name": "waits" },
            ],
            "ephemeralContainers": [{ "name": "debug" }],
        });
        let status = |name: &str, id: &str, state: &str| json!({ "name": name, "containerID": id, "state": { state: {} } });
        let status = json!({
            "initContainerStatuses": [status("setup", "containerd://i", "terminated")],
            "containerStatuses": [
                status("app", "containerd://a", "running"),
                status("root", "cri-o://r", "running"),
                status("open", "docker://o", "running"),
                status("odd", "containerd://x", "waiting"),
                { "name": "waits", "state": { "waiting": { "reason": "ContainerCreating" } } },
                status("of another pod", "containerd://y", "running"),
            ],
            "ephemeralContainerStatuses": [status("debug", "containerd://d", "running")],
        });
        let pod = read(&spec, &status).unwrap();
        assert_eq!((&*pod.namespace, &*pod.name, &*pod.uid), ("shop", "web-0", "u1"));
        let found: Vec<_> = pod
            .containers
            .iter()
            .map(|it| (&*it.id, &*it.name, it.is_running, it.declared.clone()))
            .collect();
        assert_eq!(
            found,
            [
                ("i", "setup", false, Declared::RuntimeDefault),
                ("a", "app", true, Declared::Localhost("callgate/web.json".to_owned())),
                ("r", "root", true, Declared::Privileged),
                ("o", "open", true, Declared::Unconfined),
                ("x", "odd", false, Declared::Invalid),
                ("d", "debug", true, Declared::RuntimeDefault),
            ]
        );
    }

    #[test]
    fn a_pod_without_a_profile_declares_none() {
        let spec = json!({ "containers": [{ "name": "app" }] });
        let status =
            json!({ "containerStatuses": [{ "name": "app", "containerID": "containerd://a" }] });
        let pod = read(&spec, &status).unwrap();
        assert_eq!(pod.containers[0].declared, Declared::Unset);
    }

    #[test]
    fn a_path_that_no_report_has_room_for_is_not_kept() {
        let localhost = json!({ "type": "Localhost", "localhostProfile": "a".repeat(1025) });
        let spec = json!({ "containers": [
            { "name": "app", "securityContext": { "seccompProfile": localhost } } ] });
        let status =
            json!({ "containerStatuses": [{ "name": "app", "containerID": "containerd://a" }] });
        assert_eq!(read(&spec, &status).unwrap().containers[0].declared, Declared::Invalid);
    }

    #[test]
    fn a_pod_that_cannot_be_read_says_where() {
        let why = read(&json!({ "containers": 1 }), &json!({})).unwrap_err();
        assert!(why.starts_with("spec: "), "{why}");
        let why = read(&json!({}), &json!({ "containerStatuses": 1 })).unwrap_err();
        assert!(why.starts_with("status: "), "{why}");
        assert_eq!(read(&json!({}), &json!({})).unwrap().containers, []);
    }
}
