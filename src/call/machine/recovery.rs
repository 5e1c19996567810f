//! Sound that stops in a running call, and how the call comes back.
//!
//! The peer tells at intervals how long ago the far end was last heard ([`MediaSigns`]). A call without a packet of sound
//! for [`CallConfig::interrupted_after`] is interrupted, and resumed with the next one. Where nothing at all comes any
//! more (no RTCP, no answer to an ICE check), or the way is known to be dead, it is restored: the same party is asked for
//! a call again, as a client that was started anew does, and its offer goes to a peer of its own. The peer there was is
//! kept until the new one brings sound, so that whichever works first is the call's way. Here is what is noticed and when
//! something is due; the attempts are in `restoring`.

use super::restoring::{Restoring, Stage};
use super::setup::Ending;
use super::{CallEvent, CallMachine, EndedBy, Outcome, Output, Phase};
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// After a chat that was cut, how long the old way may take to come back before the call is asked for again.
const OLD_WAY: Duration = Duration::from_secs(1);
/// An agent who left, and is heard for longer than this, has left for good: what is heard is a media server.
const HEARD_AFTER_LEAVING: Duration = Duration::from_secs(2);
/// How long an agent who left has to come back before another one of the chat is asked.
const COMES_BACK: Duration = Duration::from_secs(1);
/// What is heard of the far end, as the peer tells it every 100 to 1000 ms in a connected call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaSigns {
    /// The last RTP packet of the peer; `None`: none came yet.
    pub sound: Option<Instant>,
    /// The last sign of life of any kind: RTP, RTCP, an answer to an ICE check.
    pub sign: Option<Instant>,
    /// The same two of the peer that is kept ([`Output::KeepPeer`]).
    pub kept_sound: Option<Instant>,
    /// See `kept_sound`.
    pub kept_sign: Option<Instant>,
    /// By its description the far end sends sound: it does not while it holds the call (RFC 3264, 8.4).
    pub sends: bool,
    /// The last packet announced silence (RFC 3389): the next may be long in coming.
    pub announced: bool,
    /// The address of this machine that the packets leave from, where it is known.
    pub local: Option<IpAddr>,
}

/// Why sound stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interruption {
    /// Nothing comes from the far end.
    NoPackets,
    /// The far end sends no sound, but is there: a headset that is switched off, a page that stands still.
    Silent,
    /// ICE or DTLS gave up, or a new way was not found in time.
    ConnectionLost,
    /// The network address that the sound went over is gone.
    AddressGone,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPackets => "nothing arrives from the agent",
            Self::Silent => "the agent's side sends no sound",
            Self::ConnectionLost => "the connection to the agent's side is lost",
            Self::AddressGone => "the network that the call went over is gone",
        })
    }
}

/// What interruptions did to a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// How often sound stopped.
    pub interruptions: u32,
    /// How often it came back over a new peer.
    pub restorations: u32,
    /// How long there was none, in all.
    pub gap: Duration,
}

/// What the machine knows of the sound of the current call.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The newest packet of sound.
    pub(super) heard: Option<Instant>,
    /// The newest sign of life; never before `heard`.
    pub(super) sign: Option<Instant>,
    pub(super) local: Option<IpAddr>,
    /// The newest peer has brought no sound yet.
    pub(super) fresh: bool,
    /// The newest sign of life over it meanwhile.
    pub(super) fresh_sign: Option<Instant>,
    /// The way there was is known to be dead.
    pub(super) dead: bool,
    pub(super) cut: Option<Cut>,
    pub(super) restoring: Option<Restoring>,
    /// Attempts of this interruption.
    pub(super) attempt: u32,
    /// The agent's side does something about it: it is not asked before.
    pub(super) hold: Option<Instant>,
    /// When the party of the call left the chat, without a word.
    pub(super) left: Option<Instant>,
}

/// An interruption.
#[derive(Debug)]
pub(super) struct Cut {
    /// The last sound before it.
    pub(super) since: Instant,
    pub(super) noticed: Instant,
}

/// What falls due.
#[derive(Debug, Clone, Copy)]
enum Due {
    Attempt,
    AskAgain,
    AttemptOver,
    HungUp,
    Left,
    Lost,
}

impl Watch {
    /// The first packet of the call came.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.heard, self.sign) = (Some(now), Some(now));
    }

    /// An answer to our REQUEST_CALL is still owed.
    pub(super) fn awaits_offer(&self) -> bool {
        self.restoring.as_ref().is_some_and(|r| r.asked.is_some())
    }

    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// The gap that is open.
    pub(super) fn open_gap(&self, now: Instant) -> Duration {
        self.cut.as_ref().map_or(Duration::ZERO, |cut| now.saturating_duration_since(cut.since))
    }
}

impl CallMachine {
    /// Whether an interruption is a reason to ask for the call again.
    pub(super) fn is_restorable(&self) -> bool {
        self.config.restore_attempts > 0
            && !self.chat_over
            && self.times.media.is_some()
            && self.phase() == Phase::Connected
    }

    pub(super) fn media_signs(&mut self, now: Instant, signs: MediaSigns) {
        let heard_before = self.times.media.is_some();
        let Some(call) = self.call.as_mut().filter(|c| c.phase == Phase::Connected && heard_before) else { return };
        let watch = &mut call.watch;
        watch.local = signs.local.or(watch.local);
        let before = watch.heard;
        watch.heard = watch.heard.max(signs.sound).max(signs.kept_sound);
        // A peer that only connects shows no more than that the new way may work.
        let sign = if watch.fresh { None } else { signs.sign };
        watch.fresh_sign = signs.sign.filter(|_| watch.fresh);
        watch.sign = watch.sign.max(watch.heard).max(sign).max(signs.kept_sign);
        if !signs.sends {
            (watch.heard, watch.sign) = (Some(now), Some(now));
        }
        let (Some(heard), Some(sign)) = (watch.heard, watch.sign) else { return };
        if watch.fresh && signs.sound.is_some() {
            return self.new_way_works(before.unwrap_or(heard), heard);
        }
        match &watch.cut {
            Some(cut) => {
                // What came before the way died says nothing.
                if heard > if watch.dead { cut.noticed } else { cut.since } {
                    self.resumed(heard);
                }
            }
            None => {
                let silent = if signs.announced {
                    now.saturating_duration_since(sign) >= self.config.restore_after.max(self.config.interrupted_after)
                } else {
                    now.saturating_duration_since(heard) >= self.config.interrupted_after
                };
                if silent {
                    let there = sign > heard && now.saturating_duration_since(sign) < self.config.interrupted_after;
                    self.cut(now, if there { Interruption::Silent } else { Interruption::NoPackets });
                }
            }
        }
    }

    /// Sound stopped.
    fn cut(&mut self, now: Instant, reason: Interruption) {
        let Some(call) = self.call.as_mut().filter(|c| c.watch.cut.is_none()) else { return };
        call.watch.cut = Some(Cut { since: call.watch.heard.unwrap_or(now), noticed: now });
        self.recovery.interruptions += 1;
        self.event(CallEvent::Interrupted { reason });
    }

    /// Sound stopped, and it is known not to come back over the peer there is.
    pub(super) fn way_died(&mut self, now: Instant, reason: Interruption) {
        let Some(call) = &mut self.call else { return };
        call.watch.dead = true;
        self.cut(now, reason);
    }

    /// The sound is back, over the peer there was.
    fn resumed(&mut self, heard: Instant) {
        let Some(call) = &mut self.call else { return };
        let watch = &mut call.watch;
        let Some(cut) = watch.cut.take() else { return };
        watch.dead = false;
        // Who was asked will offer, and that is taken; who was not need not be asked any more.
        if matches!(watch.restoring, None | Some(Restoring { stage: Stage::Waiting(_), .. })) {
            watch.attempt = 0;
            self.return_to_kept();
        }
        let gap = heard.saturating_duration_since(cut.since);
        self.recovery.gap += gap;
        self.event(CallEvent::Resumed { gap });
    }

    /// The newest peer brings sound, after the last from the one before: it is the call's way from now on.
    fn new_way_works(&mut self, before: Instant, heard: Instant) {
        let Some(call) = &mut self.call else { return };
        let watch = std::mem::take(&mut call.watch);
        let restored = watch.restoring.is_some();
        call.watch = Watch { heard: watch.heard, sign: watch.sign, left: watch.left, ..Watch::default() };
        if call.kept.take().is_some() {
            self.outputs.push_back(Output::CloseKept);
        }
        let since = match watch.cut {
            Some(cut) => cut.since,
            // The old way came back meanwhile: nothing is missing.
            None if restored => return,
            // The agent's side was quick.
            None => before,
        };
        let gap = heard.saturating_duration_since(since);
        self.recovery.gap += gap;
        self.recovery.restorations += 1;
        self.event(CallEvent::Restored { attempt: if restored { watch.attempt } else { 0 }, gap });
    }

    pub(super) fn signaling(&mut self, now: Instant, up: bool) {
        if self.cut_off == up {
            self.cut_off = !up;
            self.through_since = Some(now);
        }
    }

    pub(super) fn network_changed(&mut self, now: Instant, addresses: &[IpAddr]) {
        if !self.is_restorable() {
            return;
        }
        let Some(call) = &self.call else { return };
        if call.watch.is_restoring() {
            self.restore_from_other_addresses(now);
        } else if call.watch.local.is_some_and(|local| !addresses.contains(&local)) {
            self.way_died(now, Interruption::AddressGone);
        }
    }

    pub(super) fn current_agent(&mut self, agent: Option<String>) {
        if let Some(call) = self.call.as_mut().filter(|c| agent.is_some() && c.party_id == agent) {
            call.watch.left = None;
        }
        self.agent = agent;
    }

    /// The party of the call left without END_CALL, which may be a browser that is loaded anew. False: that is the end
    /// of the call.
    pub(super) fn survives_leaving(&mut self, now: Instant) -> bool {
        if !self.is_restorable() {
            return false;
        }
        let Some(call) = &mut self.call else { return false };
        // It said so before: END_CALL was not that of the call before alone.
        if call.watch.restoring.as_ref().is_some_and(|r| r.end_seen.is_some()) {
            return false;
        }
        call.watch.left.get_or_insert(now);
        if call.watch.cut.is_none() {
            // The old way came back meanwhile: nobody else need be asked.
            call.watch.attempt = 0;
            self.return_to_kept();
        } else if let Some(restoring) = &mut call.watch.restoring {
            restoring.stage = Stage::Waiting(now);
            (restoring.asked, restoring.end_seen) = (None, None);
            restoring.broken |= call.peer.is_used();
        }
        true
    }

    /// What of this falls due next.
    fn watch_due(&self) -> Option<(Instant, Due)> {
        let call = self.call.as_ref().filter(|c| c.phase == Phase::Connected)?;
        let (watch, config) = (&call.watch, &self.config);
        let mut all: [Option<(Instant, Due)>; 5] = [None; 5];
        if let Some(left) = watch.left {
            let until = match &watch.cut {
                None => left.checked_add(HEARD_AFTER_LEAVING),
                Some(cut) => left.max(cut.noticed).checked_add(config.rejoin_within),
            };
            all[0] = until.map(|t| (t, Due::Left));
        }
        if let Some(restoring) = &watch.restoring {
            all[1] = match restoring.stage {
                Stage::Asked(until) | Stage::Connecting(until) => Some((until, Due::AttemptOver)),
                Stage::Waiting(until) => self.may_ask(until).map(|t| (t, Due::Attempt)),
            };
            all[2] = restoring.end_seen.map(|t| (t, Due::HungUp));
            if matches!(restoring.stage, Stage::Asked(_)) && restoring.end_seen.is_none() && watch.cut.is_some() {
                all[4] = self.may_ask(restoring.again.0).map(|t| (t, Due::AskAgain));
            }
        }
        if let Some(cut) = &watch.cut
            && self.is_restorable()
        {
            let sign = watch.sign.unwrap_or(cut.noticed);
            if watch.restoring.is_none() {
                // Nobody need wait for a way that is dead, or for a party that is gone.
                let over = watch.dead || watch.left.is_some();
                let silent = if over { Some(cut.noticed) } else { sign.checked_add(config.restore_after) };
                let from = silent.map(|t| watch.hold.map_or(t, |hold| t.max(hold)));
                all[1] = from.and_then(|t| self.may_ask(t)).map(|t| (t, Due::Attempt));
            }
            all[3] = cut.noticed.max(sign).checked_add(config.restore_within).map(|t| (t, Due::Lost));
        }
        all.into_iter().flatten().min_by_key(|(t, _)| *t)
    }

    /// When somebody can be asked, at `earliest` or later; `None`: nobody can.
    fn may_ask(&self, earliest: Instant) -> Option<Instant> {
        let watch = &self.call.as_ref().filter(|_| !self.cut_off)?.watch;
        let through = self.through_since.filter(|_| !watch.dead).and_then(|t| t.checked_add(OLD_WAY));
        let agent = match watch.left {
            None => None,
            Some(left) => Some(self.agent.as_ref().and(left.checked_add(COMES_BACK))?),
        };
        [through, agent].into_iter().flatten().chain([earliest]).max()
    }

    pub(super) fn watch_timeout(&self) -> Option<Instant> {
        self.watch_due().map(|(t, _)| t)
    }

    /// Does what is due by now.
    pub(super) fn pursue(&mut self, now: Instant) {
        while let Some((_, due)) = self.watch_due().filter(|(t, _)| *t <= now) {
            match due {
                Due::Attempt => self.attempt(now),
                Due::AskAgain => self.ask_again(now),
                Due::AttemptOver => self.attempt_failed(now, false),
                Due::HungUp => {
                    let hung_up = Ending::new(Outcome::Completed, EndedBy::Remote, "the agent hung up");
                    self.end(now, Ending { end_came: true, ..hung_up });
                }
                Due::Left => self.left_for_good(now),
                Due::Lost => self.lost(now),
            }
        }
    }

    fn left_for_good(&mut self, now: Instant) {
        let Some(call) = &self.call else { return };
        let cut_before = call.watch.cut.as_ref().is_some_and(|cut| call.watch.left.is_some_and(|l| cut.noticed < l));
        let ending = if cut_before {
            let reason = "the call was cut off, the agent left the chat, and no other one came";
            Ending::new(Outcome::Lost, EndedBy::Remote, reason)
        } else {
            Ending::new(Outcome::Completed, EndedBy::Remote, "the agent left the chat")
        };
        self.end(now, ending);
    }

    /// The call cannot be saved.
    pub(super) fn lost(&mut self, now: Instant) {
        let Some(call) = &self.call else { return };
        let (secs, attempts) = (call.watch.open_gap(now).as_secs(), call.watch.attempt);
        let why = match (attempts, self.cut_off) {
            (_, true) => "and the contact center could not be reached to ask for the call again".to_owned(),
            (0, _) => "and the call could not be asked for again".to_owned(),
            (1, _) => "and asking for the call again did not bring it back".to_owned(),
            (n, _) => format!("and asking for the call again {n} times did not bring it back"),
        };
        let reason = format!("no sound for {secs} s, {why}");
        self.end(now, Ending::new(Outcome::Lost, EndedBy::Fault, reason));
    }
}
