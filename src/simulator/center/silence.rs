//! Clients that say nothing for too long are warned, and their sessions end.

use super::super::session::Agent;
use super::{Center, Timer};
use crate::api::event::InactivityTimeout;
use std::time::Duration;

impl Center {
    /// The limits of silence, warning first; `None` where there is none.
    fn silence_limits(&self) -> [Option<Duration>; 2] {
        [self.config.inactivity_warning, self.config.inactivity_timeout]
    }

    pub(super) fn watch_silence(&mut self, chat_id: String, now: Duration) {
        let Some(session) = self.sessions.get(&chat_id) else { return };
        let since = session.last_heard;
        let next =
            self.silence_limits().into_iter().flatten().map(|limit| since + limit).filter(|due| *due > now).min();
        if let Some(due) = next {
            self.timers.set(due, Timer::Inactivity(chat_id));
        }
    }

    pub(super) fn check_silence(&mut self, chat_id: String, now: Duration) {
        let [warning, timeout] = self.silence_limits();
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(&chat_id).filter(|s| !s.ended) else { return };
        if session.agent.as_ref().is_some_and(Agent::is_in_call) {
            // Who talks is not silent.
            session.last_heard = now;
        }
        let silence = now.saturating_sub(session.last_heard);
        if timeout.is_some_and(|limit| silence >= limit) {
            return self.time_out(&chat_id, now);
        }
        if warning.is_some_and(|limit| silence >= limit) && !session.warned {
            session.warn(at);
            self.wake(&chat_id);
        }
        self.watch_silence(chat_id, now);
    }

    pub(super) fn time_out(&mut self, chat_id: &str, now: Duration) {
        let last = InactivityTimeout {
            msg: "This chat was ended because you did not write.".into(),
            timestamp: self.at(now).ms(),
            ..Default::default()
        };
        self.end(chat_id, last, now);
    }
}
