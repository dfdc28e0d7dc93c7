//! The seccomp directory of a node becomes another one while its agent runs.

use std::sync::Arc;

use support::wait::eventually;

use super::node::{agent_on, apply, delete, installed, outcome, tutorial};
use crate::deployment::{Deployment, SECCOMP_ROOT};

pub(super) async fn an_agent_whose_directory_is_replaced_is_recreated_with_the_new_one(
    it: Arc<Deployment>,
) {
    let namespace = it.namespace("replaced").await;
    let path = SECCOMP_ROOT;
    let changes = [
        ("moved", format!("mv {path} {path}.old; cp -a {path}.old {path}; rm -r {path}.old")),
        ("deleted", format!("rm -r {path}; mkdir {path}")),
        ("mounted", format!("mount -t tmpfs -o size=16m callgate-e2e {path}")),
        ("unmounted", format!("umount {path}")),
    ];
    for (name, change) in changes {
        let before = agent_on(&it, "node-b").await;
        it.shell_on("node-b", &change).await;
        eventually(&format!("another pod is the agent after it was {name}"), async || {
            (agent_on(&it, "node-b").await.uid != before.uid).then_some(())
        })
        .await;
        // A profile that was there before could be so in the old directory alone.
        apply(&it, name, "mkdir").await;
        installed(&it, name, "mkdir").await;
        let mut pod = tutorial(name, &format!("callgate/{name}.json"));
        pod["spec"]["nodeName"] = "node-b".into();
        it.create(&namespace, &pod).await.expect_ok("the pod");
        let (said, code) = outcome(&it, &namespace, name).await;
        assert_eq!((said.as_str(), code), ("Seccomp:\t2\nBad system call\n", 159), "{name}");
        delete(&it, name).await;
    }
}
