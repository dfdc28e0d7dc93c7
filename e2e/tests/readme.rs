//! The terminal session of README, run as it is there.

use std::path::Path;

use support::page::blocks;

use crate::trial::{Test, trials};

trials![
    the_terminal_of_the_readme_shows_what_kubectl_prints,
    the_image_of_the_readme_gets_into_every_workload,
];

/// The first block of README in a language.
fn block(language: &str) -> String {
    blocks("README.md", language).into_iter().next().expect("there is such a block")
}

/// What a shell with our kubectl prints.
pub(super) fn shell(it: &Test, line: &str) -> String {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    it.world.site.run(line, tree).1
}

async fn the_terminal_of_the_readme_shows_what_kubectl_prints(it: Test) {
    let namespace = it.plain_namespace().await;
    let block = block("console").replace("shop", &namespace);
    let mut typed = 0;
    for entry in block.split("$ ").filter(|it| !it.is_empty()) {
        let (line, expected) = entry.split_once('\n').expect("a command ends its line");
        assert_eq!(shell(&it, line).trim_end(), expected.trim_end(), "$ {line}");
        if line.starts_with("kubectl label") {
            // The API server receives the label by its own watch.
            it.world.await_calls(&it.world.webhook, &namespace).await;
        }
        typed += 1;
    }
    assert!(typed > 2, "only {typed} commands");
}

async fn the_image_of_the_readme_gets_into_every_workload(it: Test) {
    let block = block("sh");
    let line =
        block.lines().find(|it| it.contains("release/render")).expect("it builds the manifests");
    let (build, _) = line.split_once(" | kubectl apply").expect("it applies them");
    let manifests = shell(&it, &format!("IMAGE=example.com/callgate:1\n{build}"));
    let images = manifests
        .lines()
        .filter_map(|it| it.trim_start().trim_start_matches("- ").strip_prefix("image: "));
    let images: Vec<_> = images.collect();
    // The webhook, the agent and its init container.
    assert_eq!(images, ["example.com/callgate:1"; 3], "{manifests}");
}
