//! What the Secret of the authority holds, and what a step makes of it.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use super::rotation::Step;
use crate::tls::{CaError, Certificate, CertificateAuthority, Validity};

/// The data of a Secret: private keys among them, so nothing shows it.
pub(super) type SecretData = BTreeMap<String, Vec<u8>>;

/// Who signs; the names are those that people expect in a Secret.
const CURRENT: Names = Names { certificate: "ca.crt", key: "ca.key" };
/// Who will sign.
const NEXT: Names = Names { certificate: "next.crt", key: "next.key" };
/// Who signed: certificates alone.
const PREVIOUS: &str = "previous.crt";

/// How many old certificates are kept.
///
/// A rotation leaves one. More come from accidents, and a Secret that grew
/// with each of them could some day not be written any more.
const MOST: usize = 8;

/// How many bytes there is room for in a Secret (`MaxSecretSize` in
/// pkg/apis/core/types.go).
const ROOM: usize = 1024 * 1024;

struct Names {
    certificate: &'static str,
    key: &'static str,
}

/// The authorities that could be read from a Secret.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub(super) current: Option<Arc<CertificateAuthority>>,
    pub(super) next: Option<Arc<CertificateAuthority>>,
    /// Every other certificate that could be read, wherever it was.
    pub(super) previous: Vec<Certificate>,
    /// What somebody else keeps in the Secret: not ours to drop.
    others: SecretData,
    /// Why there is no current authority, if the Secret means to hold one.
    pub(super) trouble: Option<Arc<CaError>>,
}

impl Stored {
    /// Reads what can be read; certificates without a fitting key, or that may
    /// not sign for `names`, stay in the bundle.
    pub(super) fn read(data: &SecretData, names: &[String]) -> Self {
        let mut others = data.clone();
        let mut take = |name: &str| others.remove(name).unwrap_or_default();
        let mut stored = Self::default();
        let mut previous = Vec::new();
        for (keys, place) in [(CURRENT, &mut stored.current), (NEXT, &mut stored.next)] {
            let (certificate, key) = (take(keys.certificate), take(keys.key));
            match CertificateAuthority::load(&certificate, &key, names) {
                Ok(authority) => *place = Some(Arc::new(authority)),
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

    /// What is to be in the Secret, and how much of what others keep there is
    /// not in it, because there is no room left: the smallest stay.
    pub(super) fn write(&self) -> (SecretData, usize) {
        let mut data = SecretData::new();
        for (names, place) in [(CURRENT, &self.current), (NEXT, &self.next)] {
            if let Some(authority) = place {
                data.insert(names.certificate.to_owned(), authority.pem().into());
                data.insert(names.key.to_owned(), authority.key_pem().into());
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

    /// What clients have to trust: a function of the Secret alone, so that no
    /// two replicas differ about it, whatever their clocks say.
    pub(super) fn bundle(&self) -> String {
        self.certificates().map(Certificate::pem).collect()
    }

    pub(super) fn holds(&self, certificate: &Certificate) -> bool {
        self.certificates().any(|it| it == certificate)
    }

    fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let authorities = self.current.iter().chain(&self.next).map(|it| &it.certificate);
        authorities.chain(&self.previous)
    }

    /// What the Secret holds after a step; `served` is who signed what is served.
    pub(super) fn after(
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
        // Retiring is but this; the other steps have no reason to keep more.
        self.previous.retain(|it| !is_over(it.validity()));
        if self.next.as_ref().is_some_and(|it| is_over(it.certificate.validity())) {
            self.next = None;
        }
        self.previous.truncate(MOST);
        Ok(self)
    }

    /// Gives back its place to the authority of what is served.
    ///
    /// A stranger that outlives it is introduced like any successor; so nobody
    /// has to trust it earlier than a successor of our own.
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

    fn keep_all(
        &mut self,
        authorities: impl IntoIterator<Item = Option<Arc<CertificateAuthority>>>,
    ) {
        for authority in authorities.into_iter().flatten() {
            self.keep(authority.certificate.clone());
        }
    }

    /// Adds a certificate to those that verify, the longest valid first.
    fn keep(&mut self, certificate: Certificate) {
        if !self.holds(&certificate) {
            self.previous.push(certificate);
            self.previous.sort_by_key(|it| Reverse(it.validity().not_after));
        }
    }
}
