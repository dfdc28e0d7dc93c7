//! Creates the same pod in several namespaces in turns.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use kube::{Client, client::Body};
use serde_json::Value;

/// The bench must end even on a slow machine.
const AT_MOST: Duration = Duration::from_secs(100);

/// The parts into which rounds are divided, to see by how much figures differ within a run.
const PARTS: usize = 10;

/// A pod that is posted to one of some namespaces.
pub(crate) struct Post {
    client: Client,
    paths: Vec<String>,
    body: Bytes,
}

/// What was measured in each round, in ms, by place. The first place has no policy.
pub(crate) struct Times(Vec<Vec<f64>>);

/// A figure, and the lowest and the highest one of the parts of a run.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) of_all: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Post {
    /// By server-side dry run: etcd would hide the difference.
    pub(crate) fn dry(client: Client, namespaces: &[&str], pod: &Value) -> Self {
        Self::new(client, namespaces, pod, "?dryRun=All")
    }

    /// One that is stored.
    pub(crate) fn stored(client: Client, namespace: &str, pod: &Value) -> Self {
        Self::new(client, &[namespace], pod, "")
    }

    fn new(client: Client, namespaces: &[&str], pod: &Value, query: &str) -> Self {
        let path = |it: &&str| format!("/api/v1/namespaces/{it}/pods{query}");
        let paths = namespaces.iter().map(path).collect();
        Self { client, paths, body: pod.to_string().into() }
    }

    /// The size of the pod as it is sent, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// How long it took until the answer was there, its status and the answer.
    pub(crate) async fn send(&self, round: usize) -> (Duration, u16, Bytes) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.paths[round % self.paths.len()])
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(self.body.clone()))
            .expect("a valid request");
        let started = Instant::now();
        let response = self.client.send(request).await.expect("the API server answers");
        let status = response.status().as_u16();
        let answer = response.into_body().collect_bytes().await.expect("a whole answer");
        (started.elapsed(), status, answer)
    }

    /// The same, of a pod that is accepted.
    pub(crate) async fn accepted(&self, round: usize) -> (Duration, Bytes) {
        let (time, status, answer) = self.send(round).await;
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
        (time, answer)
    }
}

/// The orders in which places take turns: in all of them together, each place follows each other one
/// equally often (a Latin square of Williams, for a prime that is one more than the places).
fn orders(places: usize) -> Vec<Vec<usize>> {
    let prime = places + 1;
    assert!((2..places).all(|it| !prime.is_multiple_of(it)), "{places} places");
    (1..prime).map(|row| (1..prime).map(|at| row * at % prime - 1).collect()).collect()
}

/// Sends a pod to each place in each round.
pub(crate) async fn take_turns(posts: &[Post], rounds: usize) -> Times {
    let orders = orders(posts.len());
    let mut times = vec![Vec::with_capacity(rounds); posts.len()];
    let started = Instant::now();
    for (round, order) in orders.iter().cycle().take(rounds).enumerate() {
        for at in order {
            times[*at].push(milliseconds(posts[*at].accepted(round).await.0));
        }
        if started.elapsed() > AT_MOST {
            break;
        }
    }
    Times(times)
}

impl Times {
    pub(crate) fn rounds(&self) -> usize {
        self.0[0].len()
    }

    pub(crate) fn at(&self, place: usize, percent: usize) -> f64 {
        quantile(self.0[place].clone(), percent)
    }

    /// What a place adds to the first one: the median of the differences within a round.
    pub(crate) fn adds(&self, place: usize) -> Figure {
        self.figure(|rounds| self.added(place, rounds))
    }

    /// What a place adds, as a multiple of what another one adds.
    pub(crate) fn ratio(&self, place: usize, other: usize) -> Figure {
        self.figure(|rounds| self.added(place, rounds.clone()) / self.added(other, rounds))
    }

    fn added(&self, place: usize, rounds: Range<usize>) -> f64 {
        quantile(rounds.map(|it| self.0[place][it] - self.0[0][it]).collect(), 50)
    }

    fn figure(&self, of: impl Fn(Range<usize>) -> f64) -> Figure {
        let rounds = self.rounds();
        let part = |it: usize| rounds * it / PARTS;
        let parts = (0..PARTS).map(|it| part(it)..part(it + 1)).filter(|it| !it.is_empty());
        let parts: Vec<_> = parts.map(&of).collect();
        let [lowest, highest] = [f64::min, f64::max]
            .map(|of| parts.iter().copied().reduce(of).expect("there was a round"));
        Figure { of_all: of(0..rounds), lowest, highest }
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(crate) fn quantile(mut all: Vec<f64>, percent: usize) -> f64 {
    all.sort_by(f64::total_cmp);
    all[(all.len() * percent / 100).min(all.len() - 1)]
}
