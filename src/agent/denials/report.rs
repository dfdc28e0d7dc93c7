//! Writes a report to the API server.

use kube::{
    Client,
    api::{Patch, PatchParams},
    core::Request,
};
use serde_json::json;

use crate::{
    agent::{report::ReportError, run::call},
    denials::Denials,
    group::{API_VERSION, NODE},
};

/// The field manager of our writes. It is not the agent's, which writes other fields of the object.
const MANAGER: &str = "callgate-denials";

/// Writes `status.denials` of the `SeccompNode` of a node.
pub(super) struct Reporter {
    client: Client,
    name: String,
}

impl Reporter {
    pub(super) fn new(client: Client, node: &str) -> Self {
        Self { client, name: node.to_owned() }
    }

    pub(super) async fn write(&self, report: &Denials) -> Result<(), ReportError> {
        let change = json!({
            "apiVersion": API_VERSION, "kind": NODE.kind, "metadata": { "name": self.name },
            "status": { "denials": report },
        });
        let as_us = PatchParams::apply(MANAGER).force();
        let request = Request::new(NODE.path);
        let request =
            request.patch_subresource("status", &self.name, &as_us, &Patch::Apply(change));
        call(&self.client, "write the denials of the SeccompNode", request).await.map(drop)
    }
}
