//! Media through a real TURN server: by every way there is to it, and what is said when there is none.
#![allow(clippy::unwrap_used)]

mod common;
mod turn_support;

use chatphone::api::signaling::IceCandidate;
use chatphone::api::{Client, ClientConfig, Identity};
use chatphone::call::{CallEvent, Interruption, Outcome};
use chatphone::cli::place::{CallPlan, place_call};
use chatphone::peer::{PeerEvent, PeerState, RelayEvent, RelaySettings, Renew};
use chatphone::phone::PhoneEvent;
use chatphone::simulator::{AgentIce, AgentSound};
use chatphone_media::audio::source::SourceSpec;
use chatphone_media::samples::{AGENT, CUSTOMER};
use common::{call, center, correlations, plan, write_sample};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use turn_support::coturn::Options;
use turn_support::proxy::{HttpProxy, silent};
use turn_support::*;

/// Media flows both ways through the relay, and the report says by what protocol.
async fn relayed(url: String, settings: RelaySettings, protocol: &str) {
    let (mut a, mut b) = connected(config(vec![server(url.as_str())], settings, true), host()).await;
    let every = Duration::from_millis(5);
    assert_eq!(a.sends(&mut b, 100, 160, every).await, [] as [u16; 0]);
    assert_eq!(b.sends(&mut a, 100, 160, every).await, [] as [u16; 0]);
    let stats = a.peer.stats().await;
    let local = stats.local_candidate.unwrap();
    assert_eq!((local.candidate_type.as_str(), local.relay_protocol.as_deref()), ("relay", Some(protocol)));
    assert_eq!(local.url.as_deref(), Some(url.as_str()));
    assert_eq!(stats.relay_dropped, 0);
    assert_eq!(a.relay_events, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_through_a_relay_over_udp() {
    let turn = Coturn::start();
    relayed(turn.udp(), RelaySettings::default(), "udp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_through_a_relay_over_udp_by_its_name() {
    let turn = Coturn::start();
    relayed(format!("turn:localhost:{}", turn.port), RelaySettings::default(), "udp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_through_a_relay_over_tcp() {
    let turn = Coturn::start();
    relayed(turn.tcp(), RelaySettings::default(), "tcp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_through_a_relay_over_tls() {
    let turn = Coturn::start();
    relayed(turn.tls(), turn.trusted(), "tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_goes_through_a_proxy_and_a_relay_over_tls() {
    let turn = Coturn::start();
    let proxy = HttpProxy::start(Some("dTpwYXNz")).await;
    let address = format!("http://u:pass@{}", proxy.address).parse().unwrap();
    relayed(turn.tls(), RelaySettings { proxy: Some(address), ..turn.trusted() }, "tls").await;
    assert_eq!(proxy.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_may_be_relayed() {
    let turn = Coturn::start();
    let end = |url| config(vec![server(url)], turn.trusted(), true);
    let (a, mut b) = connected(end(turn.tls()), end(turn.tcp())).await;
    assert_eq!(a.sends(&mut b, 50, 160, Duration::from_millis(5)).await, [] as [u16; 0]);
    assert_eq!(b.relay_protocol().await.as_deref(), Some("tcp"));
}

/// What is told of a server that cannot be used.
async fn trouble(url: String, settings: RelaySettings) -> RelayEvent {
    let mut end = End::new(config(vec![server(url)], settings, true)).await;
    end.peer.create_offer().await.unwrap();
    end.relay_event().await
}

fn why(event: RelayEvent) -> String {
    match event {
        RelayEvent::Unreachable { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let turn = Coturn::start();
    let why = why(trouble(turn.tls(), RelaySettings::default()).await);
    assert!(why.contains("does not trust") && why.contains("--ca-file"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_not_trusted() {
    let turn = Coturn::with(Options { name: Some("turn.example"), ..Options::default() });
    let why = why(trouble(turn.tls(), turn.trusted()).await);
    assert!(why.contains("not for the name localhost"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_has_ended_is_not_trusted() {
    let turn = Coturn::with(Options { ended: true, ..Options::default() });
    let why = why(trouble(turn.tls(), turn.trusted()).await);
    assert!(why.contains("the certificate of localhost has expired"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_forbids_the_way_is_named_with_what_it_forbids() {
    let turn = Coturn::start();
    let proxy = HttpProxy::forbidding().await;
    let address = format!("http://{}", proxy.address).parse().unwrap();
    let why = why(trouble(turn.tls(), RelaySettings { proxy: Some(address), ..turn.trusted() }).await);
    assert!(why.contains("(403)") && why.contains(&format!("localhost:{}", turn.tls_port)), "{why}");
    assert_eq!(proxy.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_a_password_says_so() {
    let turn = Coturn::start();
    let proxy = HttpProxy::start(Some("dTpwYXNz")).await;
    let settings = |text: String| RelaySettings { proxy: Some(text.parse().unwrap()), ..turn.trusted() };
    let without = why(trouble(turn.tls(), settings(format!("http://{}", proxy.address))).await);
    assert!(without.contains("407") && without.contains("wants a user name and password"), "{without}");
    let wrong = why(trouble(turn.tls(), settings(format!("http://u:hush@{}", proxy.address))).await);
    assert!(wrong.contains("refused") && !wrong.contains("hush"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_told_for_every_protocol() {
    let turn = Coturn::start();
    for url in [turn.udp(), turn.tcp(), turn.tls()] {
        let servers = vec![server_for(url.clone(), (USER.into(), "wrong".into()))];
        let mut end = End::new(config(servers, turn.trusted(), true)).await;
        end.peer.create_offer().await.unwrap();
        let event = end.relay_event().await;
        assert!(matches!(&event, RelayEvent::Refused { server, code: 401, .. } if *server == url), "{event:?}");
        assert!(event.to_string().contains("refused the user name or password"), "{event}");
        assert!(!event.to_string().contains("wrong"), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_fetched_again_and_the_call_goes_on() {
    let turn = Coturn::with(Options { secret: true, ..Options::default() });
    let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    for (url, protocol) in [(turn.udp(), "udp"), (turn.tls(), "tls")] {
        let fetched = Arc::new(AtomicUsize::new(0));
        let (count, fresh) = (Arc::clone(&fetched), server_for(url.clone(), credentials_until(in_an_hour)));
        let renew = Renew::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Some(vec![fresh.clone()]))
        });
        let settings = RelaySettings { renew: Some(renew), ..turn.trusted() };
        let expired = server_for(url, credentials_until(1_000_000_000));
        let (a, mut b) = connected(config(vec![expired], settings, true), host()).await;
        assert_eq!(a.sends(&mut b, 50, 160, Duration::from_millis(5)).await, [] as [u16; 0]);
        assert_eq!(a.relay_protocol().await.as_deref(), Some(protocol));
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
        assert_eq!(a.relay_events, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_still_refused_are_asked_for_once() {
    let turn = Coturn::with(Options { secret: true, ..Options::default() });
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let expired = server_for(turn.tcp(), credentials_until(1_000_000_000));
    let again = server_for(turn.tcp(), credentials_until(1_000_000_001));
    let renew = Renew::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Some(vec![again.clone()]))
    });
    let settings = RelaySettings { renew: Some(renew), ..RelaySettings::default() };
    let mut end = End::new(config(vec![expired], settings, true)).await;
    end.peer.create_offer().await.unwrap();
    assert!(matches!(end.relay_event().await, RelayEvent::Refused { code: 401, .. }));
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_goes_away_is_told() {
    let mut turn = Coturn::start();
    let (mut a, _b) = connected(config(vec![server(turn.tls())], turn.trusted(), true), host()).await;
    turn.kill();
    let event = a.relay_event().await;
    assert!(matches!(event, RelayEvent::Lost { .. }), "{event:?}");
}

/// Nothing was lost, since nothing was relayed; and a call that may use nothing else need not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_at_once_cannot_be_used() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("turn:{}?transport=tcp", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let mut end = End::new(config(vec![server(url)], RelaySettings::default(), true)).await;
    end.peer.create_offer().await.unwrap();
    assert!(matches!(end.relay_event().await, RelayEvent::Unreachable { .. }));
    while end.events.recv().await.unwrap() != PeerEvent::State(PeerState::Failed) {}
}

/// Of the far end's candidates some are addresses that a relay does not send to, which is no trouble.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_relay_forbids_is_passed_over_without_a_word() {
    let turn = Coturn::with(Options { more: "verbose\ndenied-peer-ip=203.0.113.1", ..Options::default() });
    let (mut a, mut b) =
        (End::new(config(vec![server(turn.tcp())], turn.trusted(), true)).await, End::new(host()).await);
    let offer = a.peer.create_offer().await.unwrap();
    let answer = b.peer.accept_offer(&offer).await.unwrap();
    a.peer.accept_answer(&answer).await.unwrap();
    let candidate = "candidate:1 1 udp 2130706431 203.0.113.1 4000 typ host".into();
    let candidate = IceCandidate { candidate, sdp_mid: None, sdp_mline_index: Some(0), ..Default::default() };
    a.peer.add_candidate(&candidate).await.unwrap();
    connect(&mut a, &mut b).await;
    let refused = async {
        while !turn.log().contains("error 403") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("a refusal in the server's log");
    // What came before this has been told by then.
    assert_eq!(a.sends(&mut b, 10, 160, Duration::from_millis(5)).await, [] as [u16; 0]);
    while let Ok(event) = a.events.try_recv() {
        assert!(!matches!(event, PeerEvent::Relay(_)), "{event:?}");
    }
    assert_eq!(a.relay_events, []);
}

/// What is told a far end, and shown to people, are addresses that somebody has.
#[tokio::test(flavor = "multi_thread")]
async fn no_address_of_our_own_making_is_shown_to_anybody() {
    let turn = Coturn::start();
    let mut end =
        End::new(config(vec![server(turn.stun()), server(turn.udp()), server(turn.tls())], turn.trusted(), false))
            .await;
    let mut said = end.peer.create_offer().await.unwrap();
    let mut relayed = 0;
    while relayed < 2 {
        if let PeerEvent::LocalCandidate(candidate) = end.events.recv().await.unwrap() {
            relayed += usize::from(candidate.candidate.contains("typ relay"));
            said.push_str(&serde_json::to_string(&candidate).unwrap());
        }
    }
    assert!(!said.contains("192.0.2.") && !said.contains("2001:db8"), "{said}");
}

/// The far end may name what it likes: our servers are reached by nobody but us.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_with_an_address_of_our_own_making_is_passed_over() {
    let turn = Coturn::start();
    let (mut a, mut b) =
        (End::new(config(vec![server(turn.tcp())], turn.trusted(), false)).await, End::new(host()).await);
    let offer = a.peer.create_offer().await.unwrap();
    let answer = b.peer.accept_offer(&offer).await.unwrap();
    a.peer.accept_answer(&answer).await.unwrap();
    let candidate = "candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host".into();
    let candidate = IceCandidate { candidate, sdp_mid: None, sdp_mline_index: Some(0), ..Default::default() };
    a.peer.add_candidate(&candidate).await.unwrap();
    connect(&mut a, &mut b).await;
    assert_ne!(a.peer.stats().await.remote_candidate.unwrap().address.as_deref(), Some("192.0.2.1"));
}

/// 5 Mbit/s for two seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_loses_nothing_of_five_megabits_a_second() {
    let turn = Coturn::start();
    let (a, mut b) = connected(config(vec![server(turn.tls())], turn.trusted(), true), host()).await;
    assert_eq!(a.sends(&mut b, 1040, 1200, Duration::from_micros(1920)).await, [] as [u16; 0]);
    assert_eq!(a.peer.stats().await.relay_dropped, 0);
}

/// What is late is given up, and what comes after the stall is not late.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stalls_makes_nothing_late_afterwards() {
    let turn = Coturn::start();
    let (a, mut b) = connected(config(vec![server(turn.tcp())], RelaySettings::default(), true), host()).await;
    let (writer, codec) = (a.peer.rtp_writer(), a.peer.negotiated_codecs().await.sending().unwrap());
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    let (mut number, mut resumed_at) = (0u16, None);
    turn.signal("STOP");
    let heard_again = async {
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    number += 1;
                    writer.write(codec.payload_type, number, u32::from(number) * 960, false, vec![7; 1200].into()).await;
                    if resumed_at.is_none() && number % 50 == 0 && a.peer.stats().await.relay_dropped > 0 {
                        turn.signal("CONT");
                        resumed_at = Some(number);
                    }
                }
                event = b.events.recv() => if let (PeerEvent::Rtp(packet), Some(resumed)) = (event.unwrap(), resumed_at)
                    && packet.sequence_number > resumed
                {
                    return;
                },
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), heard_again).await.expect("media goes on within 15 s");
}

/// A far end that is reached by TCP alone, which this side does not speak: the others of its candidates count.
#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_candidate_of_the_far_end_is_passed_over() {
    let (address, taken) = silent().await;
    let (mut a, mut b) = (End::new(host()).await, End::new(host()).await);
    let offer = a.peer.create_offer().await.unwrap();
    let answer = b.peer.accept_offer(&offer).await.unwrap();
    a.peer.accept_answer(&answer).await.unwrap();
    let candidate =
        format!("candidate:1 1 tcp 2105458943 {} {} typ host tcptype passive", address.ip(), address.port());
    let candidate = IceCandidate { candidate, sdp_mid: None, sdp_mline_index: Some(0), ..Default::default() };
    a.peer.add_candidate(&candidate).await.unwrap();
    connect(&mut a, &mut b).await;
    assert_eq!(taken.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_servers_before_a_good_one_hold_up_nothing() {
    let turn = Coturn::start();
    let (mut servers, _hole) = dead_servers().await;
    servers.push(server(turn.tls()));
    let (a, mut b) = connected(config(servers, turn.trusted(), true), host()).await;
    // Connected while others were still being waited for.
    assert!(!a.gathered, "{:?}", a.relay_events);
    assert_eq!(a.relay_protocol().await.as_deref(), Some("tls"));
    assert_eq!(a.sends(&mut b, 50, 160, Duration::from_millis(5)).await, [] as [u16; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_servers_hold_up_no_direct_call() {
    let (servers, hole) = dead_servers().await;
    let (a, _b) = connected(config(servers, RelaySettings::default(), false), host()).await;
    assert!(!a.gathered);
    // It was asked, and did not answer.
    hole.set_nonblocking(true).unwrap();
    assert!(hole.recv(&mut [0; 1500]).is_ok());
    assert_eq!(a.peer.stats().await.local_candidate.unwrap().candidate_type, "host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_call_through_tls_is_heard_at_both_ends() {
    let turn = Coturn::start();
    let dir = tempfile::tempdir().unwrap();
    let agent_says = write_sample(dir.path(), &AGENT);
    let center = center(|c| {
        c.ice_servers = vec![server(turn.tls())];
        c.agent.ice = AgentIce::Host;
        c.agent.sound = AgentSound::Play(agent_says);
        c.agent.record_dir = Some(dir.path().join("agent"));
    })
    .await;
    let mut plan = plan(&center.base_url());
    let mut client = ClientConfig::new(center.base_url(), "test", Identity::ClientId("turn".into()));
    client.ca_file = Some(turn.ca_file());
    plan.client = Client::new(client).unwrap();
    plan.relay_only = true;
    let heard = dir.path().join("heard.wav");
    plan.sound.source = SourceSpec::File(write_sample(dir.path(), &CUSTOMER));
    plan.sound.record = Some(heard.clone());
    plan.duration = Some(Duration::from_secs_f64(16.5));
    let summary = call(plan).await;
    let recordings = center.recordings();
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    assert_eq!(summary.received.lost, 0, "{summary}");
    assert_eq!(summary.ice.relay_protocol.as_deref(), Some("tls"));
    assert!(summary.to_string().contains(&format!("{} over TLS", turn.tls())), "{summary}");
    for (who, found) in [
        ("the customer", correlations(&AGENT, &heard)),
        ("the agent", correlations(&CUSTOMER, recordings.last().unwrap())),
    ] {
        assert!(found.iter().all(|c| *c >= 0.9), "{who} heard {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_relay_takes_says_why() {
    let turn = Coturn::start();
    let center = center(|c| {
        c.ice_servers = vec![server_for(turn.tcp(), (USER.into(), "wrong".into()))];
        c.agent.ice = AgentIce::Host;
    })
    .await;
    let mut plan = plan(&center.base_url());
    plan.relay_only = true;
    let summary = call(plan).await;
    center.shutdown().await;
    assert_ne!(summary.outcome, Outcome::Completed, "{summary}");
    assert!(summary.to_string().contains("refused the user name or password"), "{summary}");
}

/// The stream to the relay says that it is gone before the silence does.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_relay_goes_away_is_restored_at_once() {
    let mut turn = Coturn::start();
    let center = center(|c| {
        c.ice_servers = vec![server(turn.tcp())];
        c.agent.ice = AgentIce::Host;
        c.agent.sound = AgentSound::Tone(880.0);
    })
    .await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (mut stop, mut killed, mut interrupted) = (Some(stop), false, None);
    let plan = CallPlan { relay_only: true, duration: None, ..plan(&center.base_url()) };
    let ended = async {
        let _ = stopped.await;
    };
    let call = place_call(plan, ended, |event, _| match event {
        PhoneEvent::Call(CallEvent::MediaFlowing) if !std::mem::replace(&mut killed, true) => turn.restart(),
        PhoneEvent::Call(CallEvent::Interrupted { reason }) => {
            interrupted.get_or_insert(*reason);
        }
        PhoneEvent::Call(CallEvent::Restored { .. }) => {
            stop.take().map(|stop| stop.send(()));
        }
        _ => {}
    });
    let summary = tokio::time::timeout(Duration::from_secs(30), call).await.expect("an end");
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Completed, "{summary}");
    // The silence would be `NoPackets`.
    assert_eq!(interrupted, Some(Interruption::ConnectionLost));
    assert_eq!((summary.interruptions.count, summary.interruptions.restorations), (1, 1), "{summary}");
    assert!(summary.to_string().contains("the connection to the relay"), "{summary}");
}

#[tokio::test]
async fn a_call_over_relays_alone_says_when_there_is_none() {
    let center = center(|_| ()).await;
    let summary = call(CallPlan { relay_only: true, ..plan(&center.base_url()) }).await;
    center.shutdown().await;
    assert_eq!(summary.outcome, Outcome::Failed, "{summary}");
    assert!(summary.to_string().contains("names no TURN server that can be"), "{summary}");
}
