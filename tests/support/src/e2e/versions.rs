//! The versions of Kubernetes that a suite runs on.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{e2e::api::Api, report::report};

/// Names the versions of the API server and of the nodes; `e2e/versions` reads these lines.
pub async fn report_versions(api: &Api) {
    let server = api.get("/version").await.expect_ok("the version of the API server");
    report(&format!("API server {}", text(&server["gitVersion"])));
    let nodes = api.get("/api/v1/nodes").await.expect_ok("the nodes");
    let nodes = nodes["items"].as_array().expect("a list").iter();
    let versions = nodes.map(|it| {
        let info = &it["status"]["nodeInfo"];
        let [kubelet, runtime] = ["kubeletVersion", "containerRuntimeVersion"].map(|it| &info[it]);
        format!("nodes: kubelet {}, {}", text(kubelet), text(runtime))
    });
    for line in versions.collect::<BTreeSet<_>>() {
        report(&line);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("of no version")
}
