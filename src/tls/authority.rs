//! An authority of our own, for when nobody brings a certificate.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::{
    pki_types::{DnsName, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

use super::provider;

/// How long the authority is valid, and with it all that it signs.
///
/// Both live in memory and die with the process, which nobody leaves running
/// for a year.
const LIFETIME: Duration = Duration::from_hours(365 * 24);

/// How far the clock of a client may be behind ours.
const BACKDATED: Duration = Duration::from_mins(5);

/// The names under which the webhook is reached: from the same machine, and as
/// the API server verifies a service (`<name>.<namespace>.svc`).
const NAMES: [&str; 5] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "callgate.callgate-system.svc",
    "callgate.callgate-system.svc.cluster.local",
];

/// A certificate authority whose key never leaves the process.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    not_after: SystemTime,
}

/// Why there is no certificate of our own.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("{0:?} is neither a host name nor an address")]
    Name(String),
    #[error("cannot sign")]
    Sign(#[from] rcgen::Error),
    #[error("cannot use what was signed")]
    Use(#[from] rustls::Error),
}

impl Authority {
    /// An authority with a new key, valid from `now` on.
    pub(super) fn create(now: SystemTime) -> Result<Self, AuthorityError> {
        let not_after = now + LIFETIME;
        let mut params = CertificateParams::default();
        // It signs servers, never other authorities.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named("callgate authority");
        params.not_before = (now - BACKDATED).into();
        params.not_after = not_after.into();
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key()?)?, not_after })
    }

    /// Its certificate, for clients to trust and the API server's `caBundle`.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a serving certificate with a new key, for the names of the
    /// service and `more`; it ends when the authority does.
    pub(super) fn issue(
        &self,
        more: &[String],
        now: SystemTime,
    ) -> Result<CertifiedKey, AuthorityError> {
        let names = NAMES.into_iter().chain(more.iter().map(String::as_str));
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.map(san).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name = named("callgate");
        params.not_before = (now - BACKDATED).into();
        params.not_after = self.not_after.into();
        let key = key()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(CertifiedKey::from_der(vec![certificate.into()], key, &provider())?)
    }
}

fn key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn san(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || AuthorityError::Name(name.to_owned());
    DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(|_| refused())?;
    Ok(SanType::DnsName(name.try_into().map_err(|_| refused())?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::{ServerName, UnixTime},
    };

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + 20_000 * DAY
    }

    /// What a client makes of the certificate that trusts the authority.
    fn verify(more: &[&str], name: &str, at: SystemTime) -> Result<(), rustls::Error> {
        let authority = Authority::create(now()).unwrap();
        let more: Vec<_> = more.iter().map(|&it| it.to_owned()).collect();
        let issued = authority.issue(&more, now()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer.der().clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider().into())
            .build()
            .unwrap();
        let name = ServerName::try_from(name).unwrap();
        let since_1970 = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let at = UnixTime::since_unix_epoch(since_1970);
        verifier.verify_server_cert(&issued.cert[0], &[], &name, &[], at).map(drop)
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
        assert_eq!(verify(&more, name, now()), Ok(()));
    }

    #[test]
    fn nobody_else_is_impersonated() {
        assert!(verify(&[], "example.com", now()).is_err());
    }

    #[test]
    fn it_is_valid_for_a_year_and_for_clocks_that_are_behind() {
        let minute = Duration::from_mins(1);
        let valid = |at| verify(&[], "localhost", at).is_ok();
        assert!(valid(now() - 4 * minute));
        assert!(!valid(now() - 6 * minute));
        assert!(valid(now() + 365 * DAY - minute));
        assert!(!valid(now() + 365 * DAY + minute));
    }

    #[test]
    fn the_authority_signs_servers_and_no_authorities() {
        let authority = Authority::create(now()).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(authority.issuer.der()).unwrap();
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
    fn refuses_what_is_no_name(#[case] name: &str) {
        let authority = Authority::create(now()).unwrap();
        let error = authority.issue(&[name.to_owned()], now()).unwrap_err();
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}
