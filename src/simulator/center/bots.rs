//! What the bots do in the conversation, and how that is changed while the center runs.

use super::super::config::{AgentConfig, Rejection};
use super::super::files::StoredFile;
use super::super::line::LineConfig;
use super::super::script::{self, Deed};
use super::super::session::Who;
use super::{Center, FORM_TIMEOUT_S, Timer};
use crate::api::ClientEvent;
use crate::api::event::SessionEnded;
use bytes::Bytes;
use chatphone_media::audio::dtmf::Digit;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;

/// How the bots are set; what is absent in a change stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::simulator) struct BotSettings {
    /// How many there are; `null`: one for every chat.
    #[serde(deserialize_with = "given")]
    pub bots: Option<Option<usize>>,
    pub join_after_ms: Option<u64>,
    pub reply_after_ms: Option<u64>,
    pub answer_after_ms: Option<u64>,
    pub incoming: Option<bool>,
    /// `null`: calls are taken.
    #[serde(deserialize_with = "given")]
    pub reject: Option<Option<RejectionSetting>>,
    pub no_offer: Option<bool>,
    /// `null`: they stay.
    #[serde(deserialize_with = "given")]
    pub hang_up_after_ms: Option<Option<u64>>,
}

/// A field that is given, be it as `null`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

/// The fields of CALL_REJECTED.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator) struct RejectionSetting {
    pub code: String,
    #[serde(default)]
    pub reason: String,
}

/// The longest time that can be set: a day.
const MAX_MS: u64 = 24 * 3600 * 1000;

impl From<&AgentConfig> for LineConfig {
    fn from(bot: &AgentConfig) -> Self {
        Self {
            answer_after: bot.answer_after,
            reject: bot.reject.clone(),
            no_offer: bot.no_offer,
            hang_up_after: bot.hang_up_after,
        }
    }
}

impl Center {
    /// How the bots are set.
    pub fn bots(&self) -> BotSettings {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let bot = &self.bot;
        BotSettings {
            bots: Some(self.bots),
            join_after_ms: Some(ms(bot.join_after)),
            reply_after_ms: Some(ms(bot.reply_after)),
            answer_after_ms: Some(ms(bot.answer_after)),
            incoming: Some(bot.incoming),
            reject: Some(bot.reject.clone().map(|r| RejectionSetting { code: r.code, reason: r.reason })),
            no_offer: Some(bot.no_offer),
            hang_up_after_ms: Some(bot.hang_up_after.map(ms)),
        }
    }

    /// Sets the bots, those in a chat too.
    ///
    /// # Errors
    /// When a time is longer than a day; nothing is changed then.
    pub fn set_bots(&mut self, change: BotSettings, now: Duration) -> Result<(), String> {
        let times =
            [change.join_after_ms, change.reply_after_ms, change.answer_after_ms, change.hang_up_after_ms.flatten()];
        if times.into_iter().flatten().any(|ms| ms > MAX_MS) {
            return Err(format!("a time is at most {MAX_MS} ms"));
        }
        let set = |time: &mut Duration, ms: Option<u64>| *time = ms.map_or(*time, Duration::from_millis);
        let bot = &mut self.bot;
        set(&mut bot.join_after, change.join_after_ms);
        set(&mut bot.reply_after, change.reply_after_ms);
        set(&mut bot.answer_after, change.answer_after_ms);
        bot.incoming = change.incoming.unwrap_or(bot.incoming);
        bot.no_offer = change.no_offer.unwrap_or(bot.no_offer);
        if let Some(reject) = change.reject {
            bot.reject = reject.map(|r| Rejection { code: r.code, reason: r.reason });
        }
        if let Some(ms) = change.hang_up_after_ms {
            bot.hang_up_after = ms.map(Duration::from_millis);
        }
        for agent in self.sessions.values_mut().filter_map(|s| s.agent.as_mut()) {
            if let Who::Bot(line) = &mut agent.who {
                line.configure(LineConfig::from(&self.bot));
            }
        }
        if let Some(bots) = change.bots {
            self.bots = bots;
            self.serve_queue(now);
        }
        Ok(())
    }

    /// The bot's reaction to an event of the conversation.
    pub(super) fn react(&mut self, chat_id: &str, event: &ClientEvent, now: Duration) {
        let Some(agent) = self.sessions.get(chat_id).and_then(|s| s.agent.as_ref()) else { return };
        if !matches!(agent.who, Who::Bot(_)) {
            return;
        }
        for (delay, deed) in script::react(event, self.bot.reply_after) {
            let (chat_id, party_id) = (chat_id.to_owned(), agent.party_id.clone());
            self.timers.set(now + delay, Timer::Agent { chat_id, party_id, deed });
        }
    }

    pub(super) fn do_deed(&mut self, chat_id: &str, party_id: &str, deed: Deed, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Some(agent) = session.agent.as_mut().filter(|agent| agent.party_id == party_id) else { return };
        match deed {
            Deed::Typing => session.typing(party_id, true, at),
            Deed::NotTyping => session.typing(party_id, false, at),
            Deed::Say(text) => session.say(party_id, text, None, at),
            Deed::SayMarkup => {
                let plain = "A message with bold text\nand a second line.";
                session.say(party_id, "A message with <b>bold</b> text<br>and a second line.", Some(plain.into()), at);
            }
            Deed::ShowForm => {
                session.show_form("contact", FORM_TIMEOUT_S, at);
            }
            Deed::ShowSecureForm => session.show_secure_form("payment", at),
            Deed::SendFile => {
                let text = "A file from your agent.\n";
                self.share(chat_id, party_id, "note.txt", "text/plain; charset=utf-8", text.into(), now);
            }
            Deed::SendPhoto => {
                let photo = agent.photo;
                self.share(chat_id, party_id, "photo.png", "image/png", photo.into(), now);
            }
            Deed::SendLocation => session.share_location(party_id, 52.5163, 13.3777, at),
            Deed::AskCobrowsing => session.ask_cobrowsing(party_id, at),
            Deed::Warn => session.warn(at),
            Deed::RejectNextCall => {
                if let Who::Bot(line) = &mut agent.who {
                    line.reject_next();
                }
                session.say(party_id, "I shall decline your next call.", None, at);
            }
            Deed::Dial(dial) => {
                let pressed = match &mut agent.who {
                    Who::Bot(line) => line.dial(dial),
                    Who::Desk { .. } => false,
                };
                if pressed {
                    self.with_line(chat_id, Some(party_id), now, |_, _| ());
                } else {
                    session.say(party_id, "There is no call to press keys in.", None, at);
                }
            }
            Deed::Call => self.with_line(chat_id, Some(party_id), now, |line, now| line.call(now)),
            Deed::HangUp => self.with_line(chat_id, Some(party_id), now, |line, _| line.hang_up()),
            Deed::Transfer => {
                session.say(party_id, "I hand you over to a colleague.", None, at);
                self.transfer(chat_id, None, now);
            }
            Deed::Leave => self.end(chat_id, SessionEnded::default(), now),
            Deed::TimeOut => self.time_out(chat_id, now),
        }
        self.wake(chat_id);
    }

    /// The customer pressed a key: the bot says which.
    pub(super) fn heard_digit(&mut self, chat_id: &str, digit: Digit, now: Duration) {
        let at = self.at(now);
        let Some(session) = self.sessions.get_mut(chat_id) else { return };
        let Some(party_id) = session.agent.as_ref().map(|agent| agent.party_id.clone()) else { return };
        session.say(&party_id, format!("You pressed {digit}."), None, at);
        self.wake(chat_id);
    }

    /// Keeps a file and shows it to the client.
    pub(super) fn share(&mut self, chat_id: &str, party_id: &str, name: &str, ty: &str, bytes: Bytes, now: Duration) {
        let at = self.at(now);
        let Some(client) = self.sessions.get(chat_id).map(|s| s.client.clone()) else { return };
        let (name_owned, content_type) = (name.to_owned(), ty.to_owned());
        let id = self.add_file(StoredFile { client, name: name_owned, content_type, bytes });
        if let Some(session) = self.sessions.get_mut(chat_id) {
            session.share_file(party_id, id, name, ty.starts_with("image/"), at);
        }
        self.wake(chat_id);
    }
}
