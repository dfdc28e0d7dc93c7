//! How a replica manages its certificate, and clients that verify it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use callgate::{
    ca::{self, CaEvent, CaFlags, CaObjects, Lifetimes, Service},
    tls::{Current, server_config},
};
use http::{HeaderValue, Request, header::DATE};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use kube::{Client, client::Body};
use rustls::{pki_types::UnixTime, time_provider::TimeProvider};
use serde_json::{Value, json};
use support::{
    e2e::{api::Api, manifests::manifests, trust},
    wait::eventually,
};
use tokio::{net::TcpListener, task::AbortHandle};
use tokio_rustls::TlsAcceptor;

use crate::trial::Test;

/// Long enough that a slow machine is no reason for a certificate to end, and
/// an introduction that can be waited for: the rest of the time is skipped.
pub(crate) const TIMES: Lifetimes = Lifetimes {
    ca_lifetime: Duration::from_hours(30),
    leaf_lifetime: Duration::from_hours(30),
    ca_introduction: Duration::from_secs(2),
};

/// The clock of replicas, clients and the API server: it runs, and can be put
/// forward.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

/// The objects of one test: a Secret, and two configurations that match no namespace.
pub(crate) struct Site {
    pub(crate) api: Api,
    pub(crate) clock: Clock,
    pub(crate) objects: CaObjects,
    pub(crate) secret: String,
    pub(crate) configurations: [String; 2],
}

/// A replica that serves the certificate that it manages. It ends when dropped.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    news: Arc<Mutex<Vec<CaEvent>>>,
    tasks: [AbortHandle; 2],
}

/// A client that calls replicas without a pause, and trusts the `caBundle` of some
/// time ago: an API server receives a change later than we do.
pub(crate) struct Caller {
    stop: Arc<AtomicBool>,
    calls: tokio::task::JoinHandle<Result<usize, String>>,
}

impl Clock {
    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn skip(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::Relaxed);
    }
}

impl Clock {
    /// A client whose API server has this clock.
    fn of_the_api_server(&self, client: &Client) -> Client {
        let (clock, inner) = (self.clone(), client.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (clock, inner) = (clock.clone(), inner.clone());
            async move {
                let mut answer = inner.send(request).await?;
                let now = Timestamp::try_from(clock.now()).expect("it is within calendars");
                let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
                let date = date.expect("it is within calendars");
                answer.headers_mut().insert(DATE, HeaderValue::try_from(date).expect("it is text"));
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(service, client.default_namespace())
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        self.now().duration_since(UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

impl Site {
    /// Unique names; no object exists yet.
    pub(crate) fn of(it: &Test) -> Self {
        let name = &it.namespace;
        let objects = CaObjects {
            ca_secret: "callgate-ca".to_owned(),
            ca_secret_namespace: Some(name.clone()),
            mutating_configuration: name.clone(),
            validating_configuration: name.clone(),
        };
        let root = "/apis/admissionregistration.k8s.io/v1";
        let path = |kind: &str| format!("{root}/{kind}webhookconfigurations/{name}");
        Self {
            api: it.api().clone(),
            clock: Clock::default(),
            objects,
            secret: format!("/api/v1/namespaces/{name}/secrets/callgate-ca"),
            configurations: [path("mutating"), path("validating")],
        }
    }

    /// The production configurations, except that they match no namespace.
    pub(crate) fn manifests(&self) -> Vec<Value> {
        let mut manifests = manifests("webhooks");
        for configuration in &mut manifests {
            configuration["metadata"]["name"] = json!(self.objects.mutating_configuration);
            for webhook in configuration["webhooks"].as_array_mut().expect("it lists webhooks") {
                webhook["namespaceSelector"] = json!({ "matchLabels": { "nobody": "" } });
            }
        }
        manifests
    }

    pub(crate) async fn install(&self) {
        for (path, manifest) in self.configurations.iter().zip(self.manifests()) {
            self.api.apply(path, &manifest).await.expect_ok("the webhook configuration");
        }
    }

    pub(crate) async fn uninstall(&self) {
        for path in &self.configurations {
            self.api.delete(path).await.expect_ok("the webhook configuration");
        }
    }

    pub(crate) async fn replica(&self) -> Replica {
        let service = Service { service: "callgate".to_owned(), service_namespace: None };
        self.replica_behind(service).await
    }

    /// A replica that is called by another Service.
    pub(crate) async fn replica_behind(&self, service: Service) -> Replica {
        let current = Arc::new(Current::default());
        let config = server_config(Arc::clone(&current), None).expect("it is complete");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let address = listener.local_addr().expect("it is bound");
        let news = Arc::<Mutex<Vec<CaEvent>>>::default();
        let flags = CaFlags { objects: self.objects.clone(), service, lifetimes: TIMES };
        let clock = self.clock.clone();
        let told = Arc::clone(&news);
        let keep = ca::run(
            self.clock.of_the_api_server(&self.api.client()),
            flags,
            vec![],
            current,
            move || clock.now(),
            move |it| told.lock().expect("no thread panics with it").push(it),
        )
        .expect("the times fit together");
        let serve = async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(acceptor.accept(stream));
            }
        };
        let tasks = [tokio::spawn(keep).abort_handle(), tokio::spawn(serve).abort_handle()];
        Replica { address, news, tasks }
    }

    /// The value of a key of the Secret, as text.
    pub(crate) async fn stored(&self, key: &str) -> Option<String> {
        trust::stored(&self.api, &self.secret, key).await
    }

    /// The `caBundle` of all our webhooks, if it is the same.
    pub(crate) async fn bundle(&self) -> Option<String> {
        trust::bundle(&self.api, &self.configurations).await
    }

    pub(crate) async fn await_bundle(
        &self,
        what: &str,
        mut is: impl FnMut(&str) -> bool,
    ) -> String {
        eventually(what, async || self.bundle().await.filter(|it| is(it))).await
    }

    /// Verifies a replica as a client that trusts these CAs.
    pub(crate) async fn verify(&self, replica: SocketAddr, trusted: &str) -> Result<(), String> {
        self.verify_as(trust::NAME, replica, trusted).await
    }

    /// The same, for a client that expects this name.
    pub(crate) async fn verify_as(
        &self,
        name: &str,
        replica: SocketAddr,
        trusted: &str,
    ) -> Result<(), String> {
        trust::verify(Arc::new(self.clock.clone()), replica, name, trusted).await
    }

    pub(crate) async fn await_signer(&self, replica: &Replica, ca: &str) {
        eventually("the replica serves by that CA", async || {
            self.verify(replica.address, ca).await.ok()
        })
        .await;
    }

    /// Calls replicas until it is stopped; the `caBundle` must be set.
    pub(crate) fn caller(self: &Arc<Self>, replicas: &[&Replica]) -> Caller {
        let addresses: Vec<_> = replicas.iter().map(|it| it.address).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (site, until) = (Arc::clone(self), Arc::clone(&stop));
        let calls = tokio::spawn(async move {
            let mut calls = 0;
            while !until.load(Ordering::Relaxed) {
                calls += site.call_by_one_bundle(&addresses).await?;
            }
            Ok(calls)
        });
        Caller { stop, calls }
    }

    async fn call_by_one_bundle(&self, addresses: &[SocketAddr]) -> Result<usize, String> {
        let read = Instant::now();
        let bundle = self.bundle().await.ok_or("no bundle, or not the same everywhere")?;
        let mut calls = 0;
        while read.elapsed() < TIMES.ca_introduction / 2 {
            for address in addresses {
                let outcome = self.verify(*address, &bundle).await;
                // An API server may receive the change this late.
                if read.elapsed() < TIMES.ca_introduction {
                    outcome.map_err(|it| format!("call {calls} of {address}: {it}\n{bundle}"))?;
                }
                calls += 1;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(calls)
    }
}

impl Replica {
    pub(crate) fn news(&self) -> Vec<CaEvent> {
        self.news.lock().expect("no thread panics with it").clone()
    }

    /// The steps by which this replica changed the Secret.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        let step = |it| if let CaEvent::Stored(step) = it { Some(step) } else { None };
        self.news().into_iter().filter_map(step).collect()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Caller {
    /// Stops, and returns how many calls there were, none of which failed.
    pub(crate) async fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let calls = self.calls.await.expect("it does not panic");
        calls.unwrap_or_else(|error| panic!("a call failed: {error}"))
    }
}
