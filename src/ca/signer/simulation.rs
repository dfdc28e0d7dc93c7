//! A simulated cluster: replicas act in any order, and other clients change the objects.

use super::{laws::Clocks, *};

pub(super) const DAY: Duration = Duration::from_hours(24);

pub(super) const LIFETIMES: Lifetimes = Lifetimes {
    ca_lifetime: Duration::from_hours(30 * 24),
    leaf_lifetime: Duration::from_hours(3 * 24),
    ca_introduction: Duration::from_mins(10),
};

/// How far the clocks of API servers may be off, in seconds.
pub(super) const SKEW: i64 = 300;

pub(super) fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A replica does the next part of its round: reads the configuration, reads the Secret,
    /// decides, or writes.
    Go(usize),
    /// A replica finishes its round.
    Work(usize),
    /// A replica cannot reach the API server.
    Alone(usize),
    Restart(usize),
    Pass(Duration),
    Meddle(Meddling),
}

#[derive(Clone, Debug)]
pub(super) enum Meddling {
    Delete,
    Replace(ForeignData),
    Damage(&'static str),
    Bundle,
}

/// The data of a Secret that another client wrote. Failed cases show it as text.
#[derive(Clone)]
pub(super) struct ForeignData(pub(super) SecretData);

/// A content with its version, as the API server stores it.
#[derive(Clone, Default)]
struct Object<T> {
    version: usize,
    content: T,
}

impl<T> Object<T> {
    /// Compare and swap.
    fn write(&mut self, version: usize, content: T) -> bool {
        let current = version == self.version;
        if current {
            *self = Self { version: version + 1, content };
        }
        current
    }
}

pub(super) struct Replica {
    pub(super) signer: ReplicaSigner,
    clocks: Clocks,
    bundle: Option<(Object<Vec<u8>>, Instant)>,
    secret: Option<(Object<Option<SecretData>>, ServerTime)>,
    /// The data that it is about to write.
    secret_write: Option<SecretData>,
    bundle_write: Option<String>,
}

pub(super) struct World {
    start: Instant,
    elapsed: Duration,
    secret: Object<Option<SecretData>>,
    bundle: Object<Vec<u8>>,
    /// Since when the bundle has held each certificate without a break.
    pub(super) known: Vec<(Certificate, Duration)>,
    /// All certificates that the bundle has ever held.
    pub(super) published: Vec<Certificate>,
    /// CAs that began to sign at once, since no other CA could sign meanwhile.
    pub(super) unprepared: Vec<Certificate>,
    pub(super) replicas: Vec<Replica>,
}

impl Replica {
    pub(super) fn new(clocks: Clocks) -> Self {
        Self {
            signer: ReplicaSigner::new(LIFETIMES, vec![], Arc::default()).unwrap(),
            clocks,
            bundle: None,
            secret: None,
            secret_write: None,
            bundle_write: None,
        }
    }

    pub(super) fn signer(&self) -> Option<&Certificate> {
        self.signer.served.as_ref().map(|it| &it.ca.certificate)
    }
}

impl World {
    pub(super) fn new(clocks: &[Clocks], secret: Option<SecretData>) -> Self {
        Self {
            start: Instant::now(),
            elapsed: Duration::ZERO,
            secret: Object { version: 0, content: secret },
            bundle: Object::default(),
            known: Vec::new(),
            published: Vec::new(),
            unprepared: Vec::new(),
            replicas: clocks.iter().map(|&it| Replica::new(it)).collect(),
        }
    }

    pub(super) fn wall(&self) -> SystemTime {
        epoch() + self.elapsed
    }

    /// What a clock shows that is ahead by that many seconds.
    fn shown(&self, ahead: i64) -> SystemTime {
        let off = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { self.wall() - off } else { self.wall() + off }
    }

    fn moment(&self, replica: usize) -> LocalTime {
        let wall = self.shown(self.replicas[replica].clocks.own);
        LocalTime { wall, monotonic: self.start + self.elapsed }
    }

    fn reading(&self, replica: usize) -> ServerTime {
        let now = self.start + self.elapsed;
        let date = self.shown(self.replicas[replica].clocks.theirs);
        ServerTime { date, sent: now, received: now }
    }

    pub(super) fn act(&mut self, act: &Act) {
        match act {
            Act::Go(it) => self.go(it % self.replicas.len()),
            Act::Work(it) => {
                for _ in 0..16 {
                    self.go(it % self.replicas.len());
                }
            }
            Act::Alone(it) => {
                let it = it % self.replicas.len();
                let now = self.moment(it);
                self.replicas[it].signer.renew(now).unwrap();
            }
            Act::Restart(it) => {
                let it = it % self.replicas.len();
                self.replicas[it] = Replica::new(self.replicas[it].clocks);
            }
            Act::Pass(time) => self.elapsed += *time,
            Act::Meddle(meddling) => self.meddle(meddling),
        }
    }

    pub(super) fn act_all(&mut self, acts: &[Act]) {
        for act in acts {
            self.act(act);
        }
    }

    fn go(&mut self, index: usize) {
        let (now, reading) = (self.moment(index), self.reading(index));
        let replica = &mut self.replicas[index];
        if let Some(data) = replica.secret_write.take() {
            let version = replica.secret.take().unwrap().0.version;
            replica.bundle = None;
            self.store(version, data);
        } else if let Some(bundle) = replica.bundle_write.take() {
            let version = replica.bundle.take().unwrap().0.version;
            replica.secret = None;
            self.publish(version, bundle);
        } else if replica.bundle.is_none() {
            replica.bundle = Some((self.bundle.clone(), now.monotonic));
        } else if replica.secret.is_none() {
            replica.secret = Some((self.secret.clone(), reading));
        } else {
            let (bundle, since) = replica.bundle.as_ref().unwrap();
            let (secret, clock) = replica.secret.as_ref().unwrap();
            let secret = secret.content.as_ref();
            let bundles = std::slice::from_ref(&bundle.content);
            let seen = Observed { secret, bundles: Some(bundles), since: *since, clock: *clock };
            let Decision { write, published, .. } = replica.signer.advance(seen, now).unwrap();
            let (store, bundle) = write.map_or((None, None), |it| (it.store, Some(it.bundle)));
            if let Some((_, data)) = store {
                assert!(replica.clocks.agree(), "it writes by a wrong clock");
                replica.secret_write = Some(data);
            } else {
                replica.bundle_write = bundle.filter(|_| !published);
                if replica.bundle_write.is_none() {
                    (replica.bundle, replica.secret) = (None, None);
                }
            }
        }
    }

    fn store(&mut self, version: usize, data: SecretData) {
        let current =
            |data: &Option<SecretData>| Certificate::all_in(data.as_ref()?.get("ca.crt")?).next();
        let before = current(&self.secret.content);
        if !self.secret.write(version, Some(data)) {
            return;
        }
        let after = current(&self.secret.content);
        // Some API server's clock may have shown that it had expired.
        let soon = self.wall() + Duration::from_secs(SKEW.unsigned_abs());
        if before.is_none_or(|it| it.validity().has_ended(soon)) {
            self.unprepared.extend(after);
        }
    }

    fn publish(&mut self, version: usize, bundle: String) {
        // A write that changes nothing leaves the resource version as it is.
        if self.bundle.content != bundle.as_bytes()
            && self.bundle.write(version, bundle.into_bytes())
        {
            self.look_at_bundle();
        }
    }

    fn look_at_bundle(&mut self) {
        let held: Vec<_> = Certificate::all_in(&self.bundle.content).collect();
        self.known.retain(|(it, _)| held.contains(it));
        for certificate in held {
            if !self.published.contains(&certificate) {
                self.published.push(certificate.clone());
            }
            if !self.known.iter().any(|(it, _)| *it == certificate) {
                self.known.push((certificate, self.elapsed));
            }
        }
    }

    pub(super) fn meddle(&mut self, meddling: &Meddling) {
        let version = self.secret.version;
        match meddling {
            Meddling::Delete => drop(self.secret.write(version, None)),
            Meddling::Replace(data) => drop(self.secret.write(version, Some(data.0.clone()))),
            Meddling::Damage(key) => {
                let mut data = self.secret.content.clone().unwrap_or_default();
                data.insert((*key).to_owned(), b"-----BEGIN NONSENSE-----".to_vec());
                self.secret.write(version, Some(data));
            }
            Meddling::Bundle => {
                self.bundle.write(self.bundle.version, Vec::new());
                self.look_at_bundle();
            }
        }
    }

    pub(super) fn known_for(&self, certificate: &Certificate) -> Option<Duration> {
        let (_, since) = self.known.iter().find(|(it, _)| it == certificate)?;
        self.elapsed.checked_sub(*since)
    }

    /// Every replica finishes one round after another until nothing changes.
    pub(super) fn settle(&mut self) {
        for _ in 0..10 {
            let before = (self.secret.version, self.bundle.version);
            for index in 0..self.replicas.len() {
                for _ in 0..8 {
                    self.go(index);
                }
            }
            let idle = self.replicas.iter().all(|it| it.secret_write.is_none());
            if idle && before == (self.secret.version, self.bundle.version) {
                return;
            }
        }
        panic!("they never agree");
    }

    /// Every replica serves a leaf of the one CA that all clients trust.
    pub(super) fn check_settled(&self) {
        let data = self.secret.content.as_ref().expect("there is a Secret");
        let stored = Stored::read(data, &[]);
        let current = &stored.current.as_ref().expect("somebody signs").certificate;
        assert!(self.known_for(current).is_some(), "nobody knows who signs");
        for replica in &self.replicas {
            let time = self.shown(replica.clocks.theirs);
            // No replica ran for so long that the CA has just expired, but only by the clock of
            // this API server. The successor is promoted by a replica that may write and sees the
            // same clock.
            if !replica.clocks.agree() && current.validity().has_ended(time) {
                continue;
            }
            assert_eq!(replica.signer(), Some(current));
            let served = replica.signer.served.as_ref().unwrap();
            assert!(served.leaf.holds(time));
            assert!(served.leaf.not_after <= current.validity().not_after);
        }
    }
}
