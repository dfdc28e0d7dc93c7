//! Which clients may connect: those with a certificate of given CAs, and of given names.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use super::{
    files::{self, FileError},
    follow::{LastRead, Reload, every},
    provider,
};

type Verifier = Arc<dyn ClientCertVerifier>;

/// Accepts clients of the CAs that the file held last.
#[derive(Debug)]
pub(super) struct Clients {
    verifier: ArcSwap<Verifier>,
    /// A client certificate must have one of them; if there are none, every client of the CAs is
    /// accepted.
    names: Vec<String>,
}

/// The file of the CAs, and what it last held.
pub struct FollowClients {
    path: PathBuf,
    seen: LastRead<Vec<u8>>,
    clients: Arc<Clients>,
    interval: Duration,
}

impl Clients {
    /// Reads the CAs for the first time.
    pub(super) fn open(
        path: PathBuf,
        names: Vec<String>,
        interval: Duration,
    ) -> Result<(Arc<Self>, FollowClients), FileError> {
        let pem = files::read(&path)?;
        let verifier = ArcSwap::from_pointee(verifier(files::authorities(&path, &pem)?)?);
        let clients = Arc::new(Self { verifier, names });
        let seen = LastRead::new(pem);
        Ok((Arc::clone(&clients), FollowClients { path, seen, clients, interval }))
    }
}

impl FollowClients {
    /// Reads the file again and again, for ever; reports once per distinct content.
    ///
    /// Open connections stay open; the next handshake uses the new CAs.
    pub async fn run(mut self, report: impl Fn(Reload)) {
        let (path, interval) = (self.path.clone(), self.interval);
        every(
            interval,
            move || files::read(&path),
            |reading| {
                let Some(news) = self.seen.news(reading) else { return };
                let loaded = news.and_then(|it| verifier(files::authorities(&self.path, it)?));
                report(match loaded {
                    Ok(verifier) => {
                        self.clients.verifier.store(Arc::new(verifier));
                        tracing::info!(file = ?self.path, "client CAs reloaded");
                        Reload::Clients
                    }
                    Err(error) => {
                        let error: &(dyn std::error::Error + 'static) = &error;
                        tracing::error!(error, "client CAs not reloaded, the old ones stay");
                        Reload::Failed
                    }
                });
            },
        )
        .await;
    }
}

fn verifier(roots: RootCertStore) -> Result<Verifier, FileError> {
    Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider().into()).build()?)
}

/// Whether a certificate has one of these names, as a DNS name among its subject alternative names
/// or as its common name, compared exactly.
fn has_one_of(names: &[String], certificate: &X509Certificate<'_>) -> bool {
    let is_one = |it: &str| names.iter().any(|name| name == it);
    let mut common = certificate.subject().iter_common_name().filter_map(|it| it.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let mut alternative = alternative.iter().flat_map(|it| &it.value.general_names);
    common.any(is_one) || alternative.any(|it| matches!(it, GeneralName::DNSName(it) if is_one(it)))
}

impl ClientCertVerifier for Clients {
    /// Without hints a client sends the certificate that it has; hints would be those of the CAs at
    /// the start.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.load().verify_client_cert(end_entity, intermediates, now)?;
        if self.names.is_empty() {
            return Ok(verified);
        }
        let (_, certificate) = x509_parser::parse_x509_certificate(end_entity)
            .map_err(|_| CertificateError::BadEncoding)?;
        if has_one_of(&self.names, &certificate) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.load().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.load().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.load().supported_verify_schemes()
    }
}
