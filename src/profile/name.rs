//! Names of `SeccompProfile` objects.

use std::{fmt, str::FromStr};

/// The name of a `SeccompProfile`: a DNS subdomain (RFC 1123) of at most 63
/// characters, since it is the name part of a node label,
/// `profile.callgate.dev/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(String);

/// The error for a text that is no valid name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be the name of an object, expected at most 63 lower case letters, digits, \
     hyphens and dots, between letters and digits"
)]
pub struct InvalidName(String);

impl ObjectName {
    const LONGEST: usize = 63;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        if name.len() <= Self::LONGEST && is_subdomain(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidName(name.to_owned()))
        }
    }
}

/// Whether a text is a DNS subdomain (RFC 1123), of any length: what the API
/// server accepts as a name of most objects.
pub fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_long_label)
}

/// Whether a text is a DNS label (RFC 1123), of at most 63 characters.
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_long_label(text)
}

fn is_long_label(label: &str) -> bool {
    let solid = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let ends = [label.bytes().next(), label.bytes().next_back()];
    let inside = label.bytes().all(|it| solid(it) || it == b'-');
    inside && ends.iter().all(|it| it.is_some_and(solid))
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_key_of_a_label_can_end_with() {
        let longest = "x".repeat(63);
        for good in ["web", "block-mkdir", "7", "nginx-1.25", "a.b-c.d", &longest] {
            assert_eq!(good.parse::<ObjectName>().map(|it| it.to_string()), Ok(good.to_owned()));
        }
        let too_long = "x".repeat(64);
        for bad in [
            "", "-", "Web", "a_b", "-a", "a-", ".a", "a.", "a..b", "a.-b", "ä", "a/b", " a",
            &too_long,
        ] {
            assert_eq!(bad.parse::<ObjectName>(), Err(InvalidName(bad.to_owned())));
        }
    }
}
