//! A headless Chromium for the tests: started on a free port, closed even when a test panics.
//!
//! It needs Debian's `chromium` and `chromium-driver` (`scripts/install-deps test`). Nothing but loopback is used.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

pub mod customer;

use chatphone::simulator::Simulator;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, WindowHandle};
use tokio::time::Instant;

/// How long anything in a page may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A sandbox needs rights that a container often lacks; a made microphone stands for one that no test machine has.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    // A page in a tab behind another one is to work as the one before.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--window-size=1280,800",
];

/// chromedriver, which ends with this.
struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver does not start: run `scripts/install-deps test`");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let started = "started successfully on port ";
        let line =
            lines.find_map(|line| line.ok().filter(|l| l.contains(started))).expect("chromedriver names its port");
        let port = line.split(started).nth(1).unwrap().trim_end_matches('.');
        let url = format!("http://127.0.0.1:{port}");
        // What it prints later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A running browser. Fields are dropped in order: the session is ended while its driver still runs.
pub struct Browser {
    pub web: WebDriver,
    _driver: Driver,
}

impl Browser {
    pub async fn start() -> Self {
        Self::with_flags(&[]).await
    }

    /// A browser with further flags, such as `--use-file-for-fake-audio-capture=voice.wav`.
    pub async fn with_flags(flags: &[&str]) -> Self {
        // The process's default provider; a second call finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver = Driver::start();
        let mut wanted = DesiredCapabilities::chrome();
        for flag in FLAGS.iter().chain(flags) {
            wanted.add_arg(flag).unwrap();
        }
        let web = WebDriver::new(&driver.url, wanted).await.expect("Chromium starts");
        web.set_script_timeout(PATIENCE).await.unwrap();
        Self { web, _driver: driver }
    }

    /// Opens a desk in a tab of its own and waits until it is signed in. `query` as the page takes it, such as
    /// `tone=880&answer=auto`.
    pub async fn desk(&self, center: &Simulator, name: &str, query: &str) -> Page<'_> {
        let page = self.open(&format!("{}/desk?name={name}&ring=no&{query}", center.base_url())).await;
        page.until("!document.getElementById('desk-view').hidden").await;
        page
    }

    /// Opens an address in a tab of its own.
    pub async fn open(&self, url: &str) -> Page<'_> {
        let window = self.web.new_tab().await.unwrap();
        self.web.switch_to_window(window.clone()).await.unwrap();
        self.web.goto(url).await.unwrap();
        Page { web: &self.web, window }
    }
}

/// One tab.
pub struct Page<'a> {
    pub web: &'a WebDriver,
    window: WindowHandle,
}

impl Page<'_> {
    /// Brings this tab to the front of what the driver does.
    pub async fn front(&self) {
        self.web.switch_to_window(self.window.clone()).await.unwrap();
    }

    /// The value of a JavaScript expression.
    pub async fn eval(&self, expression: &str) -> Value {
        self.front().await;
        let ran = self.web.execute(format!("return {expression};"), vec![]).await;
        ran.unwrap_or_else(|e| panic!("{expression}: {e}")).json().clone()
    }

    /// What a promise comes to. `body` is that of an async function.
    pub async fn eval_async(&self, body: &str) -> Value {
        self.front().await;
        let script = format!(
            "const done = arguments[arguments.length - 1];\
             (async () => {{ {body} }})().then((value) => done({{ value }}), (error) => done({{ error: String(error) }}));"
        );
        let result =
            self.web.execute_async(script, vec![]).await.unwrap_or_else(|e| panic!("{body}: {e}")).json().clone();
        assert_eq!(result.get("error"), None, "{body}");
        result.get("value").cloned().unwrap_or(Value::Null)
    }

    /// Waits until an expression is true.
    pub async fn until(&self, expression: &str) {
        let give_up = Instant::now() + PATIENCE;
        while self.eval(&format!("Boolean({expression})")).await != json!(true) {
            if Instant::now() > give_up {
                let text = self.eval("document.body.innerText").await;
                panic!("it never came to `{expression}`; the page shows:\n{}", text.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an element shows a text.
    pub async fn shows(&self, id: &str, text: &str) {
        self.until(&format!("document.getElementById({}).innerText.includes({})", json!(id), json!(text))).await;
    }

    /// Clicks an element once it can be clicked.
    pub async fn click(&self, id: &str) {
        self.until(&format!("(e => e && !e.disabled && e.offsetParent)(document.getElementById({}))", json!(id))).await;
        self.web.find(By::Id(id)).await.unwrap().click().await.unwrap();
    }

    /// Clicks what a CSS selector finds.
    pub async fn click_on(&self, css: &str) {
        self.until(&format!("document.querySelector({})", json!(css))).await;
        self.web.find(By::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into a field.
    pub async fn write(&self, id: &str, text: &str) {
        self.front().await;
        self.web.find(By::Id(id)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// Closes the tab, as a person does in the middle of something.
    pub async fn close(self) {
        self.front().await;
        self.web.close_window().await.unwrap();
        let left = self.web.windows().await.unwrap();
        self.web.switch_to_window(left[0].clone()).await.unwrap();
    }

    /// Takes a picture of the page at a size of its inside.
    pub async fn screenshot(&self, width: u32, height: u32, path: &Path) {
        self.front().await;
        self.web.set_window_rect(0, 0, width, height).await.unwrap();
        let frame = self.eval("[outerWidth - innerWidth, outerHeight - innerHeight]").await;
        let frame = [0, 1].map(|n| u32::try_from(frame[n].as_u64().unwrap()).unwrap());
        self.web.set_window_rect(0, 0, width + frame[0], height + frame[1]).await.unwrap();
        self.until(&format!("innerWidth === {width} && innerHeight === {height}")).await;
        self.web.screenshot(path).await.unwrap();
    }

    /// The strongest frequency that the page hears from the customer (Hz), and its level (dBFS).
    pub async fn hears(&self) -> (f64, f64) {
        let found = self
            .eval_async(
                "const stream = document.getElementById('remote-audio').srcObject;\
                 if (!stream) return [0, -999];\
                 const context = new AudioContext();\
                 const analyser = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });\
                 context.createMediaStreamSource(stream).connect(analyser);\
                 await new Promise((resolve) => setTimeout(resolve, 800));\
                 const bins = new Float32Array(analyser.frequencyBinCount);\
                 analyser.getFloatFrequencyData(bins);\
                 const top = bins.reduce((best, level, bin) => (level > bins[best] ? bin : best), 1);\
                 const hz = (top * context.sampleRate) / analyser.fftSize;\
                 await context.close();\
                 return [hz, Math.max(bins[top], -999)];",
            )
            .await;
        (found[0].as_f64().unwrap(), found[1].as_f64().unwrap())
    }

    /// The call's own stats, every one of them, by type and kind: `stats("inbound-rtp", "audio")`.
    pub async fn stats(&self, kind: &str, media: &str) -> Value {
        let body = format!(
            "const all = [...(await globalThis.deskCall.peer.getStats()).values()];\
             return all.find((s) => s.type === {} && (s.kind === {} || {} === '')) ?? null;",
            json!(kind),
            json!(media),
            json!(media)
        );
        self.eval_async(&body).await
    }
}
