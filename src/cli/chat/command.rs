//! What a typed line means. No I/O: a line goes in, a [`Command`] comes out.
//!
//! A line is a message. One that begins with `/` is a command from [`COMMANDS`]; one that begins with `//` is a message
//! with a single slash in front. An unknown command is an error, never a message: a slip of the finger is not sent.

use chatphone_media::audio::dtmf::Dial;
use std::path::PathBuf;

/// Every command: name, arguments, what it does.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    ("/typing", "[off]", "tell that you are typing, or no longer"),
    ("/file", "PATH", "send a file"),
    ("/form", "[NAME] [FIELD=VALUE …]", "answer a form; without values it asks for them"),
    ("/secure", "[@FILE]", "answer a secure form, unseen (@FILE: FIELD=VALUE lines)"),
    ("/secure-cancel", "", "decline a secure form"),
    ("/location", "LATITUDE LONGITUDE [URL]", "share a place"),
    ("/page", "URL [TITLE]", "tell which page you are on"),
    ("/cobrowse", "accept [PROVIDER URL] | decline | end", "browse together, or not"),
    ("/call", "[video]", "ask the agent for a call"),
    ("/accept", "", "take the incoming call"),
    ("/decline", "[REASON]", "turn the incoming call down"),
    ("/hangup", "", "end the call"),
    ("/dtmf", "KEYS", "press keys in the call: 0-9, *, #, A-D; w is a pause of half a second"),
    ("/mute", "", "silence your side of the call"),
    ("/unmute", "", "be heard again"),
    ("/hold", "", "send and play nothing; the other side is not told"),
    ("/resume", "", "go on after /hold"),
    ("/stats", "", "show the figures of the call"),
    ("/save", "[FILE_ID] [DIR]", "save a file of the chat, the last one by default"),
    ("/photo", "[DIR]", "save the agent's photo"),
    ("/who", "", "show who takes part"),
    ("/disconnect", "", "end the conversation; a survey may follow"),
    ("/end", "", "end the chat"),
    ("/quit", "", "leave: ends the chat if this run began it"),
    ("/help", "", "list the commands"),
];

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Send a message.
    Message(String),
    /// Tell that typing began, or (false) stopped.
    Typing(bool),
    /// Upload and share a file.
    File(PathBuf),
    /// Answer a form; without values, ask for them.
    Form {
        /// Which form; `None`: the last one asked for.
        name: Option<String>,
        /// Field names and values.
        values: Vec<(String, String)>,
    },
    /// Answer a secure form, with values from a file or asked for without echo.
    Secure(Option<PathBuf>),
    /// Decline a secure form.
    SecureCancel,
    /// Share a place.
    Location {
        /// Degrees north, −90 to 90.
        latitude: f64,
        /// Degrees east, −180 to 180.
        longitude: f64,
        /// A map.
        url: Option<String>,
    },
    /// Tell the page this side is on.
    Page {
        /// Its address.
        url: String,
        /// Its title; empty when not given.
        title: String,
    },
    /// Begin to browse together: who provides it and where, if known.
    CobrowseAccept(Option<(String, String)>),
    /// Do not browse together.
    CobrowseDecline,
    /// Browse together no longer.
    CobrowseEnd,
    /// Ask for a call.
    Call {
        /// With video.
        video: bool,
    },
    /// Take the incoming call.
    Accept,
    /// Turn the incoming call down.
    Decline(String),
    /// End the call.
    HangUp,
    /// Silence this side, or (false) be heard again.
    Mute(bool),
    /// Put the call on hold on this side, or (false) go on with it.
    Hold(bool),
    /// Press keys in the call.
    Dial(Dial),
    /// End the conversation.
    Disconnect,
    /// End the chat.
    End,
    /// Save a file: up to two words, an id and a folder.
    Save(Vec<String>),
    /// Save the agent's photo.
    Photo(Option<PathBuf>),
    /// Show who takes part.
    Who,
    /// Show the figures of the call.
    Stats,
    /// List the commands.
    Help,
    /// Leave.
    Quit,
}

/// Why a line is no command. Never quotes an argument: it may be meant for a secure form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such command.
    #[error("there is no command {name}{}; nothing was sent", .nearest.map(|n| format!(" (did you mean {n}?)")).unwrap_or_default())]
    Unknown {
        /// What was typed, shortened.
        name: String,
        /// The command most like it.
        nearest: Option<&'static str>,
    },
    /// The arguments do not fit.
    #[error("{problem}; usage: {usage}")]
    Usage {
        /// What is wrong.
        problem: &'static str,
        /// How it is written.
        usage: String,
    },
}

/// Reads a line; `None` for an empty one.
///
/// # Errors
/// For a command that is unknown, or has arguments that do not fit.
pub fn parse(line: &str) -> Result<Option<Command>, CommandError> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let Some(after) = line.strip_prefix('/') else {
        return Ok(Some(Command::Message(line.to_owned())));
    };
    if after.starts_with('/') {
        return Ok(Some(Command::Message(after.to_owned())));
    }
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let Some((name, usage, _)) = COMMANDS.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name)) else {
        return Err(CommandError::Unknown { name: name.chars().take(24).collect(), nearest: nearest(name) });
    };
    let wrong = |problem| CommandError::Usage { problem, usage: format!("{name} {usage}").trim_end().to_owned() };
    command(name, rest.trim()).map(Some).map_err(wrong)
}

fn command(name: &str, rest: &str) -> Result<Command, &'static str> {
    const TOO_MANY: &str = "there are too many arguments";
    const MISSING: &str = "an argument is missing";
    let bare = |command| if rest.is_empty() { Ok(command) } else { Err("it takes no arguments") };
    match name {
        "/typing" => match rest {
            "" | "on" => Ok(Command::Typing(true)),
            "off" => Ok(Command::Typing(false)),
            _ => Err("only `off` can follow"),
        },
        "/file" if rest.is_empty() => Err(MISSING),
        "/file" => Ok(Command::File(path(rest))),
        "/form" => form(rest),
        "/secure" => match rest.strip_prefix('@') {
            _ if rest.is_empty() => Ok(Command::Secure(None)),
            Some(file) if !file.trim().is_empty() => Ok(Command::Secure(Some(path(file.trim())))),
            _ => Err("values of a secure form are not taken from the line, where they could be seen"),
        },
        "/secure-cancel" => bare(Command::SecureCancel),
        "/location" => location(&words(rest)?),
        "/page" => match rest.split_once(char::is_whitespace) {
            _ if rest.is_empty() => Err(MISSING),
            Some((url, title)) => Ok(Command::Page { url: url.into(), title: title.trim().into() }),
            None => Ok(Command::Page { url: rest.into(), title: String::new() }),
        },
        "/cobrowse" => {
            let words = words(rest)?;
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["accept"] => Ok(Command::CobrowseAccept(None)),
                ["accept", provider, url] => Ok(Command::CobrowseAccept(Some((provider.into(), url.into())))),
                ["accept", _] => Err("give both PROVIDER and URL, or none"),
                ["decline"] => Ok(Command::CobrowseDecline),
                ["end"] => Ok(Command::CobrowseEnd),
                _ => Err("say accept, decline or end"),
            }
        }
        "/call" => match rest {
            "" | "audio" => Ok(Command::Call { video: false }),
            "video" => Ok(Command::Call { video: true }),
            _ => Err("only `video` can follow"),
        },
        "/accept" => bare(Command::Accept),
        "/decline" => Ok(Command::Decline(rest.to_owned())),
        "/hangup" => bare(Command::HangUp),
        "/dtmf" if rest.is_empty() => Err(MISSING),
        "/dtmf" => rest.parse().map(Command::Dial).map_err(|_| "keys are 0-9, *, #, A-D, and w for a pause"),
        "/mute" => bare(Command::Mute(true)),
        "/unmute" => bare(Command::Mute(false)),
        "/hold" => bare(Command::Hold(true)),
        "/resume" => bare(Command::Hold(false)),
        "/stats" => bare(Command::Stats),
        "/save" => match words(rest)? {
            words if words.len() > 2 => Err(TOO_MANY),
            words => Ok(Command::Save(words)),
        },
        "/photo" => Ok(Command::Photo((!rest.is_empty()).then(|| path(rest)))),
        "/who" => bare(Command::Who),
        "/disconnect" => bare(Command::Disconnect),
        "/end" => bare(Command::End),
        "/quit" => bare(Command::Quit),
        "/help" => Ok(Command::Help),
        // The caller looked the name up in the table, and a test walks the table.
        _ => Err("it cannot be carried out"),
    }
}

fn form(rest: &str) -> Result<Command, &'static str> {
    let mut name = None;
    let mut values = Vec::new();
    for (at, word) in words(rest)?.into_iter().enumerate() {
        match word.split_once('=') {
            Some(("", _)) => return Err("a value has no field name"),
            Some((field, value)) => values.push((field.to_owned(), value.to_owned())),
            None if at == 0 => name = Some(word),
            None => return Err("write each value as FIELD=VALUE, with quotes around spaces"),
        }
    }
    Ok(Command::Form { name, values })
}

fn location(words: &[String]) -> Result<Command, &'static str> {
    let (latitude, longitude, url) = match words {
        [latitude, longitude] => (latitude, longitude, None),
        [latitude, longitude, url] => (latitude, longitude, Some(url.clone())),
        _ => return Err("give two numbers, in degrees"),
    };
    let degrees = |text: &str, most: f64| {
        let number = text.trim_end_matches(',').parse::<f64>().ok();
        number.filter(|n| n.abs() <= most).ok_or("latitude is from -90 to 90, longitude from -180 to 180, in degrees")
    };
    Ok(Command::Location { latitude: degrees(latitude, 90.0)?, longitude: degrees(longitude, 180.0)?, url })
}

/// A path as typed: one pair of quotes around it is taken off, and `~/` is the home folder. Nothing else is special, so
/// that spaces and backslashes need no care.
pub fn path(text: &str) -> PathBuf {
    let quoted = ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
    let text = quoted.unwrap_or(text);
    match (text.strip_prefix("~/"), directories::BaseDirs::new()) {
        (Some(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => text.into(),
    }
}

/// Splits at white space outside of quotes. A quote may begin anywhere in a word, as in `name="Anna Lee"`; a single one
/// inside a word, as in `it's`, is a letter.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '"' || (c == '\'' && word.as_ref().is_none_or(|w| w.ends_with('='))) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// The command that a slip of the finger most likely meant.
fn nearest(name: &str) -> Option<&'static str> {
    let name: String = name.to_ascii_lowercase().chars().take(24).collect();
    let distance = |known: &str| strsim::damerau_levenshtein(known, &name);
    let (best, _, _) = COMMANDS.iter().min_by_key(|(known, _, _)| distance(known))?;
    let by_beginning = COMMANDS.iter().find(|(known, _, _)| name.len() > 2 && known.starts_with(&name));
    if distance(best) <= 2 { Some(best) } else { by_beginning.map(|(known, _, _)| *known) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Command {
        parse(line).unwrap().unwrap()
    }

    fn problem(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn a_line_is_a_message_as_it_is() {
        assert_eq!(one("hello /end"), Command::Message("hello /end".into()));
        assert_eq!(one(" /end"), Command::Message(" /end".into()));
        assert_eq!(parse(" \t").unwrap(), None);
    }

    #[test]
    fn two_slashes_send_one() {
        assert_eq!(one("//form"), Command::Message("/form".into()));
        assert_eq!(one("//"), Command::Message("/".into()));
    }

    #[test]
    fn every_command_of_the_table_is_understood() {
        for (name, arguments, _) in COMMANDS {
            let line = match *name {
                "/file" => "/file a.txt".to_owned(),
                "/location" => "/location 1 2".to_owned(),
                "/dtmf" => "/dtmf 1".to_owned(),
                "/page" => "/page http://x".to_owned(),
                "/cobrowse" => "/cobrowse end".to_owned(),
                name => name.to_owned(),
            };
            assert!(parse(&line).unwrap().is_some(), "{line} {arguments}");
        }
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        for (typed, meant) in [("/fiel", "/file"), ("/hangpu", "/hangup"), ("/disc", "/disconnect"), ("/Edn", "/end")] {
            assert!(problem(typed).contains(meant), "{}", problem(typed));
        }
        assert!(!problem("/xyzzy").contains("mean"));
    }

    #[test]
    fn no_error_repeats_what_was_typed_after_the_command() {
        for line in ["/secure card=4111", "/secur card=4111", "/form a=1 4111", "/location 4111", "/accept 4111"] {
            assert!(!problem(line).contains("4111"), "{}", problem(line));
        }
    }

    #[test]
    fn form_values_may_hold_quotes_and_equal_signs() {
        let Command::Form { name, values } = one("/form contact name=\"Anna Lee\" note='a=b' plain=it's empty=") else {
            panic!()
        };
        assert_eq!(name.as_deref(), Some("contact"));
        let pairs: Vec<_> = values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("name", "Anna Lee"), ("note", "a=b"), ("plain", "it's"), ("empty", "")]);
        assert_eq!(one("/form"), Command::Form { name: None, values: vec![] });
        assert!(problem("/form a=\"b").contains("quote"));
        assert!(problem("/form =b").contains("field name"));
    }

    #[test]
    fn a_path_may_hold_spaces_and_be_quoted() {
        assert_eq!(one("/file a b.txt"), Command::File("a b.txt".into()));
        assert_eq!(one("/file \"a b.txt\""), Command::File("a b.txt".into()));
        assert_eq!(one(r"/file C:\a b"), Command::File(r"C:\a b".into()));
        assert_eq!(one("/secure @my card.txt"), Command::Secure(Some("my card.txt".into())));
    }

    #[test]
    fn a_place_must_be_on_earth() {
        let place = Command::Location { latitude: 52.5, longitude: -13.25, url: None };
        assert_eq!(one("/location 52.5, -13.25"), place);
        for line in
            ["/location", "/location 91 0", "/location 0 181", "/location NaN 0", "/location a b", "/location 1 2 3 4"]
        {
            assert!(problem(line).contains("degrees"), "{line}");
        }
    }

    #[test]
    fn what_follows_a_command_is_checked() {
        for line in
            ["/typing x", "/call me", "/cobrowse", "/cobrowse accept x", "/accept now", "/save a b c", "/file", "/page"]
        {
            assert!(problem(line).contains("usage: /"), "{line}");
        }
        assert_eq!(one("/decline in a meeting"), Command::Decline("in a meeting".into()));
        assert_eq!(one("/page http://x A title"), Command::Page { url: "http://x".into(), title: "A title".into() });
        assert_eq!(one("/cobrowse accept p u"), Command::CobrowseAccept(Some(("p".into(), "u".into()))));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in any::<String>()) {
            let _ = parse(&line);
        }

        #[test]
        fn no_command_line_panics(at in 0..COMMANDS.len(), rest in any::<String>()) {
            let _ = parse(&format!("{} {rest}", COMMANDS[at].0));
            let _ = parse(&format!("/{rest}"));
        }

        #[test]
        fn a_message_with_a_slash_can_always_be_sent(text in "/[^/].*") {
            prop_assert_eq!(parse(&format!("/{text}")), Ok(Some(Command::Message(text))));
        }
    }
}
