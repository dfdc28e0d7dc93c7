//! The scripts of a release, as far as they build nothing. `release/reproduce` compares two builds.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use rstest::rstest;
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn script(name: &str) -> Command {
    let mut command =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("release").join(name));
    command.env_remove("GITHUB_PATH").env_remove("GITHUB_OUTPUT");
    command
}

/// What it printed, after success.
fn printed(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The exit code and what was reported.
fn failure(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The name of a program's archive on this machine.
fn archive() -> String {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    format!("callgate-{VERSION}-linux-{architecture}.tar.gz")
}

/// A folder with a release, whose program is a script.
fn release() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join(format!("v{VERSION}"));
    fs::create_dir(&folder).expect("a new folder");
    let program = folder.join("callgate");
    fs::write(&program, format!("#!/bin/sh\necho callgate {VERSION}\n")).expect("it is writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    run_in(
        &folder,
        &format!("tar -czf {0} ./callgate && rm callgate && sha256sum {0} >SHA256SUMS", archive()),
    );
    root
}

fn run_in(folder: &Path, commands: &str) {
    let status = Command::new("bash").args(["-ec", commands]).current_dir(folder).status();
    assert!(status.expect("bash starts").success());
}

fn install(root: &Path, version: &str) -> Command {
    let mut command = script("install");
    command.arg(version).arg(format!("file://{}", root.display())).arg(root.join("bin"));
    command
}

#[rstest]
fn a_program_is_installed_whose_digest_is_that_of_the_release(#[values("", "v")] prefix: &str) {
    let root = release();
    let [path, output] = ["path", "output"].map(|it| root.path().join(it));
    let mut install = install(root.path(), &format!("{prefix}{VERSION}"));
    install.env("GITHUB_PATH", &path).env("GITHUB_OUTPUT", &output);
    assert_eq!(printed(install.output().expect("it starts")), format!("callgate {VERSION}\n"));
    let bin = root.path().join("bin");
    assert_eq!(fs::read_to_string(path).expect("it is written"), format!("{}\n", bin.display()));
    assert_eq!(fs::read_to_string(output).expect("it is written"), format!("version={VERSION}\n"));
}

#[test]
fn a_program_with_another_digest_is_not_installed() {
    let root = release();
    let folder = root.path().join(format!("v{VERSION}"));
    run_in(&folder, &format!("echo more >>{}", archive()));
    let (code, message) = failure(&install(root.path(), VERSION).output().expect("it starts"));
    assert_eq!(code, Some(1));
    let expected =
        format!("release: {} is not what the release has: its digest differs", archive());
    assert_eq!(message.lines().last(), Some(expected.as_str()));
    assert!(!root.path().join("bin/callgate").exists());
}

#[test]
fn a_program_that_the_digests_do_not_list_is_not_installed() {
    let root = release();
    fs::write(root.path().join(format!("v{VERSION}/SHA256SUMS")), "").expect("it is writable");
    let (code, message) = failure(&install(root.path(), VERSION).output().expect("it starts"));
    assert_eq!(
        (code, message),
        (Some(1), format!("release: SHA256SUMS does not list {}\n", archive()))
    );
}

#[test]
fn a_release_that_is_not_there_is_an_error() {
    let root = release();
    let (code, message) = failure(&install(root.path(), "9.9.9").output().expect("it starts"));
    let name = archive().replace(VERSION, "9.9.9");
    let expected =
        format!("release: cannot download file://{}/v9.9.9/{name}", root.path().display());
    assert_eq!((code, message.lines().last()), (Some(1), Some(expected.as_str())));
}

#[rstest]
#[case::a_branch(
    "main",
    "release: \"main\" is not the version of a release: set `version`, such as 0.1.0\n"
)]
#[case::nothing(
    "",
    "release: \"\" is not the version of a release: set `version`, such as 0.1.0\n"
)]
fn a_version_is_needed(#[case] version: &str, #[case] message: &str) {
    let root = release();
    let output = install(root.path(), version).output().expect("it starts");
    assert_eq!(failure(&output), (Some(2), message.to_owned()));
}

#[rstest]
#[case::none(&[], format!("release: VERSION is missing: make release VERSION={VERSION}\n"))]
#[case::another(&["9.9.9"], format!("release: VERSION is 9.9.9, but Cargo.toml has {VERSION}\n"))]
fn a_release_has_the_version_of_the_code(#[case] args: &[&str], #[case] message: String) {
    let output = script("make").args(args).output().expect("it starts");
    assert_eq!(failure(&output), (Some(2), message));
}

#[test]
fn the_krew_manifest_has_the_digests_of_the_archives() {
    let dist = tempfile::tempdir().expect("a folder");
    fs::write(dist.path().join(format!("callgate-{VERSION}-linux-amd64.tar.gz")), "abc")
        .expect("it is writable");
    let downloads = "https://example.com/callgate/releases/download";
    let output = script("krew").args([VERSION, downloads]).arg(dist.path()).output();
    let manifest: Value =
        serde_saphyr::from_str(&printed(output.expect("it starts"))).expect("YAML");
    assert_eq!(manifest["spec"]["version"], format!("v{VERSION}"));
    assert_eq!(manifest["spec"]["homepage"], "https://example.com/callgate");
    let platform = &manifest["spec"]["platforms"][0];
    assert_eq!(platform["selector"]["matchLabels"]["arch"], "amd64");
    assert_eq!(
        platform["uri"],
        format!("{downloads}/v{VERSION}/callgate-{VERSION}-linux-amd64.tar.gz")
    );
    // The SHA-256 of "abc", from FIPS 180-2.
    assert_eq!(
        platform["sha256"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(manifest["spec"]["platforms"].as_array().map(Vec::len), Some(1));
}

/// Both ways to build an image, and the manifests, name the same users.
#[test]
fn the_users_of_the_image_are_those_of_the_manifests() {
    let deployment = read("manifests/base/deployment.yaml");
    let [serve, agent] =
        ["manifests/base/deployment.yaml", "manifests/components/agent/daemonset.yaml"].map(|it| {
            let text = read(it);
            let mut users = text.lines().filter_map(|it| it.trim().strip_prefix("runAsUser: "));
            users.next_back().expect("a user").to_owned()
        });
    assert!(deployment.contains(&format!("runAsGroup: {serve}")));
    assert!(read("Dockerfile").contains(&format!("USER {serve}:{serve}\n")));
    let layer = read("release/packer/layer.go");
    for line in [
        format!("\"{serve}:{serve}\""),
        format!("callgate:x:{serve}:{serve}:"),
        format!("callgate-agent:x:{agent}:{agent}:"),
    ] {
        assert!(layer.contains(&line), "{line}");
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|it| panic!("{path}: {it}"))
}

fn bash(commands: &str) -> String {
    let mut command = Command::new("bash");
    command
        .args(["-ec", &format!("source release/common\n{commands}")])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    printed(command.output().expect("bash starts"))
}

#[test]
fn the_manifests_of_a_tag_are_a_remote_base() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().display();
    bash(&format!(
        "git clone --quiet --bare . {folder}/callgate.git
         git -C {folder}/callgate.git tag v{VERSION}
         git clone --quiet {folder}/callgate.git {folder}/checkout"
    ));
    let local = bash(&format!("kubectl kustomize {folder}/checkout/manifests/overlays/enforce"));
    let remote = format!("file://{folder}/callgate.git//manifests/overlays/enforce?ref=v{VERSION}");
    assert_eq!(bash(&format!("kubectl kustomize '{remote}'")), local);
    assert!(local.contains("kind: ValidatingWebhookConfiguration"));
}

#[test]
fn rendered_manifests_differ_from_the_overlay_by_the_image_alone() {
    let rendered = bash("release/render audit registry.example.com/team/callgate:9.9.9");
    let plain = bash("kubectl kustomize manifests/overlays/audit");
    let image = "image: registry.example.com/team/callgate:9.9.9";
    assert_eq!(rendered.matches(image).count(), 3);
    assert_eq!(rendered, plain.replace(&format!("image: callgate:{VERSION}"), image));
}
