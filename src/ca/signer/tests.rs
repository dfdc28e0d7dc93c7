use rstest::rstest;

use super::*;
use crate::clock::Agreement;

const DAY: Duration = Duration::from_hours(24);

const LIFETIMES: Lifetimes = Lifetimes {
    ca_lifetime: Duration::from_hours(30 * 24),
    leaf_lifetime: Duration::from_hours(3 * 24),
    ca_introduction: Duration::from_mins(10),
};

/// A Secret, two configurations and a clock, without other clients.
struct Cluster {
    secret: Option<SecretData>,
    bundles: Vec<Vec<u8>>,
    now: LocalTime,
}

impl Cluster {
    fn new() -> Self {
        let now =
            LocalTime { wall: SystemTime::UNIX_EPOCH + 20_000 * DAY, monotonic: Instant::now() };
        Self { secret: None, bundles: vec![vec![]; 3], now }
    }

    fn pass(&mut self, time: Duration) {
        self.now = LocalTime { wall: self.now.wall + time, monotonic: self.now.monotonic + time };
    }

    /// What a replica observes from an API server whose clock agrees with ours.
    fn seen(&self) -> Observed<'_> {
        self.seen_by(self.now.wall)
    }

    fn seen_by(&self, date: SystemTime) -> Observed<'_> {
        let since = self.now.monotonic;
        let clock = ServerTime { date, sent: since, received: since };
        Observed { secret: self.secret.as_ref(), bundles: Some(&self.bundles), since, clock }
    }

    /// One round of a replica; returns the step that changed the Secret.
    fn round(&mut self, replica: &mut ReplicaSigner) -> &'static str {
        let decision = replica.advance(self.seen(), self.now).unwrap();
        let Write { store, bundle } = decision.write.expect("our clocks agree");
        let Some((step, data)) = store else {
            self.bundles.fill(bundle.into_bytes());
            return "rest";
        };
        self.secret = Some(data);
        step
    }

    /// Rounds until nothing changes.
    fn settle(&mut self, replica: &mut ReplicaSigner) -> Vec<&'static str> {
        let mut steps = Vec::new();
        for _ in 0..10 {
            let before = self.bundles.clone();
            match self.round(replica) {
                "rest" if self.bundles == before => return steps,
                "rest" => {}
                step => steps.push(step),
            }
        }
        panic!("it never rests: {steps:?}");
    }

    fn stored(&self) -> Stored {
        Stored::read(self.secret.as_ref().unwrap(), &[])
    }

    fn bundle_holds(&self, ca: &CertificateAuthority) -> bool {
        let pem = ca.pem();
        self.bundles.iter().all(|it| String::from_utf8_lossy(it).contains(&pem))
    }
}

fn replica() -> ReplicaSigner {
    ReplicaSigner::new(LIFETIMES, vec![], Arc::default()).unwrap()
}

fn signer(replica: &ReplicaSigner) -> Arc<CertificateAuthority> {
    Arc::clone(&replica.served.as_ref().unwrap().ca)
}

fn pair(now: SystemTime) -> [(String, Vec<u8>); 2] {
    let ca = CertificateAuthority::create(now, 40 * DAY).unwrap();
    [("ca.crt".into(), ca.pem().into()), ("ca.key".into(), ca.key_pem().into())]
}

fn stores(decision: &Decision) -> bool {
    decision.write.as_ref().is_some_and(|it| it.store.is_some())
}

#[test]
fn an_invalid_name_is_an_error_before_anything_is_replaced() {
    let names = vec!["gate.example.com".to_owned(), "not a name".to_owned()];
    let error = ReplicaSigner::new(LIFETIMES, names, Arc::default()).unwrap_err();
    assert_eq!(error.to_string(), "\"not a name\" is neither a host name nor an address");
}

#[test]
fn a_ca_is_created_shared_and_rotated() {
    let (mut cluster, mut one, mut two) = (Cluster::new(), replica(), replica());
    assert_eq!(cluster.settle(&mut one), ["create"]);
    assert!(cluster.settle(&mut two).is_empty());
    let first = signer(&one);
    assert_eq!(first.certificate, signer(&two).certificate);
    assert!(cluster.bundle_holds(&first));

    cluster.pass(20 * DAY);
    assert_eq!(cluster.settle(&mut two), ["introduce"]);
    assert!(cluster.settle(&mut one).is_empty());
    assert_eq!(first.certificate, signer(&two).certificate, "it is not known yet");
    let second = cluster.stored().next.unwrap();
    assert!(cluster.bundle_holds(&first) && cluster.bundle_holds(&second));

    cluster.pass(LIFETIMES.ca_introduction);
    assert_eq!(cluster.settle(&mut one), ["promote"]);
    assert!(cluster.settle(&mut two).is_empty());
    for replica in [&one, &two] {
        assert_eq!(signer(replica).certificate, second.certificate);
    }
    assert!(cluster.bundle_holds(&first) && cluster.bundle_holds(&second));

    cluster.pass(10 * DAY);
    cluster.now.wall -= LIFETIMES.ca_introduction;
    assert!(cluster.settle(&mut two).is_empty(), "somebody's clock may be behind");
    cluster.pass(LIFETIMES.skew());
    assert_eq!(cluster.settle(&mut two), ["retire"]);
    assert!(!cluster.bundle_holds(&first) && cluster.bundle_holds(&second));
}

#[test]
fn the_introduction_starts_again_after_the_ca_bundle_was_overwritten() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    cluster.settle(&mut replica);
    cluster.pass(20 * DAY);
    cluster.settle(&mut replica);
    cluster.pass(LIFETIMES.ca_introduction / 2);
    cluster.bundles[1].clear();
    assert!(cluster.settle(&mut replica).is_empty());
    cluster.pass(LIFETIMES.ca_introduction / 2);
    assert!(cluster.settle(&mut replica).is_empty());
    cluster.pass(LIFETIMES.ca_introduction / 2);
    assert_eq!(cluster.settle(&mut replica), ["promote"]);
}

#[test]
fn nothing_is_published_where_not_all_configurations_can_be_read() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    cluster.settle(&mut replica);
    let decision =
        replica.advance(Observed { bundles: None, ..cluster.seen() }, cluster.now).unwrap();
    assert!(!decision.published && !stores(&decision));
}

#[test]
fn the_leaf_is_renewed_while_the_api_server_is_away() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    cluster.settle(&mut replica);
    let first = replica.leaf_ends();
    assert_eq!(first, Some(cluster.now.wall + 3 * DAY));
    cluster.pass(Duration::from_secs(2 * 24 * 3600 - 1));
    replica.renew(cluster.now).unwrap();
    assert_eq!(replica.leaf_ends(), first);
    cluster.pass(Duration::from_secs(1));
    replica.renew(cluster.now).unwrap();
    assert_eq!(replica.leaf_ends(), Some(cluster.now.wall + 3 * DAY));
}

#[test]
fn without_a_secret_ever_seen_there_is_nothing_to_serve() {
    let mut replica = replica();
    replica.renew(LocalTime { wall: SystemTime::now(), monotonic: Instant::now() }).unwrap();
    assert_eq!(replica.leaf_ends(), None);
}

#[rstest]
#[case::deleted(|it: &mut Option<SecretData>| *it = None)]
#[case::emptied(|it: &mut Option<SecretData>| *it = Some(SecretData::new()))]
#[case::certificate_lost(|it: &mut Option<SecretData>| drop(it.as_mut().unwrap().remove("ca.crt")))]
#[case::key_lost(|it: &mut Option<SecretData>| drop(it.as_mut().unwrap().remove("ca.key")))]
#[case::key_cut(|it: &mut Option<SecretData>| it.as_mut().unwrap().get_mut("ca.key").unwrap().truncate(99))]
#[case::binary(|it: &mut Option<SecretData>| it.as_mut().unwrap().values_mut().for_each(|it| it.fill(0xff)))]
fn damage_is_repaired_from_memory(#[case] damage: fn(&mut Option<SecretData>)) {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    cluster.settle(&mut replica);
    let first = signer(&replica);
    let sound = cluster.secret.clone();
    damage(&mut cluster.secret);
    assert_eq!(cluster.settle(&mut replica), ["restore"]);
    assert_eq!(cluster.secret, sound);
    assert_eq!(signer(&replica).certificate, first.certificate);
}

#[test]
fn a_ca_stored_by_an_operator_is_introduced_first() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    cluster.settle(&mut replica);
    let first = signer(&replica);
    cluster.secret = Some(SecretData::from(pair(cluster.now.wall)));
    let theirs = cluster.stored().current.unwrap();
    assert_eq!(cluster.settle(&mut replica), ["restore"]);
    assert_eq!(signer(&replica).certificate, first.certificate);
    assert!(cluster.bundle_holds(&theirs) && cluster.bundle_holds(&first));
    cluster.pass(LIFETIMES.ca_introduction);
    assert_eq!(cluster.settle(&mut replica), ["promote"]);
    assert_eq!(signer(&replica).certificate, theirs.certificate);
    assert!(cluster.bundle_holds(&theirs) && cluster.bundle_holds(&first));
}

#[test]
fn a_new_replica_trusts_the_ca_that_signed_before_the_key_was_lost() {
    let (mut cluster, mut old) = (Cluster::new(), replica());
    cluster.settle(&mut old);
    cluster.secret.as_mut().unwrap().remove("ca.key");
    assert_eq!(cluster.settle(&mut replica()), ["create"]);
    assert!(cluster.bundle_holds(&signer(&old)));
}

#[test]
fn what_others_keep_in_the_secret_stays_there() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    let theirs = ("password".to_owned(), b"secret".to_vec());
    cluster.secret = Some(SecretData::from([theirs.clone()]));
    assert_eq!(cluster.settle(&mut replica), ["create"]);
    assert_eq!(cluster.secret.unwrap().get(&theirs.0), Some(&theirs.1));
}

#[test]
fn foreign_keys_are_dropped_if_there_is_no_room_for_ours() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    let (small, large) = (vec![0; 512 * 1024], vec![0; 512 * 1024 - 100]);
    cluster.secret = Some(SecretData::from([("a".into(), small), ("b".into(), large.clone())]));
    assert_eq!(cluster.settle(&mut replica), ["create"]);
    let data = cluster.secret.as_ref().unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["b", "ca.crt", "ca.key"]);
    assert_eq!(data["b"], large);
    assert!(data.values().map(Vec::len).sum::<usize>() <= 1024 * 1024);
}

#[test]
fn a_certificate_too_large_for_a_configuration_is_not_used() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<_> = (0..1000).map(|it| format!("name-{it}.example.com")).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let huge = params.self_signed(&key).unwrap().pem();
    let stored =
        [("previous.crt", huge.clone()), ("ca.crt", huge), ("ca.key", key.serialize_pem())];
    cluster.secret = Some(stored.map(|(key, it)| (key.to_owned(), it.into())).into());
    assert_eq!(cluster.settle(&mut replica), ["create"]);
    assert!(cluster.bundles.iter().all(|it| it.len() < 1024), "{}", cluster.bundles[0].len());
}

/// By how much our clock is ahead; the API server's is right.
#[rstest]
#[case::ten_minutes_ahead(600)]
#[case::ten_minutes_behind(-600)]
#[case::a_year_ahead(366 * 86400)]
#[case::a_year_behind(-366 * 86400)]
fn a_wrong_clock_changes_nothing_and_serves_what_others_can_verify(#[case] ahead: i64) {
    let (mut cluster, mut sound) = (Cluster::new(), replica());
    cluster.settle(&mut sound);
    cluster.pass(DAY);
    let time = cluster.now.wall;
    let off = Duration::from_secs(ahead.unsigned_abs());
    let wall = if ahead < 0 { time - off } else { time + off };
    let now = LocalTime { wall, ..cluster.now };

    let mut wrong = replica();
    for replica in [&mut wrong, &mut sound] {
        let decision = replica.advance(cluster.seen_by(time), now).unwrap();
        assert!(!stores(&decision) && decision.published);
        assert_eq!(decision.clock.verdict, Agreement::Differs);
        let leaf = replica.served.as_ref().unwrap().leaf;
        assert!(leaf.holds(time) && leaf.holds(time - Duration::from_mins(55)));
        let first = replica.leaf_ends();
        replica.renew(now).unwrap();
        assert_eq!(replica.leaf_ends(), first, "it is signed once");
    }
    assert_eq!(signer(&wrong).certificate, signer(&sound).certificate);
}

/// A replica that must not repair the Secret leaves the bundle as it is, too.
#[test]
fn a_wrong_clock_publishes_nothing_of_a_secret_that_was_spoilt() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    cluster.settle(&mut replica);
    let first = signer(&replica);
    for spoilt in [None, Some(SecretData::new()), Some(SecretData::from(pair(cluster.now.wall)))] {
        cluster.secret = spoilt;
        let date = cluster.now.wall + DAY;
        let decision = replica.advance(cluster.seen_by(date), cluster.now).unwrap();
        assert!(decision.write.is_none());
        assert_eq!(signer(&replica).certificate, first.certificate);
    }
    // Another client replaced the CA, and all clients trust the new one.
    let theirs = cluster.stored().current.unwrap();
    cluster.bundles.fill(theirs.pem().into());
    let date = cluster.now.wall + DAY;
    let decision = replica.advance(cluster.seen_by(date), cluster.now).unwrap();
    assert!(!stores(&decision) && decision.published);
    assert_eq!(signer(&replica).certificate, theirs.certificate);
}

#[test]
fn nothing_is_made_by_clocks_that_differ() {
    let (cluster, mut replica) = (Cluster::new(), replica());
    let date = cluster.now.wall + Duration::from_mins(6);
    let decision = replica.advance(cluster.seen_by(date), cluster.now).unwrap();
    assert!(!stores(&decision) && replica.leaf_ends().is_none());
    let date = cluster.now.wall + Duration::from_mins(4);
    let decision = replica.advance(cluster.seen_by(date), cluster.now).unwrap();
    let store = decision.write.and_then(|it| it.store);
    assert_eq!(store.map(|(step, _)| step), Some("create"));
    assert_eq!(decision.clock, ClockSkew { ahead: -240, verdict: Agreement::Apart });
}

/// On a machine that was suspended, the monotonic clock stood still.
#[test]
fn a_leaf_is_renewed_though_the_steady_clock_stood_still() {
    let (mut cluster, mut replica) = (Cluster::new(), replica());
    cluster.settle(&mut replica);
    cluster.now.wall += 2 * DAY;
    replica.renew(cluster.now).unwrap();
    assert_eq!(replica.leaf_ends(), Some(cluster.now.wall + 3 * DAY));
}

#[test]
fn repeated_damage_does_not_make_the_secret_grow_endlessly() {
    let mut cluster = Cluster::new();
    for accident in 0..20 {
        cluster.settle(&mut replica());
        let data = cluster.secret.as_mut().unwrap();
        let certificates: usize =
            data.values().map(|it| String::from_utf8_lossy(it).matches("BEGIN CERT").count()).sum();
        assert_eq!(certificates, (accident + 1).min(9));
        data.remove("ca.key");
        cluster.pass(Duration::from_mins(1));
    }
}

#[test]
fn nothing_shows_a_key() {
    let mut cluster = Cluster::new();
    let mut replica = replica();
    cluster.settle(&mut replica);
    assert!(!format!("{replica:?}").contains("PRIVATE"));
}
