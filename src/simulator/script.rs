//! What an agent says and does in the conversation: a function of what the customer sent.
//!
//! A customer's message that begins with `/` makes the agent do something, so that a person can try every event of the
//! API by hand; [`COMMANDS`] lists them. To anything else the agent replies after a moment of typing.

use crate::api::ClientEvent;
use chatphone_media::audio::dtmf::Dial;
use std::time::Duration;

/// Something the agent does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    Typing,
    NotTyping,
    Say(String),
    /// A message with markup, and its plain twin.
    SayMarkup,
    ShowForm,
    ShowSecureForm,
    SendFile,
    SendPhoto,
    SendLocation,
    AskCobrowsing,
    Call,
    /// Presses keys in the call.
    Dial(Dial),
    HangUp,
    RejectNextCall,
    Warn,
    TimeOut,
    Transfer,
    Leave,
}

/// The commands that a customer can type, and what they do.
pub const COMMANDS: &[(&str, &str)] = &[
    ("/help", "lists these commands"),
    ("/form", "the agent shows a form"),
    ("/secureform", "the agent shows a secure form"),
    ("/file", "the agent sends a text file"),
    ("/image", "the agent sends an image"),
    ("/location", "the agent sends a place"),
    ("/cobrowse", "the agent asks to browse together"),
    ("/html", "the agent writes a message with markup"),
    ("/typing", "the agent begins to type, and stops without a word"),
    ("/call", "the agent calls"),
    ("/dtmf", "the agent presses the keys behind it: /dtmf 12#"),
    ("/hangup", "the agent ends the call"),
    ("/reject", "the agent refuses the next call"),
    ("/transfer", "the agent hands over to another one"),
    ("/leave", "the agent leaves, and the chat ends"),
    ("/warn", "the session warns of its time-out"),
    ("/timeout", "the session times out"),
];

/// What the agent does when it joins.
pub(super) fn greeting(agent: &str, customer: Option<&str>) -> String {
    match customer {
        Some(name) => format!("Hello {name}, this is {agent}. How can I help you?"),
        None => format!("Hello, this is {agent}. How can I help you?"),
    }
}

/// What the agent does about an event of the customer, each deed with its delay from now.
pub(super) fn react(event: &ClientEvent, reply_after: Duration) -> Vec<(Duration, Deed)> {
    let reply = |text: String| {
        vec![(reply_after / 2, Deed::Typing), (reply_after, Deed::NotTyping), (reply_after, Deed::Say(text))]
    };
    match event {
        ClientEvent::Message(message) => match command(message.msg.trim()) {
            Some(Ok(deed)) => match deed {
                Deed::Typing => vec![(Duration::ZERO, Deed::Typing), (reply_after, Deed::NotTyping)],
                deed => vec![(Duration::ZERO, deed)],
            },
            Some(Err(text)) => reply(text),
            None => reply(format!("You wrote: {}", message.msg)),
        },
        ClientEvent::FormData(form) => {
            let fields: Vec<_> = form.data.keys().map(String::as_str).collect();
            reply(match fields.len() {
                0 => "Thank you. The form came back empty.".to_owned(),
                _ => format!("Thank you, I have your form with {}.", fields.join(", ")),
            })
        }
        ClientEvent::SecureFormData(_) => reply("Thank you, your secure form has arrived.".into()),
        ClientEvent::SecureFormCancel(_) => reply("No problem, we go on without the secure form.".into()),
        ClientEvent::File(file) => {
            let name = file.file_name.as_deref().unwrap_or(&file.file_id);
            reply(format!("Thank you, I have received {name}."))
        }
        ClientEvent::Location(place) => reply(match (place.latitude, place.longitude) {
            (Some(north), Some(east)) => format!("Thank you, I see you at {north}, {east}."),
            _ => "Thank you, I see where you are.".into(),
        }),
        ClientEvent::Navigation(page) => reply(format!("I see you are looking at {}.", page.title)),
        ClientEvent::CobrowsingStarted(_) => reply("Good, now we see the same page.".into()),
        ClientEvent::CobrowsingRejected(_) => reply("All right, then without browsing together.".into()),
        ClientEvent::CobrowsingEnded(_) => reply("We no longer browse together.".into()),
        _ => Vec::new(),
    }
}

/// Reads a command; `Err` is a text to answer with.
fn command(text: &str) -> Option<Result<Deed, String>> {
    if !text.starts_with('/') {
        return None;
    }
    Some(Ok(match text.split_whitespace().next().unwrap_or(text) {
        "/form" => Deed::ShowForm,
        "/secureform" => Deed::ShowSecureForm,
        "/file" => Deed::SendFile,
        "/image" => Deed::SendPhoto,
        "/location" => Deed::SendLocation,
        "/cobrowse" => Deed::AskCobrowsing,
        "/html" => Deed::SayMarkup,
        "/typing" => Deed::Typing,
        "/call" => Deed::Call,
        "/dtmf" => match text["/dtmf".len()..].parse() {
            Ok(dial) => Deed::Dial(dial),
            Err(error) => return Some(Err(error.to_string())),
        },
        "/hangup" => Deed::HangUp,
        "/reject" => Deed::RejectNextCall,
        "/transfer" => Deed::Transfer,
        "/leave" => Deed::Leave,
        "/warn" => Deed::Warn,
        "/timeout" => Deed::TimeOut,
        other => {
            let list: Vec<_> = COMMANDS.iter().map(|(name, does)| format!("{name}: {does}")).collect();
            let what = if other == "/help" { String::new() } else { format!("I do not know {other}. ") };
            return Some(Err(format!("{what}I understand:\n{}", list.join("\n"))));
        }
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::event::ClientMessage;

    const AFTER: Duration = Duration::from_millis(400);

    fn say(text: &str) -> Vec<(Duration, Deed)> {
        react(&ClientMessage { msg: text.into(), ..Default::default() }.into(), AFTER)
    }

    #[test]
    fn a_message_is_answered_after_some_typing() {
        assert_eq!(
            say("hello"),
            [(AFTER / 2, Deed::Typing), (AFTER, Deed::NotTyping), (AFTER, Deed::Say("You wrote: hello".into()))]
        );
    }

    #[test]
    fn every_command_listed_does_something() {
        for (name, _) in COMMANDS.iter().filter(|(name, _)| *name != "/help") {
            let line = if *name == "/dtmf" { "/dtmf 12#" } else { name };
            assert!(matches!(command(line), Some(Ok(_))), "{name}");
        }
        assert!(matches!(command("/help"), Some(Err(_))));
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_list() {
        let deeds = say("/dance");
        let Deed::Say(text) = &deeds.last().unwrap().1 else { panic!("{deeds:?}") };
        assert!(text.contains("/dance") && COMMANDS.iter().all(|(name, _)| text.contains(name)), "{text}");
    }

    #[test]
    fn values_of_a_secure_form_are_not_repeated() {
        let event: ClientEvent = serde_json::from_str(
            r#"{"event":"chat_session_secure_form_data","form_request_id":"1","data":{"card":"4111"}}"#,
        )
        .unwrap();
        assert!(!format!("{:?}", react(&event, AFTER)).contains("4111"));
    }
}
