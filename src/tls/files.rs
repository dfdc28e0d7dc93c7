//! Certificates and keys in PEM files.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::OFlags;
use rustls::{
    Error, InconsistentKeys, RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::VerifierBuilderError,
    sign::CertifiedKey,
};

use super::provider;

/// How often a pair is read again if it changes meanwhile.
const ATTEMPTS: usize = 3;

/// A certificate chain has a few KB, and a bundle of all public CAs a quarter of this.
const LARGEST: u64 = 1024 * 1024;

/// A longer chain could not be used: clients in Go, such as the API server, read handshake messages
/// of up to 64 KiB (`maxHandshake` in crypto/tls; newer versions read more of a certificate).
const LONGEST_CHAIN: usize = 60 * 1024;

/// The two files of a serving certificate.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// The certificate and, after it, its chain.
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What the two files held at one time. It holds a private key, so it has no `Debug`.
#[derive(PartialEq, Eq)]
pub(super) struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {path:?}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path:?} is larger than {LARGEST} bytes, it cannot be a certificate or a key")]
    TooLarge { path: PathBuf },
    #[error("{path:?} is not PEM")]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{path:?} holds no certificate")]
    NoCertificate { path: PathBuf },
    #[error(
        "{path:?} holds certificates of more than {LONGEST_CHAIN} bytes, API servers read no such chain"
    )]
    LongChain { path: PathBuf },
    #[error("{path:?} holds no private key")]
    NoKey { path: PathBuf },
    #[error("{path:?} holds a certificate that cannot be read")]
    Certificate { path: PathBuf, source: Error },
    #[error("the key in {key:?} is not the one of the certificate in {certificate:?}")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the certificate in {certificate:?} cannot be served with the key in {key:?}")]
    Unusable { certificate: PathBuf, key: PathBuf, source: Error },
    #[error("cannot verify clients")]
    Clients(#[from] VerifierBuilderError),
}

impl Files {
    /// Reads both files as they were at one time.
    pub(super) fn read(&self) -> Result<Pair, FileError> {
        self.read_by(read)
    }

    /// If a volume is swapped between the two reads, they would pair an old certificate with a new
    /// key. So the certificate is read once more, and has then changed.
    fn read_by(
        &self,
        mut read: impl FnMut(&Path) -> Result<Vec<u8>, FileError>,
    ) -> Result<Pair, FileError> {
        let mut certificate = read(&self.certificate)?;
        for _ in 0..ATTEMPTS {
            let key = read(&self.key)?;
            let again = read(&self.certificate)?;
            if again == certificate {
                return Ok(Pair { certificate, key });
            }
            certificate = again;
        }
        // The files never stop changing: whether the two match is checked next.
        Ok(Pair { certificate, key: read(&self.key)? })
    }

    /// The identity that TLS serves with, if certificate and key match.
    pub(super) fn identity(&self, pair: &Pair) -> Result<CertifiedKey, FileError> {
        let chain = certificates(&self.certificate, &pair.certificate)?;
        if chain.iter().map(|it| it.len()).sum::<usize>() > LONGEST_CHAIN {
            return Err(FileError::LongChain { path: self.certificate.clone() });
        }
        let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|source| match source {
            pem::Error::NoItemsFound => FileError::NoKey { path: self.key.clone() },
            source => FileError::Pem { path: self.key.clone(), source },
        })?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(|source| {
            let Self { certificate, key } = self.clone();
            match source {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    FileError::Mismatch { certificate, key }
                }
                Error::InvalidCertificate(_) => {
                    FileError::Certificate { path: certificate, source }
                }
                source => FileError::Unusable { certificate, key, source },
            }
        })
    }
}

/// The CAs in the content of a file, at least one.
pub(super) fn authorities(path: &Path, pem: &[u8]) -> Result<RootCertStore, FileError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        store
            .add(certificate)
            .map_err(|source| FileError::Certificate { path: path.to_owned(), source })?;
    }
    Ok(store)
}

/// When the serving certificate expires.
///
/// An expiry that cannot be read counts as long past: a false alarm is better than none.
pub(super) fn not_after(identity: &CertifiedKey) -> SystemTime {
    identity
        .cert
        .first()
        .and_then(|it| x509_parser::parse_x509_certificate(it).ok())
        .map_or(UNIX_EPOCH, |(_, it)| it.validity().not_after.to_datetime().into())
}

/// Writes a public file so that a reader sees all of it or none.
///
/// A device, a pipe or a directory is not replaced: that is an error. A link to a file is replaced,
/// and its target stays as it was.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return Err(io::Error::other("it is there, and is no regular file"));
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let neighbour = path.with_added_extension("new");
    // A leftover of a writer that was killed. If it is a link, its target is not touched.
    let _ = fs::remove_file(&neighbour);
    File::create_new(&neighbour)?.write_all(text.as_bytes())?;
    fs::rename(&neighbour, path)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| FileError::Pem { path: path.to_owned(), source })?;
    if found.is_empty() {
        return Err(FileError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    // To open a pipe otherwise is to wait for its writer, and nothing is read again meanwhile.
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .and_then(|it| it.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > LARGEST {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::{fs::symlink, net::UnixListener},
        process::Command,
        sync::mpsc,
        thread,
    };

    use rcgen::{CertificateParams, KeyPair};
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    /// A self-signed certificate and its key.
    fn pem() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn load(directory: &TempDir, certificate: &str, key: &str) -> Result<CertifiedKey, FileError> {
        let at = |name| directory.path().join(name);
        let files = Files { certificate: at("tls.crt"), key: at("tls.key") };
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        files.identity(&files.read()?)
    }

    #[test]
    fn a_pair_can_be_served_until_its_certificate_ends() {
        let (certificate, key) = pem();
        let identity = load(&tempfile::tempdir().unwrap(), &certificate, &key).unwrap();
        assert!(not_after(&identity) > SystemTime::now());
    }

    #[rstest]
    #[case::nothing("", "KEY", "tls.crt\" holds no certificate")]
    #[case::only_a_key("KEY", "KEY", "tls.crt\" holds no certificate")]
    #[case::half_a_certificate("HALF", "KEY", "tls.crt\" is not PEM")]
    #[case::no_der("WRONG", "KEY", "tls.crt\" holds a certificate that cannot be read")]
    #[case::no_key("CERTIFICATE", "", "tls.key\" holds no private key")]
    #[case::certificate_for_a_key("CERTIFICATE", "CERTIFICATE", "tls.key\" holds no private key")]
    #[case::half_a_key("CERTIFICATE", "HALF", "tls.key\" is not PEM")]
    #[case::a_long_chain("LONG", "KEY", "tls.crt\" holds certificates of more than 61440 bytes")]
    #[case::anothers_key("CERTIFICATE", "OTHER", "tls.key\" is not the one of the certificate in")]
    fn an_error_names_the_file(
        #[case] certificate: &str,
        #[case] key: &str,
        #[case] expected: &str,
    ) {
        let (ours, its_key) = pem();
        let (_, other_key) = pem();
        let content = |word: &str| match word {
            "CERTIFICATE" => ours.clone(),
            "KEY" => its_key.clone(),
            "OTHER" => other_key.clone(),
            "LONG" => ours.repeat(61440 / 300),
            "HALF" => ours[..ours.len() / 2].to_owned(),
            "WRONG" => "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            word => word.to_owned(),
        };
        let directory = tempfile::tempdir().unwrap();
        let error = load(&directory, &content(certificate), &content(key)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn a_swap_between_two_reads_does_not_mix_old_and_new() {
        let files = Files { certificate: "tls.crt".into(), key: "tls.key".into() };
        let mut contents = ["old", "new key", "new", "new key", "new"].into_iter();
        let pair = files.read_by(|_| Ok(contents.next().unwrap().into())).unwrap();
        assert_eq!((pair.certificate, pair.key), (b"new".to_vec(), b"new key".to_vec()));
    }

    #[test]
    fn a_missing_file_is_named_in_the_error() {
        let missing = Path::new("/nowhere/tls.crt");
        let error = read(missing).unwrap_err();
        assert_eq!(error.to_string(), "cannot read \"/nowhere/tls.crt\"");
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || done.send(read(&pipe).unwrap()));
        assert_eq!(is_done.recv_timeout(std::time::Duration::from_mins(1)).expect("it waits"), b"");
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        let expected =
            "\"/dev/zero\" is larger than 1048576 bytes, it cannot be a certificate or a key";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_is_no_file_is_not_replaced_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = directory.path().join("link");
        symlink(&socket, &link).unwrap();
        for path in [socket.as_path(), &link, directory.path()] {
            let error = write(path, "authority").unwrap_err();
            assert_eq!(error.to_string(), "it is there, and is no regular file");
        }
        assert!(link.is_symlink());
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name| directory.path().join(name);
        fs::write(at("victim"), "precious").unwrap();
        symlink(at("victim"), at("ca.crt.new")).unwrap();
        write(&at("ca.crt"), "authority").unwrap();
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(at("ca.crt")).unwrap(), "authority");
    }
}
