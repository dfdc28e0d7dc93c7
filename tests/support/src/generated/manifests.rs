//! Manifests as teams have them: workloads of about 3 KB, the same ones each time.

use std::fmt::Write;

/// What becomes a manifest of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As in a repository.
    File,
    /// As `helm template` prints it.
    Helm,
}

/// The documents of `count` workloads, one pod each.
pub fn documents(count: usize, style: Style) -> impl Iterator<Item = String> {
    (0..count).map(move |number| document(number, style))
}

/// One workload: most have the profile of the runtime, every 50th has none, every 200th has a
/// privileged container.
fn document(number: usize, style: Style) -> String {
    let mut text = String::with_capacity(3600);
    let say = |text: &mut String, it: std::fmt::Arguments<'_>| {
        text.write_fmt(it).expect("a string takes everything");
    };
    if style == Style::Helm {
        say(
            &mut text,
            format_args!("# Source: shop/charts/part-{}/templates/workload.yaml\n", number / 20),
        );
    }
    let (group, kind, head) = match number % 10 {
        0 => ("v1", "Pod", ""),
        1 | 2 => ("apps/v1", "StatefulSet", "  serviceName: backend\n"),
        3 => ("batch/v1", "CronJob", "  schedule: \"*/15 * * * *\"\n"),
        4 => ("apps/v1", "DaemonSet", ""),
        _ => ("apps/v1", "Deployment", "  replicas: 3\n  revisionHistoryLimit: 5\n"),
    };
    say(&mut text, format_args!("apiVersion: {group}\nkind: {kind}\nmetadata:\n"));
    metadata(&mut text, "  ", number);
    text.push_str("spec:\n");
    text.push_str(head);
    match kind {
        "Pod" => spec(&mut text, "  ", number),
        "CronJob" => {
            text.push_str("  jobTemplate:\n    spec:\n      template:\n        metadata:\n");
            labels(&mut text, "          ", number);
            text.push_str("        spec:\n          restartPolicy: OnFailure\n");
            spec(&mut text, "          ", number);
        }
        _ => {
            say(
                &mut text,
                format_args!(
                    "  selector:\n    matchLabels:\n      app.kubernetes.io/instance: web-{number}\n"
                ),
            );
            text.push_str("  template:\n    metadata:\n");
            labels(&mut text, "      ", number);
            text.push_str("    spec:\n");
            spec(&mut text, "      ", number);
        }
    }
    text
}

fn metadata(text: &mut String, indent: &str, number: usize) {
    let lines = [format!("name: web-{number}"), format!("namespace: team-{}", number % 40)];
    for it in lines {
        text.extend([indent, &it, "\n"]);
    }
    labels(text, indent, number);
    let annotations = [
        "annotations:".to_owned(),
        format!("  example.com/owner: \"team-{}@example.com\"", number % 40),
        "  example.com/runbook: https://runbooks.example.com/shop/web#when-it-is-slow".to_owned(),
        "  prometheus.io/scrape: \"true\"".to_owned(),
        "  prometheus.io/port: \"9090\"".to_owned(),
    ];
    for it in annotations {
        text.extend([indent, &it, "\n"]);
    }
}

fn labels(text: &mut String, indent: &str, number: usize) {
    let labels = [
        "labels:".to_owned(),
        "  app.kubernetes.io/name: web".to_owned(),
        format!("  app.kubernetes.io/instance: web-{number}"),
        format!("  app.kubernetes.io/version: \"1.{}.0\"", number % 17),
        "  app.kubernetes.io/part-of: shop".to_owned(),
        "  app.kubernetes.io/managed-by: Helm".to_owned(),
    ];
    for it in labels {
        text.extend([indent, &it, "\n"]);
    }
}

/// The spec of a pod: two containers and an init container.
fn spec(text: &mut String, indent: &str, number: usize) {
    let profile =
        if number % 50 == 49 { "" } else { "  seccompProfile:\n    type: RuntimeDefault\n" };
    let own = if number % 200 == 99 {
        "      privileged: true\n"
    } else {
        "      allowPrivilegeEscalation: false\n"
    };
    let pod = format!(
        "serviceAccountName: web
automountServiceAccountToken: false
terminationGracePeriodSeconds: 45
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  fsGroup: 10001
{profile}nodeSelector:
  kubernetes.io/os: linux
tolerations:
  - {{ key: dedicated, operator: Equal, value: shop, effect: NoSchedule }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        app.kubernetes.io/instance: web-{number}
volumes:
  - name: configuration
    configMap:
      name: web-{number}
  - name: scratch
    emptyDir: {{}}
initContainers:
  - name: migrate
    image: registry.example.com/shop/migrate:{number}
    command: [\"/bin/migrate\", \"--wait\"]
    resources: {{ limits: {{ memory: 64Mi }}, requests: {{ cpu: 10m }} }}
containers:
  - name: app
    image: \"registry.example.com/shop/web@sha256:{number:064x}\"
    imagePullPolicy: IfNotPresent
    # The port behind the Service.
    ports:
      - name: http
        containerPort: 8080
    env:
      - name: LOG_LEVEL
        value: info
      - name: DATABASE_PASSWORD
        valueFrom:
          secretKeyRef:
            name: web-{number}
            key: password
      - name: GREETING
        value: >-
          Welcome to the shop: everything
          is on sale until Friday.
    resources:
      requests:
        cpu: 100m
        memory: 128Mi
      limits:
        memory: 256Mi
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 10
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
    securityContext:
{own}      readOnlyRootFilesystem: true
      capabilities:
        drop:
          - ALL
    volumeMounts:
      - name: configuration
        mountPath: /etc/web
        readOnly: true
      - name: scratch
        mountPath: /tmp
  - name: metrics
    image: registry.example.com/observability/exporter:2.7.1
    args:
      - --listen=:9090
      - --target=http://127.0.0.1:8080/metrics
    ports:
      - name: metrics
        containerPort: 9090
    resources:
      limits: {{ memory: 32Mi }}
"
    );
    for line in pod.lines() {
        text.extend([indent, line, "\n"]);
    }
}
