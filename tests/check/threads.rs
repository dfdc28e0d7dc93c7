//! Many files, and one large file, read by several threads.

use std::{fs, path::Path, process::Command};

use support::generated::manifests::{Style, documents};

const POLICY: &str = "\
apiVersion: callgate.dev/v1alpha1
kind: SeccompPolicy
metadata: { name: own }
spec: { rules: { privileged: Warn } }
";

/// What is printed for the files in a folder, by so many threads.
fn printed(folder: &Path, arguments: &[&str], threads: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["check", "--threads", threads])
        .args(arguments)
        .env_clear()
        .current_dir(folder)
        .output()
        .expect("the binary starts");
    let text = |it: Vec<u8>| String::from_utf8(it).expect("it prints text");
    (text(output.stdout), text(output.stderr))
}

/// A folder with `one.yaml` of several pieces, and the same documents as files.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    fs::create_dir(folder.path().join("files")).expect("it can be made");
    let mut one = String::new();
    for (number, mut document) in documents(400, Style::Helm).enumerate() {
        if number % 90 == 7 {
            document.push_str("broken: [\n");
        }
        // The last document governs all.
        if number == 399 {
            POLICY.clone_into(&mut document);
        }
        fs::write(folder.path().join(format!("files/{number:03}.yaml")), &document)
            .expect("it can be written");
        one.push_str("---\n");
        one.push_str(&document);
    }
    assert!(one.len() > 1024 * 1024, "it is too short to be cut");
    fs::write(folder.path().join("one.yaml"), one).expect("it can be written");
    folder
}

#[test]
fn the_output_does_not_depend_on_the_number_of_threads() {
    let folder = folder();
    for input in ["files", "one.yaml"] {
        for format in ["human", "json"] {
            let arguments = [input, "--output", format];
            let by_one = printed(folder.path(), &arguments, "1");
            assert!(by_one.0.contains("privileged turns seccomp off"), "{}", by_one.0);
            assert!(by_one.0.contains("it is not YAML"), "{}", by_one.0);
            let by_three = printed(folder.path(), &arguments, "3");
            assert!(by_three == by_one, "{input} as {format}");
        }
    }
}

/// The documents of a large file get the findings that they get as files of their own.
#[test]
fn the_pieces_of_a_large_file_are_judged_as_files_are() {
    let folder = folder();
    let findings = |input: &str| {
        let (text, _) = printed(folder.path(), &[input, "--output", "json"], "3");
        let report: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let findings = report["findings"].as_array().expect("they are a list");
        let told = |it: &serde_json::Value| {
            ["level", "rule", "object", "field"].map(|key| it[key].to_string()).join(" ")
        };
        findings.iter().map(told).collect::<Vec<_>>()
    };
    let (files, one) = (findings("files"), findings("one.yaml"));
    assert!(files.len() > 10, "{files:?}");
    assert_eq!(files, one);
}
