//! What happens while a cluster still has the CRDs of the previous version.

use std::{fs, sync::Arc};

use serde_json::Value;
use support::wait::eventually;

use super::node::{SECCOMP_NODE, apply, delete, label, node};
use crate::deployment::Deployment;

const ON: &str = "node-b";

/// More than the headers that an HTTP client accepts: for each field that a CRD does not know the
/// API server sends a warning in a header of its own (R6).
const FILES: usize = 150;

/// No container starts under it, which agents report as a `doubt`.
const DOUBTFUL: &str = r#"{"defaultAction":"SCMP_ACT_ERRNO"}"#;

const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/seccompnodes.callgate.dev";

pub(super) async fn an_agent_reports_under_the_crds_of_the_previous_version(it: Arc<Deployment>) {
    let doubt = define(&it, None).await;
    let folder = it.seccomp_root(ON).join("doubtful");
    fs::create_dir_all(&folder).expect("the node is ours");
    for number in 0..FILES {
        fs::write(folder.join(format!("{number}.json")), DOUBTFUL).expect("the node is ours");
    }
    apply(&it, "upgrade", "mkdir").await;
    eventually("the files are reported", async || {
        let all = reported(&it).await;
        let doubtful: Vec<_> = all.iter().filter(|it| is_doubtful(it)).collect();
        assert!(doubtful.iter().all(|it| it["doubt"].is_null()), "the CRD has the field");
        (doubtful.len() == FILES).then_some(())
    })
    .await;
    eventually("the node has its label", async || label(&node(&it, ON).await, "upgrade").map(drop))
        .await;

    // With the new CRD the report is complete.
    define(&it, doubt).await;
    fs::write(folder.join("0.json"), format!("{DOUBTFUL}\n")).expect("the node is ours");
    eventually("doubts are reported", async || {
        let all = reported(&it).await;
        let doubtful = all.iter().filter(|it| is_doubtful(it) && it["doubt"] == "no-start");
        (doubtful.count() == FILES).then_some(())
    })
    .await;
    fs::remove_dir_all(&folder).expect("the node is ours");
    delete(&it, "upgrade").await;
}

fn is_doubtful(profile: &Value) -> bool {
    profile["path"].as_str().is_some_and(|it| it.starts_with("doubtful/"))
}

async fn reported(it: &Deployment) -> Vec<Value> {
    let object = it.api.get(&format!("{SECCOMP_NODE}/{ON}")).await.body;
    object["status"]["profiles"].as_array().cloned().unwrap_or_default()
}

/// Gives files this field `doubt` in the CRD, or removes it; returns the previous one.
async fn define(it: &Deployment, doubt: Option<Value>) -> Option<Value> {
    let mut definition = it.api.get(DEFINITION).await.expect_ok("the definition");
    let place = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/profiles\
                 /items/properties";
    let fields = definition.pointer_mut(place).and_then(Value::as_object_mut);
    let fields = fields.expect("files have fields");
    let before = fields.remove("doubt");
    fields.extend(doubt.map(|it| ("doubt".to_owned(), it)));
    it.api.put(DEFINITION, &definition).await.expect_ok("the definition");
    before
}
