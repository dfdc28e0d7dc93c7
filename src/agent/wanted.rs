//! The files that the profiles of the cluster require on a node. Pure.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{name::Name, native};
use crate::profile::{DecodedProfile, Digest, Lint, MOST_FILE_BYTES, Problem, Severity};

/// Every profile of the cluster, by name. A clone is cheap.
pub type Wanted = BTreeMap<Name, Want>;

/// What to do with one profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    Install(Content),
    /// It is not a valid profile, or no container could run under it: it was stored while the
    /// webhook was away, or by another version. A file of its name stays as it is.
    Refused(String),
}

/// The content that a file must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub digest: Digest,
    pub problem: Option<Problem>,
    /// The text; `None` if there is no room for it in memory.
    pub text: Option<Arc<str>>,
}

/// How many bytes of texts are kept in memory. A text that is not kept is read from the API server
/// when it has to be written.
const MOST_KEPT: usize = 8 * 1024 * 1024;

/// A longer spec is not parsed, nor is one with more values: the file has one line for each value.
const MOST_SPEC_BYTES: usize = 2 * MOST_FILE_BYTES;
const MOST_SPEC_VALUES: usize = 32 * 1024;

/// Reads the `spec` of a `SeccompProfile`, with the parser and linter that run at admission.
pub fn want(spec: &str) -> Want {
    if spec.len() > MOST_SPEC_BYTES || values(spec.as_bytes()) > MOST_SPEC_VALUES {
        return Want::Refused(format!("it is too large [{}]", Lint::TOO_LARGE));
    }
    let Ok(spec) = serde_json::from_str::<Value>(spec) else {
        return Want::Refused("it is no JSON".to_owned());
    };
    let profile = DecodedProfile::of_spec(spec);
    let findings = profile.findings();
    if let Some(error) = findings.iter().find(|it| it.lint.severity == Severity::Error) {
        return Want::Refused(error.to_string());
    }
    match profile.document() {
        Ok(document) => {
            let problem = native::defect(document).as_ref().and_then(Problem::of);
            Want::Install(Content { problem, ..Content::sound(document.canonical()) })
        }
        Err(broken) => Want::Refused(broken.to_string()),
    }
}

/// The largest number of values that a JSON text can have.
pub(super) fn values(text: &[u8]) -> usize {
    1 + text.iter().filter(|it| matches!(it, b',' | b'[' | b'{')).count()
}

/// Adds a profile, with its text if there is room; returns whether something else is wanted now.
pub(super) fn put(wanted: &mut Wanted, name: Name, mut want: Want) -> bool {
    let before = wanted.remove(&name);
    let kept: usize = wanted.values().map(Want::kept).sum();
    if let Want::Install(it) = &mut want
        && it.text.as_ref().is_some_and(|it| kept + it.len() > MOST_KEPT)
    {
        it.text = None;
    }
    let is_new = before.is_none_or(|it| !it.is_the_same(&want));
    wanted.insert(name, want);
    is_new
}

/// Whether both require the same files.
pub(super) fn are_the_same(one: &Wanted, other: &Wanted) -> bool {
    let pairs = || one.iter().zip(other);
    one.len() == other.len() && pairs().all(|(a, b)| a.0 == b.0 && a.1.is_the_same(b.1))
}

impl Content {
    /// The content of a profile without a doubt.
    pub fn sound(text: String) -> Self {
        Self { digest: Digest::of(text.as_bytes()), problem: None, text: Some(text.into()) }
    }
}

impl Want {
    /// The content that the file must have; `None` if the file stays as it is.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::Install(it) => Some(it),
            Self::Refused(_) => None,
        }
    }

    /// The digest of that content.
    pub fn digest(&self) -> Option<Digest> {
        self.content().map(|it| it.digest)
    }

    fn kept(&self) -> usize {
        self.content().and_then(|it| it.text.as_ref()).map_or(0, |it| it.len())
    }

    /// Compares everything except whether the texts are kept.
    fn is_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Install(one), Self::Install(other)) => one.digest == other.digest,
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: &Value) -> Want {
        want(&spec.to_string())
    }

    #[test]
    fn a_profile_is_installed_as_we_write_it() {
        let spec = json!({ "syscalls": [{
            "action": "SCMP_ACT_ERRNO", "names": ["mkdir"],
            "args": [{ "index": 0, "value": "18446744073709551615", "op": "SCMP_CMP_EQ" }],
        }], "defaultAction": "SCMP_ACT_ALLOW" });
        let Want::Install(it) = read(&spec) else { panic!("refused") };
        let text = it.text.expect("it is small");
        assert!(text.starts_with("{\n  \"defaultAction\": \"SCMP_ACT_ALLOW\",\n"));
        assert!(text.contains("\"value\": 18446744073709551615,"), "{text}");
        assert_eq!(it.digest, Digest::of(text.as_bytes()));
        assert_eq!(it.problem, None);
    }

    /// Its author gets a warning, and the report says so.
    #[test]
    fn a_profile_that_filters_nothing_is_installed_and_known_for_it() {
        let hollow = read(&json!({ "defaultAction": "SCMP_ACT_ALLOW" }));
        assert_eq!(hollow.content().unwrap().problem, Some(Problem::Hollow));
    }

    #[test]
    fn a_profile_with_a_lint_error_is_not_installed() {
        let refused = |spec: Value| match read(&spec) {
            Want::Refused(why) => why,
            Want::Install(_) => "installed".to_owned(),
        };
        let all = json!({ "defaultAction": "SCMP_ACT_ERRNO" });
        assert_eq!(
            refused(all),
            "defaultAction: denies execve, by which the runtime starts the program, so no container starts [no-execve]"
        );
        assert_ne!(refused(json!({})), "installed");
        assert_ne!(refused(json!({ "defaultAction": "SCMP_ACT_NOTIFY" })), "installed");
        assert_ne!(refused(Value::Null), "installed");
    }

    #[test]
    fn a_much_too_large_profile_is_not_parsed() {
        let refused = Want::Refused("it is too large [too-large]".to_owned());
        assert_eq!(want(&"[".repeat(1024 * 1024)), refused);
        assert_eq!(want(&format!("[{}]", "0,".repeat(40_000))), refused);
    }

    #[test]
    fn texts_are_kept_while_there_is_room_without_a_new_report() {
        let name = |it: &str| Name::parse(it).unwrap();
        let large = |byte: &str| Want::Install(Content::sound(byte.repeat(MOST_KEPT / 2)));
        let mut wanted = Wanted::new();
        for (it, is_kept) in [("a", true), ("b", true), ("c", false)] {
            assert!(put(&mut wanted, name(it), large(it)));
            assert_eq!(wanted[&name(it)].kept() > 0, is_kept, "{it}");
        }
        assert!(!put(&mut wanted, name("a"), large("a")));
        assert!(put(&mut wanted, name("a"), Want::Refused("no".to_owned())));
        let before = wanted.clone();
        assert!(!put(&mut wanted, name("c"), large("c")));
        assert!(wanted[&name("c")].kept() > 0, "now there is room");
        assert!(are_the_same(&before, &wanted));
        wanted.remove(&name("c"));
        assert!(!are_the_same(&before, &wanted));
    }
}
