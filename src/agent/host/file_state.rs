//! Reads the state of one file.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags, ResolveFlags, openat, openat2},
    process::geteuid,
};

use super::{MODE, ManagedDir, Root};
use crate::{
    agent::{
        name::Name,
        native,
        wanted::{Content, values},
    },
    profile::{DecodedProfile, Digest, Doubt, MAX_BYTES, Problem},
};

/// The state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// `None` if the next pass has to read the file again in any case.
    stamp: Option<Stamp>,
    /// In bytes.
    pub size: u64,
    /// `None` if the file was not read.
    pub digest: Option<Digest>,
    pub problem: Option<Problem>,
    pub doubt: Option<Doubt>,
    /// Whether it has the mode and owner that the agent writes.
    pub is_as_written: bool,
}

/// While these are the same, the content is the same, with one exception: a program that has mapped
/// the file into its memory can change the content without them. So each file is read again from
/// time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The clock of a file system has a coarse resolution: a file that was just changed may change
/// again with the same stamp.
const SETTLED: Duration = Duration::from_secs(2);

impl ManagedDir {
    /// Reads the file of a profile; `None` if there is no regular file under its name. A link does
    /// not count.
    ///
    /// A file with the `expected` content is not judged again.
    pub fn look(
        &self,
        name: &Name,
        known: Option<&FileState>,
        expected: Option<&Content>,
    ) -> Option<FileState> {
        let file = name.file();
        let open = |flags| {
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(openat(&self.0, &file, flags, Mode::empty())?)
        };
        look(open, known, expected, SystemTime::now())
    }
}

impl Root {
    /// Reads a file as the runtime would: links are followed if they stay under the seccomp
    /// directory. `None` if there is no file. A link that leads out of the directory counts as an
    /// unreadable file.
    pub fn look(&self, path: &str, known: Option<&FileState>) -> Option<FileState> {
        look(|flags| self.open_beneath(path, flags), known, None, SystemTime::now())
    }

    pub(super) fn open_beneath(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
    }
}

fn look(
    open: impl Fn(OFlags) -> io::Result<OwnedFd>,
    known: Option<&FileState>,
    expected: Option<&Content>,
    now: SystemTime,
) -> Option<FileState> {
    // Only a regular file is opened for reading: opening a pipe waits for its writer, and opening a
    // device may have effects.
    let metadata = match open(OFlags::PATH).and_then(|it| File::from(it).metadata()) {
        Ok(it) if it.is_file() => it,
        Ok(_) => return None,
        Err(it) if is_nowhere(&it) => return None,
        Err(_) => return Some(FileState::unreadable(None)),
    };
    let stamp = Stamp::of(&metadata);
    if let Some(known) = known.filter(|it| it.stamp == Some(stamp)) {
        return Some(known.clone());
    }
    if metadata.len() > MAX_BYTES {
        let problem = Some(Problem::TooLarge);
        return Some(FileState { problem, ..FileState::unreadable(Some(&metadata)) });
    }
    let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    match open(reading).map(File::from).and_then(read) {
        Ok((metadata, bytes)) => {
            let digest = Digest::of(&bytes);
            let expected = expected.filter(|it| it.digest == digest);
            let (problem, doubt) = match (expected, known) {
                // The linter rejects profiles with doubts, so a wanted one has none.
                (Some(it), _) => (it.problem, None),
                (None, Some(it)) if it.digest == Some(digest) => (it.problem, it.doubt),
                (None, _) => judge(&bytes),
            };
            Some(FileState {
                stamp: Some(Stamp::of(&metadata)).filter(|it| it.is_settled(now)),
                digest: Some(digest),
                problem,
                doubt,
                ..FileState::unreadable(Some(&metadata))
            })
        }
        Err(_) => Some(FileState::unreadable(Some(&metadata))),
    }
}

/// Parsing takes memory for each value, and a file on a node may have any number of values in a
/// megabyte.
const MOST_VALUES: usize = 64 * 1024;

fn judge(bytes: &[u8]) -> (Option<Problem>, Option<Doubt>) {
    if values(bytes) > MOST_VALUES {
        return (Some(Problem::TooLarge), None);
    }
    let profile = match DecodedProfile::parse(bytes) {
        Ok(it) => it,
        Err(broken) => return (Some(Problem::from(&broken)), None),
    };
    match native::inspect(&profile).as_ref().and_then(Problem::of) {
        None => (None, profile.doubt()),
        problem => (problem, None),
    }
}

/// The content, and the metadata of the same file: the name may have been given to another file
/// since the first look.
fn read(mut file: File) -> io::Result<(Metadata, Vec<u8>)> {
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    if metadata.is_file() {
        Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    }
    let is_same = Stamp::of(&file.metadata()?) == Stamp::of(&metadata);
    if metadata.is_file() && is_same && metadata.len() == bytes.len() as u64 {
        return Ok((metadata, bytes));
    }
    Err(io::Error::other("it changes while it is read"))
}

/// Whether a link leads nowhere or in a circle, so that no pod can use it.
pub(super) fn is_nowhere(error: &io::Error) -> bool {
    let a_circle = rustix::io::Errno::LOOP.raw_os_error();
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(a_circle)
}

impl FileState {
    /// Makes the next look read the file again, whatever its stamp is.
    pub fn expire(&mut self) {
        self.stamp = None;
    }

    fn unreadable(metadata: Option<&Metadata>) -> Self {
        Self {
            stamp: None,
            size: metadata.map(Metadata::len).unwrap_or_default(),
            digest: None,
            problem: Some(Problem::Unreadable),
            doubt: None,
            is_as_written: metadata
                .is_some_and(|it| it.mode() & 0o7777 == MODE && it.uid() == geteuid().as_raw()),
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let seconds = u64::try_from(self.changed.0).unwrap_or_default();
        let changed = UNIX_EPOCH + Duration::from_secs(seconds);
        now.duration_since(changed).is_ok_and(|it| it > SETTLED)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const SOUND: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#;

    fn directory_with_a_file() -> (TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.json"), SOUND).unwrap();
        let root = Root::open(directory.path()).unwrap();
        (directory, root)
    }

    /// That long after a file has changed, by the clock of its file system.
    fn after(open: impl Fn(OFlags) -> io::Result<OwnedFd>, time: Duration) -> SystemTime {
        let metadata = File::from(open(OFlags::PATH).unwrap()).metadata().unwrap();
        UNIX_EPOCH + Duration::from_secs(metadata.ctime().try_into().unwrap()) + time
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let (directory, root) = directory_with_a_file();
        let open = |flags| root.open_beneath("a.json", flags);
        let later = after(open, 2 * SETTLED);
        let first = look(open, None, None, later).unwrap();
        assert_eq!(first.digest, Some(Digest::of(SOUND.as_bytes())));
        // The known state is returned unchanged, so the file was not read.
        let known = FileState { problem: Some(Problem::Hollow), digest: None, ..first.clone() };
        assert_eq!(look(open, Some(&known), None, later), Some(known.clone()));
        fs::write(directory.path().join("a.json"), SOUND).unwrap();
        assert_eq!(look(open, Some(&known), None, later).unwrap().problem, None);
    }

    #[test]
    fn what_is_to_be_read_again_is_and_is_judged_once() {
        let (_directory, root) = directory_with_a_file();
        let open = |flags| root.open_beneath("a.json", flags);
        let later = after(open, 2 * SETTLED);
        let first = look(open, None, None, later).unwrap();
        let mut known = FileState { problem: Some(Problem::Hollow), ..first.clone() };
        known.expire();
        let again = look(open, Some(&known), None, later).unwrap();
        assert_eq!((again.stamp, again.problem), (first.stamp, Some(Problem::Hollow)));
        known.digest = None;
        assert_eq!(look(open, Some(&known), None, later).unwrap(), first);
    }

    #[test]
    fn what_has_changed_just_now_is_read_again() {
        let (_directory, root) = directory_with_a_file();
        let open = |flags| root.open_beneath("a.json", flags);
        let now = after(open, SETTLED / 2);
        let first = look(open, None, None, now).unwrap();
        let known = FileState { problem: Some(Problem::Hollow), digest: None, ..first };
        assert_eq!(look(open, Some(&known), None, now).unwrap().problem, None);
    }
}
