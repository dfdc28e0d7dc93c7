//! Properties of the rotation, for any order of the replicas' steps and any change by other
//! clients.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    simulation::{Act, DAY, ForeignData, LIFETIMES, Meddling, SKEW, World, epoch},
    *,
};

/// CAs of all ages, and a certificate that is not a CA's.
static POOL: LazyLock<Vec<CertificateAuthority>> = LazyLock::new(|| {
    let lives = [(-60, 30), (-29, 30), (-25, 30), (-10, 30), (-1, 3000), (0, 30), (0, 1), (5, 30)];
    lives
        .into_iter()
        .map(|(born, days): (i64, u32)| {
            let off = DAY * u32::try_from(born.unsigned_abs()).unwrap();
            let born = if born < 0 { epoch() - off } else { epoch() + off };
            CertificateAuthority::create(born, DAY * days).unwrap()
        })
        .collect()
});

impl fmt::Debug for ForeignData {
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

/// Any content that the Secret could have.
fn data() -> impl Strategy<Value = ForeignData> {
    let texts = |of: fn(&CertificateAuthority) -> String| -> Vec<Option<Vec<u8>>> {
        let leaf = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let odd = [None, Some(vec![]), Some(leaf.to_vec()), Some(vec![0xff; 20])];
        POOL.iter().map(|it| Some(of(it).into_bytes())).chain(odd).collect()
    };
    let certificate = || select(texts(CertificateAuthority::pem));
    let pair = || {
        let pairs = (0..POOL.len())
            .map(|it| (Some(POOL[it].pem().into_bytes()), Some(POOL[it].key_pem().into_bytes())));
        let mixed = (certificate(), select(texts(CertificateAuthority::key_pem)));
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
        ForeignData(entries.filter_map(|(name, it)| Some((name.to_owned(), it?))).collect())
    })
}

/// Clocks, as the number of seconds by which they are ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// The clock of the API server that the replica talks to.
    pub(super) theirs: i64,
    /// The replica's own clock.
    pub(super) own: i64,
}

impl Clocks {
    pub(super) fn agree(self) -> bool {
        (self.own - self.theirs).abs() <= 300
    }
}

/// The clock of an API server, and that of a replica with that difference.
fn clocks(off: impl Strategy<Value = i64>) -> impl Strategy<Value = Clocks> {
    (-SKEW..=SKEW, off).prop_map(|(theirs, off)| Clocks { theirs, own: theirs + off })
}

/// The clocks of two or three replicas. One may be years off, and one is right.
fn all_clocks() -> impl Strategy<Value = Vec<Clocks>> {
    const DAYS: i64 = 86_400;
    let wrong =
        vec![600, -600, DAYS, -DAYS, 40 * DAYS, 366 * DAYS, -366 * DAYS, 3660 * DAYS, -3660 * DAYS];
    let sound = || clocks(-300..=300_i64);
    let any = prop_oneof![1 => sound(), 1 => clocks(select(wrong))];
    (sound(), vec(any, 1..=2)).prop_map(|(sound, mut all)| {
        all.push(sound);
        all
    })
}

fn act() -> impl Strategy<Value = Act> {
    let time = select(vec![
        Duration::from_secs(1),
        Duration::from_mins(4),
        LIFETIMES.ca_introduction,
        LIFETIMES.ca_introduction,
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
    /// For any stored content, and any times of the replicas' rounds.
    #[test]
    fn every_stored_state_leads_to_a_leaf_that_clients_know(
        clocks in all_clocks(),
        stored in data(),
        later in vec(act(), 0..40),
    ) {
        let mut world = World::new(&clocks, Some(stored.0));
        world.settle();
        world.check_settled();
        world.act_all(&later);
        world.settle();
        world.check_settled();
    }

    /// Without changes by other clients, no client ever gets a certificate of a CA that it does not
    /// know.
    #[test]
    fn no_ca_signs_before_it_was_published_for_the_introduction_time(clocks in all_clocks(), acts in vec(act(), 20..100)) {
        let mut world = World::new(&clocks, None);
        for act in &acts {
            let before: Vec<_> = world.replicas.iter().map(|it| it.signer().cloned()).collect();
            world.act(act);
            for (index, replica) in world.replicas.iter().enumerate() {
                let Some(signer) = replica.signer() else { continue };
                let known = world.known_for(signer);
                let unprepared = world.unprepared.contains(signer);
                if before[index].as_ref() != Some(signer) {
                    prop_assert!(unprepared || known >= Some(LIFETIMES.ca_introduction), "too early");
                }
                let in_force = replica.signer.served.as_ref().unwrap().leaf.holds(world.wall());
                let new = unprepared && !world.published.contains(signer);
                prop_assert!(!in_force || new || known.is_some(), "dropped too early");
            }
        }
        world.settle();
        world.check_settled();
    }

    /// Secret and bundle are repaired after any change.
    #[test]
    fn a_damaged_secret_or_ca_bundle_is_repaired(
        clocks in all_clocks(),
        acts in vec(prop_oneof![8 => act(), 1 => meddling()], 0..100),
    ) {
        let mut world = World::new(&clocks, None);
        world.act_all(&acts);
        world.settle();
        world.check_settled();
    }

    /// A replica that has a CA in memory never serves a certificate of a CA that clients did not
    /// know before.
    #[test]
    fn meddling_with_the_secret_makes_no_stranger_sign(
        clocks in all_clocks(),
        before in vec(act(), 0..60),
        meddling in data(),
        order in vec(0_usize..3, 0..60),
    ) {
        let mut world = World::new(&clocks, None);
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
