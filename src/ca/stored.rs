//! The content of the Secret of the CA, and its change by a step.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use super::rotation::Step;
use crate::tls::{CaError, Certificate, CertificateAuthority, Validity};

/// The data of a Secret. It contains private keys: never log it.
pub(super) type SecretData = BTreeMap<String, Vec<u8>>;

/// The keys of the CA that signs.
const CURRENT: Names = Names { certificate: "ca.crt", key: "ca.key" };
/// The keys of the successor.
const NEXT: Names = Names { certificate: "next.crt", key: "next.key" };
/// The key of certificates of CAs that signed before.
const PREVIOUS: &str = "previous.crt";

/// The largest number of old certificates.
///
/// A rotation leaves one. Each loss of a key leaves another, and a Secret that grew with each loss
/// would become too large to be written.
const MOST: usize = 8;

/// The largest size of a Secret's data, in bytes (`MaxSecretSize` in pkg/apis/core/types.go).
const ROOM: usize = 1024 * 1024;

struct Names {
    certificate: &'static str,
    key: &'static str,
}

/// The CAs that could be read from a Secret.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub(super) current: Option<Arc<CertificateAuthority>>,
    pub(super) next: Option<Arc<CertificateAuthority>>,
    /// All other CA certificates that could be read, under any of the keys.
    pub(super) previous: Vec<Certificate>,
    /// Keys that are not ours; they stay while there is room.
    others: SecretData,
    /// Why the Secret has no CA that signs.
    pub(super) trouble: Option<Arc<CaError>>,
}

impl Stored {
    /// Reads the CAs of a Secret. A certificate without its key, or that must not sign for `names`,
    /// stays in the bundle.
    pub(super) fn read(data: &SecretData, names: &[String]) -> Self {
        let mut others = data.clone();
        let mut take = |name: &str| others.remove(name).unwrap_or_default();
        let mut stored = Self::default();
        let mut previous = Vec::new();
        for (keys, place) in [(CURRENT, &mut stored.current), (NEXT, &mut stored.next)] {
            let (certificate, key) = (take(keys.certificate), take(keys.key));
            match CertificateAuthority::load(&certificate, &key, names) {
                Ok(ca) => *place = Some(Arc::new(ca)),
                Err(error) => {
                    previous.extend(Certificate::all_in(&certificate));
                    if keys.key == CURRENT.key {
                        stored.trouble = Some(Arc::new(error));
                    }
                }
            }
        }
        previous.extend(Certificate::all_in(&take(PREVIOUS)));
        for certificate in previous {
            stored.keep(certificate);
        }
        stored.previous.truncate(MOST);
        stored.others = others;
        stored
    }

    /// The data of the Secret, and the number of foreign keys that are left out because there is no
    /// room: the smallest stay.
    pub(super) fn write(&self) -> (SecretData, usize) {
        let mut data = SecretData::new();
        for (names, place) in [(CURRENT, &self.current), (NEXT, &self.next)] {
            if let Some(ca) = place {
                data.insert(names.certificate.to_owned(), ca.pem().into());
                data.insert(names.key.to_owned(), ca.key_pem().into());
            }
        }
        if !self.previous.is_empty() {
            let pem: String = self.previous.iter().map(Certificate::pem).collect();
            data.insert(PREVIOUS.to_owned(), pem.into());
        }
        let mut taken: usize = data.values().map(Vec::len).sum();
        let mut others: Vec<_> = self.others.iter().collect();
        others.sort_by_key(|(_, it)| it.len());
        let fit = others.iter().take_while(|(_, it)| {
            taken += it.len();
            taken <= ROOM
        });
        let fit: SecretData = fit.map(|&(name, it)| (name.clone(), it.clone())).collect();
        let left_out = others.len() - fit.len();
        data.extend(fit);
        (data, left_out)
    }

    /// The `caBundle`: all certificates of the Secret. It depends on nothing else, so replicas agree
    /// on it even if their clocks differ.
    pub(super) fn bundle(&self) -> String {
        self.certificates().map(Certificate::pem).collect()
    }

    pub(super) fn holds(&self, certificate: &Certificate) -> bool {
        self.certificates().any(|it| it == certificate)
    }

    fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let cas = self.current.iter().chain(&self.next).map(|it| &it.certificate);
        cas.chain(&self.previous)
    }

    /// The content after a step. `served` is the CA of the serving certificate.
    pub(super) fn apply(
        mut self,
        step: Step,
        served: Option<&Arc<CertificateAuthority>>,
        is_over: impl Fn(Validity) -> bool,
        fresh: impl FnOnce() -> Result<CertificateAuthority, CaError>,
    ) -> Result<Self, CaError> {
        match step {
            Step::Create => {
                let retired = [self.current.replace(Arc::new(fresh()?)), self.next.take()];
                self.keep_all(retired);
            }
            Step::Introduce => {
                let failed = self.next.replace(Arc::new(fresh()?));
                self.keep_all([failed]);
            }
            Step::Promote => {
                let retired = std::mem::replace(&mut self.current, self.next.take());
                self.keep_all([retired]);
            }
            Step::Restore => self.restore(served.cloned()),
            Step::Retire | Step::Rest => {}
        }
        // This is all that Step::Retire does; the other steps do it as well.
        self.previous.retain(|it| !is_over(it.validity()));
        if self.next.as_ref().is_some_and(|it| is_over(it.certificate.validity())) {
            self.next = None;
        }
        self.previous.truncate(MOST);
        Ok(self)
    }

    /// Makes the CA of the serving certificate the one that signs.
    ///
    /// A CA found in its place becomes the successor if it ends later, and is then published for
    /// `--ca-introduction` like a successor of our own.
    fn restore(&mut self, served: Option<Arc<CertificateAuthority>>) {
        let Some(served) = served else { return };
        let certificate = served.certificate.clone();
        let displaced = self.current.replace(served);
        let (heir, retired) = match (displaced, self.next.take()) {
            (Some(it), next)
                if it.certificate.validity().not_after > certificate.validity().not_after =>
            {
                (Some(it), next)
            }
            (displaced, next) => (next, displaced),
        };
        self.next = heir.filter(|it| it.certificate != certificate);
        self.keep_all([retired]);
        self.previous.retain(|it| *it != certificate);
    }

    fn keep_all(&mut self, cas: impl IntoIterator<Item = Option<Arc<CertificateAuthority>>>) {
        for ca in cas.into_iter().flatten() {
            self.keep(ca.certificate.clone());
        }
    }

    /// Adds a certificate to the bundle. Those that end last come first.
    fn keep(&mut self, certificate: Certificate) {
        if !self.holds(&certificate) {
            self.previous.push(certificate);
            self.previous.sort_by_key(|it| Reverse(it.validity().not_after));
        }
    }
}
