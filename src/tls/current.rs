//! The certificate that new connections get.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// The certificate that the next handshake will present; without one it fails.
///
/// Handshakes load a pointer and renewal stores one: open connections keep the certificate they
/// started with.
#[derive(Debug, Default)]
pub struct Current(ArcSwapOption<CertifiedKey>);

impl Current {
    pub fn new(identity: CertifiedKey) -> Self {
        Self(ArcSwapOption::from_pointee(identity))
    }

    pub fn renew(&self, identity: CertifiedKey) {
        self.0.store(Some(Arc::new(identity)));
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}
