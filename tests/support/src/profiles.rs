//! The profile files of the tests and of the repository.

use std::{collections::BTreeMap, fs, path::PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Deserialize;

/// The root of this tree.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A profile file, and where it comes from.
pub struct ProfileFile {
    /// The table or the folder, relative to the root of the tree.
    pub source: String,
    pub name: String,
    pub bytes: Vec<u8>,
    /// Whether callgate rejects on purpose what the runtime loads (tests/profiles.yaml).
    pub is_stricter: bool,
}

impl ProfileFile {
    pub fn new(source: &str, name: String, bytes: Vec<u8>) -> Self {
        Self { source: source.to_owned(), name, bytes, is_stricter: false }
    }
}

/// A case of a table of profiles, with whatever else it says.
#[derive(Deserialize)]
struct Case {
    name: String,
    text: Option<String>,
    /// The file, where it is no text.
    base64: Option<String>,
    /// Why callgate rejects what the runtime loads.
    stricter: Option<String>,
}

/// The profiles that a table of pods has for its nodes.
#[derive(Deserialize)]
struct Pods {
    #[serde(default)]
    profiles: BTreeMap<String, String>,
}

/// Every profile in a table of the tests, every profile of the repository, and the defaults of runtimes.
pub fn all() -> Vec<ProfileFile> {
    let mut all = Vec::new();
    for table in files("tests/lints", "yaml") {
        all.extend(cases(&table));
    }
    all.extend(cases("tests/profiles.yaml"));
    all.extend(cases("tests/wrap.yaml"));
    for source in files("tests/cases", "yaml") {
        let pods: Pods = parse(&source);
        let file = |(name, text): (String, String)| ProfileFile::new(&source, name, text.into());
        all.extend(pods.profiles.into_iter().map(file));
    }
    for folder in ["profiles", "src/profile/defaults"] {
        let file = |path: String| {
            let bytes = fs::read(in_tree(&path)).expect("it is readable");
            ProfileFile::new(folder, path, bytes)
        };
        all.extend(files(folder, "json").into_iter().map(file));
    }
    all
}

/// The profiles of a table such as tests/profiles.yaml.
pub fn cases(table: &str) -> Vec<ProfileFile> {
    let cases: Vec<Case> = parse(table);
    let file = |case: Case| {
        let decode = |it: String| BASE64_STANDARD.decode(it).expect("it is base64");
        let bytes = case.text.map(String::into_bytes).or(case.base64.map(decode));
        let bytes = bytes.unwrap_or_else(|| panic!("{table}: {}: there is no file", case.name));
        let is_stricter = case.stricter.is_some();
        ProfileFile { is_stricter, ..ProfileFile::new(table, case.name, bytes) }
    };
    cases.into_iter().map(file).collect()
}

fn parse<T: serde::de::DeserializeOwned>(table: &str) -> T {
    let text = fs::read_to_string(in_tree(table)).expect("tables are text");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{table}: {error}"))
}

fn in_tree(path: &str) -> PathBuf {
    PathBuf::from(TREE).join(path)
}

/// The files of a folder with this extension, relative to the root of the tree, in order.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(in_tree(folder)).expect("there is such a folder");
    let names = entries.map(|it| it.expect("it is readable").file_name());
    let names = names.map(|it| it.into_string().expect("names are text"));
    let of_kind = names.filter(|it| it.ends_with(&format!(".{extension}")));
    let mut paths: Vec<_> = of_kind.map(|it| format!("{folder}/{it}")).collect();
    paths.sort();
    paths
}
