//! The page of a scan in a browser.

use std::{fs, path::Path, process::Command, sync::Arc};

use serde_json::json;
use support::report::report;
use tempfile::TempDir;

use crate::server::{Server, command};

/// What a browser makes of a page, and what its console says.
struct Shown {
    dom: String,
    console: Vec<String>,
}

/// Opens a page in Chromium, with this fragment; `None` on a machine without it.
fn open(page: &Path, fragment: &str) -> Option<Shown> {
    let profile = TempDir::new().expect("a folder");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}#{fragment}", page.display()))
        .output();
    let Ok(output) = output else {
        report("skipped: cannot find chromium; e2e/setup installs it");
        return None;
    };
    let log = String::from_utf8_lossy(&output.stderr);
    let console = log.lines().filter(|it| it.contains(":CONSOLE")).map(str::to_owned).collect();
    Some(Shown { dom: String::from_utf8_lossy(&output.stdout).into_owned(), console })
}

impl Shown {
    /// The text of the first element with that id, which holds no others.
    fn text(&self, id: &str) -> &str {
        let (_, rest) = self.dom.split_once(&format!(" id=\"{id}\"")).expect("it is there");
        let (_, rest) = rest.split_once('>').expect("the tag ends");
        rest.split_once('<').map_or("", |(text, _)| text)
    }

    /// What stands in the page outside of its data and its script.
    fn body(&self) -> &str {
        self.dom
            .split_once("<main>")
            .and_then(|(_, it)| it.split_once("</main>"))
            .expect("it has one")
            .0
    }
}

/// Twenty thousand pods without an owner in forty namespaces, of which every tenth is privileged,
/// and one whose names are markup.
fn cluster() -> Server {
    let namespaces: Vec<_> =
        (0..40).map(|it| json!({ "metadata": { "name": format!("team-{it:02}") } })).collect();
    let mut pods: Vec<_> = (0..20_000)
        .map(|it| {
            let context = json!({
                "privileged": it % 10 == 0, "seccompProfile": { "type": "RuntimeDefault" },
            });
            json!({
                "metadata": { "namespace": format!("team-{:02}", it % 40), "name": format!("pod-{it}") },
                "spec": { "containers": [{ "name": "app", "securityContext": context }] },
            })
        })
        .collect();
    let markup = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">";
    pods.push(json!({
        "metadata": {
            "namespace": "team-07", "name": format!("evil {markup}"),
            "ownerReferences": [{
                "apiVersion": markup, "kind": markup, "name": format!("evil {markup}"),
                "controller": true,
            }],
        },
        "spec": { "containers": [{
            "name": markup, "image": markup, "securityContext": { "privileged": true },
        }] },
    }));
    let list =
        |items: &[serde_json::Value]| format!(r#"{{"metadata":{{}},"items":{}}}"#, json!(items));
    let (namespaces, pods) = (Arc::new(list(&namespaces)), Arc::new(list(&pods)));
    Server::start(move |path| match path {
        "/api/v1/namespaces" => namespaces.to_string(),
        "/api/v1/pods" => pods.to_string(),
        _ => r#"{"metadata":{},"items":[]}"#.to_owned(),
    })
}

#[test]
fn the_page_shows_what_a_filter_chooses_and_runs_no_script_of_the_cluster() {
    let folder = TempDir::new().expect("a folder");
    let page = folder.path().join("scan.html");
    let flag = format!("html={}", page.display());
    let output = command(&cluster()).args(["--output", &flag]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    // (fragment, count, how many namespaces are opened, findings in the page)
    let cases = [
        ("", "2,002 of 2,002 findings, 40 of 40 namespaces", 0, 0),
        ("q=team-03", "0 of 2,002 findings, 1 of 40 namespaces", 1, 0),
        ("q=pod-110", "12 of 2,002 findings, 4 of 40 namespaces", 4, 12),
        ("q=evil&rule=privileged", "1 of 2,002 findings, 1 of 40 namespaces", 1, 1),
        ("rule=unset", "0 of 2,002 findings, 0 of 40 namespaces", 0, 0),
        ("grade=changed", "1 of 2,002 findings, 1 of 40 namespaces", 1, 1),
        ("safe=yes", "0 of 2,002 findings, 35 of 40 namespaces", 0, 0),
    ];
    for (fragment, count, opened, findings) in cases {
        let Some(shown) = open(&page, fragment) else { return };
        assert_eq!(shown.text("count"), count, "#{fragment}");
        assert_eq!(shown.console, Vec::<String>::new(), "#{fragment}");
        assert!(shown.dom.contains("<title>callgate scan</title>"), "#{fragment}");
        let body = shown.body();
        assert_eq!(body.matches("class=\"namespace\" open").count(), opened, "#{fragment}");
        assert_eq!(body.matches("<details class=\"finding\"").count(), findings, "#{fragment}");
        assert!(!body.contains("<img") && !body.contains("<script"), "#{fragment}");
        assert!(!fragment.contains("evil") || body.contains("&lt;/script&gt;"), "{body}");
    }
}

/// The test before this one could not fail otherwise.
#[test]
fn the_policy_of_the_page_stops_a_script_that_gets_into_it() {
    let folder = TempDir::new().expect("a folder");
    let page = folder.path().join("scan.html");
    let flag = format!("html={}", page.display());
    let empty = Server::start(|_| r#"{"metadata":{},"items":[]}"#.to_owned());
    command(&empty).args(["--output", &flag]).output().expect("it starts");
    let text = fs::read_to_string(&page).expect("it is text");
    let attack = "<main><script>document.title='broken'</script>";
    fs::write(&page, text.replace("<main>", attack)).expect("it is written");
    let Some(shown) = open(&page, "") else { return };
    assert!(shown.dom.contains("<title>callgate scan</title>"));
    assert_eq!(shown.console.len(), 1, "{:?}", shown.console);
    assert!(shown.console[0].contains("Content Security Policy"), "{:?}", shown.console);
    let policy = text.split_once("<meta http-equiv").expect("it has one").1;
    let (_, without) = policy.split_once('>').expect("it ends");
    let bare = format!("<!doctype html><html><head>{}", without.replace("<main>", attack));
    fs::write(&page, bare).expect("it is written");
    let Some(shown) = open(&page, "") else { return };
    assert!(shown.dom.contains("<title>broken</title>"), "without it the script runs");
}

#[test]
fn the_page_shows_what_runs_without_a_filter_beside_what_is_declared() {
    let pod = |name: &str| {
        json!({
            "metadata": { "namespace": "shop", "name": name, "uid": format!("uid of {name}") },
            "spec": {
                "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
                "containers": [{ "name": "app" }],
            },
        })
    };
    let seen = |name: &str, declared: &str| {
        json!({
            "namespace": "shop", "pod": name, "uid": format!("uid of {name}"), "container": "app",
            "declared": declared, "processes": "All", "noNewPrivs": false,
        })
    };
    let markup = "<img src=x>";
    let mut web = seen("web", "Localhost");
    web["localhostProfile"] = "apps/web.json".into();
    let unfiltered = json!([web, seen(markup, "RuntimeDefault"), seen("open", "Unset")]);
    let denied = |pod: &str, action: &str, count: u64| {
        json!({
            "namespace": "shop", "pod": pod, "uid": "u", "container": "app", "declared": "RuntimeDefault",
            "syscall": "mkdir", "architecture": "SCMP_ARCH_X86_64", "action": action,
            "count": count, "last": "2026-11-24T10:00:00Z",
        })
    };
    let denied = json!([denied(markup, "SCMP_ACT_ERRNO", 37), denied("web", "SCMP_ACT_LOG", 1)]);
    let node = json!({
        "metadata": { "name": "node-a" }, "status": { "profiles": [], "containers": {
            "filter": 9, "none": 3, "strict": 0, "unknown": 0, "unfiltered": unfiltered,
        }, "denials": { "since": "2026-11-23T10:00:00Z", "calls": denied, "unknown": 2, "lost": 0 } },
    });
    let list = |items: serde_json::Value| format!(r#"{{"metadata":{{}},"items":{items}}}"#);
    let server = Server::start(move |path| match path {
        "/api/v1/namespaces" => list(json!([{ "metadata": { "name": "shop" } }])),
        "/api/v1/pods" => list(json!([pod("web"), pod(markup), pod("open")])),
        "/apis/callgate.dev/v1alpha1/seccompnodes" => list(json!([node])),
        _ => list(json!([])),
    });
    let folder = TempDir::new().expect("a folder");
    let page = folder.path().join("scan.html");
    let flag = format!("html={}", page.display());
    let output = command(&server).args(["--output", &flag]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let Some(shown) = open(&page, "q=shop") else { return };
    assert_eq!(shown.console, Vec::<String>::new());
    let body = shown.body();
    for expected in [
        "<b class=\"no\">3</b>containers without a filter, by the kernel of 1 node</li>",
        "<li class=\"no\">web, container app, on node-a: declared Localhost \"apps/web.json\"</li>",
        "<li class=\"no\">&lt;img src=x&gt;, container app, on node-a: declared RuntimeDefault</li>",
        "<li class=\"\">open, container app, on node-a: declared Unset</li>",
        "<b class=\"no\">37</b>calls denied in containers, at least, by audit records of 1 node</li>",
        "<li class=\"no\">&lt;img src=x&gt;, container app, on node-a: mkdir denied 37 times, declared RuntimeDefault, last at 2026-11-24T10:00:00Z</li>",
        "<li class=\"\">web, container app, on node-a: mkdir logged 1 time, declared RuntimeDefault, last at 2026-11-24T10:00:00Z</li>",
    ] {
        assert!(body.contains(expected), "{expected}: {body}");
    }
}
