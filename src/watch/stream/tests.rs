//! Lists and watches of an API server whose answers the tests choose.

use std::{
    cell::RefCell,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::stream::{Pending, pending};
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use kube::client::Body;
use tokio::time::timeout;
use tower::service_fn;

use super::*;
use crate::watch::Timing;

/// A text, or a body that never brings anything.
type ResponseBody = Either<Full<Bytes>, StreamBody<Pending<Result<Frame<Bytes>, Infallible>>>>;

/// The answer of an API server to the request with that number and URI.
type Answer = dyn Fn(usize, &str) -> (StatusCode, ResponseBody) + Send + Sync;

fn answer_with(text: &str) -> (StatusCode, ResponseBody) {
    (StatusCode::OK, Either::Left(Full::from(text.as_bytes().to_vec())))
}

fn silence() -> (StatusCode, ResponseBody) {
    (StatusCode::OK, Either::Right(StreamBody::new(pending())))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    team: String,
}

fn labels(object: &Object<'_>) -> Result<Labels, String> {
    object.labels()
}

/// All namespaces, watched for ten seconds at a time.
fn namespaces() -> Source {
    Source {
        path: "/api/v1/namespaces".to_owned(),
        fields: String::new(),
        page: 100,
        metadata_only: true,
        timing: Timing {
            term: Duration::from_secs(10),
            first_term: Duration::from_secs(1),
            silence: Duration::from_secs(12),
            patience: Duration::from_secs(5),
            pauses: (Duration::from_millis(200), Duration::from_secs(5)),
        },
    }
}

/// Watches namespaces for that long; returns what was reported, with the second of each, and the
/// requests.
async fn follow(seconds: u64, answer: Arc<Answer>) -> (Vec<(u64, String)>, Vec<String>) {
    follow_source(namespaces(), seconds, answer).await
}

async fn follow_source(
    source: Source,
    seconds: u64,
    answer: Arc<Answer>,
) -> (Vec<(u64, String)>, Vec<String>) {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let requests = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Body>| {
        let uri = request.uri().to_string();
        let mut asked = requests.lock().unwrap();
        let (status, body) = answer(asked.len(), &uri);
        asked.push(uri);
        let response = Response::builder().status(status).body(body).unwrap();
        async move { Ok::<_, String>(response) }
    });
    let client = Client::new(service, "callgate-system");
    let (start, reported) = (Instant::now(), RefCell::new(Vec::new()));
    let notify = |it: Event<Result<Labels, String>>| {
        let team = |it: Result<Labels, String>| match it {
            Ok(it) => it.team,
            Err(_) => "unreadable".to_owned(),
        };
        let words = match it {
            Event::Change(Change::Begin) => "begin".to_owned(),
            Event::Change(Change::Listed(name, it)) => format!("listed {name}={}", team(it)),
            Event::Change(Change::End) => "end".to_owned(),
            Event::Change(Change::Put(name, it)) => format!("put {name}={}", team(it)),
            Event::Change(Change::Gone(name)) => format!("gone {name}"),
            Event::Nameless(_) => "nameless".to_owned(),
            Event::Confirmed(at) => format!("confirmed {}", (at - start).as_secs()),
            Event::Failed(it) => format!("failed {}", it.why),
        };
        reported.borrow_mut().push((start.elapsed().as_secs(), words));
    };
    let following = stream(&client, source, labels, notify);
    let _ = timeout(Duration::from_secs(seconds), following).await;
    let asked = asked.lock().unwrap().clone();
    (reported.into_inner(), asked)
}

fn words(reported: &[(u64, String)]) -> Vec<&str> {
    reported.iter().map(|(_, it)| it.as_str()).collect()
}

const EMPTY: &str = r#"{"metadata":{"resourceVersion":"7"},"items":[]}"#;

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_is_named_and_affects_no_other() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let list = format!(
        r#"{{"kind":"List","metadata":{{"resourceVersion":"7"}},"items":[
            {{"metadata":{{"name":"a","labels":{{"team":"baseline"}}}}}},
            {{"metadata":{{"name":"b","labels":{{"team":[]}}}}}},
            {{"metadata":7}},
            {{"metadata":{{"managedFields":{deep},"name":"c"}}}}]}}"#
    );
    let watch = r#"{"type":"ADDED","object":{"metadata":{"name":"d","labels":{"team":7}}}}
{"type":"MODIFIED","object":{"metadata":{}}}
no line of a watch
{"type":"DELETED","object":{"metadata":{"name":"a","labels":7}}}
{"type":"ADDED","object":{"metadata":{"name":"e"}}}
"#;
    let answer = move |number, _: &str| match number {
        0 => answer_with(&list),
        1 => answer_with(watch),
        _ => silence(),
    };
    let (reported, _) = follow(1, Arc::new(answer)).await;
    assert_eq!(
        words(&reported),
        [
            "begin",
            "listed a=baseline",
            "listed b=unreadable",
            "nameless",
            "listed c=",
            "end",
            "confirmed 0",
            "put d=unreadable",
            "nameless",
            "nameless",
            "gone a",
            "put e=",
            "confirmed 0",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn however_long_a_type_is_missing_it_counts_within_seconds_once_it_is_there() {
    let answers = |since: Duration| {
        let start = Instant::now();
        move |_, uri: &str| match uri {
            _ if start.elapsed() < since => (StatusCode::NOT_FOUND, answer_with("").1),
            it if it.contains("watch=true") => silence(),
            _ => answer_with(EMPTY),
        }
    };
    let (reported, asked) = follow(3700, Arc::new(answers(Duration::from_hours(1)))).await;
    let (at, _) = reported.iter().find(|it| it.1 == "end").expect("it is listed");
    assert!((3600..=3605).contains(at), "{at}");
    assert!(asked.len() < 2000, "it is not asked for without a pause: {}", asked.len());
    assert_eq!(reported[1].1, "failed the API server says: 404 Not Found");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_given_up_and_confirms_nothing() {
    let answer = |number, _: &str| if number == 0 { answer_with(EMPTY) } else { silence() };
    let (reported, asked) = follow(13, Arc::new(answer)).await;
    let expected = [
        (0, "begin".to_owned()),
        (0, "end".to_owned()),
        (0, "confirmed 0".to_owned()),
        (12, "failed the API server fell silent".to_owned()),
    ];
    assert_eq!(reported, expected);
    assert_eq!(asked.len(), 3, "another watch has begun");
    assert!(asked[1].contains("timeoutSeconds=10&") && asked[2].contains("timeoutSeconds=1&"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_where_the_last_one_ended_and_begins_anew_where_that_is_too_old() {
    let answer = |number, _: &str| match number {
        0 => answer_with(EMPTY),
        1 => answer_with(
            "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n",
        ),
        2 => {
            answer_with("{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"too old\"}}\n")
        }
        3 => answer_with(EMPTY),
        _ => silence(),
    };
    let (reported, asked) = follow(3, Arc::new(answer)).await;
    let versions: Vec<_> = asked.iter().map(|it| it.split_once("resourceVersion=")).collect();
    let versions: Vec<_> = versions.iter().map(|it| it.map_or("list", |(_, it)| it)).collect();
    assert_eq!(versions, ["list", "7", "9", "list", "7"]);
    assert!(words(&reported).contains(&"failed the API server says: too old"), "{reported:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_list_comes_in_pages() {
    let page = |name: &str, next: &str| {
        format!(
            r#"{{"metadata":{{"resourceVersion":"7","continue":"{next}"}},
                "items":[{{"metadata":{{"name":"{name}"}}}}]}}"#
        )
    };
    let answer = move |_, uri: &str| match uri {
        it if it.ends_with("limit=100") => answer_with(&page("a", "b+/=")),
        it if it.ends_with("limit=100&continue=b%2B%2F%3D") => answer_with(&page("b", "")),
        _ => silence(),
    };
    let (reported, _) = follow(1, Arc::new(answer)).await;
    assert_eq!(words(&reported), ["begin", "listed a=", "listed b=", "end", "confirmed 0"]);
}

/// As an agent watches its own node: for minutes at a time.
#[tokio::test(start_paused = true)]
async fn a_long_watch_is_given_up_as_soon_as_its_bookmarks_stay_away() {
    let mut source = namespaces();
    source.fields = "metadata.name=node-a".to_owned();
    source.timing.term = Duration::from_secs(290);
    source.timing.silence = Duration::from_secs(150);
    let answer = |number, _: &str| if number == 0 { answer_with(EMPTY) } else { silence() };
    let (reported, asked) = follow_source(source, 151, Arc::new(answer)).await;
    assert_eq!(reported[3], (150, "failed the API server fell silent".to_owned()));
    let selector = "&fieldSelector=metadata.name%3Dnode-a";
    assert!(asked.iter().all(|it| it.ends_with(selector)), "{asked:?}");
}
