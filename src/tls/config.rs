//! What rustls may negotiate.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

use super::{Current, TlsError};

/// TLS 1.2 and 1.3, and HTTP/1.1 only.
///
/// The API server uses nothing newer for webhooks, so HTTP/2 would only widen the attack surface.
/// With `clients` given, the handshake fails for a client that they do not accept.
pub fn server_config(
    current: Arc<Current>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, TlsError> {
    let verifies_clients = clients.is_some();
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(current);
    if verifies_clients {
        // A resumed session is not verified again: it would outlive the CA by which its client was
        // accepted.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Installs our provider for libraries that use the default one, such as kube's client.
pub fn install() {
    // If one is installed already, it is the same.
    let _ = provider().install_default();
}

/// Passed explicitly everywhere: rustls panics if dependencies link in two providers and it has to
/// choose.
pub(super) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
