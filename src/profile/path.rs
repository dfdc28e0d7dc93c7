//! Paths of profiles, as in `localhostProfile`.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use crate::group::PROFILE_LABEL_PREFIX;

/// The path of a profile relative to the kubelet's seccomp directory.
///
/// The kubelet joins this path lexically to its root and the runtime opens
/// the file there (S3), so a value of this type is always relative,
/// normalised and free of `..`: two different values are two different files.
/// Parsing is the only way to obtain one.
///
/// ```
/// use callgate::profile::ProfilePath;
///
/// assert!("apps/nginx.json".parse::<ProfilePath>().is_ok());
/// assert!("../../etc/passwd".parse::<ProfilePath>().is_err());
/// assert!("./nginx.json".parse::<ProfilePath>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ProfilePath(String);

/// The directory that the agent owns.
const FOLDER: &str = "callgate/";

/// Why a string is not a [`ProfilePath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Kubelets before 1.24.14, 1.25.10, 1.26.5 and 1.27.2 ran such a pod
    /// without any filter (CVE-2023-2431), and the API server accepts it (S2).
    #[error("localhostProfile is empty: some kubelets run that unconfined")]
    Empty,
    #[error(
        "localhostProfile {0:?} is absolute, it must be relative to the kubelet's seccomp directory"
    )]
    Absolute(String),
    #[error("localhostProfile {0:?} leaves the kubelet's seccomp directory with \"..\"")]
    Climbs(String),
    #[error("localhostProfile {path:?} is not in its shortest form, write {shortest:?}")]
    NotCanonical { path: String, shortest: String },
    #[error("localhostProfile {0:?} names the seccomp directory itself")]
    Directory(String),
    #[error("localhostProfile {0:?} begins or ends with a space or holds a control character")]
    Unprintable(String),
}

impl ProfilePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path at which agents install the `SeccompProfile` with this name.
    pub fn of_object(name: &str) -> Result<Self, InvalidPath> {
        format!("{FOLDER}{name}.json").parse()
    }

    /// The name of the `SeccompProfile` that agents install at this path.
    pub fn object_name(&self) -> Option<&str> {
        self.0.strip_prefix(FOLDER)?.strip_suffix(".json")
    }

    /// The label of nodes on which agents have installed the profile; `None` for
    /// a path outside of the agent's directory.
    pub fn node_label(&self) -> Option<String> {
        Some(format!("{PROFILE_LABEL_PREFIX}{}", self.object_name()?))
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for ProfilePath {
    type Err = InvalidPath;

    fn from_str(path: &str) -> Result<Self, InvalidPath> {
        let owned = || path.to_owned();
        if path.trim().is_empty() {
            return Err(InvalidPath::Empty);
        }
        if path.chars().any(char::is_control) || path.trim() != path {
            return Err(InvalidPath::Unprintable(owned()));
        }
        if path.starts_with('/') {
            return Err(InvalidPath::Absolute(owned()));
        }
        if path.split('/').any(|it| it == "..") {
            return Err(InvalidPath::Climbs(owned()));
        }
        let kept: Vec<_> = path.split('/').filter(|it| !matches!(*it, "" | ".")).collect();
        let shortest = kept.join("/");
        if shortest.is_empty() {
            return Err(InvalidPath::Directory(owned()));
        }
        if shortest != path {
            return Err(InvalidPath::NotCanonical { path: owned(), shortest });
        }
        Ok(Self(shortest))
    }
}

impl TryFrom<String> for ProfilePath {
    type Error = InvalidPath;

    fn try_from(path: String) -> Result<Self, InvalidPath> {
        path.parse()
    }
}

impl fmt::Display for ProfilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("nginx.json")]
    #[case::nested("apps/web/nginx.json")]
    #[case::dots_in_a_name("nginx..json")]
    #[case::hidden(".nginx.json")]
    #[case::a_space_inside("my profile.json")]
    #[case::backslash(r"a\b.json")]
    fn is_a_path(#[case] path: &str) {
        assert_eq!(path.parse::<ProfilePath>().unwrap().as_str(), path);
    }

    #[rstest]
    #[case("", "localhostProfile is empty: some kubelets run that unconfined")]
    #[case("  ", "localhostProfile is empty: some kubelets run that unconfined")]
    #[case(".", r#"localhostProfile "." names the seccomp directory itself"#)]
    #[case(".//", r#"localhostProfile ".//" names the seccomp directory itself"#)]
    #[case(
        "/etc/x.json",
        r#"localhostProfile "/etc/x.json" is absolute, it must be relative to the kubelet's seccomp directory"#
    )]
    #[case(
        "a/../b.json",
        r#"localhostProfile "a/../b.json" leaves the kubelet's seccomp directory with "..""#
    )]
    #[case(
        "./x.json",
        r#"localhostProfile "./x.json" is not in its shortest form, write "x.json""#
    )]
    #[case(
        "a//b.json",
        r#"localhostProfile "a//b.json" is not in its shortest form, write "a/b.json""#
    )]
    #[case("x.json/", r#"localhostProfile "x.json/" is not in its shortest form, write "x.json""#)]
    #[case(
        " x.json",
        r#"localhostProfile " x.json" begins or ends with a space or holds a control character"#
    )]
    #[case(
        "x\0.json",
        r#"localhostProfile "x\0.json" begins or ends with a space or holds a control character"#
    )]
    fn is_no_path(#[case] path: &str, #[case] why: &str) {
        assert_eq!(path.parse::<ProfilePath>().unwrap_err().to_string(), why);
    }
}
