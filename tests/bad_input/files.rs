//! What is wrong on this machine: files, folders, devices, ports, and what was typed.

use crate::bad_input_support::center::Center;
use crate::bad_input_support::{Home, Ran, Running};
use std::net::TcpListener;

/// A call fails before anybody at the contact center is bothered.
async fn call(home: &Home, flags: &[&str]) -> Ran {
    let mut center = Center::start().await;
    let ran = Running::start(home.call(&center.url, flags)).end().await;
    assert_eq!(center.so_far(), [""; 0]);
    ran
}

async fn fails(flags: &[&str], words: &str) {
    let ran = call(&Home::new(), flags).await;
    let report = ran.failed("failed");
    assert!(report["reason"].as_str().unwrap().contains(words), "{report}");
    assert!(report["chat_id"].is_null(), "{report}");
}

#[tokio::test]
async fn a_wav_file_that_is_none() {
    let home = Home::new();
    let mut half = chatphone_media::samples::AGENT.wav.to_vec();
    half.truncate(30);
    for (name, bytes) in [("text.wav", &b"hello\n"[..]), ("empty.wav", b""), ("half.wav", &half), ("riff.wav", b"RIFF")]
    {
        std::fs::write(home.file(name), bytes).unwrap();
        let reason = call(&home, &["--play", name]).await.failed("failed")["reason"].clone();
        assert!(reason.as_str().unwrap().contains(name), "{reason}");
    }
}

#[tokio::test]
async fn a_wav_file_that_is_not_there_or_a_folder() {
    fails(&["--play", "none.wav"], "none.wav").await;
    fails(&["--play", "/"], "cannot read /").await;
}

#[tokio::test]
async fn an_unwritable_recording() {
    for flag in ["--record", "--record-both"] {
        fails(&[flag, "no-such-folder/heard.wav"], "cannot record to no-such-folder/heard.wav").await;
        fails(&[flag, "/"], "cannot record to /").await;
    }
}

#[tokio::test]
async fn no_audio_device() {
    fails(&["--play", "mic"], "there is no microphone on this machine").await;
    fails(&["--speaker", "default"], "there is no speaker on this machine").await;
}

// ALSA can be told which devices there are.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unknown_device_lists_what_there_is() {
    let home = Home::new();
    std::fs::write(
        home.file("asound.conf"),
        "pcm.desk { type null hint { show on description \"Desk phone\" } }\nctl.desk { type null }\n\
         defaults.namehint.showall on\n",
    )
    .unwrap();
    for (flags, kind) in [(["--mic", "Attic"], "microphone"), (["--speaker", "Attic"], "speaker")] {
        let reason = call(&home, &flags).await.failed("failed")["reason"].clone();
        assert_eq!(reason, format!("no {kind} is called 'Attic'; there is: Desk phone"));
    }
}

#[tokio::test]
async fn a_busy_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let ran = Home::new().run(&["simulate", "--listen", &addr]).await;
    let text = ran.sentence(1);
    assert!(text.contains(&addr) && text.contains("another program listens there"), "{text}");
    assert_eq!(ran.stdout, "");
}

#[tokio::test]
async fn media_ports_that_are_all_taken() {
    let mut center = Center::with_agent().await;
    let taken: Vec<_> = (0..2).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let port = taken[0].local_addr().unwrap().port();
    let range = format!("{port}-{port}");
    let flags = ["--media-address", "127.0.0.1", "--media-ports", &range];
    let running = Running::start(Home::new().call(&center.url, &flags));
    center.signaled("REQUEST_CALL").await;
    let report = running.end().await.failed("failed");
    assert!(report["reason"].as_str().unwrap().contains(&range), "{report}");
}

#[tokio::test]
async fn an_agents_sound_or_folder_of_no_use() {
    let home = Home::new();
    std::fs::write(home.file("text.wav"), "hello").unwrap();
    let simulate = ["simulate", "--listen", "127.0.0.1:0"];
    let ran = home.run(&[&simulate[..], &["--agent", "play:text.wav"]].concat()).await;
    assert!(ran.sentence(1).contains("text.wav"), "{ran:#?}");
    let ran = home.run(&[&simulate[..], &["--record", "text.wav/below"]].concat()).await;
    assert!(ran.sentence(1).contains("text.wav/below"), "{ran:#?}");
}

#[tokio::test]
async fn a_demo_that_cannot_write() {
    let home = Home::new();
    std::fs::write(home.file("file"), "").unwrap();
    for out in ["file", "file/below"] {
        let ran = home.run(&["demo", "--out", out]).await;
        assert!(ran.sentence(1).contains(out), "{ran:#?}");
    }
    // The folder is there, but what goes in is in the way.
    std::fs::create_dir_all(home.file("out/customer-hears.wav")).unwrap();
    let ran = home.run(&["demo", "--out", "out"]).await;
    assert!(ran.sentence(1).contains("customer-hears.wav"), "{ran:#?}");
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_asks_nobody() {
    let mut center = Center::start().await;
    for flags in [
        &["--play", "tone:nan"][..],
        &["--play", "tone:-1"],
        &["--codec", "mp3"],
        &["--bitrate", "5"],
        &["--duration", "soon"],
        &["--duration", "-1s"],
        &["--duration", "500000000000y"],
        &["--wait", "500000000000y"],
        &["--answer-within", "500000000000y"],
        &["--jitter-buffer", "2s"],
        &["--media-ports", "9-1"],
        &["--media-address", "here"],
        &["--mic", "a", "--play", "silence"],
    ] {
        let args = [&["call", "--url", &center.url, "--app-id", "app"], flags].concat();
        Home::new().run(&args).await.usage_error();
    }
    for args in [&["simulate", "--listen", "here"][..], &["simulate", "--agent", "parrot"], &["demo", "--out"]] {
        Home::new().run(args).await.usage_error();
    }
    assert_eq!(center.so_far(), [""; 0]);
}

#[tokio::test]
async fn settings_that_cannot_be_used_exit_with_2() {
    let url = |url| vec!["call", "--play", "silence", "--app-id", "x", "--url", url];
    for args in [
        url("ftp://a"),
        url("https://"),
        url("https://user:hush@a"),
        url("http://192.0.2.1"),
        vec!["call", "--play", "silence", "--app-id", "x"],
        vec!["call", "--play", "silence", "--url", "https://a"],
        [&url("https://a")[..], &["--client-id", "a\"b"]].concat(),
        [&url("https://a")[..], &["--ca-file", "none.pem"]].concat(),
        [&url("https://a")[..], &["--config", "none.toml"]].concat(),
    ] {
        let ran = Home::new().run(&args).await;
        assert!(!ran.sentence(2).contains("hush"), "{ran:#?}");
        assert_eq!(ran.stdout, "");
    }
}
