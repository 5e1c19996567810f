//! The watch of the network, in a network namespace of its own whose addresses and routes are changed.
//!
//! Needs the right to make one (root, on Linux) and the programs `unshare` and `ip`; says so and passes without.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use chatphone::api::event::ClientMessage;
use chatphone::api::types::PartyType;
use chatphone::api::{Client, ClientConfig, Identity, ServerEvent};
use chatphone::call::{CallConfig, CallSetup, SoundSpec};
use chatphone::chat::{ChatEvent, SessionConfig};
use chatphone::network::{NetworkEvent, NetworkWatch};
use chatphone::peer::LocalNetwork;
use chatphone::peer::media::MediaClock;
use chatphone::phone::{EndChat, Phone, PhoneConfig, PhoneEvent, PhoneEvents};
use chatphone::simulator::{Simulator, SimulatorConfig};
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Set in the process that runs in the namespace.
const INSIDE: &str = "CHATPHONE_TEST_NAMESPACE";

/// Runs the test of this name again, in a namespace of its own. False: that is what happens now, go on.
fn outside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let in_namespace = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", program]);
        command
    };
    let may = in_namespace("ip").arg("link").output().is_ok_and(|out| out.status.success());
    if !may {
        eprintln!("SKIPPED {test}: no network namespace can be made here (needs root, `unshare` and `ip`)");
        return true;
    }
    let exe = std::env::current_exe().unwrap();
    let ran =
        in_namespace(exe.to_str().unwrap()).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    assert!(ran.status.success(), "{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    true
}

fn ip(words: &str) {
    let out = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Two interfaces, the first one with an address and the way to the world.
fn network() {
    ip("link set lo up");
    for (name, peer) in [("wifi", "ap"), ("lte", "tower")] {
        ip(&format!("link add {name} type veth peer name {peer}"));
        ip(&format!("link set {peer} up"));
    }
    ip("addr add 10.9.0.2/24 dev wifi");
    ip("link set wifi up");
    ip("route add default via 10.9.0.1");
    // Comes up with an address of its own, whenever that is settled.
    ip("link set lte up");
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn next(watch: &mut NetworkWatch) -> NetworkEvent {
    timeout(Duration::from_secs(10), watch.next()).await.expect("nothing is told")
}

/// Waits for an event of this kind; the addresses that interfaces give themselves are not meant.
async fn route_change(watch: &mut NetworkWatch) -> (Vec<IpAddr>, Vec<IpAddr>) {
    loop {
        if let NetworkEvent::AddressesChanged { addresses, gone, route: true } = next(watch).await {
            return (addresses, gone);
        }
    }
}

#[tokio::test]
async fn a_way_to_the_world_that_goes_and_another_that_comes_are_told_at_once() {
    if outside("a_way_to_the_world_that_goes_and_another_that_comes_are_told_at_once") {
        return;
    }
    network();
    let mut watch = NetworkWatch::towards("10.9.0.1:8080");
    // It has looked once.
    assert!(timeout(Duration::from_millis(300), route_change(&mut watch)).await.is_err(), "nothing happened yet");

    let begun = Instant::now();
    ip("addr del 10.9.0.2/24 dev wifi");
    let (addresses, gone) = route_change(&mut watch).await;
    assert_eq!(gone, [address("10.9.0.2")]);
    assert!(addresses.contains(&address("127.0.0.1")) && !addresses.contains(&address("10.9.0.2")), "{addresses:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

    let begun = Instant::now();
    ip("addr add 10.64.0.9/24 dev lte");
    ip("route add default via 10.64.0.1");
    let (addresses, gone) = route_change(&mut watch).await;
    assert!(gone.is_empty() && addresses.contains(&address("10.64.0.9")), "{addresses:?} {gone:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_default_route_that_moves_to_another_interface_is_told_although_no_address_goes() {
    if outside("a_default_route_that_moves_to_another_interface_is_told_although_no_address_goes") {
        return;
    }
    network();
    ip("addr add 10.64.0.9/24 dev lte");
    let mut watch = NetworkWatch::towards("cc.invalid");
    assert!(timeout(Duration::from_millis(300), route_change(&mut watch)).await.is_err(), "nothing happened yet");
    ip("route replace default via 10.64.0.1");
    let (_, gone) = route_change(&mut watch).await;
    assert!(gone.is_empty());
}

#[tokio::test]
async fn interfaces_of_containers_come_and_go_without_a_word_on_the_route() {
    if outside("interfaces_of_containers_come_and_go_without_a_word_on_the_route") {
        return;
    }
    network();
    let mut watch = NetworkWatch::towards("10.9.0.1");
    let quiet = async {
        for n in 0..3 {
            ip(&format!("link add c{n} type veth peer name d{n}"));
            ip(&format!("addr add 172.17.{n}.1/24 dev c{n}"));
            ip(&format!("link set c{n} up"));
            tokio::time::sleep(Duration::from_millis(400)).await;
            ip(&format!("link del c{n}"));
        }
        tokio::time::sleep(Duration::from_millis(800)).await;
    };
    tokio::select! {
        change = route_change(&mut watch) => panic!("{change:?}"),
        () = quiet => {}
    }
    // It still listens.
    ip("route del default");
    route_change(&mut watch).await;
}

/// A phone in the namespace, with a contact center on the machine itself.
async fn phone(center: &Simulator) -> (Phone, PhoneEvents) {
    let client = Client::new(ClientConfig::new(center.base_url(), "app", Identity::ClientId("kiosk".into()))).unwrap();
    let (phone, events, _) = Phone::start(PhoneConfig {
        call: CallSetup {
            client: client.clone(),
            clock: MediaClock::start().unwrap(),
            network: LocalNetwork::towards(Some(Ipv4Addr::LOCALHOST.into())),
            relay_only: false,
            sound: SoundSpec::default(),
            opened: None,
            tap: None,
            limits: CallConfig::default(),
        },
        client,
        request: Default::default(),
        session: SessionConfig::default(),
        end_chat: EndChat::Always,
        watch_network: true,
        last_call: None,
    });
    (phone, events)
}

async fn until(events: &mut PhoneEvents, mut fits: impl FnMut(&PhoneEvent) -> bool) {
    let all = async { while !fits(&events.recv().await.expect("the phone has ended")) {} };
    timeout(Duration::from_secs(20), all).await.expect("it does not come");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_tells_of_another_network_and_its_chat_goes_on() {
    if outside("a_phone_tells_of_another_network_and_its_chat_goes_on") {
        return;
    }
    network();
    ip("addr add 10.64.0.9/24 dev lte");
    let mut config = SimulatorConfig::default();
    config.agent.join_after = Duration::from_millis(20);
    let center = Simulator::start(config).await.unwrap();
    let (phone, mut events) = phone(&center).await;
    let joined = |e: &PhoneEvent| matches!(e, PhoneEvent::Chat(ChatEvent::Server { event: ServerEvent::PartyJoined(p), .. }) if p.party_type == PartyType::Internal);
    until(&mut events, joined).await;
    ip("route replace default via 10.64.0.1");
    until(&mut events, |e| matches!(e, PhoneEvent::Network(NetworkEvent::AddressesChanged { route: true, .. }))).await;
    phone.send(ClientMessage { msg: "still there?".into(), ..Default::default() });
    let answered = |e: &PhoneEvent| matches!(e, PhoneEvent::Chat(ChatEvent::Server { event: ServerEvent::Message(m), own: false }) if m.msg.contains("still there?"));
    until(&mut events, answered).await;
    phone.shut_down();
    center.shutdown().await;
}
