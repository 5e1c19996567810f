//! Calls with the simulated agents: real WebRTC over loopback, with hand-made signaling.
#![allow(clippy::unwrap_used)]

mod simulator_support;

use chatphone::api::signaling::IceCandidate;
use chatphone::peer::media::{MediaClock, MediaHandle, MediaParts, MediaSession};
use chatphone::peer::{AudioPeer, LocalNetwork, PeerConfig, PeerEvent, PeerState};
use chatphone::simulator::AgentSound;
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::audio::compare::tone_level;
use chatphone_media::audio::file::read_wav;
use chatphone_media::audio::sink::{self, Sink};
use chatphone_media::audio::source::{Silence, Source};
use chatphone_media::audio::tone::Tone;
use serde_json::{Value, json};
use simulator_support::*;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Longer than anything here should take, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);

/// A customer's telephone.
struct Phone {
    chat: Chat,
    /// What the polls bring.
    news: mpsc::UnboundedReceiver<Value>,
    peer: AudioPeer,
    events: mpsc::UnboundedReceiver<PeerEvent>,
    heard: mpsc::UnboundedReceiver<Vec<f32>>,
    sound: Option<(Box<dyn Source>, Listener)>,
    media: Option<MediaHandle>,
    clock: MediaClock,
    /// The agent is reached over a way that loses sound, and over no other.
    lossy: bool,
}

/// A sink that hands on what it hears.
struct Listener(mpsc::UnboundedSender<Vec<f32>>);

impl Sink for Listener {
    fn write(&mut self, samples: &[f32]) {
        let _ = self.0.send(samples.to_vec());
    }

    fn finish(&mut self) -> Result<(), sink::Error> {
        Ok(())
    }
}

async fn new_peer() -> (AudioPeer, mpsc::UnboundedReceiver<PeerEvent>) {
    let network = LocalNetwork::only(Ipv4Addr::LOCALHOST.into());
    let config = PeerConfig {
        ice_servers: vec![],
        relays: Default::default(),
        network,
        relay_only: false,
        codecs: vec![CodecKind::Opus],
    };
    AudioPeer::new(config).await.unwrap()
}

impl Phone {
    /// A phone that plays `source`, in a chat with an agent.
    async fn new(client: &Client, source: impl Source + 'static) -> Self {
        let chat = client.connect().await;
        let (news_tx, news) = mpsc::unbounded_channel();
        for event in &chat.events {
            news_tx.send(event.clone()).unwrap();
        }
        let (poller, id) = (client.clone(), chat.id.clone());
        tokio::spawn(async move {
            loop {
                let poll = poller.request(reqwest::Method::GET, &format!("chats/{id}/events"));
                // The session, or the center, is gone.
                let Ok(answer) = poll.send().await else { return };
                if !answer.status().is_success() {
                    return;
                }
                for event in list(answer.json().await.unwrap()) {
                    let _ = news_tx.send(event);
                }
            }
        });
        let (peer, events) = new_peer().await;
        let (heard_tx, heard) = mpsc::unbounded_channel();
        let sound = Some((Box::new(source) as Box<dyn Source>, Listener(heard_tx)));
        Self { chat, news, peer, events, heard, sound, media: None, clock: MediaClock::start().unwrap(), lossy: false }
    }

    async fn signal(&mut self, data: Value) {
        self.chat.signal(data).await;
    }

    /// The next signaling message that is no candidate, from the poll or from Send Events' answer.
    async fn next_signal(&mut self) -> Value {
        let wait = async {
            loop {
                let event = if self.chat.events.is_empty() {
                    self.news.recv().await.unwrap()
                } else {
                    self.chat.events.remove(0)
                };
                let Some(kind) = event["data"]["type"].as_str() else { continue };
                if kind != "ICE_CANDIDATE" {
                    assert_eq!(event["party_id"], json!(self.chat.party));
                    return event["data"].clone();
                }
                let candidate: IceCandidate = serde_json::from_value(event["data"].clone()).unwrap();
                self.add_candidate(candidate).await;
            }
        };
        tokio::time::timeout(LONG, wait).await.expect("a signaling message")
    }

    async fn expect(&mut self, kind: &str) -> Value {
        let signal = self.next_signal().await;
        assert_eq!(signal["type"], kind, "{signal}");
        signal
    }

    /// Asks for a call and takes it.
    async fn call(&mut self) {
        self.signal(json!({"type": "REQUEST_CALL", "offerVideo": false})).await;
        self.answer().await;
    }

    /// Takes a call that is offered.
    async fn answer(&mut self) {
        let offer = self.expect("OFFER_CALL").await;
        let sdp = self.peer.accept_offer(offer["sdp"].as_str().unwrap()).await.unwrap();
        self.signal(json!({"type": "ANSWER_CALL", "sdp": sdp})).await;
        self.connect().await;
    }

    /// Trickles until connected, then lets the sound run.
    async fn connect(&mut self) {
        let wait = async {
            loop {
                tokio::select! {
                    event = self.events.recv() => match event.unwrap() {
                        PeerEvent::LocalCandidate(candidate) if !self.lossy => {
                            let mut data = serde_json::to_value(candidate).unwrap();
                            data["type"] = "ICE_CANDIDATE".into();
                            self.chat.signal(data).await;
                        }
                        PeerEvent::State(PeerState::Connected) => break,
                        PeerEvent::State(state) => panic!("{state:?}"),
                        _ => {}
                    },
                    event = self.news.recv() => {
                        let event = event.unwrap();
                        if event["data"]["type"] == "ICE_CANDIDATE" {
                            let candidate: IceCandidate = serde_json::from_value(event["data"].clone()).unwrap();
                            self.add_candidate(candidate).await;
                        } else {
                            self.chat.events.push(event);
                        }
                    }
                }
            }
        };
        tokio::time::timeout(LONG, wait).await.expect("a connection");
        self.start_sound().await;
    }

    async fn add_candidate(&self, mut candidate: IceCandidate) {
        if self.lossy {
            // candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT …
            let mut words: Vec<_> = candidate.candidate.split(' ').map(str::to_owned).collect();
            words[5] = lossy::lossy_way(words[5].parse().unwrap()).await.to_string();
            candidate.candidate = words.join(" ");
        }
        self.peer.add_candidate(&candidate).await.unwrap();
    }

    async fn start_sound(&mut self) {
        let Some((source, listener)) = self.sound.take() else { return };
        let codec = self.peer.negotiated_codecs().await.sending().unwrap();
        let parts = MediaParts::new(source, Box::new(listener));
        let (packets_tx, mut packets) = mpsc::unbounded_channel();
        let (session, handle) = MediaSession::new(parts, codec.kind, Default::default(), packets_tx).unwrap();
        self.clock.attach(session);
        self.media = Some(handle);
        let writer = self.peer.rtp_writer();
        tokio::spawn(async move {
            while let Some(p) = packets.recv().await {
                writer.write(codec.payload_type, p.sequence_number, p.timestamp, p.marker, p.payload).await;
            }
        });
    }

    /// Listens until this tone was heard for a while.
    async fn hear_tone(&mut self, hz: f32) {
        let mut window: Vec<f32> = Vec::new();
        let wait = async {
            loop {
                tokio::select! {
                    Some(event) = self.events.recv() => {
                        if let (PeerEvent::Rtp(p), Some(media)) = (event, &self.media) {
                            let arrival = p.arrival;
                            media.push(CodecKind::Opus, p.into_packet(), arrival);
                        }
                    }
                    Some(samples) = self.heard.recv() => {
                        window.extend(samples);
                        if window.len() >= 24_000 {
                            // A full-scale sine is 0 dB, and the agents' tone is 16 dB below it.
                            if tone_level(&window, hz) > -22.0 && tone_level(&window, hz * 1.3) < -40.0 {
                                return;
                            }
                            window.drain(..4_800);
                        }
                    }
                }
            }
        };
        tokio::time::timeout(LONG, wait).await.unwrap_or_else(|_| panic!("no tone of {hz} Hz was heard"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_tone_is_heard() {
    let simulator = start(|c| c.agent.sound = AgentSound::Tone(440.0)).await;
    let mut phone = Phone::new(&Client::new(&simulator, "c"), Silence).await;
    phone.call().await;
    phone.hear_tone(440.0).await;
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_packets_are_lost_repeats_them_in_those_that_follow() {
    let dir = tempfile::tempdir().unwrap();
    let speech = dir.path().join("speech.wav");
    std::fs::write(&speech, chatphone_media::samples::AGENT.wav).unwrap();
    let simulator = start(|c| c.agent.sound = AgentSound::Play(speech)).await;
    let mut phone = Phone::new(&Client::new(&simulator, "c"), Silence).await;
    phone.lossy = true;
    phone.call().await;
    let restored = async {
        let media = phone.media.as_ref().unwrap();
        loop {
            if let PeerEvent::Rtp(p) = phone.events.recv().await.unwrap() {
                let arrival = p.arrival;
                media.push(CodecKind::Opus, p.into_packet(), arrival);
            }
            // Runs of two are beyond the in-band copy: that is deep redundancy, which is off until loss is reported.
            let heard = media.stats().borrow().receiver;
            if heard.dred_packets_received >= 5 {
                return heard;
            }
        }
    };
    let heard = tokio::time::timeout(LONG, restored).await.expect("deep redundancy");
    assert!(heard.packets_lost > 20, "{heard:?}");
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echoing_agent_gives_back_what_it_hears_and_records_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recordings");
    let simulator = start(|c| c.agent.record_dir = Some(path)).await;
    let mut phone = Phone::new(&Client::new(&simulator, "c"), Tone::new(1000.0)).await;
    phone.call().await;
    phone.hear_tone(1000.0).await;
    phone.hear_tone(1000.0).await;
    phone.signal(json!({"type": "END_CALL"})).await;
    phone.expect("END_CALL").await;
    let [recording] = &simulator.recordings()[..] else { panic!("{:?}", simulator.recordings()) };
    let (recording, chat, party) = (recording.clone(), phone.chat.id.clone(), phone.chat.party.clone());
    let name = recording.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.contains(&chat) && name.contains(&party), "{name}");
    simulator.shutdown().await;
    let sound = read_wav(&recording).unwrap();
    assert!(sound.len() > 28_800, "{} samples", sound.len());
    let end = &sound[sound.len() - 24_000..];
    assert!(tone_level(end, 1000.0) > -22.0, "{}", tone_level(end, 1000.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_plays_a_file_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tone.wav");
    let mut sink = chatphone_media::audio::file::WavSink::create(&file).unwrap();
    let mut samples = vec![0.0; 9_600];
    Tone::new(600.0).read(&mut samples);
    sink.write(&samples);
    sink.finish().unwrap();
    let simulator = start(|c| c.agent.sound = AgentSound::Play(file)).await;
    let mut phone = Phone::new(&Client::new(&simulator, "c"), Silence).await;
    phone.call().await;
    // Half a second of a file that lasts a fifth.
    phone.hear_tone(600.0).await;
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_file_that_is_no_wav_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("text.wav");
    std::fs::write(&file, "text").unwrap();
    let mut config = chatphone::simulator::SimulatorConfig::default();
    config.agent.sound = AgentSound::Play(file);
    let error = chatphone::simulator::Simulator::start(config).await.err().unwrap();
    assert!(error.to_string().contains("text.wav"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_hangs_up_can_be_called_again() {
    let simulator = start(|c| {
        c.agent.sound = AgentSound::Tone(440.0);
        c.agent.hang_up_after = Some(Duration::from_millis(500));
    })
    .await;
    let mut phone = Phone::new(&Client::new(&simulator, "c"), Silence).await;
    phone.call().await;
    phone.expect("END_CALL").await;
    phone.signal(json!({"type": "END_CALL"})).await;
    (phone.peer, phone.events) = new_peer().await;
    phone.call().await;
    phone.expect("END_CALL").await;
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_may_call_by_itself() {
    let simulator = start(|c| {
        c.agent.incoming = true;
        c.agent.sound = AgentSound::Tone(440.0);
    })
    .await;
    let mut phone = Phone::new(&Client::new(&simulator, "c"), Silence).await;
    phone.answer().await;
    phone.hear_tone(440.0).await;
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_offer_a_call_itself() {
    let simulator = start(|c| c.agent.sound = AgentSound::Tone(440.0)).await;
    let mut phone = Phone::new(&Client::new(&simulator, "c"), Silence).await;
    let sdp = phone.peer.create_offer().await.unwrap();
    phone.signal(json!({"type": "OFFER_CALL", "offerVideo": false, "sdp": sdp})).await;
    let answer = phone.expect("ANSWER_CALL").await;
    phone.peer.accept_answer(answer["sdp"].as_str().unwrap()).await.unwrap();
    phone.connect().await;
    phone.hear_tone(440.0).await;
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_clients_call_at_once() {
    let simulator = start(|_| ()).await;
    let call = |n: u16| {
        let client = Client::new(&simulator, &format!("client {n}"));
        async move {
            let hz = 400.0 + 500.0 * f32::from(n);
            let mut phone = Phone::new(&client, Tone::new(hz)).await;
            phone.call().await;
            // Each hears itself: the agents are not mixed up.
            phone.hear_tone(hz).await;
        }
    };
    tokio::join!(call(0), call(1), call(2), call(3));
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_is_rejected_with_a_reason() {
    let simulator = start(|c| c.agent.reject = Some("486:busy".parse().unwrap())).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    chat.signal(json!({"type": "REQUEST_CALL"})).await;
    assert_eq!(chat.until_signal("CALL_REJECTED").await["reason"], "busy");
    chat.party = "somebody else".into();
    chat.signal(json!({"type": "REQUEST_CALL"})).await;
    assert_eq!(chat.until_signal("CALL_REJECTED").await["reason_code"], 404);
}

#[tokio::test]
async fn a_nonsense_answer_ends_the_call_and_not_the_chat() {
    let simulator = start(|_| ()).await;
    let mut chat = Client::new(&simulator, "c").connect().await;
    for _ in 0..2 {
        chat.signal(json!({"type": "REQUEST_CALL"})).await;
        chat.until_signal("OFFER_CALL").await;
        chat.signal(json!({"type": "ICE_CANDIDATE", "candidate": "nonsense", "sdpMLineIndex": "0"})).await;
        chat.signal(json!({"type": "ANSWER_CALL", "sdp": "nonsense"})).await;
        chat.until_signal("END_CALL").await;
    }
    chat.say("still there?").await;
    chat.until("chat_session_message").await;
}

#[tokio::test]
async fn an_offer_reaches_a_held_poll_fast() {
    let simulator = start(|_| ()).await;
    let mut times = Vec::new();
    for n in 0..10 {
        let mut chat = Client::new(&simulator, &format!("client {n}")).connect().await;
        let client = chat.client.clone();
        let path = format!("chats/{}/events", chat.id);
        let (first, second) = (client.get(&path), client.get(&path));
        tokio::pin!(first, second);
        // One of the two is refused: then the other is held.
        let (refused, held) = tokio::select! { r = &mut first => (r, second), r = &mut second => (r, first) };
        assert_eq!(refused.status(), 400);
        let asked = Instant::now();
        let ask = chat.signal(json!({"type": "REQUEST_CALL"}));
        let news = async { (list(held.await.json().await.unwrap()), Instant::now()) };
        let ((), (events, came)) = tokio::join!(ask, news);
        assert_eq!(events[0]["data"]["type"], "OFFER_CALL", "{events:?}");
        times.push(came - asked);
    }
    times.sort();
    println!("REQUEST_CALL to OFFER_CALL: median {:?}, worst {:?}", times[5], times[9]);
    assert!(times[5] < Duration::from_millis(50), "{times:?}");
}
