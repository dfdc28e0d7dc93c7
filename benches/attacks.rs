//! Reviews during attacks on the webhook's port.
//!
//! `cargo bench --bench attacks`; docs/performance.md explains the figures.

use std::{
    collections::VecDeque,
    io::{self, Write, stdout},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use rustls::{ClientConfig, version::TLS13};
use support::{
    bench::{review, server::Process},
    client::{Client, Encrypted, handshake_by, request, trusting},
};
use tempfile::TempDir;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

#[derive(Debug, Parser)]
struct Flags {
    /// Said by `cargo bench`; without it nothing is measured
    #[arg(long)]
    bench: bool,

    /// How long each attack lasts, in seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,

    /// How many connections an attacker holds
    #[arg(long, default_value_t = 2000)]
    connections: usize,

    /// Another callgate than this build's
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_callgate"))]
    callgate: PathBuf,
}

const API_SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;
const POD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The longest time that the API server waits (`timeoutSeconds`).
const PATIENCE: Duration = Duration::from_secs(5);

/// How many attackers open connections at once, and how long each waits between two.
const ATTACKERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    None,
    Silence,
    Handshake,
    Unused,
    Head,
    Announced,
    Begun,
    ByteByByte,
    Unread,
    Answered,
    Large,
}

const ATTACKS: [(Attack, &str); 11] = [
    (Attack::None, "none"),
    (Attack::Silence, "connections that say nothing"),
    (Attack::Handshake, "handshakes that are never finished"),
    (Attack::Unused, "connections without a request"),
    (Attack::Head, "headers that never end"),
    (Attack::Announced, "bodies of 8 MiB that are announced and never come"),
    (Attack::Begun, "bodies of 8 MiB of which half comes"),
    (Attack::ByteByByte, "bodies byte by byte"),
    (Attack::Unread, "requests whose answers are not read"),
    (Attack::Answered, "connections that are answered once and kept"),
    (Attack::Large, "bodies of 8 MiB, one after another"),
];

#[derive(Clone)]
struct Target {
    address: SocketAddr,
    client: Arc<ClientConfig>,
}

impl Target {
    async fn connect(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((from, 0).into())?;
        socket.connect(self.address).await
    }

    async fn encrypted(&self, from: Ipv4Addr) -> io::Result<Encrypted> {
        handshake_by(self.connect(from).await?, (*self.client).clone()).await
    }
}

fn main() -> io::Result<()> {
    let Flags { bench, seconds, connections, callgate } = Flags::parse();
    if !bench {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    writeln!(stdout(), "{HEAD}")?;
    for (attack, words) in ATTACKS {
        let directory = TempDir::new()?;
        let mut command = Command::new(&callgate);
        command.args(["serve", "--standalone", "--log-format=json"]);
        command.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
        let server = Process::start(&mut command, directory.path());
        let client = trusting(&directory.path().join("ca.crt"), &[&TLS13]).with_no_client_auth();
        let target = Target { address: server.address, client: Arc::new(client) };
        let time = Duration::from_secs(seconds);
        let mut outcome = runtime.block_on(measure(&target, attack, connections, time));
        let most = server.usage().status("VmHWM");
        row(words, &mut outcome, most)?;
    }
    Ok(())
}

#[derive(Default)]
struct Outcome {
    answered: Vec<Duration>,
    failed: usize,
    attacks: usize,
}

async fn measure(target: &Target, attack: Attack, connections: usize, time: Duration) -> Outcome {
    let begun = Arc::<AtomicUsize>::default();
    let mut attackers = JoinSet::new();
    for _ in 0..ATTACKERS {
        let (target, begun) = (target.clone(), Arc::clone(&begun));
        attackers.spawn(attacks(target, attack, connections / ATTACKERS, begun));
    }
    // Until it holds as many connections as it can.
    sleep(time / 4).await;
    let mut clients = JoinSet::new();
    for anew in [false, false, false, false, true, true] {
        clients.spawn(reviews(target.clone(), anew, Instant::now() + time));
    }
    let mut all = Outcome::default();
    while let Some(one) = clients.join_next().await {
        let Outcome { answered, failed, .. } = one.expect("a client does not panic");
        all.answered.extend(answered);
        all.failed += failed;
    }
    attackers.shutdown().await;
    all.attacks = begun.load(Ordering::Relaxed);
    all
}

/// Sends a review every 20 ms, over one connection or each over a new one.
async fn reviews(target: Target, anew: bool, until: Instant) -> Outcome {
    let review = review::all().swap_remove(0);
    let post = request(&format!("{}?timeout=5s", review.path), &review.body);
    let post = post.replacen("\r\n", "\r\nContent-Type: application/json\r\n", 1);
    let mut outcome = Outcome::default();
    let mut open = None;
    while Instant::now() < until {
        let started = Instant::now();
        let one = async {
            let mut client = match open.take() {
                Some(it) if !anew => it,
                _ => target.encrypted(API_SERVER).await?,
            };
            client.write(&post).await?;
            let answer = client.answer().await?;
            Ok::<_, io::Error>((client, answer.status))
        };
        match timeout(PATIENCE, one).await {
            Ok(Ok((client, 200))) => {
                outcome.answered.push(started.elapsed());
                open = Some(client);
            }
            _ => outcome.failed += 1,
        }
        sleep(Duration::from_millis(20)).await;
    }
    outcome
}

/// Opens connections for ever and holds the last `most` of them.
async fn attacks(target: Target, attack: Attack, most: usize, begun: Arc<AtomicUsize>) {
    let mut plain = VecDeque::new();
    let mut encrypted = VecDeque::new();
    // It takes long to read and is nothing.
    let mut large = format!("{{\"x\":[{}1]}}", "1,".repeat((4 << 20) - 8));
    large.extend(std::iter::repeat_n(' ', (8 << 20) - large.len()));
    let announced = "POST /validate?timeout=30s HTTP/1.1\r\nContent-Type: application/json\r\n\
                     Content-Length: 8388608\r\n\r\n";
    if attack == Attack::None {
        return;
    }
    loop {
        begun.fetch_add(1, Ordering::Relaxed);
        // The server is expected to cut or reject some.
        let _ = timeout(PATIENCE, async {
            if matches!(attack, Attack::Silence | Attack::Handshake) {
                let mut client = Client::of(target.connect(POD).await?);
                if attack == Attack::Handshake {
                    client.write("\u{16}\u{3}\u{1}\u{2}").await?;
                }
                plain.push_back(client);
                return Ok(());
            }
            let mut client = target.encrypted(POD).await?;
            match attack {
                Attack::None | Attack::Silence | Attack::Handshake | Attack::Unused => {}
                Attack::Head => client.write("POST /validate HTTP/1.1\r\nX: ").await?,
                Attack::Announced => client.write(announced).await?,
                Attack::Begun => {
                    client.write(announced).await?;
                    client.write(&large[..large.len() / 2]).await?;
                }
                Attack::ByteByByte => {
                    client.write(announced).await?;
                    for it in &mut encrypted {
                        let it: &mut Encrypted = it;
                        let _ = it.write("y").await;
                    }
                }
                Attack::Unread => {
                    let many = "GET /nowhere HTTP/1.1\r\nHost: callgate\r\n\r\n".repeat(1000);
                    let _ = timeout(PAUSE, client.write(&many)).await;
                }
                Attack::Answered => drop(client.post("/nowhere", "").await),
                Attack::Large => {
                    client.write(announced).await?;
                    client.write(&large).await?;
                    client.answer().await?;
                    return Ok(());
                }
            }
            encrypted.push_back(client);
            Ok::<_, io::Error>(())
        })
        .await;
        if plain.len() > most {
            plain.pop_front();
        }
        if encrypted.len() > most {
            encrypted.pop_front();
        }
        sleep(PAUSE).await;
    }
}

const HEAD: &str = "\
| attack | begun | reviews | failed | p50, ms | p99, ms | most, ms | memory at most (VmHWM), MiB |
| ------ | ----: | ------: | -----: | ------: | ------: | -------: | --------------------------: |";

fn row(attack: &str, outcome: &mut Outcome, most_kib: u64) -> io::Result<()> {
    let Outcome { answered, failed, attacks } = outcome;
    answered.sort_unstable();
    let at = |share: usize| {
        let last = answered.len().saturating_sub(1);
        answered.get(last * share / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    writeln!(
        stdout(),
        "| {attack} | {attacks} | {} | {failed} | {:.1} | {:.1} | {:.0} | {:.1} |",
        answered.len() + *failed,
        at(50),
        at(99),
        at(100),
        Duration::from_secs(most_kib).as_secs_f64() / 1024.0,
    )
}
