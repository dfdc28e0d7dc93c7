//! The names of the cluster's profiles on a node.

use std::fmt;

use crate::profile::is_subdomain;

/// The name of a `SeccompProfile` that is safe as a file name: the file stays inside its directory,
/// and is not hidden, as our own notes are.
///
/// The API server allows no other names, except longer ones; names from the network are checked
/// anyway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

const SUFFIX: &str = ".json";

/// `NAME_MAX` of Linux, less the suffix.
const LONGEST: usize = 255 - SUFFIX.len();

impl Name {
    /// Reads the name of an object; `None` if no file can have it.
    pub fn parse(name: &str) -> Option<Self> {
        (is_subdomain(name) && name.len() <= LONGEST).then(|| Self(name.to_owned()))
    }

    /// The name of the profile that a file in our directory belongs to.
    pub fn of_file(file: &str) -> Option<Self> {
        Self::parse(file.strip_suffix(SUFFIX)?)
    }

    /// The name of the file in our directory.
    pub fn file(&self) -> String {
        format!("{}{SUFFIX}", self.0)
    }

    /// The path that a pod uses.
    pub fn path(&self) -> String {
        format!("{}/{}", super::OWN, self.file())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("web")]
    #[case("web.v2-3")]
    #[case("0")]
    fn is_a_name(#[case] name: &str) {
        let name = Name::parse(name).unwrap();
        assert_eq!(Name::of_file(&name.file()), Some(name.clone()));
        assert!(name.path().parse::<crate::profile::ProfilePath>().is_ok());
    }

    #[rstest]
    #[case::nothing("")]
    #[case::hidden(".new-0")]
    #[case::up("..")]
    #[case::a_directory("a/b")]
    #[case::climbs("../../etc/passwd")]
    #[case::upper_case("Web")]
    #[case::ends_with_a_dot("web.")]
    #[case::a_line_feed("web\n")]
    #[case::a_zero("web\0")]
    #[case::an_empty_label("a..b")]
    #[case::longer_than_a_file_name(&"a".repeat(251))]
    fn is_no_name(#[case] name: &str) {
        assert_eq!(Name::parse(name), None);
    }
}
