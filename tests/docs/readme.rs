//! The limits of README, and the links of all documents.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[test]
fn the_readme_is_short() {
    const MOST_WORDS: usize = 1200;
    let text = fs::read_to_string("README.md").expect("it is there");
    let words = text.split_whitespace().count();
    assert!(words <= MOST_WORDS, "{words} words: what only some readers need belongs to docs/");
}

/// That the file is there, tests/tidy.rs checks.
#[test]
fn every_link_to_a_heading_exists() {
    let mut followed = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("documents are text");
        for link in links(&text) {
            let Some((file, heading)) = link.split_once('#') else { continue };
            if file.contains("://") {
                continue;
            }
            let parent = document.parent().expect("a file is in a folder");
            let target = if file.is_empty() { document.clone() } else { parent.join(file) };
            let page = fs::read_to_string(&target).expect("tests/tidy.rs checks that");
            let found = anchors(&page).contains(heading);
            assert!(found, "{}: {link} names no heading", document.display());
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed}");
}

#[test]
fn the_index_lists_every_page_of_the_docs() {
    let index = fs::read_to_string("docs/README.md").expect("it is there");
    let targets: BTreeSet<_> = links(&index).collect();
    for page in documents().iter().filter(|it| it.starts_with("docs")) {
        let name = page.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        assert!(name == "README.md" || targets.contains(name), "{name} is not in docs/README.md");
    }
}

/// The pages for readers, which link to each other.
fn documents() -> Vec<PathBuf> {
    let folders = [".", "docs", "certs"].map(Path::new).into_iter();
    let entries = folders.flat_map(|it| fs::read_dir(it).expect("the tree is readable"));
    let paths = entries.map(|it| it.expect("the tree is readable").path());
    paths.filter(|it| it.extension().is_some_and(|it| it == "md")).collect()
}

/// The targets of links, outside of code.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split('`').step_by(2);
    let starts = prose.flat_map(|it| it.split('(').skip(1));
    starts.filter_map(|it| it.split(')').next()).filter(|it| !it.contains(' '))
}

/// What a link can name on a page: headings, as GitHub writes them, and marks.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|it| it.starts_with('#'));
    let slug = |it: &str| -> String {
        let text = it.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    };
    let marks = page.split("<a id=\"").skip(1).filter_map(|it| it.split('"').next());
    headings.map(slug).chain(marks.map(str::to_owned)).collect()
}
