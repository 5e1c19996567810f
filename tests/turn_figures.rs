//! What a relay costs: the figures of docs/figures.md, "Networks". Run with `make bench-turn` on a quiet machine.
#![allow(clippy::unwrap_used)]

mod turn_support;

use chatphone::peer::{PeerConfig, RelaySettings};
use std::time::{Duration, Instant};
use turn_support::*;

const CALLS: usize = 20;

async fn setup(config: PeerConfig) -> f64 {
    let begin = Instant::now();
    let (a, b) = connected(config, host()).await;
    let took = begin.elapsed();
    tokio::join!(a.peer.close(), b.peer.close());
    took.as_secs_f64() * 1000.0
}

fn median(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() - 1])
}

/// By turns, so that a busy moment hits all alike.
async fn compare(what: &[(&str, PeerConfig)]) {
    let mut times = vec![Vec::new(); what.len()];
    for _ in 0..CALLS {
        for ((_, config), times) in what.iter().zip(&mut times) {
            times.push(setup(config.clone()).await);
        }
    }
    for ((name, _), times) in what.iter().zip(times) {
        let (median, worst) = median(times);
        println!("{name}: median {median:.0} ms, worst {worst:.0} ms of {CALLS}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for a minute; make bench-turn"]
async fn setup_through_a_relay() {
    let turn = Coturn::start();
    let over = |url| config(vec![server(url)], turn.trusted(), true);
    compare(&[
        ("no relay", config(vec![], RelaySettings::default(), false)),
        ("relay over UDP", over(turn.udp())),
        ("relay over TCP", over(turn.tcp())),
        ("relay over TLS", over(turn.tls())),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for a minute; make bench-turn"]
async fn setup_with_dead_servers_in_the_list() {
    let turn = Coturn::start();
    let (dead, _hole) = dead_servers().await;
    let with =
        |servers: &[_], relay_only| config(servers.iter().chain(&dead).cloned().collect(), turn.trusted(), relay_only);
    let relay = [server(turn.tls())];
    compare(&[
        ("direct", config(vec![], turn.trusted(), false)),
        ("direct, 8 dead servers", with(&[], false)),
        ("relay over TLS", config(relay.to_vec(), turn.trusted(), true)),
        ("relay over TLS, 8 dead servers", with(&relay, true)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for a minute; make bench-turn"]
async fn loss_in_the_tunnel() {
    let turn = Coturn::start();
    for (name, url) in [("TCP", turn.tcp()), ("TLS", turn.tls())] {
        for (what, packets, size, every) in [
            ("50 packets/s", 1000, 120, Duration::from_millis(20)),
            ("5 Mbit/s", 5210, 1200, Duration::from_micros(1920)),
        ] {
            let (a, mut b) = connected(config(vec![server(&url)], turn.trusted(), true), host()).await;
            let begin = Instant::now();
            let lost = a.sends(&mut b, packets, size, every).await.len();
            let rate = f64::from(packets) * size as f64 * 8.0 / begin.elapsed().as_secs_f64() / 1e6;
            let dropped = a.peer.stats().await.relay_dropped;
            println!("{name}, {what}: {lost} of {packets} lost, {dropped} dropped by the queue ({rate:.2} Mbit/s)");
        }
    }
}
