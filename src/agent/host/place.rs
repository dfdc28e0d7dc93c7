//! Checks that the directory we write to is still the one that the kubelet reads.
//!
//! In a pod the seccomp directory is mounted, and a mount leads to a directory, not to a path:
//! after the directory was replaced on the node, the mount still leads to the old one, which the
//! kubelet no longer reads.
//!
//! With `mountPropagation: HostToContainer` the pod's mount receives the mounts
//! and unmounts of the node's mount that it was made from: it is a slave of that
//! mount's peer group (`mount_namespaces(7)`, Shared subtrees). The kernel ends
//! this relation when the node's mount is unmounted, and the pod's copy stays.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::HostError;
use crate::agent::OWN;

const TABLE: &str = "/proc/self/mountinfo";

/// The suffix that the kernel adds to the path of a deleted directory.
const DELETED: &str = "//deleted";

/// The mounts over the seccomp directory and over our directory in it, in their order, at the first
/// look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    outer: Vec<Mount>,
    inner: Vec<Mount>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    id: String,
    device: String,
    /// The mounted directory, as a path within its file system; the kernel updates it after
    /// renames.
    root: String,
    /// The peer group that the mount is a slave of, `master:X`: that of the mount on the node.
    master: Option<String>,
}

impl Place {
    /// Reads the current mounts.
    pub fn of(root: &Path) -> Result<Self, HostError> {
        let failed = |source| HostError::Mounts { source };
        let table = fs::read(TABLE).map_err(failed)?;
        // The table has paths without links. If the directory does not exist, opening it fails
        // later.
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Ok(Self::read(&table, &root))
    }

    fn read(table: &[u8], root: &Path) -> Self {
        let own = root.join(OWN);
        let mut place = Self { outer: Vec::new(), inner: Vec::new() };
        for line in table.split(|it| *it == b'\n') {
            let fields: Vec<_> = line.split(|it| *it == b' ').collect();
            let [id, _, device, leads_to, point, _, optional @ ..] = &fields[..] else { continue };
            let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
            // The optional fields end with a hyphen.
            let mut optional = optional.iter().take_while(|it| **it != b"-");
            let master = optional.find_map(|it| it.strip_prefix(b"master:"));
            let mount = Mount {
                id: text(id),
                device: text(device),
                root: unescaped(leads_to).to_string_lossy().into_owned(),
                master: master.map(text),
            };
            match unescaped(point) {
                it if it == root => place.outer.push(mount),
                it if it == own => place.inner.push(mount),
                _ => {}
            }
        }
        place
    }

    /// Checks that the directory is the same as in `self`. One that is not a mount is always the
    /// same: it is opened by its path every time.
    pub fn still(&self, now: &Self) -> Result<(), HostError> {
        let replaced = |why: String| Err(HostError::Replaced { source: io::Error::other(why) });
        let Some(before) = self.outer.first() else { return Ok(()) };
        let Some(outer) = now.outer.first() else {
            return replaced("it is not mounted any more".to_owned());
        };
        if now.outer.len() > self.outer.len() {
            return replaced("another file system was mounted over it".to_owned());
        }
        if let Some(it) = is_deleted(outer) {
            return replaced(format!("it was deleted, and was {it:?}"));
        }
        if outer.master != before.master {
            return replaced("it was unmounted on the node".to_owned());
        }
        if outer.root == before.root && outer != before {
            return replaced("it was mounted anew".to_owned());
        }
        if outer != before {
            return replaced(format!("it was {:?} and is {:?} now", before.root, outer.root));
        }
        if self.inner.is_empty() {
            return Ok(());
        }
        let is_ours = |it: &Mount| {
            it.root == format!("{}/{OWN}", outer.root.trim_end_matches('/'))
                && it.device == outer.device
        };
        if now.inner != self.inner || !now.inner.last().is_some_and(is_ours) {
            return replaced(format!("{OWN:?} in it is another directory now"));
        }
        Ok(())
    }
}

fn is_deleted(mount: &Mount) -> Option<&str> {
    mount.root.strip_suffix(DELETED)
}

/// The table writes a space as `\040`.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| more.get(..3)).flatten();
        let octal = octal.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &more[3..] } else { more };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BEFORE: &str = "\
36 35 8:1 / / rw - ext4 /dev/sda1 rw
40 36 8:1 /lib/kubelet/seccomp /s\\040p ro master:7 - ext4 /dev/sda1 rw
41 40 8:1 /lib/kubelet/seccomp/callgate /s\\040p/callgate rw - ext4 /dev/sda1 rw
";

    #[rstest]
    #[case::as_it_was("", "", "")]
    #[case::moved(
        "/seccomp",
        "/seccomp.old",
        "it was \"/lib/kubelet/seccomp\" and is \"/lib/kubelet/seccomp.old\" now"
    )]
    #[case::deleted(
        "/seccomp /s",
        "/seccomp//deleted /s",
        "it was deleted, and was \"/lib/kubelet/seccomp\""
    )]
    #[case::another_mount("40 36", "50 36", "it was mounted anew")]
    #[case::unmounted_on_the_node(" master:7", "", "it was unmounted on the node")]
    #[case::mounted_anew_on_the_node("master:7", "master:8", "it was unmounted on the node")]
    #[case::what_is_no_optional_field("sda1 rw\n41", "sda1 rw,master:9 master:9\n41", "")]
    #[case::ours_moved("/callgate /s", "/old /s", "\"callgate\" in it is another directory now")]
    #[case::ours_deleted(
        "41 40 ",
        "41 40 0:9 /x /y rw - x ",
        "\"callgate\" in it is another directory now"
    )]
    #[case::mounted_over(
        "41 40",
        "42 40 0:9 / /s\\040p rw - tmpfs x rw\n41 40",
        "another file system was mounted over it"
    )]
    fn table(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
        let root = Path::new("/s p");
        let before = Place::read(BEFORE.as_bytes(), root);
        assert_eq!((before.outer.len(), before.inner.len()), (1, 1));
        let after = if from.is_empty() { BEFORE.to_owned() } else { BEFORE.replace(from, to) };
        let said = before.still(&Place::read(after.as_bytes(), root));
        let why = said.err().map(|it| std::error::Error::source(&it).unwrap().to_string());
        assert_eq!(why.unwrap_or_default(), expected);
    }

    #[test]
    fn what_is_not_mounted_is_opened_by_its_path_and_needs_no_check() {
        let nothing = Place::read(b"36 35 8:1 / / rw - ext4 /dev/sda1 rw", Path::new("/s"));
        assert!(nothing.still(&Place::read(BEFORE.as_bytes(), Path::new("/s p"))).is_ok());
    }
}
