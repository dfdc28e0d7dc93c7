//! The versions of Kubernetes that the suites can run on: e2e/cluster/versions/list names them.

use std::{fs, path::Path};

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

fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("it is there")
}
