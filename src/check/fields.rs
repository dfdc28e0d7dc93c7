//! Keys of pods that are misspelt, at the wrong place, or there twice.

use std::ops::Range;

use super::{judge::origins, kinds::PodAt, objects::Object, topics};
use crate::{
    report::{Diagnostic, Severity, Source, Topic},
    spelling,
    yaml::{Entry, NodeId},
};

/// The fields of Kubernetes 1.37.
const POD: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];
const SPEC: &[&str] = &[
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "evictionResponders",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "schedulingGroup",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];
const CONTAINER: &[&str] = &[
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "targetContainerName",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];
const POD_CONTEXT: &[&str] = &[
    "appArmorProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxChangePolicy",
    "seLinuxOptions",
    "seccompProfile",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "sysctls",
    "windowsOptions",
];
const CONTEXT: &[&str] = &[
    "allowPrivilegeEscalation",
    "appArmorProfile",
    "capabilities",
    "privileged",
    "procMount",
    "readOnlyRootFilesystem",
    "runAsGroup",
    "runAsNonRoot",
    "runAsUser",
    "seLinuxOptions",
    "seccompProfile",
    "windowsOptions",
];
const PROFILE: &[&str] = &["localhostProfile", "type"];

/// Fields that decide about seccomp, and where they belong.
const MISPLACED: &[(&str, &str)] = &[
    ("seccompProfile", "securityContext"),
    ("privileged", "the securityContext of a container"),
    ("localhostProfile", "seccompProfile"),
];

/// Checks the keys of one pod of an object.
pub(super) fn check(
    object: &Object<'_>,
    pod: &PodAt,
    source: &Source<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let mut walk = Walk { object, source, found };
    walk.map(pod.node, &pod.prefix, POD);
    let Some(spec) = walk.field(pod.node, "spec") else { return };
    let prefix = format!("{}spec.", pod.prefix);
    walk.map(spec, &prefix, SPEC);
    walk.context(spec, &prefix, POD_CONTEXT);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let Some(containers) = walk.field(spec, list) else { continue };
        for (at, container) in object.document.items(containers).iter().enumerate() {
            let prefix = format!("{prefix}{list}[{at}].");
            walk.map(*container, &prefix, CONTAINER);
            walk.context(*container, &prefix, CONTEXT);
        }
    }
}

struct Walk<'a> {
    object: &'a Object<'a>,
    source: &'a Source<'a>,
    found: &'a mut Vec<Diagnostic>,
}

impl Walk<'_> {
    fn field(&self, node: NodeId, key: &str) -> Option<NodeId> {
        self.object.document.at(node, &[key])
    }

    fn context(&mut self, node: NodeId, prefix: &str, known: &[&str]) {
        let Some(context) = self.field(node, "securityContext") else { return };
        let prefix = format!("{prefix}securityContext.");
        self.map(context, &prefix, known);
        if let Some(profile) = self.field(context, "seccompProfile") {
            self.map(profile, &format!("{prefix}seccompProfile."), PROFILE);
        }
    }

    fn map(&mut self, node: NodeId, prefix: &str, known: &[&str]) {
        let document = self.object.document;
        for entry in document.entries(node) {
            let key = &*entry.key;
            if let Some(replaced) = entry.replaced {
                let message = format!("{key:?} stands twice: kubectl takes the last one");
                let others = [(document.span(replaced), "this one has no effect".to_owned())];
                self.report(topics::REPLACED_FIELD, prefix, &entry, message, &others);
            }
            if known.contains(&key) {
                continue;
            }
            let misplaced = MISPLACED.iter().find(|it| it.0 == key);
            let message = if let Some((_, place)) = misplaced {
                format!("{key:?} has no effect here, its place is in {place}")
            } else if let Some(near) = spelling::nearest(key, known.iter().copied()) {
                format!("Kubernetes has no field {key:?}, did you mean {near:?}?")
            } else {
                continue;
            };
            self.report(topics::UNKNOWN_FIELD, prefix, &entry, message, &[]);
        }
    }

    fn report(
        &mut self,
        topic: Topic,
        prefix: &str,
        entry: &Entry<'_>,
        message: String,
        others: &[(Range<usize>, String)],
    ) {
        let severity =
            if topic == topics::REPLACED_FIELD { Severity::Warning } else { Severity::Error };
        let object = self.object;
        let span = object.document.span(entry.key_node);
        let field = format!("{prefix}{}", entry.key);
        let mut notes = vec![format!("it is in {}: {field}", object.title())];
        notes.extend(origins(object));
        let namespace = object.namespace().unwrap_or_default();
        self.found.push(Diagnostic {
            identity: vec![object.identity(namespace), field.clone()],
            field,
            notes,
            ..Diagnostic::new(severity, topic, message, self.source.place_with(span, "", others))
        });
    }
}
