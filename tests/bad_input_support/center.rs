//! A scripted contact center with one session: hands out the events it is given, notes what arrives.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

pub const AGENT: &str = "agent-1";
const CHAT: &str = "chat-1";

#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A client event.
    Event(Value),
    /// A poll that never gets an answer.
    PollHeld,
    RequestChat,
}

struct Inner {
    queue: Mutex<VecDeque<Value>>,
    news: Notify,
    seen: mpsc::UnboundedSender<Seen>,
    hold_for_good: AtomicBool,
    hold_chat: AtomicBool,
    is_old_chat: AtomicBool,
    let_chat_go: Notify,
    ice_servers: Mutex<Value>,
}

/// The test's end: what to say, what was heard.
pub struct Center {
    pub url: String,
    inner: Arc<Inner>,
    sees: mpsc::UnboundedReceiver<Seen>,
    task: tokio::task::JoinHandle<()>,
}

/// Says things in the session, from another task.
#[derive(Clone)]
pub struct Voice(Arc<Inner>);

impl Voice {
    pub fn say(&self, event: Value) {
        self.0.queue.lock().unwrap().push_back(event);
        self.0.news.notify_one();
    }

    pub fn signal(&self, data: Value) {
        // Ids of an agent's side need not be more than different.
        let msg_id = uuid::Uuid::new_v4().to_string();
        self.say(json!({"event": "chat_session_signaling", "party_id": AGENT, "msg_id": msg_id, "data": data}));
    }
}

impl Center {
    pub async fn start() -> Self {
        let (seen, sees) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            queue: Mutex::default(),
            news: Notify::new(),
            seen,
            hold_for_good: AtomicBool::new(false),
            hold_chat: AtomicBool::new(false),
            is_old_chat: AtomicBool::new(false),
            let_chat_go: Notify::new(),
            ice_servers: Mutex::new(json!({"servers": []})),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = inner.clone();
        let app = axum::Router::new().fallback(move |request: Request| answer(shared.clone(), request));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inner, sees, task }
    }

    /// One whose agent is in the chat from the beginning.
    pub async fn with_agent() -> Self {
        let center = Self::start().await;
        center.voice().say(json!({
            "event": "chat_session_party_joined", "party_id": AGENT, "display_name": "Ann", "type": "internal",
        }));
        center
    }

    pub fn voice(&self) -> Voice {
        Voice(self.inner.clone())
    }

    pub fn signal(&self, data: Value) {
        self.voice().signal(data);
    }

    pub fn set_ice_servers(&self, answer: Value) {
        *self.inner.ice_servers.lock().unwrap() = answer;
    }

    /// From now on polls are not answered (or are again).
    pub fn hold_polls(&self, hold: bool) {
        self.inner.hold_for_good.store(hold, SeqCst);
        // A poll that waits notices.
        self.inner.news.notify_one();
    }

    /// Request Chat is not answered, until [`Self::open_chat`].
    pub fn hold_chat(&self) {
        self.inner.hold_chat.store(true, SeqCst);
    }

    /// Answers Request Chat by a new session, or one that was there.
    pub fn open_chat(&self, new: bool) {
        self.inner.is_old_chat.store(!new, SeqCst);
        self.inner.let_chat_go.notify_one();
    }

    pub async fn next(&mut self) -> Seen {
        super::within(self.sees.recv()).await.expect("the center runs")
    }

    /// Waits for a client event by name.
    pub async fn event(&mut self, name: &str) -> Value {
        loop {
            if let Seen::Event(event) = self.next().await
                && event["event"] == name
            {
                return event;
            }
        }
    }

    /// Waits for a signaling message by type.
    pub async fn signaled(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event("chat_session_signaling").await;
            if event["data"]["type"] == kind {
                assert_eq!(event["destination_party_id"], AGENT);
                return event["data"].clone();
            }
        }
    }

    /// Waits for the first of these: names of events, types of signaling.
    pub async fn first_of(&mut self, names: &[&str]) -> String {
        loop {
            if let Seen::Event(event) = self.next().await
                && let Some(name) = names.iter().find(|name| name_of(&event) == **name)
            {
                return (*name).to_owned();
            }
        }
    }

    /// What has arrived by now: names of events, types of signaling.
    pub fn so_far(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Ok(seen) = self.sees.try_recv() {
            if let Seen::Event(event) = seen {
                names.push(name_of(&event).to_owned());
            }
        }
        names
    }
}

fn name_of(event: &Value) -> &str {
    event["data"]["type"].as_str().or(event["event"].as_str()).unwrap_or_default()
}

impl Drop for Center {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(center: Arc<Inner>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches("/clientweb/api/v1").to_owned();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let answer = match (parts.method.as_str(), path.as_str()) {
        ("GET", "/availability") => json!({"chat": "available"}),
        ("GET", "/iceservers") => center.ice_servers.lock().unwrap().clone(),
        ("POST", "/chats") => {
            center.seen.send(Seen::RequestChat).ok();
            if center.hold_chat.load(SeqCst) {
                center.let_chat_go.notified().await;
            }
            json!({"chat_id": CHAT, "state": "connected", "is_new_chat": !center.is_old_chat.load(SeqCst)})
        }
        ("POST", _) => {
            let sent: Value = serde_json::from_slice(&body).unwrap();
            for event in sent["events"].as_array().unwrap() {
                center.seen.send(Seen::Event(event.clone())).ok();
            }
            json!({"events": []})
        }
        (_, path) if path.ends_with("/history") => json!({"events": []}),
        _ => poll(&center).await,
    };
    Response::builder().header("content-type", "application/json").body(Body::from(answer.to_string())).unwrap()
}

async fn poll(center: &Inner) -> Value {
    let news = async {
        loop {
            if center.hold_for_good.load(SeqCst) {
                center.seen.send(Seen::PollHeld).ok();
                std::future::pending::<()>().await;
            }
            let events: Vec<Value> = center.queue.lock().unwrap().drain(..).collect();
            if !events.is_empty() {
                return events;
            }
            center.news.notified().await;
        }
    };
    json!({"events": timeout(Duration::from_secs(10), news).await.unwrap_or_default()})
}
