//! Any body is answered. What is no JSON is an HTTP error; any other answer has the uid, and a patch
//! that applies, after which there is nothing left to do.
#![no_main]

use std::{path::PathBuf, sync::LazyLock};

use axum::Router;
use callgate::{
    admission::Snapshot,
    policy::{Mode, PolicyIndex},
    standalone::{Facts, Sources},
};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use support::harness::{self, patch_of, patched, post};
use tokio::runtime::{Builder, Runtime};

static ROUTER: LazyLock<(Runtime, Router)> = LazyLock::new(|| {
    let tree = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = Sources {
        policy: "restricted".to_owned(),
        mode: Mode::Enforce,
        profiles: Some(tree.join("profiles")),
    };
    let Facts { policy, catalog } = sources.read().expect("policy and profiles can be read");
    let index = PolicyIndex::of_one(policy, Mode::Enforce);
    let runtime = Builder::new_current_thread().build().expect("a runtime can be had");
    (runtime, harness::router(Snapshot::without_nodes(index, catalog)))
});

fn ask(path: &str, body: &[u8]) -> harness::Reply {
    let (runtime, router) = &*ROUTER;
    runtime.block_on(post(router, path, body.to_vec()))
}

fuzz_target!(|bytes: &[u8]| {
    // What is not read is skipped, even bytes and numbers there that a value cannot have.
    let is_json = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    let parsed: Option<Value> = serde_json::from_slice(bytes).ok();
    for path in ["/mutate", "/validate"] {
        let reply = ask(path, bytes);
        if reply.status != 200 {
            assert!(reply.status.is_client_error(), "{}: {}", reply.status, reply.text);
            continue;
        }
        assert!(is_json, "this is no JSON, and answered: {}", reply.text);
        let response = reply.response();
        let Some(review) = &parsed else { continue };
        assert_eq!(response["uid"], review["request"]["uid"]);
        let patch = patch_of(&response);
        if patch.is_empty() {
            continue;
        }
        let mut review = review.clone();
        let object = patched(&review["request"]["object"], &patch);
        review["request"]["object"] = object;
        let second = ask(path, review.to_string().as_bytes()).response();
        assert_eq!(patch_of(&second), Vec::<Value>::new());
    }
});
