//! Reviews of pods of typical size, as the API server sends them.

use std::fmt::Write;

use serde_json::Value;

/// A review that is the same on every run.
pub struct Review {
    /// What tables call it, and about how large it is.
    pub size: &'static str,
    /// Where it is posted.
    pub path: &'static str,
    pub body: String,
}

/// How much there is of everything in a pod.
struct Measure {
    size: &'static str,
    init_containers: usize,
    containers: usize,
    env: usize,
    mounts: usize,
    volumes: usize,
    /// Whether kubectl left a copy of the first container in an annotation.
    last_applied: bool,
}

const MEASURES: [Measure; 2] = [
    Measure {
        size: "8 KB",
        init_containers: 0,
        containers: 1,
        env: 7,
        mounts: 2,
        volumes: 2,
        last_applied: false,
    },
    Measure {
        size: "60 KB",
        init_containers: 1,
        containers: 6,
        env: 23,
        mounts: 5,
        volumes: 12,
        last_applied: true,
    },
];

/// `/mutate` gets each pod without a profile, and `/validate` as `/mutate` returned it.
pub fn all() -> Vec<Review> {
    let profile = r#","seccompProfile":{"type":"RuntimeDefault"}"#;
    let of = |it: &Measure| {
        [("/mutate", ""), ("/validate", profile)].map(|(path, profile)| Review {
            size: it.size,
            path,
            body: it.review(profile),
        })
    };
    MEASURES.iter().flat_map(of).collect()
}

// The fields are in the order in which Go writes them.

const REVIEW: &str = r#"
{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{
"uid":"ab4d0a65-8aef-644a-039b-90c2067b45c0",
"kind":{"group":"","version":"v1","kind":"Pod"},
"resource":{"group":"","version":"v1","resource":"pods"},
"requestKind":{"group":"","version":"v1","kind":"Pod"},
"requestResource":{"group":"","version":"v1","resource":"pods"},
"name":"checkout-7d9c5b8f6d-abcde","namespace":"shop-prod","operation":"CREATE",
"userInfo":{"username":"system:serviceaccount:kube-system:replicaset-controller",
"uid":"c12e01f2-a13f-f558-7e1e-9e4aedb8242d",
"groups":["system:serviceaccounts","system:serviceaccounts:kube-system","system:authenticated"],
"extra":{"authentication.kubernetes.io/credential-id":["JTI=2bf94e79-3158-c163-af45-94fb487b3ec0"]}},
"object":{"kind":"Pod","apiVersion":"v1","metadata":<metadata>,"spec":<spec>,
"status":{"phase":"Pending","qosClass":"Burstable"}},
"oldObject":null,"dryRun":false,
"options":{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}}}
"#;

const METADATA: &str = r#"
{"name":"checkout-7d9c5b8f6d-abcde","generateName":"checkout-7d9c5b8f6d-","namespace":"shop-prod",
"uid":"dcc0caa9-7588-ee05-8c2f-cd764e5f919b","creationTimestamp":"2026-11-20T10:11:12Z",
"labels":{"app":"checkout","app.kubernetes.io/name":"checkout","app.kubernetes.io/part-of":"shop",
"pod-template-hash":"7d9c5b8f6d","team":"payments","tier":"backend"},
"annotations":{
"checksum/config":"2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6",
<lastApplied>
"prometheus.io/port":"9090","prometheus.io/scrape":"true"},
"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"checkout-7d9c5b8f6d",
"uid":"3a2d7564-baee-7918-2ebc-7b65084aabd1","controller":true,"blockOwnerDeletion":true}],
"managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1",
"time":"2026-11-20T10:11:12Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{
"f:annotations":{".":{},"f:checksum/config":{},"f:prometheus.io/port":{},
"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app":{},
"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/part-of":{},"f:pod-template-hash":{},
"f:team":{},"f:tier":{}},"f:ownerReferences":{".":{},
"k:{\"uid\":\"3a2d7564-baee-7918-2ebc-7b65084aabd1\"}":{}}},"f:spec":<fields>}}]}
"#;

const SPEC: &str = r#"
{"volumes":[<volumes>{"name":"kube-api-access-x7k2p","projected":{"sources":[
{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},
{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},
{"downwardAPI":{"items":[{"path":"namespace",
"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],
"initContainers":[<initContainers>],"containers":[<containers>],
"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst",
"serviceAccountName":"checkout","serviceAccount":"checkout",
"securityContext":{"runAsUser":10001,"runAsGroup":10001,"runAsNonRoot":true,"fsGroup":10001<profile>},
"imagePullSecrets":[{"name":"registry-credentials"}],
"affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,
"podAffinityTerm":{"labelSelector":{"matchLabels":{"app":"checkout"}},
"topologyKey":"kubernetes.io/hostname"}}]}},
"schedulerName":"default-scheduler","tolerations":[
{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},
{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute",
"tolerationSeconds":300}],
"priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority",
"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"topology.kubernetes.io/zone",
"whenUnsatisfiable":"ScheduleAnyway","labelSelector":{"matchLabels":{"app":"checkout"}}}]}
"#;

const CONTAINER: &str = r#"
{"name":"<name>","image":"registry.example.com/platform/<name>@sha256:
52f5c529c5caea81996009b9ff5aff737e379dfa1bc8ad779a0ee4b66a9b04ea",
"command":["/bin/sh","-c"],"args":["exec /usr/local/bin/server --config=/etc/app/config.yaml
 --log-format=json --listen=:8080"],
"ports":[{"name":"http","containerPort":8080,"protocol":"TCP"},
{"name":"metrics","containerPort":9090,"protocol":"TCP"}],
"env":[<env>{"name":"TZ","value":"UTC"}],
"resources":{"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"250m","memory":"512Mi"}},
"volumeMounts":[<mounts>{"name":"kube-api-access-x7k2p","readOnly":true,
"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],
<probes>
"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File",
"imagePullPolicy":"IfNotPresent",
"securityContext":{"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,
"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}}
"#;

/// An init container has none.
const PROBES: &str = r#"
"livenessProbe":{"httpGet":{"path":"/livez","port":"http","scheme":"HTTP"},
"initialDelaySeconds":10,"timeoutSeconds":2,"periodSeconds":10,"successThreshold":1,
"failureThreshold":3},
"readinessProbe":{"httpGet":{"path":"/readyz","port":"http","scheme":"HTTP"},
"initialDelaySeconds":10,"timeoutSeconds":2,"periodSeconds":10,"successThreshold":1,
"failureThreshold":3},
"#;

const ENV: [&str; 4] = [
    r#"{"name":"POD_FIELD_<k>","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"status.podIP"}}},"#,
    r#"{"name":"PASSWORD_<k>","valueFrom":{"secretKeyRef":{"name":"credentials-<k>","key":"password"}}},"#,
    r#"{"name":"URL_<k>","value":"https://backend-<k>.prod.svc.cluster.local:8443/api/v1?timeout=30s&retries=3"},"#,
    r#"{"name":"JAVA_OPTS_<k>","value":"-Xms512m -Xmx1024m -Dlog=\"json\" -Dpath=C:\\tmp"},"#,
];

const VOLUMES: [&str; 3] = [
    r#"{"name":"vol-<k>","configMap":{"name":"config-<k>","items":[{"key":"a.yaml","path":"a.yaml"}],"defaultMode":420}},"#,
    r#"{"name":"vol-<k>","emptyDir":{"medium":"Memory","sizeLimit":"64Mi"}},"#,
    r#"{"name":"vol-<k>","secret":{"secretName":"tls-<k>","defaultMode":420}},"#,
];

const MOUNTS: [&str; 1] = [r#"{"name":"vol-<k>","mountPath":"/var/lib/app/data-<k>"},"#];

// === impl Measure ===

impl Measure {
    fn review(&self, profile: &str) -> String {
        let spec = self.spec(profile);
        let value: Value = serde_json::from_str(&spec).expect("a spec is JSON");
        let fields = fields(&value).to_string();
        let last_applied = if self.last_applied { last_applied(&value) } else { String::new() };
        let metadata = fill(METADATA, &[("lastApplied", &last_applied), ("fields", &fields)]);
        fill(REVIEW, &[("metadata", &metadata), ("spec", &spec)])
    }

    fn spec(&self, profile: &str) -> String {
        let containers = |count, name, probes| {
            let all = (0..count).map(|it| self.container(&format!("{name}-{it}"), probes));
            all.collect::<Vec<_>>().join(",")
        };
        let volumes = repeated(&VOLUMES, self.volumes);
        let setup = containers(self.init_containers, "setup", "");
        let app = containers(self.containers, "app", &fill(PROBES, &[]));
        let parts = [
            ("volumes", &*volumes),
            ("initContainers", &setup),
            ("containers", &app),
            ("profile", profile),
        ];
        fill(SPEC, &parts).replace(r#""initContainers":[],"#, "")
    }

    fn container(&self, name: &str, probes: &str) -> String {
        let (env, mounts) = (repeated(&ENV, self.env), repeated(&MOUNTS, self.mounts));
        let parts = [("name", name), ("probes", probes), ("env", &*env), ("mounts", &*mounts)];
        fill(CONTAINER, &parts)
    }
}

/// Joins the lines of a template and puts parts in their places.
fn fill(template: &str, parts: &[(&str, &str)]) -> String {
    let whole = template.replace('\n', "");
    parts.iter().fold(whole, |text, (name, part)| text.replace(&format!("<{name}>"), part))
}

fn repeated(templates: &[&str], count: usize) -> String {
    let all = templates.iter().cycle().take(count).enumerate();
    all.map(|(k, it)| it.replace("<k>", &k.to_string())).collect()
}

/// The annotation in which kubectl keeps what it applied.
fn last_applied(spec: &Value) -> String {
    let applied = spec["containers"][0].to_string();
    let applied =
        format!(r#"{{"apiVersion":"v1","kind":"Pod","spec":{{"containers":[{applied}]}}}}"#);
    let mut annotation = r#""kubectl.kubernetes.io/last-applied-configuration":"#.to_owned();
    write!(annotation, "{},", Value::from(applied + "\n")).expect("a string takes everything");
    annotation
}

/// The `fieldsV1` of a field manager that owns all of `value`.
fn fields(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            object.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect()
        }
        Value::Array(list) => {
            let named = list.iter().filter_map(|it| Some((it.get("name")?, it)));
            let owned = named.map(|(name, it)| (format!(r#"k:{{"name":{name}}}"#), fields(it)));
            owned.collect()
        }
        _ => Value::Object(serde_json::Map::new()),
    }
}
