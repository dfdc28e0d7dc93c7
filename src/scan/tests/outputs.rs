//! The role, patches, exemptions and reports.

use super::*;
use crate::scan::{exempting, patches, reports, role};

#[test]
fn the_role_lists_what_is_read_and_permits_nothing_else() {
    let expected = "\
# The rights of `callgate scan`, and no others.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: callgate-scan
rules:
  - apiGroups: [\"\"]
    resources: [namespaces, nodes, pods, replicationcontrollers]
    verbs: [list]
  - apiGroups: [apps]
    resources: [daemonsets, deployments, replicasets, statefulsets]
    verbs: [list]
  - apiGroups: [batch]
    resources: [cronjobs, jobs]
    verbs: [list]
  - apiGroups: [callgate.dev]
    resources: [seccompnodes, seccomppolicies, seccompprofiles]
    verbs: [list]
  - apiGroups: [node.k8s.io]
    resources: [runtimeclasses]
    verbs: [list]
";
    assert_eq!(role(), expected);
}

/// A workload with two kinds of findings, one made by an operator, and a pod that nothing makes.
fn broken() -> Overview {
    let bad = json!({ "privileged": true, "seccompProfile": { "type": "Unconfined" } });
    let mut web = object("web", &controller("example.com/v1", "Shop", "big"), &template(&bad));
    web["spec"]["template"]["spec"]["serviceAccountName"] = json!("robot");
    scan(
        &shop(),
        &[
            (Kind::Deployment, web),
            (
                Kind::CronJob,
                object(
                    "tidy",
                    &Value::Null,
                    &json!({ "jobTemplate": { "spec": template(&Value::Null) } }),
                ),
            ),
            (Kind::Pod, object("alone", &Value::Null, &containers(&bad))),
        ],
    )
}

#[test]
fn each_owner_gets_a_patch_with_the_findings_in_its_head() {
    let (files, left) = patches(&broken());
    let texts: Vec<_> = files.iter().map(|it| it.text.as_str()).collect();
    let tidy = "\
# kubectl patch cronjob tidy --namespace shop --patch-file shop/cronjob-tidy.yaml
# callgate would set RuntimeDefault
spec:
  jobTemplate:
    spec:
      template:
        spec:
          securityContext:
            seccompProfile:
              localhostProfile: null
              type: RuntimeDefault
";
    let web = "\
# kubectl patch deployment web --namespace shop --patch-file shop/deployment-web.yaml
# made by shop \"big\", which may undo it: change it there
# spec.template.spec.containers[0] \"app\": privileged turns seccomp off; remove it, or ask for an exemption [privileged]
# spec.template.spec.containers[0] \"app\": Unconfined turns seccomp off; set type: RuntimeDefault, or ask for an exemption [unconfined]
spec:
  template:
    spec:
      containers:
      - name: app
        securityContext:
          privileged: false
          seccompProfile:
            localhostProfile: null
            type: RuntimeDefault
";
    assert_eq!(texts, [tidy, web]);
    assert_eq!(left, ["pod \"alone\" in namespace \"shop\": it cannot be changed: create it anew"]);
}

#[test]
fn no_name_leads_out_of_the_folder_of_patches() {
    for name in ["../../etc/passwd", "a/b", "..", ""] {
        let mut it = object(name, &Value::Null, &template(&json!({ "privileged": true })));
        it["metadata"]["namespace"] = json!("..");
        let (files, left) = patches(&scan(&shop(), &[(Kind::Deployment, it)]));
        assert_eq!((files.len(), left.len()), (0, 1), "{name:?}");
    }
}

/// The exemptions are taken as they are printed, by the parser of policies.
#[test]
fn under_the_exemptions_nothing_that_runs_is_denied() {
    let base = Builtin::named("restricted").unwrap();
    let (policy, left) = exempting(&broken(), base, date(2027, 3, 1)).unwrap();
    assert_eq!(left, Vec::<String>::new());
    let first = json!({
        "name": "shop/deployment/web/1", "owner": "shop/deployment/web", "reason": "found by scan",
        "expires": "2027-03-01", "rules": ["privileged"],
        "match": { "namespaces": ["shop"], "serviceAccounts": ["robot"], "containers": ["app"] },
    });
    assert_eq!(policy["spec"]["exemptions"][0], first);
    let policy = crate::policy::Policy::read(&policy).unwrap();
    assert_eq!((policy.name(), policy.exemptions().len()), ("restricted-with-exemptions", 4));
    let bad = json!({ "privileged": true, "seccompProfile": { "type": "Unconfined" } });
    let alone = (Kind::Pod, object("alone", &Value::Null, &containers(&bad)));
    let world = World { policy: Some(policy), ..shop() };
    assert_eq!(scan(&world, &[alone]).namespaces[0].safe, Safety::Yes);
    let mut other = object("other", &Value::Null, &containers(&bad));
    other["spec"]["serviceAccountName"] = json!("another");
    assert_eq!(scan(&world, &[(Kind::Pod, other)]).namespaces[0].safe, Safety::No);
}

#[test]
fn a_report_counts_everything_and_lists_a_hundred_results() {
    let bad = json!({ "privileged": true, "seccompProfile": { "type": "RuntimeDefault" } });
    let pods = (0..150)
        .map(|at| (Kind::Pod, object(&format!("web-{at}"), &Value::Null, &containers(&bad))));
    let mut pods: Vec<_> = pods.collect();
    pods.push((Kind::Pod, object("fine", &Value::Null, &containers(&default()))));
    let list = reports(&scan(&shop(), &pods));
    let report = &list["items"][0];
    assert_eq!(
        report["summary"],
        json!({ "pass": 1, "fail": 150, "warn": 0, "error": 0, "skip": 0 })
    );
    assert_eq!(report["results"].as_array().map(Vec::len), Some(100));
    let unread = Scan::new(&shop()).finish(None, vec![unread("pods")]);
    let report = &reports(&unread)["items"][0];
    assert_eq!(
        (&report["summary"]["error"], &report["results"][0]["result"]),
        (&json!(1), &json!("error"))
    );
}
