//! References to profiles: existing, missing, misspelt and hollow.

use crate::trial::{Test, naming, profile_of, trials};

trials![
    a_profile_of_the_catalog_is_accepted,
    a_misspelt_profile_is_denied_with_a_hint,
    an_invalid_path_is_denied,
    a_hollow_profile_is_denied,
];

async fn a_profile_of_the_catalog_is_accepted(it: Test) {
    let stored = it.accepts(&naming("block-mkdir.json")).await;
    assert_eq!(profile_of(&stored, "/spec").as_deref(), Some("Localhost"));
}

async fn a_misspelt_profile_is_denied_with_a_hint(it: Test) {
    it.refuses(
        &naming("blok-mkdir.json"),
        &[r#"spec.securityContext: profile "blok-mkdir.json" does not exist; did you mean "block-mkdir.json"? [missing-profile]"#],
    )
    .await;
}

async fn an_invalid_path_is_denied(it: Test) {
    let all = [
        ("", "localhostProfile is empty: some kubelets run that unconfined"),
        ("./x.json", r#"localhostProfile "./x.json" is not in its shortest form, write "x.json""#),
        (
            "a//b.json",
            r#"localhostProfile "a//b.json" is not in its shortest form, write "a/b.json""#,
        ),
    ];
    for (path, why) in all {
        let line = format!("spec.securityContext: {why} [invalid-path]");
        it.refuses(&naming(path), &[&line]).await;
    }
}

async fn a_hollow_profile_is_denied(it: Test) {
    it.refuses(
        &naming("empty.json"),
        &[r#"spec.securityContext: profile "empty.json" filters nothing: it has neither a defaultAction nor syscalls, so the runtime switches seccomp off [hollow-profile]"#],
    )
    .await;
    it.refuses(
        &naming("audit.json"),
        &[r#"spec.securityContext: profile "audit.json" filters nothing: its defaultAction is SCMP_ACT_LOG and no rule denies anything [hollow-profile]"#],
    )
    .await;
}
