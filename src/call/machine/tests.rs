//! The machine in virtual time. `Bed` stands for the driver and its clock.
#![allow(clippy::unwrap_used)]

mod ends;
mod flows;
mod late;
mod negotiation;
mod orders;
mod random;
mod recovery;
mod watch;

use super::*;
use std::time::Duration;

const AGENT: &str = "agent-1";
const OTHER: &str = "agent-2";

/// A description with what the machine reads in one: session, version, certificate and ICE generation.
fn sdp(session: u32, version: u32, certificate: u32, ufrag: &str) -> String {
    format!(
        "v=0\r\no=- {session} {version} IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
         a=ice-ufrag:{ufrag}\r\na=fingerprint:sha-256 {certificate:02X}\r\n"
    )
}

/// The first offer of a session numbered `n`.
fn offer(n: u32) -> Signal {
    Signal::offer_call(sdp(n, 1, n, &format!("u{n}")), false)
}

/// A later offer of the same session.
fn reoffer(n: u32, version: u32) -> Signal {
    Signal::offer_call(sdp(n, version, n, &format!("u{n}")), false)
}

fn sdp_of(signal: &Signal) -> String {
    match signal {
        Signal::OfferCall(offer) => offer.sdp.clone(),
        Signal::AnswerCall(answer) => answer.sdp.clone(),
        other => panic!("{} has no description", other.name()),
    }
}

fn candidate(name: &str) -> IceCandidate {
    IceCandidate { candidate: format!("candidate:{name} 1 udp 1 192.0.2.1 5000 typ host"), ..Default::default() }
}

fn rejected(reason: &str) -> Signal {
    Signal::call_rejected("7", reason)
}

fn request(party_id: &str) -> Input {
    Input::Request { party_id: party_id.into(), video: false, offerer: Offerer::Agent }
}

fn from(party_id: &str, signal: impl Into<Signal>) -> Input {
    Input::Signal { party_id: Some(party_id.into()), signal: signal.into() }
}

fn to(party_id: &str, signal: impl Into<Signal>) -> Output {
    Output::SendSignal { party_id: Some(party_id.into()), signal: signal.into() }
}

fn answer() -> Input {
    Input::LocalAnswer { sdp: "our answer".into() }
}

fn our_answer() -> Output {
    to(AGENT, Signal::answer_call("our answer"))
}

fn apply(offer: &Signal, renegotiation: bool) -> Output {
    Output::ApplyOffer { sdp: sdp_of(offer), renegotiation }
}

fn event(event: CallEvent) -> Output {
    Output::Event(event)
}

/// A machine with a clock.
struct Bed {
    machine: CallMachine,
    now: Instant,
}

impl Bed {
    fn new() -> Self {
        Self::with(CallConfig::default())
    }

    fn with(config: CallConfig) -> Self {
        Self { machine: CallMachine::new(config), now: Instant::now() }
    }

    /// Gives one input and takes what comes out.
    fn give(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle(self.now, input);
        self.take()
    }

    fn take(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    /// Gives several inputs; what comes out of them is of no interest.
    fn play(&mut self, inputs: impl IntoIterator<Item = Input>) {
        for input in inputs {
            self.give(input);
        }
    }

    /// Lets time pass, and does what falls due when it does.
    fn wait(&mut self, duration: Duration) -> Vec<Output> {
        let (mut outputs, until) = (Vec::new(), self.now + duration);
        while let Some(due) = self.machine.next_timeout().filter(|t| *t <= until) {
            self.now = self.now.max(due);
            self.machine.handle_timeout(self.now);
            outputs.extend(self.take());
        }
        self.now = until;
        outputs
    }

    fn wait_secs(&mut self, secs: u64) -> Vec<Output> {
        self.wait(Duration::from_secs(secs))
    }

    /// An outgoing call with the peer ready and nothing offered.
    fn requesting() -> Self {
        let mut bed = Self::new();
        bed.play([request(AGENT), Input::PeerReady]);
        bed
    }

    /// An outgoing call that is answered.
    fn answered() -> Self {
        let mut bed = Self::requesting();
        bed.play([from(AGENT, offer(1)), answer()]);
        bed
    }

    /// An outgoing call that is connected.
    fn connected() -> Self {
        let mut bed = Self::answered();
        bed.play([Input::PeerConnected]);
        assert_eq!(bed.machine.phase(), Phase::Connected);
        bed
    }

    /// An incoming call that waits for the user.
    fn ringing() -> Self {
        let mut bed = Self::new();
        bed.play([from(AGENT, offer(1)), Input::PeerReady]);
        assert_eq!(bed.machine.phase(), Phase::Ringing);
        bed
    }
}

/// The end among these outputs, of which it must be the last.
fn ended(outputs: &[Output]) -> &CallEnd {
    match outputs.last() {
        Some(Output::Event(CallEvent::Ended(end))) => end,
        _ => panic!("the call did not end: {outputs:?}"),
    }
}

/// What is sent, by name.
fn sent(outputs: &[Output]) -> Vec<&str> {
    let names = outputs.iter().map(|o| match o {
        Output::SendSignal { signal, .. } => Some(signal.name()),
        _ => None,
    });
    names.flatten().collect()
}
