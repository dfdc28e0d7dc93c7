//! How the rules for one call affect each other.

/// How one rule affects another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::profile) enum Clash {
    /// The winning rule has fewer conditions and replaces the losing one.
    Swallowed,
    /// Neither has conditions, and libseccomp keeps the first.
    Overruled,
    /// An earlier rule has the same conditions, or more, and another action:
    /// libseccomp rejects the profile.
    Conflicting,
}
