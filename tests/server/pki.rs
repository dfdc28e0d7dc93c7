//! Certificates for servers and clients, made for one test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

/// Somebody else's authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("a new key can sign"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn issue(&self, name: &str) -> Issued {
        let key = key();
        let certificate = CertificateParams::new([name.to_owned()])
            .and_then(|it| it.signed_by(&key, &self.0))
            .expect("an authority can sign");
        Issued { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.into() }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is enough entropy")
}
