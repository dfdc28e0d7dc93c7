//! The versions of Kubernetes that the suites can run on: e2e/cluster/versions/list names them.

use std::{fs, path::Path};

#[test]
fn the_readme_names_the_versions_on_which_the_suite_has_passed() {
    let tested = tested().iter().map(|it| minor(it).to_owned()).collect::<Vec<_>>();
    let (newest, others) = tested.split_last().expect("the suite has passed");
    let names = if others.is_empty() {
        newest.clone()
    } else {
        format!("{} and {newest}", others.join(", "))
    };
    let sentence = format!("Tested on Kubernetes {names} with");
    assert!(read("README.md").contains(&sentence), "README.md does not say {sentence:?}");
}

#[test]
fn the_suite_passed_on_versions_of_the_list() {
    let known = versions();
    for version in tested() {
        let reason = "`make e2e-versions` writes docs/versions.md";
        assert!(known.contains(&version), "{version} is not in versions/list: {reason}");
    }
}

#[test]
fn the_modules_of_every_version_are_those_that_the_list_names() {
    let versions = versions();
    let (newest, others) = versions.split_last().expect("there is a version");
    let older = others.iter().map(|it| (format!("versions/{}.mod", minor(it)), it));
    for (file, version) in older.chain([("go.mod".to_owned(), newest)]) {
        let modules = read(Path::new("e2e/cluster").join(&file));
        let line = format!("\tk8s.io/kubernetes v{version}\n");
        assert!(modules.contains(&line), "{file}: `e2e/cluster/modules {version}` writes it");
    }
    let files = fs::read_dir("e2e/cluster/versions").expect("it is there").count();
    assert_eq!(files, 1 + 2 * others.len(), "a list, and a .mod and a .sum for each older version");
}

/// The oldest first.
fn versions() -> Vec<String> {
    let list = read("e2e/cluster/versions/list");
    list.lines().filter(|it| !it.starts_with('#')).map(str::to_owned).collect()
}

/// The versions of API servers in docs/versions.md, on which the suite has passed.
fn tested() -> Vec<String> {
    let page = read("docs/versions.md");
    let rows = page.lines().filter_map(|it| it.strip_prefix("| `e2e` | "));
    rows.map(|it| it.split(' ').next().unwrap_or_default().to_owned()).collect()
}

fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("it is there")
}
