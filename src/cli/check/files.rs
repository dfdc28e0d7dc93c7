//! The files that were asked for.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};

use super::glob;
use crate::cli::file::{self, is_standard_input, shown};

/// A larger file is none of manifests.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// The content of a larger file is read by several threads.
const LARGE: u64 = 256 * 1024;
/// A link may lead back up.
const DEEPEST: usize = 64;
/// What files of manifests end in.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A file to check.
#[derive(Debug)]
pub(in crate::cli) struct Input {
    /// The name in messages.
    pub(in crate::cli) name: String,
    path: PathBuf,
    /// In bytes, as the file system says.
    size: u64,
    /// The content of what can be read only once.
    kept: Option<Result<Vec<u8>, String>>,
}

/// The content of a file.
fn content(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = shown(path);
    let read = file::read(path, MOST_BYTES);
    let Some(bytes) = read.with_context(|| format!("cannot read {name:?}"))? else {
        bail!("{name:?} is larger than {MOST_BYTES} bytes, it cannot be a manifest");
    };
    // As kubectl does: in a pipeline, the command before may have failed unnoticed.
    if is_standard_input(path) && bytes.trim_ascii().is_empty() {
        bail!(
            "standard input is empty: the command that should have written to it may have failed"
        );
    }
    Ok(bytes)
}

/// The text of a file that a flag names.
pub(in crate::cli) fn text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(content(path)?).map_err(|_| anyhow!("{:?} is not UTF-8", shown(path)))
}

impl Input {
    fn of(path: PathBuf) -> Self {
        Self { name: shown(&path), path, size: 0, kept: None }
    }

    /// Reads now what can be read only once: standard input and pipes.
    pub(in crate::cli) fn kept(self) -> Self {
        let metadata = fs::metadata(&self.path);
        let is_once =
            is_standard_input(&self.path) || metadata.as_ref().is_ok_and(|it| !it.is_file());
        let kept = is_once.then(|| content(&self.path).map_err(|it| format!("{it:#}")));
        let size = match &kept {
            Some(Ok(it)) => it.len() as u64,
            Some(Err(_)) => 0,
            None => metadata.map_or(0, |it| it.len()),
        };
        Self { size, kept, ..self }
    }

    /// Whether it is worth to read parts of it at once.
    pub(super) fn is_large(&self) -> bool {
        self.size > LARGE
    }

    pub(in crate::cli) fn is_read_once(&self) -> bool {
        self.kept.is_some()
    }

    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::cli) fn read(&self) -> anyhow::Result<Cow<'_, [u8]>> {
        match &self.kept {
            None => content(&self.path).map(Cow::Owned),
            Some(Ok(content)) => Ok(Cow::Borrowed(content)),
            Some(Err(why)) => bail!("{why}"),
        }
    }
}

/// The files at the given paths, each once, in their order; and what cannot be found.
pub(in crate::cli) fn expand(paths: &[PathBuf]) -> (Vec<Input>, Vec<anyhow::Error>) {
    let (mut files, mut failures) = (Vec::new(), Vec::new());
    for path in paths {
        if is_standard_input(path) {
            files.push(path.clone());
            continue;
        }
        let added = match fs::metadata(path) {
            Ok(it) if it.is_dir() => walk(path, 0, &mut files),
            Ok(_) => {
                files.push(path.clone());
                Ok(())
            }
            Err(_) if glob::is_pattern(path) => match glob::find(path) {
                Ok(found) if found.is_empty() => Err(anyhow!("no file matches {:?}", shown(path))),
                Ok(found) => {
                    files.extend(found);
                    Ok(())
                }
                Err(error) => Err(error).with_context(|| format!("cannot read {:?}", shown(path))),
            },
            Err(error) => Err(error).with_context(|| format!("cannot read {:?}", shown(path))),
        };
        failures.extend(added.err());
    }
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|it| seen.insert(it.clone()));
    (files.into_iter().map(Input::of).collect(), failures)
}

/// The manifests in a directory, in alphabetical order; not those in hidden folders.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = || format!("cannot read {:?}", shown(directory));
    let entries = fs::read_dir(directory).with_context(failed)?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.with_context(failed)?.path());
    }
    paths.sort();
    for path in paths {
        let is_hidden = path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"."));
        // A dangling link is no file.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() && !is_hidden && depth < DEEPEST {
            let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.is_symlink());
            if !is_link {
                walk(&path, depth + 1, files)?;
            }
        } else if metadata.is_file() && is_manifest(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    EXTENSIONS.iter().any(|it| extension.eq_ignore_ascii_case(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&Path]) -> (Vec<String>, Vec<String>) {
        let paths: Vec<_> = paths.iter().map(|it| it.to_path_buf()).collect();
        let (files, failures) = expand(&paths);
        let failures = failures.iter().map(|it| format!("{it:#}")).collect();
        (files.into_iter().map(|it| it.name).collect(), failures)
    }

    #[test]
    fn directories_and_patterns_give_their_files_once_and_in_order() {
        let root = tempfile::tempdir().unwrap();
        let at = |it: &str| root.path().join(it);
        for it in ["b/deep", ".git"] {
            fs::create_dir_all(at(it)).unwrap();
        }
        for it in ["a.yaml", "b/c.YML", "b/deep/d.json", "b/README.md", ".git/e.yaml"] {
            fs::write(at(it), "").unwrap();
        }
        let expected = ["a.yaml", "b/c.YML", "b/deep/d.json"].map(|it| shown(&at(it)));
        assert_eq!(names(&[root.path()]), (expected.to_vec(), vec![]));
        assert_eq!(names(&[&at("**/*.json"), root.path()]).0[0], expected[2]);
        let (files, _) = names(&[&at("*.y?ml"), &at("b/*")]);
        let readme = shown(&at("b/README.md"));
        assert_eq!(files, [expected[0].clone(), readme, expected[1].clone()]);
    }

    #[test]
    fn what_is_not_there_is_said_and_the_rest_is_read() {
        let (files, failures) =
            names(&[Path::new("/none.yaml"), Path::new("-"), Path::new("/no*e")]);
        assert_eq!(files, ["stdin"]);
        let expected = [
            "cannot read \"/none.yaml\": No such file or directory (os error 2)",
            "no file matches \"/no*e\"",
        ];
        assert_eq!(failures, expected);
    }
}
