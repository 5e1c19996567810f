//! `chatphone chat` against a simulated contact center, as a script and a person behind a pipe see it.
#![allow(clippy::unwrap_used)]

use chatphone::api::{Client, ClientConfig, ClientEvent, Identity};
use chatphone::simulator::{Simulator, SimulatorConfig};
use serde_json::Value;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn center(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
    let mut config = SimulatorConfig::default();
    config.agent.join_after = Duration::from_millis(20);
    config.agent.reply_after = Duration::from_millis(20);
    change(&mut config);
    Simulator::start(config).await.unwrap()
}

/// A second look at the session of the program under test.
fn observer(center: &Simulator) -> Client {
    Client::new(ClientConfig::new(center.base_url(), "app", Identity::ClientId("tester".into()))).unwrap()
}

/// A running `chatphone chat`.
struct Chat {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    shown: String,
    stderr: Arc<Mutex<String>>,
    logged: tokio::task::JoinHandle<()>,
    home: TempDir,
}

impl Chat {
    fn start(url: &str, args: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatphone"));
        command
            .args(["chat", "--url", url, "--app-id", "app", "--client-id", "tester", "--play", "tone:440"])
            .args(args);
        command.current_dir(home.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("CHATPHONE_") || n.to_ascii_lowercase().ends_with("_proxy"))
            {
                command.env_remove(name);
            }
        }
        for (name, folder) in [("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")] {
            command.env(name, home.path().join(folder));
        }
        let mut child = command.spawn().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (child.stderr.take().unwrap(), stderr.clone());
        let logged = tokio::spawn(async move {
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            to.lock().unwrap().push_str(&String::from_utf8_lossy(&all));
        });
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            shown: String::new(),
            stderr,
            logged,
            home,
        }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    async fn say(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for a line that holds `text`.
    async fn until(&mut self, text: &str) -> String {
        let wait = async {
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                self.shown += &format!("{line}\n");
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        };
        match timeout(PATIENCE, wait).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("it ended without \"{text}\":\n{}", self.shown),
            Err(_) => panic!("no \"{text}\" came:\n{}", self.shown),
        }
    }

    async fn ask(&mut self, line: &str, answer: &str) -> String {
        self.say(line).await;
        self.until(answer).await
    }

    /// Sends a signal by name.
    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Closes standard input and reads what follows: how it ended, what was shown, what was logged.
    async fn end(mut self) -> (ExitStatus, String, String) {
        drop(self.stdin.take());
        let rest = async {
            while let Some(line) = self.stdout.next_line().await.unwrap() {
                self.shown += &format!("{line}\n");
            }
            self.child.wait().await.unwrap()
        };
        let status = timeout(PATIENCE, rest).await.expect("it did not end");
        timeout(PATIENCE, self.logged).await.unwrap().unwrap();
        let stderr = self.stderr.lock().unwrap().clone();
        (status, self.shown, stderr)
    }
}

/// Runs a script to its end.
async fn script(center: &Simulator, args: &[&str], lines: &str) -> (ExitStatus, String, String) {
    let mut chat = Chat::start(&center.base_url(), args);
    // One that ended early does not read.
    let _ = chat.stdin.as_mut().unwrap().write_all(lines.as_bytes()).await;
    chat.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_says_hello_and_ends_the_chat() {
    let center = center(|_| {}).await;
    let (status, shown, logged) = script(&center, &[], "hello\n/end\n").await;
    assert!(status.success(), "{shown}{logged}");
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text} in\n{shown}"));
    assert!(place("the chat is open") < place("Ada Miller joined"));
    assert!(place("Ada Miller joined") < place("you: hello"));
    assert!(place("you: hello") < place("the chat was ended"));
    assert!(place("Ada Miller: Hello, this is Ada") > 0);
    assert!(observer(&center).active_chat().await.unwrap_err().is_session_gone());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_wait_for_an_agent_and_answers_are_waited_for() {
    let center = center(|c| c.agent.join_after = Duration::from_millis(700)).await;
    let (status, shown, _) = script(&center, &["--linger", "3s"], "early\n").await;
    assert!(status.success());
    let (joined, said) = (shown.find("joined").unwrap(), shown.find("you: early").unwrap());
    let answered = shown.find("You wrote: early").unwrap();
    assert!(joined < said && said < answered, "{shown}");
    assert!(shown.contains("is typing"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_agent_in_time_is_a_failure() {
    let center = center(|c| c.agents = Some(0)).await;
    let (status, shown, _) = script(&center, &["--wait-agent", "300ms"], "hello\n").await;
    assert_eq!(status.code(), Some(1));
    assert!(shown.contains("no agent joined") && !shown.contains("you: hello"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_cannot_be_opened_is_one_sentence_on_stderr() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, shown, logged) = Chat::start(&format!("http://{gone}"), &[]).end().await;
    assert_eq!(status.code(), Some(1));
    assert!(logged.contains("could not be opened"), "{shown}{logged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_command_is_not_sent_and_fails_a_script() {
    let center = center(|_| {}).await;
    let (status, shown, _) = script(&center, &["--keep-chat"], "/fiel a.txt\n").await;
    assert_eq!(status.code(), Some(1));
    assert!(shown.contains("there is no command /fiel (did you mean /file?)"), "{shown}");
    let chat = observer(&center).active_chat().await.unwrap();
    let history = observer(&center).history(&chat.chat_id).await.unwrap();
    assert!(!serde_json::to_string(&history).unwrap().contains("fiel"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_the_client_reaches_the_center() {
    let center = center(|_| {}).await;
    let observer = observer(&center);
    let mut chat = Chat::start(&center.base_url(), &["--linger", "0s"]);
    chat.until("joined").await;
    std::fs::write(chat.home().join("note.txt"), "a note").unwrap();
    chat.say("/typing").await;
    chat.say("/typing off").await;
    chat.ask("plain", "You wrote: plain").await;
    chat.ask("/file note.txt", "I have received note.txt").await;
    chat.ask("/location 52.5 -13.25 https://maps.example/1", "I see you at 52.5, -13.25").await;
    chat.ask("/page https://shop.example/cart Your cart", "you are looking at Your cart").await;
    chat.ask("//cobrowse", "asks to browse together").await;
    chat.ask("/cobrowse accept other https://together.example", "we see the same page").await;
    chat.ask("/cobrowse end", "no longer browse together.").await;
    chat.ask("/cobrowse decline", "without browsing together").await;
    chat.ask("//form", "a form is asked for: \"contact\"").await;
    chat.ask("/form contact name=\"Anna Lee\" phone=5550100", "I have your form with name, phone").await;
    chat.ask("//secureform", "a secure form is asked for: \"payment\"").await;
    chat.ask("/secure-cancel", "without the secure form").await;
    chat.ask("//secureform", "a secure form is asked for: \"payment\"").await;
    std::fs::write(chat.home().join("card"), "card=4111\n").unwrap();
    chat.ask("/secure @card", "secure form has arrived").await;
    chat.ask("/call", "call is connected").await;
    chat.ask("/hangup", "outcome").await;
    let chat_id = observer.active_chat().await.unwrap().chat_id;
    chat.ask("/disconnect", "a form is asked for: \"survey\"").await;

    let history = serde_json::to_value(observer.history(&chat_id).await.unwrap()).unwrap();
    let names: Vec<_> = history.as_array().unwrap().iter().filter_map(|e| e["event"].as_str()).collect();
    let not_kept = ["chat_session_signaling", "chat_session_end"];
    for name in ClientEvent::NAMES.iter().filter(|name| !not_kept.contains(name)) {
        assert!(names.contains(name), "no {name} among {names:?}");
    }
    let find = |name: &str| history.as_array().unwrap().iter().find(|e| e["event"] == name).unwrap();
    assert_eq!(find("chat_session_form_data")["data"]["name"], "Anna Lee");
    assert_eq!(find("chat_session_cobrowsing_started")["provider_type"], "other");
    assert_eq!(find("chat_session_navigation")["page"], "https://shop.example/cart");

    chat.ask("/end", "the chat was ended").await;
    let (status, shown, _) = chat.end().await;
    assert!(status.success(), "{shown}");
    assert!(observer.active_chat().await.unwrap_err().is_session_gone());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_back_as_it_went_and_overwrites_nothing() {
    let center = center(|_| {}).await;
    let mut chat = Chat::start(&center.base_url(), &[]);
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(chat.home().join("holiday photo.bin"), &bytes).unwrap();
    std::fs::create_dir(chat.home().join("in")).unwrap();
    chat.until("joined").await;
    chat.say("/file holiday photo.bin").await;
    chat.until("sending holiday photo.bin: ").await;
    let line = chat.until("you sent the attachment \"holiday photo.bin\"").await;
    let id = line.rsplit_once("(id ").unwrap().1.trim_end_matches(')').to_owned();
    for name in ["in/holiday photo.bin", "in/holiday photo (1).bin"] {
        let line = chat.ask(&format!("/save {id} in"), "is saved as").await;
        let path = line.split_once("is saved as ").unwrap().1.to_owned();
        assert_eq!(path, name);
        assert_eq!(std::fs::read(chat.home().join(path)).unwrap(), bytes);
    }
    // The last file is meant when none is named.
    chat.ask("//file", "sent the attachment \"note.txt\"").await;
    let line = chat.ask("/save", "is saved as").await;
    assert!(line.ends_with("./note.txt"), "{line}");
    assert_eq!(std::fs::read(chat.home().join("note.txt")).unwrap(), b"A file from your agent.\n");
    let line = chat.ask("/photo in", "the photo is saved as in/").await;
    let photo = line.split_once("saved as ").unwrap().1.to_owned();
    assert!(std::fs::read(chat.home().join(photo)).unwrap().starts_with(b"\x89PNG"));
    chat.ask("/save no-such-file", "was not saved").await;
    assert_eq!(chat.end().await.0.code(), Some(1), "a script is told that something did not work");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_secure_form_are_nowhere_to_be_seen() {
    for format in [&[][..], &["--json"]] {
        let center = center(|_| {}).await;
        let args = [&["-vv", "--keep-chat"], format].concat();
        let mut chat = Chat::start(&center.base_url(), &args);
        std::fs::write(chat.home().join("card"), "card=4111222233334444\ncvc=987654\n").unwrap();
        chat.until("joined").await;
        chat.ask("//secureform", "payment").await;
        chat.ask("/secure card=4111222233334444", "not taken from the line").await;
        chat.ask("/secure", "not read from a pipe").await;
        chat.ask("/secure @card", "secure form has arrived").await;
        let (_, shown, logged) = chat.end().await;
        assert!(logged.contains("chatphone"), "nothing was logged, so nothing is proved");

        // Neither in what a later run is shown of it.
        let (_, again, logged_again) = script(&center, &args, "").await;
        assert!(again.contains("payment"), "{again}");
        for text in [shown, logged, again, logged_again] {
            for secret in ["4111222233334444", "987654"] {
                assert!(!text.contains(secret), "{secret} in\n{text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incoming_call_is_accepted_from_a_pipe() {
    let center = center(|c| c.agent.incoming = true).await;
    let mut chat = Chat::start(&center.base_url(), &["--record", "heard.wav"]);
    chat.until("Ada Miller calls: /accept or /decline").await;
    chat.ask("/accept", "the call is connected").await;
    chat.until("sound arrives").await;
    chat.ask("/mute", "you are muted").await;
    chat.ask("/unmute", "you can be heard").await;
    chat.ask("/stats", "packets, received").await;
    chat.ask("/accept", "nobody calls").await;
    chat.ask("/hangup", "the call is over: completed").await;
    chat.until("outcome    completed").await;
    let line = chat.until("recording").await;
    assert!(line.ends_with("heard.wav"));
    assert!(chat.home().join("heard.wav").exists());
    chat.ask("/hangup", "there is no call").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_can_be_taken_unasked_or_declined() {
    let center = center(|c| c.agent.incoming = true).await;
    let mut chat = Chat::start(&center.base_url(), &["--auto-answer"]);
    chat.until("the call is connected").await;
    // The agent ends it, and calls again.
    chat.ask("//hangup", "outcome    completed").await;
    drop(chat);

    let center = self::center(|c| c.agent.incoming = true).await;
    let mut chat = Chat::start(&center.base_url(), &[]);
    chat.until("calls: /accept").await;
    chat.ask("/decline in a meeting", "the call is over: rejected").await;
    assert!(chat.end().await.0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_taken_up_again_shows_what_was_said() {
    let center = center(|_| {}).await;
    let (status, _, _) = script(&center, &["--keep-chat"], "remember this\n").await;
    assert!(status.success());
    // A chat that this run did not begin is not ended by leaving it.
    let (status, shown, _) = script(&center, &[], "/quit\n").await;
    assert!(status.success(), "{shown}");
    let before = shown.split("that was the history; here now: Ada Miller").next().unwrap();
    assert!(before.contains("the chat is taken up again") && before.contains("you: remember this"), "{shown}");
    assert!(before.contains("Ada Miller: Hello, this is Ada"), "{shown}");
    assert!(observer(&center).active_chat().await.is_ok());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn signals_end_call_and_chat_cleanly() {
    for name in ["INT", "TERM"] {
        let center = center(|_| {}).await;
        let mut chat = Chat::start(&center.base_url(), &[]);
        chat.until("joined").await;
        chat.ask("/call", "the call is connected").await;
        chat.signal(name);
        chat.until("outcome    completed").await;
        let (status, shown, logged) = chat.end().await;
        assert_eq!(status.code(), Some(0), "{name}: {shown}{logged}");
        assert!(observer(&center).active_chat().await.unwrap_err().is_session_gone(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_object_a_line() {
    let center = center(|_| {}).await;
    let mut chat = Chat::start(&center.base_url(), &["--json"]);
    chat.until("party_joined").await;
    chat.ask("hi", "You wrote: hi").await;
    chat.ask("//form", "form_request_id").await;
    chat.ask("/form name=x", "Thank you").await;
    chat.ask("/who", "\"who\"").await;
    chat.ask("/call", "call_connected").await;
    chat.ask("/stats", "call_stats").await;
    chat.ask("/hangup", "call_report").await;
    chat.ask("/nonsense", "\"error\"").await;
    chat.say("/end").await;
    let (status, shown, _) = chat.end().await;
    assert_eq!(status.code(), Some(1), "the nonsense was not forgotten");
    let objects: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let all = |name: &str| objects.iter().filter(|o| o["event"] == name).collect::<Vec<_>>();
    for name in ["chat_opened", "chat_status", "message", "sent", "form", "call_ended", "signaling", "chat_ended"] {
        assert!(!all(name).is_empty(), "no {name} in\n{shown}");
    }
    assert!(objects.iter().all(|o| o["time"].is_string()));
    assert_eq!(all("party_joined")[0]["name"], "Ada Miller");
    assert_eq!(all("call_report")[0]["outcome"], "completed");
    assert_eq!(objects.last().unwrap()["event"], "chat_ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_cannot_drive_a_terminal() {
    let center = center(|_| {}).await;
    let mut chat = Chat::start(&center.base_url(), &[]);
    chat.until("joined").await;
    let line = chat.ask("\u{1b}[2J\u{1b}]0;owned\u{7} here", "You wrote").await;
    assert!(line.contains("␛[2J␛]0;owned␇ here"), "{line}");
    let line = chat.ask("//html", "A message with bold text").await;
    assert!(line.ends_with("A message with bold text ↵ and a second line."), "{line}");
    let (_, shown, _) = chat.end().await;
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_events_are_shown_in_words() {
    let center = center(|c| c.ewt_s = Some(240)).await;
    let mut chat = Chat::start(&center.base_url(), &[]);
    chat.until("waiting for an agent, expected wait 4 min").await;
    chat.until("joined").await;
    chat.ask("//location", "shared a place: 52.5163, 13.3777 https://").await;
    chat.ask("//typing", "Ada Miller is typing").await;
    chat.ask("//image", "sent the image \"photo.png\"").await;
    chat.ask("//transfer", "Ben Okafor joined").await;
    chat.ask("/who", "here now: Ben Okafor").await;
    chat.ask("//leave", "Ben Okafor left").await;
    chat.until("the contact center ended the chat").await;
    assert!(chat.end().await.0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_chat_when_asked_to() {
    let center = center(|_| {}).await;
    let mut chat = Chat::start(&center.base_url(), &["--idle-exit", "700ms"]);
    chat.until("nothing happened for a while").await;
    assert!(chat.end().await.0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_fault_is_shown_and_loses_nothing() {
    let center = center(|_| {}).await;
    let mut chat = Chat::start(&center.base_url(), &[]);
    chat.until("joined").await;
    center.inject("send-events:5500:2".parse().unwrap());
    chat.say("through thick and thin").await;
    chat.until("sending events failed").await;
    chat.until("You wrote: through thick and thin").await;
    let (status, shown, _) = chat.end().await;
    assert!(status.success(), "{shown}");
    assert!(shown.contains("you: through thick and thin") && shown.contains("the connection is back"), "{shown}");
    assert_eq!(shown.matches("You wrote: through").count(), 1, "{shown}");
}
