//! The reports of an agent comply with the schema.

use callgate::{
    agent::{Published, Source, Write, writes},
    api::SeccompNodeStatus,
};
use serde_json::json;

use crate::node::{NEW, Node, OLD, wanted};

#[test]
fn a_report_is_a_status_of_the_schema() {
    let mut node = Node::new();
    node.pass(&wanted([("db", OLD), ("web", OLD)]));
    std::fs::write(node.root().join("empty.json"), "{}").unwrap();
    let found = node.pass(&wanted([("web", NEW)]));
    let report = writes(&found, &Published::default(), true);
    let Some(Write::Status(json)) = report.get(1) else { panic!("{report:?}") };
    let status: SeccompNodeStatus = serde_json::from_value(json.clone()).expect("it is one");
    assert_eq!((status.profiles.len(), status.unlisted), (3, None));
    let stored = serde_json::to_value(status).unwrap();
    assert_eq!(stored, json!({ "profiles": json["profiles"] }), "null is not stored, and no more");
}

#[test]
fn every_source_of_a_file_is_a_value_of_the_schema() {
    for source in [Source::Callgate, Source::Released, Source::Node] {
        let word = json!(source.as_str());
        let known: callgate::api::Source = serde_json::from_value(word.clone()).expect("it is one");
        assert_eq!(serde_json::to_value(known).unwrap(), word);
    }
}
