//! Runs the cases in `tests/check/*.yaml`: files, arguments, and what is printed, word by word.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "check")]
    command: String,
    /// The files in the working directory.
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    stdin: String,
    args: String,
    /// Authored by hand, as all that is expected here.
    #[serde(default)]
    stdout: String,
    stderr: String,
    code: i32,
    /// The files that are written, or changed.
    #[serde(default)]
    written: BTreeMap<String, String>,
}

fn check() -> String {
    "check".to_owned()
}

#[test]
fn every_case_prints_what_is_expected() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in tables() {
        let text = fs::read_to_string(&path).expect("tables are text");
        let cases: Vec<Case> = serde_saphyr::from_str(&text).expect("it is a list of cases");
        for case in cases {
            count += 1;
            wrong.extend(run(&case).map(|it| format!("{}: {}\n{it}", path.display(), case.name)));
        }
    }
    assert!(count > 10, "only {count} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn tables() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/check").expect("there are tables");
    let mut paths: Vec<_> = entries.map(|it| it.expect("the tree is readable").path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "yaml"));
    paths.sort();
    paths
}

/// What differs, if something does.
fn run(case: &Case) -> Option<String> {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    for (name, text) in &case.files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg(&case.command)
        .args(case.args.split_whitespace())
        .current_dir(directory.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It need not be read.
    let _ = stdin.write_all(case.stdin.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let written = case.written.iter().map(|(name, expected)| {
        let actual = fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        (name.as_str(), expected.clone(), actual)
    });
    let printed = [
        ("stdout", case.stdout.clone(), said(&output.stdout)),
        ("stderr", case.stderr.clone(), said(&output.stderr)),
        ("code", case.code.to_string(), output.status.code().unwrap_or(-1).to_string()),
    ];
    let differing = printed.into_iter().chain(written).filter(|(_, a, b)| a != b);
    let wrong: Vec<_> = differing
        .map(|(what, expected, actual)| {
            format!("{what} expected:\n{expected}\n{what} actual:\n{actual}\n")
        })
        .collect();
    (!wrong.is_empty()).then(|| wrong.concat())
}
