//! A CA that callgate generates or loads, and the certificates that it signs.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{DnsName, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::VerifierBuilderError,
    sign::CertifiedKey,
};

use super::{
    certificate::{Certificate, Validity},
    provider,
};

/// How long before now the validity of a certificate begins.
///
/// A client that verifies it may be five minutes behind the replica that signs, and that replica
/// five minutes behind another API server. An hour also covers an API server with a wrong clock. It
/// is no risk: no certificate can exist that is older than its key.
pub(crate) const BACKDATED: Duration = Duration::from_hours(1);

/// The names under which the webhook is called: from the same machine, and as the API server
/// verifies a Service (`<name>.<namespace>.svc`) in the namespace of the manifests.
const NAMES: [&str; 5] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "callgate.callgate-system.svc",
    "callgate.callgate-system.svc.cluster.local",
];

/// A CA with its key. Only the certificate is ever printed.
pub(crate) struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: Certificate,
}

/// A serving certificate with its key, and how long it is valid.
pub(crate) struct Leaf {
    pub(crate) identity: CertifiedKey,
    pub(crate) validity: Validity,
}

/// Why there is no CA or certificate of our own.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
    #[error("no certificate of a CA")]
    NoCertificate,
    #[error("no private key")]
    NoKey(#[source] rcgen::Error),
    #[error("cannot sign")]
    Sign(#[from] rcgen::Error),
    #[error("cannot use what was signed")]
    Use(#[from] rustls::Error),
    #[error("cannot verify with it")]
    Verify(#[from] VerifierBuilderError),
}

impl CertificateAuthority {
    /// Creates a CA with a new key, valid from `now` on.
    pub(crate) fn create(now: SystemTime, lifetime: Duration) -> Result<Self, CaError> {
        let mut params = CertificateParams::default();
        // It signs serving certificates, never other CAs.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named("callgate authority");
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + lifetime).into();
        let key = key()?;
        let certificate = params.self_signed(&key)?;
        let certificate =
            Certificate::of(certificate.der().clone()).ok_or(CaError::NoCertificate)?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Loads a stored CA, if it can sign certificates that clients accept, for `names` and for
    /// those of the Service.
    ///
    /// This is tested by signing and verifying: certificate and key may belong to different CAs,
    /// may be of a kind that we cannot sign with, or may not be allowed to sign for our names.
    pub(crate) fn load(certificate: &[u8], key: &[u8], names: &[String]) -> Result<Self, CaError> {
        let certificate = Certificate::all_in(certificate).next().ok_or(CaError::NoCertificate)?;
        let key = KeyPair::from_pem(&String::from_utf8_lossy(key)).map_err(CaError::NoKey)?;
        let issuer = Issuer::from_ca_cert_der(certificate.der(), key)?;
        let authority = Self { issuer, certificate };
        authority.prove(names)?;
        Ok(authority)
    }

    /// Its certificate, for clients and for the API server's `caBundle`.
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Signs a serving certificate with a new key, for the names of the Service and `more`. It
    /// expires at `end`, or with the CA if that is earlier.
    pub(crate) fn issue(
        &self,
        more: &[String],
        now: SystemTime,
        end: SystemTime,
    ) -> Result<Leaf, CaError> {
        let validity = Validity {
            not_before: now - BACKDATED,
            not_after: end.min(self.certificate.validity().not_after),
        };
        let more = more.iter().map(String::as_str).filter(|it| !NAMES.contains(it));
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            NAMES.into_iter().chain(more).map(san).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name = named("callgate");
        params.not_before = validity.not_before.into();
        params.not_after = validity.not_after.into();
        let key = key()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let identity = CertifiedKey::from_der(vec![certificate.into()], key, &provider())?;
        Ok(Leaf { identity, validity })
    }

    /// Signs a certificate for our names and `more`, and verifies it as a client does, for every
    /// name.
    fn prove(&self, more: &[String]) -> Result<(), CaError> {
        let end = self.certificate.validity().not_after;
        let leaf = self.issue(more, end, end)?;
        self.verify(&leaf.identity, NAMES[0], end)
    }

    /// Verifies a certificate as a client that trusts this CA only.
    fn verify(&self, identity: &CertifiedKey, name: &str, at: SystemTime) -> Result<(), CaError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone())?;
        let provider = Arc::new(provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build()?;
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| CaError::Name(name.to_owned()))?;
        let since_1970 = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(since_1970);
        let leaf = identity.end_entity_cert()?;
        Ok(verifier.verify_server_cert(leaf, &[], &server, &[], at).map(drop)?)
    }
}

/// Whether a certificate can be for these names.
pub(crate) fn check(names: &[String]) -> Result<(), CaError> {
    names.iter().try_for_each(|it| san(it).map(drop))
}

fn key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn san(name: &str) -> Result<SanType, CaError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || CaError::Name(name.to_owned());
    DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(|_| refused())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| refused())?))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use rstest::rstest;
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + 20_000 * DAY
    }

    fn authority() -> CertificateAuthority {
        CertificateAuthority::create(now(), 365 * DAY).unwrap()
    }

    /// Whether a client accepts a certificate for three hundred days.
    fn verify(more: &[&str], name: &str, at: SystemTime) -> bool {
        let authority = authority();
        let more: Vec<_> = more.iter().map(|&it| it.to_owned()).collect();
        let leaf = authority.issue(&more, now(), now() + 300 * DAY).unwrap();
        authority.verify(&leaf.identity, name, at).is_ok()
    }

    #[rstest]
    #[case("localhost")]
    #[case("127.0.0.1")]
    #[case("::1")]
    #[case("callgate.callgate-system.svc")]
    #[case("callgate.callgate-system.svc.cluster.local")]
    #[case::asked_for("gate.example.com")]
    #[case::address_asked_for("10.1.2.3")]
    #[case::below_a_wildcard("a.example.org")]
    fn a_client_knows_the_server_as(#[case] name: &str) {
        let more = ["gate.example.com", "10.1.2.3", "*.example.org"];
        assert!(verify(&more, name, now()));
    }

    #[test]
    fn a_repeated_name_is_in_the_certificate_once() {
        let again = NAMES.map(str::to_owned);
        let leaf = authority().issue(&again, now(), now() + DAY).unwrap();
        let der = leaf.identity.end_entity_cert().unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), NAMES.len());
    }

    #[test]
    fn a_certificate_is_not_valid_for_other_names() {
        assert!(!verify(&[], "example.com", now()));
    }

    #[test]
    fn a_leaf_is_valid_as_long_as_asked_and_for_clocks_that_are_behind() {
        let minute = Duration::from_mins(1);
        let valid = |at| verify(&[], "localhost", at);
        assert!(valid(now() - 60 * minute));
        assert!(!valid(now() - 61 * minute));
        assert!(valid(now() + 300 * DAY - minute));
        assert!(!valid(now() + 300 * DAY + minute));
    }

    #[test]
    fn a_leaf_expires_with_its_ca_at_the_latest() {
        let leaf = authority().issue(&[], now(), now() + 366 * DAY).unwrap();
        assert_eq!(leaf.validity.not_after, now() + 365 * DAY);
        assert_eq!(super::super::files::not_after(&leaf.identity), leaf.validity.not_after);
    }

    #[test]
    fn the_ca_signs_only_server_certificates() {
        let authority = authority();
        let der = authority.certificate.der();
        let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign());
        assert!(!usage.value.digital_signature());
    }

    #[rstest]
    #[case::blank("not a name")]
    #[case::empty("")]
    #[case::not_ascii("b\u{fc}cher.example")]
    #[case::with_port("localhost:8443")]
    fn rejects_invalid_names(#[case] name: &str) {
        let error = authority().issue(&[name.to_owned()], now(), now() + DAY).err().unwrap();
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }

    #[test]
    fn what_was_stored_signs_as_before() {
        let first = authority();
        let again = load(&first.pem(), &first.key_pem(), &[]).unwrap();
        assert_eq!(again.certificate, first.certificate);
        let leaf = again.issue(&[], now(), now() + DAY).unwrap();
        first.verify(&leaf.identity, "localhost", now()).unwrap();
    }

    fn load(certificate: &str, key: &str, names: &[&str]) -> Result<CertificateAuthority, CaError> {
        let names: Vec<_> = names.iter().map(|&it| it.to_owned()).collect();
        CertificateAuthority::load(certificate.as_bytes(), key.as_bytes(), &names)
    }

    /// A CA certificate changed by the test, and its key.
    fn foreign(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = key().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_ca_from_another_tool_can_be_used() {
        let (certificate, key) = foreign(|it| it.distinguished_name = named("our company"));
        load(&certificate, &key, &[]).unwrap();
    }

    /// One name that is not allowed makes the certificate invalid for all names.
    #[test]
    fn a_ca_must_be_allowed_to_sign_the_requested_names() {
        let (certificate, key) = foreign(|it| {
            it.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![],
                excluded_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".to_owned())],
            });
        });
        assert!(load(&certificate, &key, &["gate.example.org"]).is_ok());
        assert!(load(&certificate, &key, &["gate.example.org", "gate.example.com"]).is_err());
    }

    /// Verifiers do not check the signature of a CA that they trust, so the bytes can be changed.
    fn with_negative_serial(pem: &str) -> String {
        let mut der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
        let serial = x509_parser::parse_x509_certificate(&der).unwrap().1.raw_serial().to_vec();
        let at = der.windows(serial.len()).position(|it| it == serial).unwrap();
        der[at] |= 0x80;
        let base64 = STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn rejects_a_ca_that_cannot_sign_for_us() {
        let (ours, its_key) = foreign(|_| ());
        let (_, other_key) = foreign(|_| ());
        let (leaf, leaf_key) = foreign(|it| it.is_ca = IsCa::NoCa);
        let (narrow, narrow_key) = foreign(|it| {
            it.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".to_owned())],
                excluded_subtrees: vec![],
            });
        });
        let (may_not, its_own) =
            foreign(|it| it.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
        let (clients, their_key) =
            foreign(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        let (directory, its_names) = foreign(|it| {
            let named = rcgen::GeneralSubtree::DirectoryName(named("callgate"));
            it.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![named],
                excluded_subtrees: vec![],
            });
        });
        let (negative, its_serial) = foreign(|_| ());
        let negative = with_negative_serial(&negative);
        for (case, certificate, key) in [
            ("for clients alone", &*clients, &*their_key),
            ("for names of a kind that Go does not know", &directory, &its_names),
            ("of a negative number", &negative, &its_serial),
            ("nothing", "", ""),
            ("no key", &ours, ""),
            ("no certificate", "", &its_key),
            ("half a certificate", &ours[..ours.len() / 2], &its_key),
            ("half a key", &ours, &its_key[..its_key.len() / 2]),
            ("exchanged", &its_key, &ours),
            ("another's key", &ours, &other_key),
            ("no authority", &leaf, &leaf_key),
            ("not for our names", &narrow, &narrow_key),
            ("not for signing", &may_not, &its_own),
            ("binary", "\u{0}\u{1}", "\u{0}\u{1}"),
        ] {
            assert!(load(certificate, key, &[]).is_err(), "{case}: it can sign");
        }
    }
}
