//! Enforces the invariants of ARCHITECTURE.md that the compiler cannot enforce.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The modules that decide, and what they must not name: no I/O, no clock, no
/// HTTP, no cluster.
const CORE: &[&str] = &[
    "src/bpf",
    "src/compile",
    "src/convert",
    "src/denials",
    "src/json",
    "src/placement",
    "src/pod",
    "src/policy",
    "src/profile",
    "src/replay",
    "src/report",
    "src/scan",
    "src/witness",
    "src/yaml",
];
const OUTSIDE: &[&str] = &[
    "axum::",
    "clap::",
    "http::",
    "hyper::",
    "hyper_util::",
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
    "crate::watch",
];

/// The rooms outside the core.
const ADAPTERS: &[&str] = &[
    "admission",
    "agent",
    "api",
    "ca",
    "call",
    "clock",
    "cluster",
    "log_once",
    "server",
    "standalone",
    "telemetry",
    "tls",
];

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

/// The order of the rooms stands in ARCHITECTURE.md, in the block that begins with `cli`: a
/// room names rooms on lower lines alone.
#[test]
fn arrows_point_down() {
    let architecture = fs::read_to_string("ARCHITECTURE.md").expect("there is an architecture");
    let (_, block) =
        architecture.split_once("\n```text\ncli\n").expect("it has the order of rooms");
    let (block, _) = block.split_once("```").expect("the block ends");
    let mut floors = vec![vec!["cli"]];
    floors.extend(block.lines().map(|it| it.split_whitespace().collect()));
    let floor_of = |room: &str| floors.iter().position(|it| it.contains(&room));

    for entry in fs::read_dir("src").expect("there is a source tree") {
        let path = entry.expect("it is readable").path();
        let room = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        if room == "lib" || room == "main" {
            continue;
        }
        let floor = floor_of(&room).unwrap_or_else(|| panic!("{room} has no place in the order"));
        let mut in_import = false;
        for (path, number, line) in lines_of(&[path.to_str().expect("paths are UTF-8")]) {
            let is_whole = line.starts_with("use crate::{") && line.ends_with("};");
            in_import = (in_import || line.starts_with("use crate::{")) && !line.ends_with("};");
            let inside = line.split_once('{').filter(|_| is_whole).map_or("", |(_, it)| it);
            let direct = line.split("crate::").skip(1).map(word);
            let imported = in_import.then(|| line.strip_prefix("    ")).flatten().map(word);
            let grouped = inside.split(", ").map(word);
            for other in direct.chain(imported).chain(grouped).filter(|it| *it != room) {
                let below = floor_of(other).is_none_or(|it| it > floor);
                assert!(below, "{}:{number}: {room} names {other}: {line}", path.display());
            }
        }
    }
}

/// The names of the API group stand in `src/group.rs`; derives take literals alone, and a unit
/// test compares those.
#[test]
fn the_group_is_written_by_hand_in_one_place() {
    let is_derive = |it: &str| {
        ["group = \"", "rename = \"", "doc = \""]
            .iter()
            .any(|key| it.starts_with(key) || it.starts_with(&format!("#[serde({key}")))
    };
    for (path, number, line) in lines_of(&["src"]) {
        let line = line.trim_start();
        if is_test(&path) || path.ends_with("src/group.rs") || is_derive(line) {
            continue;
        }
        assert!(!line.contains("callgate.dev"), "{}:{number}: {line}", path.display());
    }
}

/// Whether a file holds tests alone: by its name, or by that of its folder.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs")
        || path.ends_with("laws.rs")
        || path.parent().is_some_and(|it| it.ends_with("tests"))
}

/// The word at the beginning of a text.
fn word(text: &str) -> &str {
    text.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or_default()
}

#[test]
fn no_file_is_too_long_to_read() {
    const MOST_LINES: usize = 300;
    // Tests that have a file of their own are tables and simulations.
    for path in files_of("src").into_iter().filter(|it| !is_test(it)) {
        let lines = code_of(&path).len();
        assert!(lines <= MOST_LINES, "{}: {lines} lines before its tests", path.display());
    }
}

#[test]
fn every_dependency_has_a_line_in_the_architecture() {
    let architecture = fs::read_to_string("ARCHITECTURE.md").expect("there is an architecture");
    let manifests = ["Cargo.toml", "confine/Cargo.toml", "tests/support/Cargo.toml"]
        .map(|it| fs::read_to_string(it).expect("there is a manifest"));
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifests.iter().flat_map(|it| it.lines()) {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line == "[dev-dependencies]";
        } else if let Some((name, _)) = line.split_once('=').filter(|_| inside) {
            names.insert(name.trim());
        }
    }
    assert!(names.remove("callgate"), "the tests depend on what they test");
    for name in names {
        assert!(
            architecture.contains(&format!("`{name}`")),
            "{name} has no line in ARCHITECTURE.md"
        );
    }
}

/// What suites share is in `tests/support`, which is compiled once.
#[test]
fn no_source_file_is_compiled_for_two_targets() {
    for path in ["src", "tests", "e2e", "benches"].iter().flat_map(|it| files_with("rs", it)) {
        let text = fs::read_to_string(&path).expect("source files are text");
        for (at, line) in text.lines().map(str::trim_start).enumerate() {
            let allows_dead_code = line.starts_with('#') && line.contains("dead_code")
                || line.starts_with("dead_code,");
            let shares = line.starts_with("#[path") || allows_dead_code;
            assert!(!shares, "{}:{}: move it to tests/support", path.display(), at + 1);
        }
    }
}

/// The packages forbid it, and one file is allowed to have it.
#[test]
fn unsafe_code_is_in_one_file() {
    let is_unsafe = |line: &str| line.contains("unsafe ") || line.contains("allow(unsafe_code)");
    let folders = lines_of(&["src", "tests/support", "confine"]);
    let found: BTreeSet<_> =
        folders.into_iter().filter(|it| is_unsafe(&it.2)).map(|it| it.0).collect();
    assert_eq!(found, BTreeSet::from([PathBuf::from("confine/src/kernel.rs")]));
}

#[test]
fn every_relative_link_of_the_documents_exists() {
    let documents = files_with("md", ".");
    assert!(documents.len() > 5, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).expect("documents are text");
        // Code between backticks holds no links, but patterns that look like them.
        let prose: String = text.split('`').step_by(2).collect();
        for link in prose.split("](").skip(1).filter_map(|it| it.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().expect("a file is in a folder").join(target);
            assert!(path.exists(), "{}: {link} leads nowhere", document.display());
        }
    }
}

/// Comments and tests cite rules of Kubernetes and the runtimes by codes
/// (`S10`) and by sections in brackets (`(2.3)`).
#[test]
fn every_code_of_the_semantics_is_defined() {
    let page = fs::read_to_string("docs/semantics.md").expect("the page is there");
    let mut cited = 0;
    for root in ["src", "tests", "e2e", "manifests"] {
        for path in ["rs", "md", "yaml"].iter().flat_map(|it| files_with(it, root)) {
            let text = fs::read_to_string(&path).expect("source files are text");
            let words = text.split(|it: char| !it.is_ascii_alphanumeric());
            for code in words.filter(|it| is_code(it)) {
                let target = format!("<a id=\"{}\"></a>**{code}**", code.to_lowercase());
                assert!(page.contains(&target), "{}: {code} is not defined", path.display());
                cited += 1;
            }
            for section in text.split('(').skip(1).filter_map(section_of) {
                let heading = format!("# {section} ");
                assert!(page.contains(&heading), "{}: no section {section}", path.display());
                cited += 1;
            }
        }
    }
    assert!(cited > 100, "only {cited} citations found");
}

/// One of the letters that rules are grouped by, and a number.
fn is_code(word: &str) -> bool {
    let digits = word.trim_start_matches("AG").trim_start_matches(['L', 'O', 'Q', 'R', 'S', 'T']);
    let letters = word.len() - digits.len();
    (letters == 1 || word.starts_with("AG") && letters == 2)
        && (1..=2).contains(&digits.len())
        && digits.bytes().all(|it| it.is_ascii_digit())
}

/// The section that a bracket opens with, such as `1.10.1` of `(1.10.1, S1)`.
fn section_of(after_bracket: &str) -> Option<&str> {
    let end = after_bracket.find([')', ',', ' '])?;
    let section = &after_bracket[..end];
    let is_number =
        |it: &str| (1..=2).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit());
    let is_section =
        section.starts_with(['1', '2']) && (2..=3).contains(&section.split('.').count());
    (is_section && section.split('.').all(is_number)).then_some(section)
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
