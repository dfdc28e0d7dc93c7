//! The catalog: all known profiles at one moment.

use std::collections::BTreeMap;

use crate::{
    profile::{Defect, Digest, Managed, ProfilePath},
    spelling,
};

/// Every known profile with its defect, if it has one.
///
/// A catalog is immutable: a change of the profiles leads to a new catalog in
/// the next snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    profiles: BTreeMap<ProfilePath, Option<Defect>>,
    /// The profiles that agents install on every node, with the digests of their files.
    managed: BTreeMap<ProfilePath, Option<Digest>>,
}

impl FromIterator<(ProfilePath, Option<Defect>)> for Catalog {
    fn from_iter<I: IntoIterator<Item = (ProfilePath, Option<Defect>)>>(profiles: I) -> Self {
        Self { profiles: profiles.into_iter().collect(), managed: BTreeMap::new() }
    }
}

impl Catalog {
    /// Looks up the profile at `path`: `None` if it is unknown, `Some(None)` if
    /// it has no defect. Compares whole paths (S3).
    pub fn get(&self, path: &ProfilePath) -> Option<Option<&Defect>> {
        self.profiles.get(path).map(Option::as_ref)
    }

    /// Adds profiles that agents install on every node. They replace entries with
    /// the same path.
    #[must_use]
    pub fn with_managed(
        mut self,
        profiles: impl IntoIterator<Item = (ProfilePath, Managed)>,
    ) -> Self {
        for (path, Managed { defect, digest }) in profiles {
            self.managed.insert(path.clone(), digest);
            self.profiles.insert(path, defect);
        }
        self
    }

    /// Whether agents install it on every node.
    pub fn is_managed(&self, path: &ProfilePath) -> bool {
        self.managed.contains_key(path)
    }

    /// What a file at `path` has to be, if agents install it.
    pub fn current(&self, path: &ProfilePath) -> Option<Digest> {
        *self.managed.get(path)?
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ProfilePath, Option<&Defect>)> {
        self.profiles.iter().map(|(path, defect)| (path, defect.as_ref()))
    }

    pub fn len(&self) -> usize {
        self.profiles.len()
    }

    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// The profile to suggest for a path that is not in the catalog: one without
    /// a defect and with the same file name, else the one nearest in spelling.
    pub fn closest(&self, path: &ProfilePath) -> Option<&ProfilePath> {
        let sound = || self.iter().filter(|(_, defect)| defect.is_none()).map(|(path, _)| path);
        if let Some(moved) = sound().find(|it| it.file_name() == path.file_name()) {
            return Some(moved);
        }
        let near = spelling::nearest(path.as_str(), sound().map(ProfilePath::as_str))?;
        sound().find(|it| it.as_str() == near)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_letter_missing("blok-mkdir.json", Some("block-mkdir.json"))]
    #[case::letters_swapped("blokc-mkdir.json", Some("block-mkdir.json"))]
    #[case::the_wrong_directory("profiles/nginx.json", Some("apps/nginx.json"))]
    #[case::another_case("Block-Mkdir.json", Some("block-mkdir.json"))]
    #[case::something_else("redis.json", None)]
    #[case::a_hollow_one_is_no_advice("audit.jsn", None)]
    fn closest(#[case] wanted: &str, #[case] expected: Option<&str>) {
        let hollow = Defect::Hollow(crate::profile::Hollow::Disabled { misspelt: None });
        let catalog: Catalog = [
            ("block-mkdir.json".parse().unwrap(), None),
            ("apps/nginx.json".parse().unwrap(), None),
            ("audit.json".parse().unwrap(), Some(hollow)),
        ]
        .into_iter()
        .collect();
        let found = catalog.closest(&wanted.parse().unwrap()).map(ProfilePath::as_str);
        assert_eq!(found, expected);
    }
}
