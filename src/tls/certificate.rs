//! The fields of a CA certificate that a client verifies.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use pem::{EncodeConfig, LineEnding, Pem};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, GeneralSubtree, NameConstraints},
};

/// In bytes; a larger certificate is not accepted.
///
/// Ten certificates of some hundred bytes are usual. Even ten of this size fit into the four
/// bundles of a configuration, whose object holds 1.5 MiB.
const LARGEST: usize = 8 * 1024;

/// When the validity of a certificate begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

/// A CA certificate, which verifies the certificates that the CA signed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    validity: Validity,
}

impl Certificate {
    /// Reads a certificate; `None` unless it is a CA certificate for servers, of usual size.
    pub(crate) fn of(der: CertificateDer<'static>) -> Option<Self> {
        if der.len() > LARGEST {
            return None;
        }
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
        let constraints = certificate.basic_constraints().ok()??.value;
        let may_sign = match certificate.key_usage().ok()? {
            Some(usage) => usage.value.key_cert_sign(),
            None => true,
        };
        let validity = certificate.validity();
        let at = |it: x509_parser::time::ASN1Time| {
            u64::try_from(it.timestamp())
                .ok()
                .and_then(|it| UNIX_EPOCH.checked_add(std::time::Duration::from_secs(it)))
        };
        let not_before = at(validity.not_before).unwrap_or(UNIX_EPOCH);
        let not_after = at(validity.not_after).unwrap_or(UNIX_EPOCH);
        let is_authority = constraints.ca && may_sign && is_usable_by_go(&certificate)?;
        is_authority.then_some(Self { der, validity: Validity { not_before, not_after } })
    }

    /// The CA certificates in a PEM text, up to the first malformed one.
    pub(crate) fn all_in(pem: &[u8]) -> impl Iterator<Item = Self> {
        CertificateDer::pem_slice_iter(pem).map_while(Result::ok).filter_map(Self::of)
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) fn pem(&self) -> String {
        let unix = EncodeConfig::new().set_line_ending(LineEnding::LF);
        pem::encode_config(&Pem::new("CERTIFICATE", self.der.as_ref()), unix)
    }
}

/// Whether the API server accepts certificates that this CA signs. Go requires more of a CA than
/// webpki does: a serial number that is not negative, server authentication among its extended key
/// usages if it has any, and no critical name constraint of a kind that Go does not know
/// (`parseCertificate`, `isValid` and `Verify` in crypto/x509).
fn is_usable_by_go(certificate: &X509Certificate<'_>) -> Option<bool> {
    let is_negative = certificate.raw_serial().first().is_some_and(|it| it & 0x80 != 0);
    let signs_servers = certificate
        .extended_key_usage()
        .ok()?
        .is_none_or(|it| it.value.any || it.value.server_auth);
    let names = certificate.name_constraints().ok()?;
    let names_are_known = names.is_none_or(|it| !it.critical || are_known_to_go(it.value));
    Some(!is_negative && signs_servers && names_are_known)
}

fn are_known_to_go(names: &NameConstraints<'_>) -> bool {
    let subtrees = [&names.permitted_subtrees, &names.excluded_subtrees];
    subtrees.into_iter().flatten().flatten().all(|GeneralSubtree { base }| {
        matches!(
            base,
            GeneralName::DNSName(_)
                | GeneralName::IPAddress(_)
                | GeneralName::RFC822Name(_)
                | GeneralName::URI(_)
        )
    })
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.validity).finish()
    }
}

impl Validity {
    pub(crate) fn holds(self, now: SystemTime) -> bool {
        self.not_before <= now && !self.has_ended(now)
    }

    pub(crate) fn has_ended(self, now: SystemTime) -> bool {
        now >= self.not_after
    }
}
