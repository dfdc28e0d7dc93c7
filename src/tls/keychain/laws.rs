//! What holds whatever the replicas do when, and whoever meddles.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const DAY: Duration = Duration::from_hours(24);

const TIMES: Times = Times {
    ca_lifetime: Duration::from_hours(30 * 24),
    leaf_lifetime: Duration::from_hours(3 * 24),
    ca_introduction: Duration::from_mins(10),
};

/// How far the clocks of replicas are off, in seconds.
const SKEW: i64 = 120;

fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

#[derive(Clone, Debug)]
enum Act {
    /// A replica does the next part of its round: reads the configuration,
    /// reads the Secret, decides, writes.
    Go(usize),
    /// A replica does as much as there is to do.
    Work(usize),
    /// A replica cannot reach the API server.
    Alone(usize),
    Restart(usize),
    Pass(Duration),
    Meddle(Meddling),
}

#[derive(Clone, Debug)]
enum Meddling {
    Delete,
    Replace(Written),
    Damage(&'static str),
    Bundle,
}

/// A Secret as somebody wrote it; what failed is shown as text.
#[derive(Clone)]
struct Written(Data);

/// A version and a content, as the API server keeps them.
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

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, it)| (key, Named(it)))).finish()
    }
}

struct Named<'a>(&'a [u8]);

impl fmt::Debug for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0);
        let parts: Vec<_> = (0..POOL.len())
            .filter(|&it| text.contains(&POOL[it].pem()) || text == POOL[it].key_pem())
            .collect();
        write!(f, "{} bytes of {parts:?}", self.0.len())
    }
}

struct Replica {
    keychain: Keychain,
    skew: i64,
    bundle: Option<(Object<Vec<u8>>, Instant)>,
    secret: Option<Object<Option<Data>>>,
    /// What it is about to write.
    secret_write: Option<Data>,
    bundle_write: Option<String>,
}

struct World {
    start: Instant,
    elapsed: Duration,
    secret: Object<Option<Data>>,
    bundle: Object<Vec<u8>>,
    /// Since when the bundle holds each certificate without a break.
    known: Vec<(Certificate, Duration)>,
    /// What the bundle has ever held.
    published: Vec<Certificate>,
    /// What became current when there was nothing to wait with.
    unprepared: Vec<Certificate>,
    replicas: Vec<Replica>,
}

impl Replica {
    fn new(skew: i64) -> Self {
        let keychain = Keychain::new(TIMES, vec![], Arc::default()).unwrap();
        Self { keychain, skew, bundle: None, secret: None, secret_write: None, bundle_write: None }
    }

    fn signer(&self) -> Option<&Certificate> {
        self.keychain.served.as_ref().map(|it| &it.authority.certificate)
    }
}

impl World {
    fn new(skews: &[i64], secret: Option<Data>) -> Self {
        Self {
            start: Instant::now(),
            elapsed: Duration::ZERO,
            secret: Object { version: 0, content: secret },
            bundle: Object::default(),
            known: Vec::new(),
            published: Vec::new(),
            unprepared: Vec::new(),
            replicas: skews.iter().map(|&it| Replica::new(it)).collect(),
        }
    }

    fn wall(&self) -> SystemTime {
        epoch() + self.elapsed
    }

    fn moment(&self, replica: usize) -> Moment {
        let skew = self.replicas[replica].skew;
        let off = Duration::from_secs(skew.unsigned_abs());
        let wall = if skew < 0 { self.wall() - off } else { self.wall() + off };
        Moment { wall, steady: self.start + self.elapsed }
    }

    fn act(&mut self, act: &Act) {
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
                self.replicas[it].keychain.renew(now).unwrap();
            }
            Act::Restart(it) => {
                let it = it % self.replicas.len();
                self.replicas[it] = Replica::new(self.replicas[it].skew);
            }
            Act::Pass(time) => self.elapsed += *time,
            Act::Meddle(meddling) => self.meddle(meddling),
        }
    }

    fn act_all(&mut self, acts: &[Act]) {
        for act in acts {
            self.act(act);
        }
    }

    fn go(&mut self, index: usize) {
        let now = self.moment(index);
        let replica = &mut self.replicas[index];
        if let Some(data) = replica.secret_write.take() {
            let version = replica.secret.take().unwrap().version;
            replica.bundle = None;
            self.store(version, data);
        } else if let Some(bundle) = replica.bundle_write.take() {
            let version = replica.bundle.take().unwrap().0.version;
            replica.secret = None;
            self.publish(version, bundle);
        } else if replica.bundle.is_none() {
            replica.bundle = Some((self.bundle.clone(), now.steady));
        } else if replica.secret.is_none() {
            replica.secret = Some(self.secret.clone());
        } else {
            let (bundle, since) = replica.bundle.as_ref().unwrap();
            let secret = replica.secret.as_ref().unwrap().content.as_ref();
            let bundles = std::slice::from_ref(&bundle.content);
            let seen = Seen { secret, bundles: Some(bundles), since: *since };
            let advice = replica.keychain.advance(seen, now).unwrap();
            match advice.store {
                Some((_, data)) => replica.secret_write = Some(data),
                None if !advice.published => replica.bundle_write = Some(advice.bundle),
                None => (replica.bundle, replica.secret) = (None, None),
            }
        }
    }

    fn store(&mut self, version: usize, data: Data) {
        let current =
            |data: &Option<Data>| Certificate::all_in(data.as_ref()?.get("ca.crt")?).next();
        let before = current(&self.secret.content);
        if !self.secret.write(version, Some(data)) {
            return;
        }
        let after = current(&self.secret.content);
        // By the clock of some replica it had ended.
        let soon = self.wall() + Duration::from_secs(SKEW.unsigned_abs());
        if before.is_none_or(|it| it.term().has_ended(soon)) {
            self.unprepared.extend(after);
        }
    }

    fn publish(&mut self, version: usize, bundle: String) {
        if self.bundle.write(version, bundle.into_bytes()) {
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

    fn meddle(&mut self, meddling: &Meddling) {
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

    fn known_for(&self, certificate: &Certificate) -> Option<Duration> {
        let (_, since) = self.known.iter().find(|(it, _)| it == certificate)?;
        self.elapsed.checked_sub(*since)
    }

    /// Everybody finishes one round after another until nothing changes.
    fn settle(&mut self) {
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

    /// Every replica serves by the one authority that all clients know.
    fn check_settled(&self) {
        let data = self.secret.content.as_ref().expect("there is a Secret");
        let stored = Stored::read(data);
        let current = &stored.current.as_ref().expect("somebody signs").certificate;
        assert!(self.known_for(current).is_some(), "nobody knows who signs");
        for (index, replica) in self.replicas.iter().enumerate() {
            assert_eq!(replica.signer(), Some(current));
            let served = replica.keychain.served.as_ref().unwrap();
            assert!(served.leaf.holds(self.moment(index).wall));
            assert!(served.leaf.not_after <= current.term().not_after);
        }
    }
}

/// Authorities of all ages, and a certificate of none.
static POOL: LazyLock<Vec<Authority>> = LazyLock::new(|| {
    let lives = [(-60, 30), (-29, 30), (-25, 30), (-10, 30), (-1, 3000), (0, 30), (0, 1), (5, 30)];
    lives
        .into_iter()
        .map(|(born, days): (i64, u32)| {
            let off = DAY * u32::try_from(born.unsigned_abs()).unwrap();
            let born = if born < 0 { epoch() - off } else { epoch() + off };
            Authority::create(born, DAY * days).unwrap()
        })
        .collect()
});

/// Any content that the Secret could have.
fn data() -> impl Strategy<Value = Written> {
    let texts = |of: fn(&Authority) -> String| -> Vec<Option<Vec<u8>>> {
        let leaf = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let odd = [None, Some(vec![]), Some(leaf.to_vec()), Some(vec![0xff; 20])];
        POOL.iter().map(|it| Some(of(it).into_bytes())).chain(odd).collect()
    };
    let certificate = || select(texts(Authority::pem));
    let pair = || {
        let pairs = (0..POOL.len())
            .map(|it| (Some(POOL[it].pem().into_bytes()), Some(POOL[it].key_pem().into_bytes())));
        let mixed = (certificate(), select(texts(Authority::key_pem)));
        prop_oneof![3 => select(pairs.collect::<Vec<_>>()), 2 => mixed]
    };
    (pair(), pair(), vec(certificate(), 0..4)).prop_map(|(current, next, previous)| {
        let previous: Vec<u8> = previous.into_iter().flatten().flatten().collect();
        let entries = [
            ("ca.crt", current.0),
            ("ca.key", current.1),
            ("next.crt", next.0),
            ("next.key", next.1),
            ("previous.crt", Some(previous).filter(|it| !it.is_empty())),
        ];
        let entries = entries.into_iter();
        Written(entries.filter_map(|(name, it)| Some((name.to_owned(), it?))).collect())
    })
}

fn skews() -> impl Strategy<Value = Vec<i64>> {
    vec(-SKEW..=SKEW, 2..=3)
}

fn act() -> impl Strategy<Value = Act> {
    let time = select(vec![
        Duration::from_secs(1),
        Duration::from_mins(4),
        TIMES.ca_introduction,
        TIMES.ca_introduction,
        DAY,
        7 * DAY,
        20 * DAY,
        20 * DAY,
    ]);
    prop_oneof![
        8 => (0_usize..3).prop_map(Act::Go),
        8 => (0_usize..3).prop_map(Act::Work),
        1 => (0_usize..3).prop_map(Act::Alone),
        1 => (0_usize..3).prop_map(Act::Restart),
        6 => time.prop_map(Act::Pass),
    ]
}

fn meddling() -> impl Strategy<Value = Act> {
    let keys = vec!["ca.crt", "ca.key", "next.crt", "next.key", "previous.crt"];
    let meddling = prop_oneof![
        Just(Meddling::Delete),
        data().prop_map(Meddling::Replace),
        select(keys).prop_map(Meddling::Damage),
        Just(Meddling::Bundle),
    ];
    meddling.prop_map(Act::Meddle)
}

proptest! {
    /// From whatever is stored, and whenever anybody looks.
    #[test]
    fn every_stored_state_leads_to_a_leaf_that_clients_know(
        skews in skews(),
        stored in data(),
        later in vec(act(), 0..40),
    ) {
        let mut world = World::new(&skews, Some(stored.0));
        world.settle();
        world.check_settled();
        world.act_all(&later);
        world.settle();
        world.check_settled();
    }

    /// Nobody meddles: then no client ever meets a stranger.
    #[test]
    fn nobody_signs_before_everybody_knows_him(skews in skews(), acts in vec(act(), 20..100)) {
        let mut world = World::new(&skews, None);
        for act in &acts {
            let before: Vec<_> = world.replicas.iter().map(|it| it.signer().cloned()).collect();
            world.act(act);
            for (index, replica) in world.replicas.iter().enumerate() {
                let Some(signer) = replica.signer() else { continue };
                let known = world.known_for(signer);
                let unprepared = world.unprepared.contains(signer);
                if before[index].as_ref() != Some(signer) {
                    prop_assert!(unprepared || known >= Some(TIMES.ca_introduction), "too early");
                }
                let in_force = replica.keychain.served.as_ref().unwrap().leaf.holds(world.wall());
                let new = unprepared && !world.published.contains(signer);
                prop_assert!(!in_force || new || known.is_some(), "dropped too early");
            }
        }
        world.settle();
        world.check_settled();
    }

    /// Whatever is done to Secret and bundle, they heal.
    #[test]
    fn what_was_meddled_with_heals(
        skews in skews(),
        acts in vec(prop_oneof![8 => act(), 1 => meddling()], 0..100),
    ) {
        let mut world = World::new(&skews, None);
        world.act_all(&acts);
        world.settle();
        world.check_settled();
    }

    /// A replica that remembers never serves what clients did not know before.
    #[test]
    fn meddling_with_the_secret_makes_no_stranger_sign(
        skews in skews(),
        before in vec(act(), 0..60),
        meddling in data(),
        order in vec(0_usize..3, 0..60),
    ) {
        let mut world = World::new(&skews, None);
        world.act_all(&before);
        world.settle();
        world.meddle(&Meddling::Replace(meddling));
        let known: Vec<_> = world.known.iter().map(|(it, _)| it.clone()).collect();
        for replica in order {
            world.act(&Act::Go(replica));
            for replica in &world.replicas {
                prop_assert!(known.contains(replica.signer().expect("it has settled")));
            }
        }
        world.settle();
        world.check_settled();
    }
}
