//! The command as a script sees it: exit codes, one clear sentence on stderr, and where settings come from.
#![allow(clippy::unwrap_used)]

mod api_support;

use api_support::tls::secure;
use api_support::*;
use assert_cmd::assert::{Assert, OutputAssertExt};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// A home of its own, without anybody's settings.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatphone"));
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("CHATPHONE_") || n.to_ascii_lowercase().ends_with("_proxy"))
            {
                command.env_remove(name);
            }
        }
        for (name, folder) in [("HOME", ""), ("XDG_CONFIG_HOME", "config"), ("XDG_STATE_HOME", "state")] {
            command.env(name, self.path().join(folder));
        }
        command
    }

    async fn run(&self, args: &[&str]) -> Assert {
        self.command(args).output().await.unwrap().assert()
    }

    fn write_config(&self, text: &str) {
        let dir = self.path().join("config/chatphone");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("config.toml"), text).unwrap();
    }
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// The one line that went to stderr.
fn sentence(assert: &Assert) -> String {
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let text = text.strip_prefix("chatphone: ").unwrap_or_else(|| panic!("{text}"));
    text.trim_end().to_owned()
}

async fn asked(url: &str) -> Assert {
    Home::new().run(&["availability", "--url", url, "--app-id", "a", "--client-id", "secret-id"]).await
}

async fn fails_with(url: &str, words: &str) {
    let text = sentence(&asked(url).await.code(1).stdout(""));
    assert!(text.contains(words) && !text.contains("secret-id"), "{text}");
}

async fn open() -> Server {
    Server::start(|_| json(json!({"chat": "available", "ewt": "7", "queue": "voice"}))).await
}

#[tokio::test]
async fn bad_flags_exit_with_2() {
    for args in [
        &[][..],
        &["--no-such-flag"],
        &["no-such-command"],
        &["availability", "--param", "novalue"],
        &["availability", "--param", "=value"],
        &["availability", "--client-id", "a", "--web-chat"],
        &["availability", "--log", "chatphone=loud"],
    ] {
        Home::new().run(args).await.code(2).stdout("");
    }
}

#[tokio::test]
async fn help_names_every_command_and_the_exit_codes() {
    let text = stdout(&Home::new().run(&["--help"]).await.code(0).stderr(""));
    for word in ["availability", "parameters", "ice-servers", "configuration", "devices", "Exit codes"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[tokio::test]
async fn every_flag_of_a_connection_is_documented() {
    let text = stdout(&Home::new().run(&["availability", "--help"]).await.code(0));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('-')) {
        // Either on the flag's own line, after two spaces, or below it.
        let help = line.trim_start_matches('-').split_once("  ").map_or(lines[at + 1], |(_, help)| help);
        assert!(help.trim().len() > 5 && !help.starts_with('-'), "{line} is not documented");
    }
}

#[tokio::test]
async fn open_hours_exit_with_0_and_closed_ones_with_1() {
    let server = open().await;
    assert_eq!(stdout(&asked(&server.url()).await.code(0).stderr("")), "open, expected wait 7 s\n");
    let server = Server::start(|_| json(json!({"chat": "notAvailable"}))).await;
    assert_eq!(stdout(&asked(&server.url()).await.code(1).stderr("")), "closed (notAvailable)\n");
}

#[tokio::test]
async fn json_holds_all_that_the_server_sent() {
    let server = open().await;
    let assert =
        Home::new().run(&["availability", "--json", "--url", &server.url(), "--app-id", "a", "--client-id", "c"]).await;
    let answer: Value = serde_json::from_str(&stdout(&assert.code(0))).unwrap();
    assert_eq!(answer, json!({"chat": "available", "ewt": "7", "queue": "voice"}));
}

#[tokio::test]
async fn passwords_of_ice_servers_are_shown_in_json_alone() {
    let server =
        Server::start(|_| json(json!({"servers": [{"url": "turn:t", "username": "u", "credential": "hush"}]}))).await;
    let url = server.url();
    let args = ["ice-servers", "--url", &url, "--app-id", "a", "--client-id", "c"];
    let text = stdout(&Home::new().run(&args).await.code(0));
    assert!(text.contains("turn:t") && !text.contains("hush"), "{text}");
    let text = stdout(&Home::new().run(&[&args[..], &["--json"]].concat()).await.code(0));
    assert!(text.contains("hush"), "{text}");
}

#[tokio::test]
async fn parameters_and_configuration_are_printed() {
    let server = Server::start(|seen| {
        json(if seen.uri.path().ends_with("/parameters") {
            json!({"parameters": [{"email": "EMAIL"}]})
        } else {
            json!({"widgets": [{"name": "Support"}]})
        })
    })
    .await;
    for (command, expected) in [("parameters", "email  EMAIL\n"), ("configuration", "Support\n")] {
        let args = [command, "--url", &server.url(), "--app-id", "a", "--client-id", "c"];
        assert_eq!(stdout(&Home::new().run(&args).await.code(0)), expected);
    }
}

#[tokio::test]
async fn an_unknown_host_is_one_sentence() {
    fails_with("https://no-such-center.invalid", "cannot reach no-such-center.invalid: its name is not known").await;
}

#[tokio::test]
async fn a_refused_connection_is_one_sentence() {
    fails_with(&format!("http://{}", nobody().await), "connection refused").await;
}

#[tokio::test]
async fn a_tls_failure_is_one_sentence() {
    fails_with(&secure("localhost").await.url, "an authority this machine does not trust").await;
}

#[tokio::test]
async fn a_web_page_instead_of_json_is_one_sentence() {
    let server = Server::start(|_| response(200, "text/html", "<html>\n<body>Welcome</body>\n</html>")).await;
    fails_with(&server.url(), "a web page instead of JSON").await;
}

#[tokio::test]
async fn truncated_json_is_one_sentence() {
    let server = Server::start(|_| response(200, "application/json", "{\"chat\": \"avai")).await;
    fails_with(&server.url(), "JSON that stops in the middle").await;
    fails_with(&raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{").await, "broke").await;
}

#[tokio::test]
async fn an_error_of_the_api_is_one_sentence() {
    let server = Server::start(|_| error(403, 3000, "no such app")).await;
    fails_with(&server.url(), "missing or invalid application unique id (3000): \"no such app\"; check the app id")
        .await;
}

#[tokio::test]
async fn an_authority_from_a_file_is_trusted() {
    let (server, home) = (secure("localhost").await, Home::new());
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, &server.ca_pem).unwrap();
    let args = ["availability", "--url", &server.url, "--app-id", "a", "--ca-file", ca.to_str().unwrap()];
    assert_eq!(stdout(&home.run(&args).await.code(0)), "open\n");
}

#[tokio::test]
async fn plain_http_to_another_machine_needs_a_flag_and_is_said_loudly() {
    let text = sentence(&asked("http://no-such-center.invalid").await.code(2));
    assert!(text.contains("--insecure-http"), "{text}");
    let args = ["availability", "--url", "http://no-such-center.invalid", "--app-id", "a", "--insecure-http"];
    let assert = Home::new().run(&args).await.code(1);
    let text = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(text.contains("PLAIN HTTP"), "{text}");
}

#[tokio::test]
async fn the_systems_proxy_is_used_but_not_for_this_machine() {
    let (proxy, home) = (open().await, Home::new());
    let ask = |url: &str| {
        let args = ["availability", "--url", url, "--app-id", "a", "--client-id", "c", "--insecure-http"];
        let mut command = home.command(&args);
        command.env("http_proxy", proxy.url()).env_remove("NO_PROXY").env_remove("no_proxy");
        command
    };
    ask("http://no-such-center.invalid").output().await.unwrap().assert().code(0);
    assert_eq!(proxy.last().header("host"), Some("no-such-center.invalid"));
    let here = open().await;
    ask(&here.url()).output().await.unwrap().assert().code(0);
    assert_eq!((proxy.seen().len(), here.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_named_proxy_is_used_instead_of_the_systems() {
    let (named, systems, home) = (open().await, open().await, Home::new());
    let args = ["availability", "--url", "http://no-such-center.invalid", "--app-id", "a", "--insecure-http"];
    let mut command = home.command(&args);
    command.env("CHATPHONE_PROXY", named.url()).env("http_proxy", systems.url());
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    command.output().await.unwrap().assert().code(0);
    assert_eq!((named.seen().len(), systems.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_proxy_of_another_kind_is_refused_without_its_password() {
    let args =
        ["availability", "--url", "https://cc.example", "--app-id", "a", "--proxy", "socks5://u:hush@p.example:1080"];
    let text = sentence(&Home::new().run(&args).await.code(2));
    assert!(text.contains("socks5") && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn what_is_missing_is_said_and_exits_with_2() {
    let text = sentence(&Home::new().run(&["availability"]).await.code(2));
    assert!(text.contains("--url") && text.contains("CHATPHONE_URL"), "{text}");
    let text = sentence(&Home::new().run(&["availability", "--url", "https://a.invalid"]).await.code(2));
    assert!(text.contains("--app-id"), "{text}");
}

#[tokio::test]
async fn flags_win_over_the_environment_and_that_over_the_file() {
    let (server, home) = (open().await, Home::new());
    home.write_config(&format!("url = '{}'\ntenant = 'file'\napp_id = 'file'\nclient_id = 'c'", server.url()));
    let tenant = |server: &Server| server.last().query("tenantUrl").unwrap();
    home.run(&["availability"]).await.code(0);
    assert_eq!(tenant(&server), "file");
    let with_env = home.command(&["availability"]).env("CHATPHONE_TENANT", "env").output().await.unwrap();
    with_env.assert().code(0);
    assert_eq!(tenant(&server), "env");
    let both =
        home.command(&["availability", "--tenant", "flag"]).env("CHATPHONE_TENANT", "env").output().await.unwrap();
    both.assert().code(0);
    assert_eq!(tenant(&server), "flag");
    assert!(server.last().header("authorization").unwrap().contains("appId=\"file\""));
}

#[tokio::test]
async fn a_file_named_by_flag_or_variable_must_be_there() {
    let home = Home::new();
    let missing = home.path().join("none.toml");
    let text = sentence(&home.run(&["availability", "--config", missing.to_str().unwrap()]).await.code(2));
    assert!(text.contains("none.toml"), "{text}");
    let by_variable = home.command(&["availability"]).env("CHATPHONE_CONFIG", &missing).output().await.unwrap();
    assert!(sentence(&by_variable.assert().code(2)).contains("none.toml"));
}

#[tokio::test]
async fn a_missing_ca_file_is_named() {
    let args = ["availability", "--url", "https://a.invalid", "--app-id", "a", "--web-chat", "--ca-file", "none.pem"];
    let text = sentence(&Home::new().run(&args).await.code(2));
    assert!(text.contains("none.pem"), "{text}");
}

#[tokio::test]
async fn an_unknown_key_in_the_file_is_named() {
    let home = Home::new();
    home.write_config("client_id = 'secret-id'\nappid = 'x'\n");
    let text = sentence(&home.run(&["availability"]).await.code(2));
    assert!(text.contains("config.toml, line 2: unknown key `appid`") && !text.contains("secret-id"), "{text}");
}

#[tokio::test]
async fn a_client_id_is_made_once_and_kept_for_this_user() {
    let (server, home) = (open().await, Home::new());
    let url = server.url();
    let args = ["availability", "--url", &url, "--app-id", "a"];
    home.run(&args).await.code(0);
    let first = server.last().header("authorization").unwrap().to_owned();
    home.run(&args).await.code(0);
    assert_eq!(server.last().header("authorization"), Some(first.as_str()));
    Home::new().run(&args).await.code(0);
    assert_ne!(server.last().header("authorization"), Some(first.as_str()));
    let kept = std::fs::read_to_string(home.path().join("state/chatphone/client-id")).unwrap();
    assert!(first.contains(kept.trim()));
}

#[tokio::test]
async fn no_level_of_logging_shows_the_client_id() {
    let server = open().await;
    for level in ["-v", "-vv", "--log=trace"] {
        let args = [level, "availability", "--url", &server.url(), "--app-id", "a", "--client-id", "secret-id"];
        let assert = Home::new().run(&args).await.code(0);
        let text = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(text.contains("answered") && !text.contains("secret-id"), "{text}");
        assert_eq!(stdout(&assert), "open, expected wait 7 s\n", "log lines are for stderr");
        assert!(!text.contains('\u{1b}'), "no colour where no terminal is");
    }
}

#[tokio::test]
async fn a_reader_that_has_gone_is_no_failure() {
    let (server, home) = (open().await, Home::new());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let args = ["availability", "--url", &server.url(), "--app-id", "a", "--client-id", "c"];
    let output = home.command(&args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().await;
    output.unwrap().assert().code(0).stderr("");
}

#[tokio::test]
async fn devices_are_listed_even_where_there_are_none() {
    let assert = Home::new().run(&["devices", "--json"]).await.code(0);
    let list: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert!(list["hosts"].is_array(), "{list}");
    assert!(!stdout(&Home::new().run(&["devices"]).await.code(0)).is_empty());
}
