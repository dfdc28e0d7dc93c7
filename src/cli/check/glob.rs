//! Patterns of paths: `*` and `?` within a name, `**` for any number of folders.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The deepest folder below a `**`.
const DEEPEST: usize = 64;

pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|it| matches!(it, b'*' | b'?'))
}

/// The files that match, in alphabetical order. Hidden names match only where the pattern writes
/// their dot.
pub(super) fn find(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        places = match part {
            Component::Normal(_) if text == "**" => {
                let mut deeper = Vec::new();
                for place in &places {
                    folders(place, 0, &mut deeper)?;
                }
                deeper
            }
            Component::Normal(_) if is_pattern(Path::new(part.as_os_str())) => {
                let mut found = Vec::new();
                for place in &places {
                    found
                        .extend(names(place)?.into_iter().filter(|(name, _)| matches(&text, name)));
                }
                found.into_iter().map(|(_, path)| path).collect()
            }
            _ => places.into_iter().map(|it| it.join(part)).filter(|it| it.exists()).collect(),
        };
    }
    places.retain(|it| it.is_file());
    places.sort();
    Ok(places)
}

/// The entries of a folder; none of what is no folder.
fn names(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let read = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !read.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(read)? {
        let name = entry?.file_name();
        all.push((name.to_string_lossy().into_owned(), folder.join(name)));
    }
    Ok(all)
}

/// A folder and all below it.
fn folders(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) -> io::Result<()> {
    all.push(folder.to_owned());
    for (name, path) in names(folder)? {
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir());
        if is_folder && !name.starts_with('.') && depth < DEEPEST {
            folders(&path, depth + 1, all)?;
        }
    }
    Ok(())
}

fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    // Where the last star stands, and how much of the name it has taken.
    let (mut at, mut star, mut from) = (0, None, 0);
    let mut read = 0;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                (star, from) = (Some(at), read);
                at += 1;
            }
            Some(it) if *it == '?' || *it == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some(star) = star else { return false };
                at = star + 1;
                from += 1;
                read = from;
            }
        }
    }
    pattern[at..].iter().all(|it| *it == '*')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::matches;

    #[rstest]
    #[case("*.yaml", "a.yaml", true)]
    #[case("*.yaml", ".a.yaml", false)]
    #[case(".*.yaml", ".a.yaml", true)]
    #[case("*.yaml", "a.yml", false)]
    #[case("a*b*c", "axxbyybzc", true)]
    #[case("a*b*c", "axxbyybz", false)]
    #[case("?", "ä", true)]
    #[case("?", "", false)]
    #[case("*", "", true)]
    fn names(#[case] pattern: &str, #[case] name: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, name), expected);
    }
}
