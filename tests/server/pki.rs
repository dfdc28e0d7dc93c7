//! Certificates for servers and clients, made for one test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

/// Another CA.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("a new key can sign"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a DNS name.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.sign(name, &CertificateParams::new([name.to_owned()]).expect("it is a DNS name"))
    }

    /// For a common name.
    pub(crate) fn issue_to(&self, name: &str) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(name, &params)
    }

    fn sign(&self, name: &str, params: &CertificateParams) -> Issued {
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a CA can sign");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            name: name.to_owned(),
            der: certificate.into(),
        }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is enough entropy")
}
