//! Fingerprints by which a platform recognises a finding although its line has moved.

use std::{collections::BTreeMap, fmt::Write};

use aws_lc_rs::digest::{SHA256, digest};

use super::Diagnostic;

/// The name of the way in which fingerprints are computed; another way has another name.
pub(super) const NAME: &str = "callgate/v1";

/// The fingerprints that were given out, with how often.
#[derive(Default)]
pub(super) struct Fingerprints(BTreeMap<Vec<u8>, usize>);

impl Fingerprints {
    /// The fingerprint of a finding: of its topic, its identity and, if several have the same ones,
    /// its number among these.
    pub(super) fn of(&mut self, found: &Diagnostic) -> String {
        let mut text = Vec::new();
        for it in [found.topic.id].into_iter().chain(found.identity.iter().map(String::as_str)) {
            text.extend_from_slice(it.as_bytes());
            text.push(0);
        }
        if found.identity.is_empty() {
            text.extend_from_slice(found.place.file().as_bytes());
            text.push(0);
            text.extend_from_slice(found.field.as_bytes());
        }
        let number = self.0.entry(text.clone()).or_default();
        *number += 1;
        if *number > 1 {
            text.extend_from_slice(number.to_string().as_bytes());
        }
        let digest = digest(&SHA256, &text);
        let mut hex = String::new();
        for byte in digest.as_ref().iter().take(16) {
            write!(hex, "{byte:02x}").expect("a string takes everything");
        }
        hex
    }
}
