//! Keeps the promises of ARCHITECTURE.md that the compiler cannot keep.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The modules that decide, and what they must not name: no I/O, no clock, no
/// HTTP, no cluster.
const CORE: &[&str] = &["src/json.rs", "src/placement", "src/pod", "src/profile", "src/policy"];
const OUTSIDE: &[&str] = &[
    "axum::",
    "clap::",
    "http::",
    "hyper",
    "kube::",
    "prometheus",
    "rustls::",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio::",
    "tracing::",
    "Timestamp::now",
    "Zoned::now",
];

/// The modules that carry, none of which may name another.
const ADAPTERS: &[&str] =
    &["admission", "agent", "api", "cluster", "server", "standalone", "telemetry", "tls"];

#[test]
fn the_core_names_nothing_outside() {
    let mut offences = Vec::new();
    for (path, number, line) in lines_of(CORE) {
        let adapter = ADAPTERS.iter().any(|it| line.contains(&format!("crate::{it}")));
        if adapter || line.contains("crate::cli") || OUTSIDE.iter().any(|it| line.contains(it)) {
            offences.push(format!("{}:{number}: {}", path.display(), line.trim()));
        }
    }
    assert!(offences.is_empty(), "the core names an outsider:\n{}", offences.join("\n"));
}

#[test]
fn the_core_layers_point_down() {
    let above = [
        ("src/pod", "crate::profile"),
        ("src/pod", "crate::policy"),
        ("src/profile", "crate::policy"),
    ];
    for (module, forbidden) in above {
        for (path, number, line) in lines_of(&[module]) {
            assert!(!line.contains(forbidden), "{}:{number}: {line}", path.display());
        }
    }
}

#[test]
fn no_adapter_names_another() {
    for adapter in ADAPTERS {
        let mut in_import = false;
        for (path, number, line) in lines_of(&[&format!("src/{adapter}")]) {
            in_import = (in_import || line.starts_with("use crate::{")) && line != "};";
            for other in ADAPTERS.iter().filter(|it| *it != adapter) {
                let named = line.contains(&format!("crate::{other}"))
                    || in_import && line.starts_with(&format!("    {other}::"));
                assert!(!named, "{}:{number}: {line}", path.display());
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    const MOST_LINES: usize = 300;
    // Tests that have a file of their own are tables and simulations.
    let is_test = |it: &PathBuf| it.ends_with("tests.rs") || it.ends_with("laws.rs");
    for path in files_of("src").into_iter().filter(|it| !is_test(it)) {
        let lines = code_of(&path).len();
        assert!(lines <= MOST_LINES, "{}: {lines} lines before its tests", path.display());
    }
}

#[test]
fn every_dependency_has_a_line_in_the_architecture() {
    let manifest = fs::read_to_string("Cargo.toml").expect("there is a manifest");
    let architecture = fs::read_to_string("ARCHITECTURE.md").expect("there is an architecture");
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line == "[dev-dependencies]";
        } else if let Some((name, _)) = line.split_once('=').filter(|_| inside) {
            names.insert(name.trim());
        }
    }
    for name in names {
        assert!(
            architecture.contains(&format!("`{name}`")),
            "{name} has no line in ARCHITECTURE.md"
        );
    }
}

#[test]
fn every_relative_link_of_the_documents_leads_somewhere() {
    let documents = files_with("md", ".");
    assert!(documents.len() > 5, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).expect("documents are text");
        for link in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().expect("a file is in a folder").join(target);
            assert!(path.exists(), "{}: {link} leads nowhere", document.display());
        }
    }
}

fn lines_of(paths: &[&str]) -> Vec<(PathBuf, usize, String)> {
    let files = paths.iter().flat_map(|it| files_of(it));
    files
        .flat_map(|path| {
            let lines = code_of(&path);
            lines.into_iter().map(move |(number, line)| (path.clone(), number, line))
        })
        .collect()
}

/// The lines of a file before its unit tests, without comments.
fn code_of(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).expect("source files are text");
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().enumerate().filter(|(_, it)| !it.trim_start().starts_with("//"));
    lines.map(|(at, line)| (at + 1, line.to_owned())).collect()
}

fn files_of(path: &str) -> Vec<PathBuf> {
    let path = Path::new(path);
    if path.is_file() { vec![path.to_owned()] } else { files_with("rs", path) }
}

fn files_with(extension: &str, directory: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory.as_ref()).expect("the source tree is readable") {
        let entry = entry.expect("the source tree is readable");
        let (name, path) = (entry.file_name(), entry.path());
        if path.is_dir() {
            let hidden = name.to_string_lossy().starts_with('.');
            if !hidden && name != "target" {
                found.extend(files_with(extension, &path));
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
