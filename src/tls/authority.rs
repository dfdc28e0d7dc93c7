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
pub struct Authority {
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
    pub fn create(now: SystemTime) -> Result<Self, AuthorityError> {
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
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a serving certificate with a new key, for the names of the
    /// service and `more`; it ends when the authority does.
    pub fn issue(&self, more: &[String], now: SystemTime) -> Result<CertifiedKey, AuthorityError> {
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
