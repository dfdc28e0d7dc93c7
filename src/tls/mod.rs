//! Presents the current certificate, and requires client certificates if configured.

mod ca;
mod certificate;
mod clients;
mod config;
mod current;
mod files;
mod follow;

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use clap::Args;
use rustls::{ServerConfig, sign::CertifiedKey};

pub use self::{
    ca::CaError,
    clients::FollowClients,
    config::{install, server_config},
    current::Current,
    files::FileError,
    follow::{Follow, Reload},
};
pub(crate) use self::{
    ca::{CertificateAuthority, check},
    certificate::{Certificate, Validity},
};
use self::{clients::Clients, config::provider, files::Files};
use crate::duration;

/// How long the CA of a single process is valid, and so the certificates that it signs.
///
/// Both are kept in memory only, and no process is expected to run for a year.
const LIFETIME: Duration = Duration::from_hours(365 * 24);

/// Where the certificate comes from, and which clients may connect.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct Tls {
    /// Serving certificate and its chain, PEM; reloaded when the file changes
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "CALLGATE_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the serving certificate, PEM; reloaded when the file changes
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "CALLGATE_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Interval between checks of the certificate, key and client CA files for changes
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration::positive,
        env = "CALLGATE_TLS_RELOAD_INTERVAL"
    )]
    pub tls_reload_interval: Duration,

    /// CA certificates, PEM: require of every client a certificate that one of them signed; reloaded
    /// when the file changes
    #[arg(long, value_name = "FILE", env = "CALLGATE_CLIENT_CA")]
    pub client_ca: Option<PathBuf>,

    /// DNS name or common name that a client certificate must have; if repeated, one of the names
    /// suffices
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        requires = "client_ca",
        env = "CALLGATE_CLIENT_NAME"
    )]
    pub client_name: Vec<String>,

    /// Generate a CA and a serving certificate in memory, and write the CA certificate to this file
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert", env = "CALLGATE_CA_OUT")]
    pub ca_out: Option<PathBuf>,

    /// Further DNS name or IP address in the serving certificate that callgate generates
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with = "tls_cert",
        env = "CALLGATE_TLS_SAN"
    )]
    pub tls_san: Vec<String>,
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot make a certificate")]
    CertificateAuthority(#[from] CaError),
    #[error("cannot write the CA to {path:?}")]
    CaOut { path: PathBuf, source: io::Error },
    #[error("cannot configure TLS")]
    Config(#[from] rustls::Error),
}

/// What the flags configure, opened.
pub struct Opened {
    pub config: ServerConfig,
    pub identity: Identity,
    /// Watches the CAs of clients, if client certificates are required.
    pub clients: Option<FollowClients>,
}

/// The certificate, or what it will be.
pub enum Identity {
    Here {
        /// When the current certificate expires.
        not_after: SystemTime,
        /// Watches the files; `None` for a certificate that callgate generated.
        follow: Option<Follow>,
    },
    /// The caller will store it in `current`, for these names and those of the Service.
    ToCome { current: Arc<Current>, names: Vec<String> },
}

// === impl Tls ===

impl Tls {
    /// Whether the flags name neither certificate files nor a CA of this process alone: in a
    /// cluster, all replicas then share a CA.
    pub fn is_self_managed(&self) -> bool {
        self.tls_cert.is_none() && self.ca_out.is_none()
    }

    /// Prepares TLS for a certificate that is stored later.
    pub fn await_identity(self) -> Result<Opened, TlsError> {
        let (verifier, clients) = self.clients()?.unzip();
        let current = Arc::new(Current::default());
        let config = server_config(Arc::clone(&current), verifier.map(|it| it as _))?;
        let identity = Identity::ToCome { current, names: self.tls_san };
        Ok(Opened { config, identity, clients })
    }

    /// Loads the certificate, or generates one that is valid from `now` on.
    pub fn open(self, now: SystemTime) -> Result<Opened, TlsError> {
        let (verifier, clients) = self.clients()?.unzip();
        let Self { tls_cert, tls_key, tls_reload_interval, ca_out, tls_san, .. } = self;
        let (identity, seen) = match tls_cert.zip(tls_key) {
            Some((certificate, key)) => {
                let files = Files { certificate, key };
                let pair = files.read()?;
                (files.identity(&pair)?, Some((files, pair)))
            }
            None => (issue(ca_out, &tls_san, now)?, None),
        };
        let not_after = files::not_after(&identity);
        let current = Arc::new(Current::new(identity));
        let config = server_config(Arc::clone(&current), verifier.map(|it| it as _))?;
        let follow =
            seen.map(|(files, pair)| Follow::new(files, pair, current, tls_reload_interval));
        Ok(Opened { config, identity: Identity::Here { not_after, follow }, clients })
    }

    /// Which clients may connect, and the watch of the file of their CAs.
    fn clients(&self) -> Result<Option<(Arc<Clients>, FollowClients)>, FileError> {
        let Self { client_ca, client_name, tls_reload_interval, .. } = self;
        let open = |path| Clients::open(path, client_name.clone(), *tls_reload_interval);
        client_ca.clone().map(open).transpose()
    }
}

fn issue(
    ca_out: Option<PathBuf>,
    names: &[String],
    now: SystemTime,
) -> Result<CertifiedKey, TlsError> {
    let authority = CertificateAuthority::create(now, LIFETIME)?;
    if let Some(path) = ca_out {
        files::write(&path, &authority.pem()).map_err(|source| TlsError::CaOut { path, source })?;
    }
    Ok(authority.issue(names, now, now + LIFETIME)?.identity)
}

// === impl Current ===

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        tls: Tls,
    }

    fn parse(flags: &[&str]) -> Result<Tls, String> {
        let words = ["callgate"].into_iter().chain(flags.iter().copied());
        Flags::try_parse_from(words).map(|it| it.tls).map_err(|it| it.to_string())
    }

    #[rstest]
    #[case::certificate_without_key(&["--tls-cert=tls.crt"], "--tls-key")]
    #[case::key_without_certificate(&["--tls-key=tls.key"], "--tls-cert")]
    #[case::authority_of_given_files(&["--tls-cert=c", "--tls-key=k", "--ca-out=o"], "--ca-out")]
    #[case::names_for_given_files(&["--tls-cert=c", "--tls-key=k", "--tls-san=n"], "--tls-san")]
    #[case::names_of_nobodys_clients(&["--client-name=kube-apiserver"], "--client-ca")]
    #[case::no_unit(&["--tls-reload-interval=5"], "expected a duration such as")]
    #[case::without_a_pause(&["--tls-reload-interval=0s"], "expected a duration longer than 0")]
    fn refuses(#[case] flags: &[&str], #[case] expected: &str) {
        let error = parse(flags).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn files_are_looked_at_every_five_seconds() {
        assert_eq!(parse(&[]).unwrap().tls_reload_interval, Duration::from_secs(5));
    }

    #[test]
    fn the_ca_certificate_is_written_to_the_file_for_clients() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dev/ca.crt");
        let mut tls = parse(&[]).unwrap();
        tls.ca_out = Some(path.clone());
        let opened = tls.open(SystemTime::now()).unwrap();
        assert!(matches!(opened.identity, Identity::Here { follow: None, .. }));
        let pem = std::fs::read(&path).unwrap();
        assert_eq!(files::authorities(&path, &pem).unwrap().len(), 1);
    }
}
