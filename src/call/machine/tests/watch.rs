//! Watches a machine from outside, and fails at the first thing that must never happen.

use super::*;

/// What must hold whatever comes in. Knows only inputs and outputs.
#[derive(Default)]
pub(super) struct Watch {
    /// Calls begun and ended.
    pub(super) begun: usize,
    pub(super) over: usize,
    /// END_CALLs sent for the current call.
    ends: usize,
    /// The current peer, from `PreparePeer` to `ClosePeer`.
    peer: Option<PeerSeen>,
    /// A media packet came in the current call, so it may go on for ever.
    pub(super) media: bool,
    /// The peer that is kept beside the current one.
    kept: Option<PeerSeen>,
    /// Sound stopped, and did not come back.
    interrupted: bool,
    /// The last attempt to restore the call in this interruption.
    attempt: u32,
    pub(super) trail: Vec<String>,
}

#[derive(Default)]
struct PeerSeen {
    ready: bool,
    /// A description is with the peer.
    applying: bool,
    applied: bool,
    /// Our answer is sent, or theirs has come.
    described: bool,
}

impl Watch {
    pub(super) fn in_call(&self) -> bool {
        self.begun > self.over
    }

    /// What the driver owes the machine: the input that a well-behaved peer would give next.
    pub(super) fn owed(&self) -> Option<Input> {
        let peer = self.peer.as_ref()?;
        match (peer.ready, peer.applying, peer.applied) {
            (false, ..) => Some(Input::PeerReady),
            (_, true, _) => Some(answer()),
            (_, _, true) => Some(Input::PeerConnected),
            _ => None,
        }
    }

    pub(super) fn step(&mut self, bed: &Bed, input: Option<&Input>, outputs: &[Output]) {
        self.trail.push(format!("{input:?}\n    -> {outputs:?}"));
        if let Some(peer) = &mut self.peer {
            match input {
                Some(Input::PeerReady) => peer.ready = true,
                Some(Input::LocalAnswer { .. } | Input::AnswerApplied) => {
                    peer.applied |= std::mem::take(&mut peer.applying);
                }
                Some(Input::RemoteDescriptionFailed { .. }) => peer.applying = false,
                Some(Input::Signal { signal: Signal::AnswerCall(_), .. }) => peer.described = true,
                _ => {}
            }
        }
        let offered = matches!(input, Some(Input::Signal { signal: Signal::OfferCall(_), .. }));
        let mut busy = false;
        for output in outputs {
            match output {
                Output::SendSignal { signal, .. } => self.sent(signal, offered, &mut busy),
                Output::PreparePeer => assert!(self.peer.replace(PeerSeen::default()).is_none(), "two peers"),
                Output::ClosePeer => assert!(self.peer.take().is_some(), "a peer closed that was not prepared"),
                Output::ApplyOffer { .. } | Output::ApplyAnswer { .. } => {
                    let peer = self.peer.as_mut().expect("a peer");
                    assert!(peer.ready && !peer.applying, "the peer is not ready for a description");
                    peer.applying = true;
                }
                Output::CreateOffer => assert!(self.peer.as_ref().is_some_and(|p| p.ready)),
                Output::AddCandidate(_) => {
                    let peer = self.peer.as_ref().expect("a peer");
                    assert!(peer.applied && !peer.applying, "a candidate ahead of its description");
                }
                Output::KeepPeer => {
                    let kept = self.kept.replace(self.peer.take().expect("a peer to keep"));
                    assert!(kept.is_none(), "three peers");
                }
                Output::CloseKept => assert!(self.kept.take().is_some(), "no peer was kept"),
                Output::ReturnPeer => {
                    assert!(self.peer.is_some() && self.kept.is_some(), "not two peers");
                    self.peer = self.kept.take();
                }
                Output::Event(event) => self.event(event),
            }
        }
        if matches!(input, Some(Input::ChatEnded)) {
            assert!(!self.in_call());
        }
        assert_eq!(self.in_call(), bed.machine.phase() != Phase::Idle);
        assert!(self.in_call() || (self.peer.is_none() && self.kept.is_none() && bed.machine.next_timeout().is_none()));
        let t = bed.machine.times();
        let marks = [t.request_sent, t.offer_received, t.accepted, t.answer_sent, t.connected, t.media, t.ended];
        assert!(marks.into_iter().flatten().is_sorted(), "{t:?}");
    }

    fn sent(&mut self, signal: &Signal, offered: bool, busy: &mut bool) {
        if !self.in_call() || *busy {
            // All that a call may cause besides its own signals: END_CALL to an offer that is late or unwelcome.
            assert!(offered && matches!(signal, Signal::EndCall(_)), "{} outside a call", signal.name());
            *busy = false;
            return;
        }
        match signal {
            // In a held request a late offer of the one before is answered; nothing else is sent with it.
            Signal::EndCall(_) if offered => {}
            Signal::EndCall(_) => {
                self.ends += 1;
                assert_eq!(self.ends, 1, "END_CALL twice");
            }
            Signal::CallRejected(r) => *busy = r.reason_code.as_deref() == Some("486"),
            Signal::AnswerCall(_) => {
                let peer = self.peer.as_mut().expect("a peer");
                assert!(peer.applied && !peer.applying, "an answer to nothing");
                peer.described = true;
            }
            Signal::IceCandidate(_) => assert!(self.peer.as_ref().is_some_and(|p| p.described), "too early"),
            Signal::RequestCall(_) | Signal::OfferCall(_) => {}
            other => panic!("{} is not ours to send", other.name()),
        }
        assert!(self.ends == 0 || matches!(signal, Signal::EndCall(_)), "{} after END_CALL", signal.name());
    }

    fn event(&mut self, event: &CallEvent) {
        match event {
            CallEvent::Requesting { .. } | CallEvent::Ringing { .. } => {
                assert!(!self.in_call(), "two calls at once");
                self.begun += 1;
                self.ends = 0;
                (self.media, self.interrupted, self.attempt) = (false, false, 0);
            }
            CallEvent::Interrupted { .. } => {
                assert!(self.media && !std::mem::replace(&mut self.interrupted, true), "interrupted twice");
            }
            CallEvent::Resumed { .. } => assert!(std::mem::take(&mut self.interrupted), "resumed from nothing"),
            CallEvent::Restored { attempt, .. } => {
                assert!(std::mem::take(&mut self.interrupted) || *attempt == 0, "restored from nothing");
                assert_eq!(*attempt, if *attempt == 0 { 0 } else { self.attempt });
                self.attempt = 0;
            }
            CallEvent::Restoring { attempt, attempts } => {
                assert!(self.interrupted && attempt <= attempts, "attempt {attempt} is one too many");
                // Begun anew after the sound was back for a while, else the next.
                assert!(*attempt == 1 || *attempt == self.attempt + 1);
                self.attempt = *attempt;
            }
            CallEvent::Ended(end) => {
                assert!(self.in_call(), "ended twice");
                assert!(self.peer.is_none() && self.kept.is_none(), "a peer is still there");
                assert!(!end.reason.is_empty());
                self.over += 1;
            }
            other => {
                assert!(self.in_call(), "{other:?} without a call");
                self.media |= *other == CallEvent::MediaFlowing;
            }
        }
    }

    /// Nothing more comes in: the call ends by its limits alone, at the latest after their sum; unless it runs.
    pub(super) fn run_out(&mut self, bed: &mut Bed) {
        let (c, start) = (CallConfig::default(), bed.now);
        let mut last = bed.now;
        while let Some(due) = bed.machine.next_timeout() {
            assert!(due >= last, "a limit in the past");
            last = due;
            bed.now = due;
            bed.machine.handle_timeout(due);
            let outputs = bed.take();
            self.step(bed, None, &outputs);
        }
        let setup = c.settle + c.no_offer + c.no_answer + c.no_connection + c.no_media;
        assert!(last - start <= setup + c.restore_offer + c.restore_within + c.rejoin_within);
        assert!(!self.in_call() || (self.media && !self.interrupted), "a call that never ends");
    }
}

/// Tells what led to a failed assertion.
impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.trail.join("\n"));
        }
    }
}
