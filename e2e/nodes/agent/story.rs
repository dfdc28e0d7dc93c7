//! As the tutorial tells it, but without touching a node.

use std::{fs, sync::Arc, time::Instant};

use support::{report::report_details, wait::eventually};

use super::node::{
    self, NODES, apply, delete, file, installed, label, outcome, reported, tutorial,
};
use crate::deployment::Deployment;

pub(super) async fn a_profile_gets_to_every_node_and_a_pod_runs_under_it(it: Arc<Deployment>) {
    it.shell(&format!(
        "{} profile wrap profiles/block-mkdir.json | kubectl apply -f -",
        env!("CARGO_BIN_EXE_callgate")
    ))
    .await;
    let start = Instant::now();
    installed(&it, "block-mkdir", "mkdir").await;
    report_details(&format!("on both nodes after {:?}", start.elapsed()));
    let namespace = it.namespace("tutorial").await;
    for node in NODES {
        let mut pod = tutorial(node, "callgate/block-mkdir.json");
        pod["spec"]["nodeName"] = node.into();
        it.create(&namespace, &pod).await.expect_ok("the pod");
        let (said, code) = outcome(&it, &namespace, node).await;
        assert_eq!((said.as_str(), code), ("Seccomp:\t2\nBad system call\n", 159), "{node}");
    }
}

pub(super) async fn what_is_done_to_a_file_by_hand_is_undone(it: Arc<Deployment>) {
    apply(&it, "by-hand", "mkdir").await;
    installed(&it, "by-hand", "mkdir").await;
    let file = file(&it, "node-b", "by-hand");
    let text = fs::read_to_string(&file).expect("it is there");
    let deeds: [&dyn Fn(); 2] = [&|| fs::remove_file(&file).expect("we are root"), &|| {
        fs::write(&file, "{}").expect("we are root");
    }];
    for deed in deeds {
        deed();
        let start = Instant::now();
        eventually("the file is as it was", async || {
            fs::read_to_string(&file).is_ok_and(|it| it == text).then_some(())
        })
        .await;
        report_details(&format!("undone after {:?}", start.elapsed()));
    }
    delete(&it, "by-hand").await;
}

pub(super) async fn a_profile_that_changes_and_goes_is_reported_as_it_is(it: Arc<Deployment>) {
    apply(&it, "changing", "mkdir").await;
    let first = installed(&it, "changing", "mkdir").await;
    apply(&it, "changing", "rename").await;
    let second = installed(&it, "changing", "rename").await;
    assert_ne!(first, second);
    delete(&it, "changing").await;
    for node in NODES {
        eventually("it is reported as released", async || {
            let entry = reported(&it, node, "changing").await?;
            (entry["source"] == "released" && entry["digest"] == *second).then_some(())
        })
        .await;
        assert!(file(&it, node, "changing").exists(), "a container may start again");
        eventually("its label is gone", async || {
            label(&node::node(&it, node).await, "changing").is_none().then_some(())
        })
        .await;
    }
    for node in NODES {
        eventually("it is gone", async || {
            let is_there = file(&it, node, "changing").exists();
            (!is_there && reported(&it, node, "changing").await.is_none()).then_some(())
        })
        .await;
    }
}
