//! The inventory of one node: the files under its seccomp directory.

use std::{collections::BTreeMap, fmt, str::FromStr};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use crate::profile::{Broken, Defect, Doubt, ProfilePath};

/// Every file under the seccomp directory of one node, of any origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub files: BTreeMap<ProfilePath, File>,
    /// Whether the list was truncated, so that a file that is not listed may exist.
    pub is_cut: bool,
}

/// How many files a `SeccompNode` can list.
pub const MOST_LISTED: usize = 1000;

/// A file as the agent of its node has read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct File {
    /// The digest of the content; `None` if the file was not read.
    pub digest: Option<Digest>,
    /// Why the file is unusable as a profile, if it is.
    pub problem: Option<Problem>,
    /// The doubt about a file without a problem, if there is one.
    pub doubt: Option<Doubt>,
}

/// The SHA-256 of the bytes of a file, written as `sha256:` and 64 hexadecimal
/// digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a file is unusable as a profile: the name of a [`Defect`] in the status of
/// a `SeccompNode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Problem {
    /// The runtime loads it, and it denies nothing (L1, L3).
    Hollow,
    Unreadable,
    TooLarge,
    NotJson,
    WrongType,
    UnknownValue,
    NoDefaultAction,
    EmptyName,
    NoSuchArgument,
    Notify,
    ErrnoTooLarge,
    ConflictingRules,
    ByteOrder,
    /// A name that only a later version knows; the file is unusable in any case.
    Unknown,
}

// === impl Inventory ===

impl Inventory {
    /// Reads the `status` of a `SeccompNode`. Skips entries that cannot be read:
    /// the node then counts as lacking the file, which is the safe side.
    ///
    /// Older agents do not report `unlisted`; a full list counts as truncated.
    pub fn read(object: &Value) -> Self {
        let unlisted = &object["status"]["unlisted"];
        let files = object["status"]["profiles"].as_array();
        let is_cut = unlisted.as_u64().unwrap_or_default() > 0
            || files.is_some_and(|it| it.len() >= MOST_LISTED);
        let files = files.into_iter().flatten();
        let file = |it: &Value| {
            let path = it["path"].as_str()?.parse().ok()?;
            let digest = it["digest"].as_str().and_then(|it| it.parse().ok());
            let problem = match &it["problem"] {
                Value::Null => None,
                it => Some(it.as_str().map_or(Problem::Unknown, Problem::parse)),
            };
            let doubt = it["doubt"].as_str().and_then(Doubt::parse);
            Some((path, File { digest, problem, doubt: doubt.filter(|_| problem.is_none()) }))
        };
        Self { files: files.filter_map(file).collect(), is_cut }
    }
}

// === impl Digest ===

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut own = [0; 32];
        own.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(own)
    }

    /// The first twelve digits, for labels and messages.
    pub fn short(&self) -> String {
        let mut digits = self.to_string().split_off("sha256:".len());
        digits.truncate(12);
        digits
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix("sha256:").filter(|it| it.len() == 64).ok_or(())?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |it: u8| match it {
                b'0'..=b'9' => Ok(it - b'0'),
                b'a'..=b'f' => Ok(it - b'a' + 10),
                _ => Err(()),
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Problem ===

impl Problem {
    const ALL: [Self; 13] = [
        Self::Hollow,
        Self::Unreadable,
        Self::TooLarge,
        Self::NotJson,
        Self::WrongType,
        Self::UnknownValue,
        Self::NoDefaultAction,
        Self::EmptyName,
        Self::NoSuchArgument,
        Self::Notify,
        Self::ErrnoTooLarge,
        Self::ConflictingRules,
        Self::ByteOrder,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hollow => "hollow",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::NotJson => "not-json",
            Self::WrongType => "wrong-type",
            Self::UnknownValue => "unknown-value",
            Self::NoDefaultAction => "no-default-action",
            Self::EmptyName => "empty-name",
            Self::NoSuchArgument => "no-such-argument",
            Self::Notify => "notify",
            Self::ErrnoTooLarge => "errno-too-large",
            Self::ConflictingRules => "conflicting-rules",
            Self::ByteOrder => "byte-order",
            Self::Unknown => "unknown",
        }
    }

    /// Reads a name; one that only a later version knows is `Unknown`.
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|it| it.as_str() == word).unwrap_or(Self::Unknown)
    }

    /// Whether the runtime loads the file and denies nothing.
    pub fn is_hollow(self) -> bool {
        self == Self::Hollow
    }
}

impl Problem {
    /// Whether the runtime cannot load the file. False where callgate has not read
    /// it, so that the runtime may load it.
    pub fn is_of_the_runtime(self) -> bool {
        !matches!(self, Self::Hollow | Self::Unreadable | Self::TooLarge)
    }
}

impl Problem {
    /// The problem that a defect is reported as; `None` for a doubt.
    pub fn of(defect: &Defect) -> Option<Self> {
        match defect {
            Defect::Hollow(_) => Some(Self::Hollow),
            Defect::Broken(broken) => Some(broken.into()),
            Defect::Doubtful(_) => None,
        }
    }
}

impl From<&Broken> for Problem {
    fn from(broken: &Broken) -> Self {
        match broken {
            Broken::Unreadable(_) => Self::Unreadable,
            Broken::TooLarge { .. } | Broken::TooManyRules => Self::TooLarge,
            Broken::NotJson(_) => Self::NotJson,
            Broken::WrongType { .. } => Self::WrongType,
            Broken::UnknownValue { .. } => Self::UnknownValue,
            Broken::NoDefaultAction => Self::NoDefaultAction,
            Broken::EmptyName { .. } => Self::EmptyName,
            Broken::NoSuchArgument { .. } => Self::NoSuchArgument,
            Broken::Notify { .. } | Broken::NotifyOnWrite { .. } => Self::Notify,
            Broken::ErrnoTooLarge { .. } => Self::ErrnoTooLarge,
            Broken::Conflict { .. } => Self::ConflictingRules,
            Broken::ByteOrder { .. } => Self::ByteOrder,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:00ff102030405060708090a0b0c0d0e0f0112233445566778899aabbccddeeff";

    #[test]
    fn a_digest_is_written_as_it_was_read() {
        let digest: Digest = DIGEST.parse().unwrap();
        assert_eq!(digest.to_string(), DIGEST);
        assert_eq!(digest.short(), "00ff10203040");
        for bad in ["", "sha256:", &DIGEST[..70], &DIGEST.to_uppercase(), &DIGEST.replace('f', "g")]
        {
            assert_eq!(bad.parse::<Digest>(), Err(()), "{bad}");
        }
    }

    /// As `printf abc | sha256sum` says, and FIPS 180-2, appendix B.1.
    #[test]
    fn a_digest_is_that_of_sha256sum() {
        assert_eq!(
            Digest::of(b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn every_problem_has_its_own_name() {
        for problem in Problem::ALL {
            assert_eq!(Problem::parse(problem.as_str()), problem);
        }
        assert_eq!(Problem::parse("haunted"), Problem::Unknown);
    }

    #[test]
    fn unreadable_entries_of_an_inventory_are_skipped() {
        let object = json!({ "status": { "profiles": [
            { "path": "callgate/web.json", "digest": DIGEST, "size": 7, "source": "callgate" },
            { "path": "old.json", "digest": DIGEST, "problem": "hollow" },
            { "path": "large.json", "problem": "too-large" },
            { "path": "odd.json", "digest": DIGEST, "problem": ["hollow"] },
            { "path": "strict.json", "digest": DIGEST, "doubt": "no-start" },
            { "path": "unsure.json", "digest": DIGEST, "doubt": "haunted" },
            { "path": "worse.json", "digest": DIGEST, "problem": "hollow", "doubt": "docker-keys" },
            { "path": "../up.json", "digest": DIGEST },
            { "digest": DIGEST },
            7,
        ] } });
        let inventory = Inventory::read(&object);
        let read: Vec<_> = inventory
            .files
            .iter()
            .map(|(path, it)| (path.as_str(), it.digest.is_some(), it.problem, it.doubt))
            .collect();
        assert_eq!(
            read,
            [
                ("callgate/web.json", true, None, None),
                ("large.json", false, Some(Problem::TooLarge), None),
                ("odd.json", true, Some(Problem::Unknown), None),
                ("old.json", true, Some(Problem::Hollow), None),
                ("strict.json", true, None, Some(Doubt::NoStart)),
                ("unsure.json", true, None, None),
                ("worse.json", true, Some(Problem::Hollow), None),
            ]
        );
        assert_eq!(Inventory::read(&json!({})), Inventory::default());
    }

    #[test]
    fn a_list_is_truncated_if_it_reports_so_or_is_full() {
        let is_cut = |status: Value| Inventory::read(&json!({ "status": status })).is_cut;
        let files = |count: usize| vec![json!({ "path": "a.json" }); count];
        assert!(!is_cut(json!({ "profiles": files(999) })));
        assert!(!is_cut(json!({ "profiles": files(1), "unlisted": 0 })));
        assert!(is_cut(json!({ "profiles": files(1), "unlisted": 1 })));
        assert!(is_cut(json!({ "profiles": files(1000) })));
    }
}
