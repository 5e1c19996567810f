//! `chatphone simulate` as a process.
#![allow(clippy::unwrap_used)]

mod simulator_support;

use simulator_support::Client;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

fn simulate(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatphone"));
    command.arg("simulate").args(flags).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The rest of what a process prints, and its exit code.
async fn end(mut child: Child, mut out: BufReader<tokio::process::ChildStdout>) -> (String, String, Option<i32>) {
    let (mut rest, mut errors) = (String::new(), String::new());
    let mut err = child.stderr.take().unwrap();
    let all = async { tokio::join!(out.read_to_string(&mut rest), err.read_to_string(&mut errors), child.wait()) };
    let (_, _, status) = tokio::time::timeout(Duration::from_secs(15), all).await.expect("the process ends");
    (rest, errors, status.unwrap().code())
}

async fn first_line(child: &mut Child) -> (String, BufReader<tokio::process::ChildStdout>) {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    tokio::time::timeout(Duration::from_secs(15), out.read_line(&mut line)).await.expect("a line").unwrap();
    (line, out)
}

#[cfg(unix)]
#[tokio::test]
async fn it_says_where_it_listens_and_ends_with_either_signal() {
    for signal in ["TERM", "INT"] {
        let mut child = simulate(&["--listen", "127.0.0.1:0", "--ewt", "7"]).spawn().unwrap();
        let (line, out) = first_line(&mut child).await;
        let base = line.strip_prefix("listening on ").and_then(|l| l.strip_suffix('\n')).unwrap().to_owned();
        let client = Client::at(&base, "c");
        assert_eq!(client.get_json("availability").await["ewt"], "7");
        client.connect().await;
        let pid = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        let (rest, errors, code) = end(child, out).await;
        assert_eq!((rest.as_str(), code), ("", Some(0)), "{errors}");
        assert!(!errors.contains("WARNING"));
    }
}

#[tokio::test]
async fn a_busy_port_is_one_clear_sentence_and_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut child = simulate(&["--listen", &addr]).spawn().unwrap();
    let (line, out) = first_line(&mut child).await;
    let (_, errors, code) = end(child, out).await;
    assert_eq!((line.as_str(), code), ("", Some(1)));
    assert!(errors.contains(&addr) && errors.contains("another program listens there"), "{errors}");
}

#[tokio::test]
async fn listening_beyond_this_machine_is_warned_of() {
    let mut child = simulate(&["--listen", "0.0.0.0:0"]).spawn().unwrap();
    let (line, out) = first_line(&mut child).await;
    assert!(line.starts_with("listening on http://0.0.0.0:"), "{line}");
    child.start_kill().unwrap();
    let (_, errors, _) = end(child, out).await;
    assert!(errors.contains("WARNING"), "{errors}");
}

#[tokio::test]
async fn a_folder_for_recordings_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let dir = file.path().join("recordings");
    let mut child = simulate(&["--listen", "127.0.0.1:0", "--record", dir.to_str().unwrap()]).spawn().unwrap();
    let (_, out) = first_line(&mut child).await;
    let (_, errors, code) = end(child, out).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains(dir.to_str().unwrap()), "{errors}");
}
