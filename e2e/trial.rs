//! One test: its namespace, its helpers, and the details printed when it fails.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use futures_util::{FutureExt, future::LocalBoxFuture};
use libtest_mimic::{Conclusion, Failed, Trial};
use serde_json::{Value, json};
use support::{
    e2e::{
        api::Api,
        cluster::{self, Site},
        instance::{Instance, Setup, lines_about},
    },
    harness::format_denial,
};
use tokio::runtime::Runtime;

use crate::{tests, world::World};

/// A test's name and what it does.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) run: Arc<dyn Fn(Test) -> LocalBoxFuture<'static, ()> + Send + Sync>,
}

/// The resources of one test.
pub(crate) struct Test {
    pub(crate) world: Arc<World>,
    /// A namespace that opts in to the policy `restricted`.
    pub(crate) namespace: String,
}

/// Makes a list of the functions, each under its own name.
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<crate::trial::Entry> {
            vec![$(crate::trial::Entry {
                name: stringify!($name).to_owned(),
                run: std::sync::Arc::new(|it| Box::pin($name(it))),
            }),*]
        }
    };
}
pub(crate) use trials;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Every test, as one that could not be run.
pub(crate) fn without_a_cluster() -> Vec<Trial> {
    let skipped = |it: Entry| Trial::test(it.name, || Ok(())).with_ignored_flag(true);
    tests::all().into_iter().map(skipped).collect()
}

pub(crate) fn with_a_cluster(site: Site, run: impl FnOnce(Vec<Trial>) -> Conclusion) -> Conclusion {
    let runtime = Arc::new(Runtime::new().expect("a runtime can be had"));
    let world = Arc::new(runtime.block_on(World::start(site)));
    // The default prints at once, among the lines of other tests.
    panic::set_hook(Box::new(|it| PANIC.set(it.to_string())));
    let trial = |entry: Entry| {
        let (world, runtime) = (Arc::clone(&world), Arc::clone(&runtime));
        let is_left_out = cluster::leaves_out(&entry.name);
        Trial::test(entry.name.clone(), move || runtime.block_on(attempt(&entry, world)))
            .with_ignored_flag(is_left_out)
    };
    run(tests::all().into_iter().map(trial).collect())
}

async fn attempt(entry: &Entry, world: Arc<World>) -> Result<(), Failed> {
    let namespace =
        world.namespace(&entry.name, &json!({ "callgate.dev/policy": "restricted" })).await;
    let it = Test { world: Arc::clone(&world), namespace: namespace.clone() };
    let outcome = AssertUnwindSafe((entry.run)(it)).catch_unwind().await;
    if outcome.is_ok() {
        world.api.delete(&format!("/api/v1/namespaces/{namespace}")).await;
        return Ok(());
    }
    let server = world.site.server_log.as_ref();
    let server = server.map(|it| lines_about(it, &namespace)).unwrap_or_default();
    let webhook = lines_about(&world.webhook.log(), &namespace);
    Err(format!(
        "{}\n--- webhook, about {namespace}:\n{webhook}\n--- API server:\n{server}",
        PANIC.take()
    )
    .into())
}

impl Test {
    pub(crate) fn api(&self) -> &Api {
        &self.world.api
    }

    /// Another webhook, only for the given namespaces.
    pub(crate) async fn instance(&self, name: &str, setup: Setup) -> Instance {
        self.instance_with(name, setup, |_| ()).await
    }

    /// The same, with a change to each of its webhook's registrations.
    pub(crate) async fn instance_with(
        &self,
        name: &str,
        setup: Setup,
        change: impl Fn(&mut Value),
    ) -> Instance {
        let probe = setup.namespaces.first().expect("it is for somebody").clone();
        let name = format!("{name}-{}", self.namespace);
        let name: String = name.chars().take(60).collect();
        let name = name.trim_matches('-');
        let instance = Instance::start(self.api(), &self.world.site, name, &setup, change).await;
        self.world.await_calls(&instance, &probe).await;
        instance
    }

    /// Labels the namespace and waits until callgate has seen it.
    pub(crate) async fn opt_in(&self) {
        let label = json!({ "metadata": { "labels": { "callgate.dev/policy": "restricted" } } });
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        self.api().merge(&path, &label).await.expect_ok("the label");
        self.world.await_calls(&self.world.webhook, &self.namespace).await;
    }

    /// A namespace that no label opts in.
    pub(crate) async fn plain_namespace(&self) -> String {
        self.world.namespace("plain", &json!({})).await
    }

    pub(crate) fn pods(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace)
    }

    pub(crate) fn pod(&self, name: &str) -> String {
        format!("{}/{name}", self.pods())
    }

    /// Creates the pod and returns it as it is stored.
    pub(crate) async fn accepts(&self, pod: &Value) -> Value {
        self.api().post(&self.pods(), pod).await.expect_ok("the pod is accepted")
    }

    /// Creates the pod and expects a denial by callgate with exactly these lines.
    pub(crate) async fn refuses(&self, pod: &Value, lines: &[&str]) {
        let reply = self.api().post(&self.pods(), pod).await;
        let name = pod["metadata"]["name"].as_str().expect("pods of tests have names");
        assert_eq!(reply.message(), self.denial(name, lines));
        assert_eq!((reply.status, &reply.body["reason"]), (403, &json!("Forbidden")));
    }

    /// The whole message, as kubectl shows it.
    pub(crate) fn denial(&self, name: &str, lines: &[&str]) -> String {
        denial(&self.namespace, "restricted", name, lines)
    }
}

/// The message of the API server for a pod that callgate denies.
pub(crate) fn denial(namespace: &str, policy: &str, name: &str, lines: &[&str]) -> String {
    let headline = format!(
        "admission webhook \"validate.callgate.dev\" denied the request: \
         policy \"{policy}\" denies pod \"{name}\" in namespace \"{namespace}\":"
    );
    format_denial(&headline, lines)
}

/// A pod of that name with this spec.
pub(crate) fn pod(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec })
}

/// A container with this security context.
pub(crate) fn container(name: &str, context: &Value) -> Value {
    json!({ "name": name, "image": "app", "securityContext": context })
}

/// A pod whose containers are to run under the profile at that path.
pub(crate) fn naming(path: &str) -> Value {
    let profile = json!({ "type": "Localhost", "localhostProfile": path });
    let spec = json!({
        "securityContext": { "seccompProfile": profile },
        "containers": [{ "name": "app", "image": "app" }],
    });
    pod("web", &spec)
}

/// The type of the profile that is stored there.
pub(crate) fn profile_of(object: &Value, place: &str) -> Option<String> {
    let kind = object.pointer(&format!("{place}/securityContext/seccompProfile/type"))?;
    Some(kind.as_str()?.to_owned())
}
