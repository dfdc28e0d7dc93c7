//! The profiles in a directory.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::profile::{Broken, Catalog, Defect, Document, MAX_BYTES, ProfilePath};

/// The deepest directory that is read: a link may lead back up.
const DEEPEST: usize = 8;

/// The most files of a catalog: with more, the flag is probably wrong, such as `/`.
const MOST_FILES: usize = 10_000;

/// Why a directory cannot serve as a catalog.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    #[error("cannot read the profile directory {path:?}")]
    Directory { path: PathBuf, source: io::Error },
    #[error("{path:?} holds more than {MOST_FILES} files, it cannot be a directory of profiles")]
    TooMany { path: PathBuf },
}

/// Reads every file under `root`. A file that is unusable as a profile is in the
/// catalog too, with its defect.
pub(super) fn read(root: &Path) -> Result<Catalog, ProfilesError> {
    let mut files = Vec::new();
    collect(root, root, 0, &mut files)?;
    Ok(files.into_iter().map(|(name, path)| (name, inspect(&path))).collect())
}

fn collect(
    root: &Path,
    directory: &Path,
    depth: usize,
    files: &mut Vec<(ProfilePath, PathBuf)>,
) -> Result<(), ProfilesError> {
    let failed = |source| ProfilesError::Directory { path: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A mounted volume keeps its files in `..data` and links to them.
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        let path = entry.path();
        // No pod can use a dangling link.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() && depth < DEEPEST {
            collect(root, &path, depth + 1, files)?;
        }
        // Only regular files: to open a pipe is to wait for its writer.
        if !metadata.is_file() {
            continue;
        }
        let relative = path.strip_prefix(root).expect("it was found under the root");
        if let Some(Ok(name)) = relative.to_str().map(str::parse::<ProfilePath>) {
            files.push((name, path));
        } else {
            tracing::warn!(file = ?path, "no pod can name this file, left out");
        }
        if files.len() > MOST_FILES {
            return Err(ProfilesError::TooMany { path: root.to_owned() });
        }
    }
    Ok(())
}

fn inspect(path: &Path) -> Option<Defect> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|it| it.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Some(Broken::Unreadable(error.to_string()).into()),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => {
            Some(Broken::TooLarge { limit: MAX_BYTES }.into())
        }
        Ok(_) => Document::appraise(&bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(catalog: &Catalog) -> Vec<(String, bool)> {
        catalog.iter().map(|(path, defect)| (path.to_string(), defect.is_none())).collect()
    }

    const SOUND: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["execve"], "action": "SCMP_ACT_ALLOW"}]}"#;

    #[test]
    fn every_file_is_a_profile_by_its_path() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("apps")).unwrap();
        fs::write(root.path().join("a.json"), SOUND).unwrap();
        fs::write(root.path().join("apps/b.json"), "{}").unwrap();
        let catalog = read(root.path()).unwrap();
        assert_eq!(names(&catalog), [("a.json".into(), true), ("apps/b.json".into(), false)]);
    }

    #[test]
    fn a_mounted_config_map_shows_each_file_once() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("..2026_11_24")).unwrap();
        fs::write(root.path().join("..2026_11_24/a.json"), SOUND).unwrap();
        symlink("..2026_11_24", root.path().join("..data")).unwrap();
        symlink("..data/a.json", root.path().join("a.json")).unwrap();
        assert_eq!(names(&read(root.path()).unwrap()), [("a.json".into(), true)]);
    }

    #[test]
    fn a_link_to_above_ends_somewhere_and_one_to_nowhere_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("up")).unwrap();
        symlink("..", root.path().join("up/up")).unwrap();
        symlink("gone.json", root.path().join("a.json")).unwrap();
        fs::write(root.path().join("b.json"), SOUND).unwrap();
        let catalog = read(root.path()).unwrap();
        assert!(catalog.get(&"b.json".parse().unwrap()).is_some());
        assert!(catalog.get(&"a.json".parse().unwrap()).is_none());
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_to_its_end() {
        let root = tempfile::tempdir().unwrap();
        File::create(root.path().join("a.json")).unwrap().set_len(1 << 40).unwrap();
        let catalog = read(root.path()).unwrap();
        let defect = catalog.get(&"a.json".parse().unwrap()).flatten().unwrap().to_string();
        assert_eq!(defect, "it is larger than 1048576 bytes");
    }

    #[test]
    fn a_missing_directory_is_named_in_the_error() {
        let error = read(Path::new("/nonexistent")).unwrap_err().to_string();
        assert_eq!(error, r#"cannot read the profile directory "/nonexistent""#);
    }
}
