//! `chatphone chat` on a terminal: questions, secrets, Ctrl-C, and the terminal afterwards.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use chatphone::api::event::ClientEnd;
use chatphone::api::{Client, ClientConfig, Identity};
use chatphone::simulator::{Simulator, SimulatorConfig};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// A person at a terminal of their own.
struct Desk {
    child: Child,
    keys: File,
    /// The terminal's other end, kept open to see how it is left.
    terminal: File,
    output: UnboundedReceiver<Vec<u8>>,
    shown: String,
    /// Everything that was ever shown.
    transcript: String,
    _home: TempDir,
}

impl Desk {
    fn start(center: &Simulator) -> Self {
        Self::at(&center.base_url())
    }

    fn at(url: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        // Gives the program the terminal as its own, as a login does: `/dev/tty` and Ctrl-C work.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_chatphone"), "chat", "--url", url]);
        command.args(["--app-id", "app", "--client-id", "tester", "--play", "tone:440"]);
        for (name, folder) in [("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")] {
            command.env(name, home.path().join(folder));
        }
        command.env("NO_COLOR", "1").kill_on_drop(true).current_dir(home.path());
        command.stdin(Stdio::from(terminal.try_clone().unwrap()));
        command.stdout(Stdio::from(terminal.try_clone().unwrap()));
        command.stderr(Stdio::from(terminal.try_clone().unwrap()));
        let child = command.spawn().unwrap();
        let keys = File::from(master);
        let mut from = keys.try_clone().unwrap();
        let (output_tx, output) = unbounded_channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut piece) {
                if output_tx.send(piece[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, terminal, output, shown: String::new(), transcript: String::new(), _home: home }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows `text` after what was waited for before.
    async fn until(&mut self, text: &str) {
        let wait = async {
            loop {
                if let Some(at) = self.shown.find(text) {
                    self.shown.drain(..at + text.len());
                    return true;
                }
                match self.output.recv().await {
                    Some(piece) => {
                        let text = String::from_utf8_lossy(&piece);
                        self.shown += &text;
                        self.transcript += &text;
                    }
                    None => return false,
                }
            }
        };
        let came = timeout(PATIENCE, wait).await;
        assert!(matches!(came, Ok(true)), "no \"{text}\" came, but:\n{}", self.shown);
    }

    fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ECHO) && modes.contains(LocalModes::ICANON) && modes.contains(LocalModes::ISIG)
    }

    /// Waits until what is typed is not shown.
    async fn until_hidden(&self) {
        let hidden = async {
            while self.echoes() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, hidden).await.expect("the terminal shows what is typed");
    }

    async fn end(mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it did not end").unwrap();
        assert!(self.echoes(), "the terminal was left unusable");
        status
    }
}

async fn center(incoming: bool) -> Simulator {
    let mut config = SimulatorConfig::default();
    config.agent.join_after = Duration::from_millis(20);
    config.agent.reply_after = Duration::from_millis(20);
    config.agent.incoming = incoming;
    Simulator::start(config).await.unwrap()
}

/// A second look at the session of the program under test.
fn observer(center: &Simulator) -> Client {
    Client::new(ClientConfig::new(center.base_url(), "app", Identity::ClientId("tester".into()))).unwrap()
}

async fn chat_is_over(center: &Simulator) -> bool {
    observer(center).active_chat().await.is_err_and(|e| e.is_session_gone())
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_d_leaves_and_ends_the_chat() {
    let center = center(false).await;
    let mut desk = Desk::start(&center);
    desk.until("joined").await;
    desk.press("hello\n");
    desk.until("You wrote: hello").await;
    assert!(!desk.transcript.contains("you: hello"), "it stands where it was typed");
    desk.press("\u{4}");
    assert!(desk.end().await.success());
    assert!(chat_is_over(&center).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_asked_for_field_by_field() {
    let center = center(false).await;
    let mut desk = Desk::start(&center);
    desk.until("joined").await;
    desk.press("//form\n");
    desk.until("a form is asked for").await;
    desk.press("/form\n");
    desk.until("field name").await;
    desk.press("name\n");
    desk.until("* name:").await;
    desk.press("Anna Lee\n");
    desk.until("field name").await;
    desk.press("\n");
    desk.until("I have your form with name.").await;
    desk.press("/end\n");
    assert!(desk.end().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_shown() {
    let center = center(false).await;
    let mut desk = Desk::start(&center);
    desk.until("joined").await;
    desk.press("//secureform\n");
    desk.until("a secure form is asked for").await;
    desk.press("/secure\n");
    desk.until("field name").await;
    desk.press("card\n");
    desk.until("card (is not shown):").await;
    desk.until_hidden().await;
    desk.press("4111222233334444\n");
    desk.until("field name").await;
    desk.press("\n");
    desk.until("your secure form has arrived").await;
    assert!(desk.transcript.contains("card") && !desk.transcript.contains("4111"), "{}", desk.transcript);
    desk.press("/quit\n");
    assert!(desk.end().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_a_secret_is_typed_leaves_the_terminal_usable() {
    let center = center(false).await;
    let mut desk = Desk::start(&center);
    desk.until("joined").await;
    desk.press("//secureform\n");
    desk.until("a secure form is asked for").await;
    desk.press("/secure\n");
    desk.until("field name").await;
    desk.press("card\n");
    desk.until_hidden().await;
    desk.press("41\u{3}");
    assert!(desk.end().await.success());
    assert!(chat_is_over(&center).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_ends_while_a_secret_is_typed_leaves_the_terminal_usable() {
    let center = center(false).await;
    let mut desk = Desk::start(&center);
    desk.until("joined").await;
    desk.press("//secureform\n");
    desk.until("a secure form is asked for").await;
    desk.press("/secure\n");
    desk.until("field name").await;
    desk.press("card\n");
    desk.until_hidden().await;
    let client = observer(&center);
    let chat_id = client.active_chat().await.unwrap().chat_id;
    client.send_events(&chat_id, &[ClientEnd::default().into()]).await.unwrap();
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incoming_call_asks_and_ctrl_c_ends_it() {
    let center = center(true).await;
    let mut desk = Desk::start(&center);
    desk.until("Ada Miller calls: accept? [y/n]").await;
    desk.press("y\n");
    desk.until("the call is connected").await;
    desk.press("\u{3}");
    desk.until("leaving").await;
    desk.until("outcome    completed").await;
    assert!(desk.end().await.success());
    assert!(chat_is_over(&center).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_declines_an_incoming_call() {
    let center = center(true).await;
    let mut desk = Desk::start(&center);
    desk.until("accept? [y/n]").await;
    desk.press("n\n");
    desk.until("the call is over: rejected").await;
    desk.press("/quit\n");
    assert!(desk.end().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_at_once() {
    // Takes the request for a chat, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut desk = Desk::at(&format!("http://{}", silent.local_addr().unwrap()));
    let _asked = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    desk.press("\u{3}");
    desk.until("once more to leave at once").await;
    desk.press("\u{3}");
    assert_eq!(desk.end().await.code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_is_bounded_when_nobody_answers() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut desk = Desk::at(&format!("http://{}", silent.local_addr().unwrap()));
    let _asked = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    desk.press("\u{3}");
    let begun = std::time::Instant::now();
    desk.end().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
}
