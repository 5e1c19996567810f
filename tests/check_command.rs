//! `chatphone check` as a command: what it prints, its exit codes, and a network without UDP.
#![allow(clippy::unwrap_used)]

mod bad_input_support;
mod check_support;

use bad_input_support::{Home, Ran, Running};
use check_support::coturn::{Coturn, Options, PASSWORD, USER};
use check_support::{center, turn};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const FLAGS: [&str; 8] =
    ["check", "--app-id", "app", "--client-id", bad_input_support::CLIENT_ID, "--duration", "1s", "--url"];

async fn checked(url: &str, more: &[&str]) -> Ran {
    let args: Vec<&str> = FLAGS.into_iter().chain([url]).chain(more.iter().copied()).collect();
    Home::new().run(&args).await
}

fn json(ran: &Ran) -> Value {
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 1, "{}", ran.stdout);
    serde_json::from_str(lines[0]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_can_be_made_are_exit_code_0_and_said_in_words() {
    let coturn = Coturn::start();
    let center = center(|c| c.ice_servers = vec![turn(coturn.udp(), PASSWORD)]).await;
    let ran = checked(&center.base_url(), &["--no-audio"]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    println!("{}", ran.stdout);
    for line in [
        "ok       contact center     takes this app id",
        "ok       way for sound      UDP is open",
        "\nCalls can be made",
    ] {
        assert!(ran.stdout.contains(line), "{line} is not in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'), "colours are for terminals");
    for secret in [bad_input_support::CLIENT_ID, PASSWORD] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}{}", ran.stdout, ran.stderr);
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_object_with_stable_names() {
    let center = center(|_| ()).await;
    let ran = checked(&center.base_url(), &["--no-audio", "--json"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let report = json(&ran);
    let names: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["ok", "verdict", "summary", "advice", "stopped", "duration_ms", "host", "steps"]);
    let steps = report["steps"].as_array().unwrap();
    for step in steps {
        let names: Vec<&str> = step.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["name", "verdict", "message", "time_ms", "advice", "details"]);
    }
    let order: Vec<&str> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(
        order.join(" "),
        "configuration dns tcp tls clock http api hours latency chat local_network ice_servers nat media_path \
         microphone speaker loopback_call"
    );
    for name in
        ["quality", "mos", "rating", "loss_percent", "jitter_ms", "rtt_ms", "concealed_ms", "through", "setup_ms"]
    {
        assert!(steps[16]["details"].get(name).is_some(), "{name} is not in {}", steps[16]);
    }
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_sound_devices_cannot_call_unless_they_are_left_out() {
    let center = center(|_| ()).await;
    let ran = checked(&center.base_url(), &["--json"]).await;
    assert_eq!(ran.code, Some(1));
    let report = json(&ran);
    assert!(report["summary"].as_str().unwrap().contains("no microphone can be used"), "{report}");
    center.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_exit_code_1_and_wrong_usage_2() {
    let ran = checked("https://no-such-center.invalid", &["--no-audio"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("\nCalls cannot be made. The reason is name (DNS):"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("\nTell your network department: DNS must resolve no-such-center.invalid"),
        "{}",
        ran.stdout
    );
    for wrong in [&["--no-audio", "--mic", "x"][..], &["--duration", "1h"], &["--ca-file", "/no/such.pem"]] {
        assert_eq!(checked("https://cc.example", wrong).await.code, Some(2), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_the_way_is_named() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = proxy.accept().await {
            let mut head = [0; 1024];
            let n = stream.read(&mut head).await.unwrap_or(0);
            assert!(head[..n].starts_with(b"CONNECT cc.invalid:443 "), "{}", String::from_utf8_lossy(&head[..n]));
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let args: Vec<&str> = FLAGS.into_iter().chain(["https://cc.invalid", "--no-audio", "--json"]).collect();
    let home = Home::new();
    let mut command = home.command(&args);
    command.env("HTTPS_PROXY", format!("http://somebody:hush@{address}"));
    let ran = Running::start(command).end().await;
    assert_eq!(ran.code, Some(1));
    let report = json(&ran);
    assert_eq!(report["steps"][0]["details"]["proxy"], address.to_string());
    let tls = &report["steps"][3];
    assert!(tls["message"].as_str().unwrap().contains("the proxy refuses the way to cc.invalid:443"), "{tls}");
    assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_check_ends_at_once_and_says_so() {
    let center = center(|_| ()).await;
    let base_url = center.base_url();
    let args: Vec<&str> =
        FLAGS.into_iter().chain([&*base_url, "--no-audio"]).map(|a| if a == "1s" { "60s" } else { a }).collect();
    let home = Home::new();
    let mut running = Running::start(home.command(&args));
    while !running.line().await.unwrap().contains("way for sound") {}
    running.signal("INT");
    let (ran, took) = running.end_timed().await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(ran.stdout.contains("The check was stopped before its end."), "{}", ran.stdout);
    center.shutdown().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_network_without_udp_is_recognised_and_calls_go_over_tcp() {
    use check_support::netns::{CENTER, Cable, Ends};
    let Some(cable) = Cable::lay() else {
        eprintln!("SKIPPED: network namespaces cannot be made by this user");
        return;
    };
    if !cable.block_udp() {
        eprintln!("SKIPPED: the kernel has no rules by protocol");
        return;
    }
    let coturn = {
        let options = Options { ip: CENTER.into(), ..Options::default() };
        Coturn::run(options, 3478, 5349, cable.at_center("turnserver"), |port| cable.is_up(port))
    };
    let ice_server = |url: String| format!("--ice-server={url},{USER},{PASSWORD}");
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_chatphone");
    let mut simulate = cable.at_center(program);
    simulate.args(["simulate", "--listen", "10.77.0.1:8080"]);
    simulate.args([ice_server(coturn.udp()), ice_server(coturn.tcp())]);
    simulate.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let _center = Ends(simulate.spawn().unwrap());
    while !cable.is_up(8080) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let args: Vec<&str> =
        FLAGS.into_iter().chain(["http://10.77.0.1:8080", "--insecure-http", "--no-audio", "--json"]).collect();
    let mut command = home.command(&args);
    let mut inside = tokio::process::Command::from(cable.at_kiosk(program));
    inside.args(&args).current_dir(home.path()).kill_on_drop(true);
    for (name, value) in command.as_std_mut().get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ran = Running::start(inside).end().await;
    let report = json(&ran);
    let step = |name: &str| report["steps"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap().clone();
    assert_eq!(step("media_path")["details"]["udp"], "blocked", "{report:#}");
    let allow = &report["advice"].as_array().unwrap().iter().find(|a| a["allow"].is_object()).unwrap()["allow"];
    let wanted = serde_json::json!({"direction": "outbound", "host": "10.77.0.1", "port": 3478, "protocol": "udp"});
    assert_eq!(*allow, wanted);
    assert_eq!(step("media_path")["details"]["relays"], serde_json::json!(["tcp"]));
    assert_eq!(step("loopback_call")["details"]["through"], coturn.tcp());
    assert_eq!((ran.code, &report["ok"]), (Some(0), &true.into()), "{report:#}");
}
