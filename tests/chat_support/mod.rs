//! A center that answers as each test tells it to, and a session with it.
#![allow(clippy::unwrap_used, dead_code)] // each test file uses its part

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chatphone::api::event::ClientMessage;
use chatphone::api::signaling::EndCall;
use chatphone::api::{Client, ClientConfig, Identity, ServerEvent};
use chatphone::chat::{ChatDriver, ChatEvent, Command, SessionConfig};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// What the center answers.
#[derive(Clone)]
pub enum Reply {
    Json(Value),
    Error(u16, &'static str),
    Status(u16),
    Html,
    EmptyBody,
    /// The connection breaks in the middle of the answer.
    Reset,
    Hold,
}

/// What the center saw.
#[derive(Debug, PartialEq)]
pub enum Seen {
    Poll,
    PollDropped,
    Sent(Vec<Value>),
}

/// Replies to one kind of request: those told, then one for good.
pub struct Script {
    told: Mutex<VecDeque<Reply>>,
    more: Notify,
    then: Option<Reply>,
}

impl Script {
    /// `then` none: further requests are held until another reply is told.
    pub fn new(told: impl IntoIterator<Item = Reply>, then: Option<Reply>) -> Self {
        Self { told: Mutex::new(told.into_iter().collect()), more: Notify::new(), then }
    }

    pub fn tell(&self, reply: Reply) {
        self.told.lock().unwrap().push_back(reply);
        self.more.notify_one();
    }

    pub async fn reply(&self) -> Response {
        loop {
            let told = self.told.lock().unwrap().pop_front();
            match told.or_else(|| self.then.clone()) {
                Some(reply) => return reply.into_response().await,
                None => self.more.notified().await,
            }
        }
    }
}

impl Reply {
    pub async fn into_response(self) -> Response {
        match self {
            Self::Json(v) => Json(v).into_response(),
            Self::Error(status, code) => {
                let body = json!({"error_code": code, "error_message": "as told"});
                (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
            }
            Self::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
            Self::Html => ([("content-type", "text/html")], "<html>Sign in</html>").into_response(),
            Self::EmptyBody => StatusCode::OK.into_response(),
            Self::Reset => {
                let pieces = [Ok(Bytes::from_static(b"{\"eve")), Err(std::io::Error::other("as told"))];
                Body::from_stream(futures::stream::iter(pieces)).into_response()
            }
            Self::Hold => std::future::pending().await,
        }
    }
}

pub struct Center {
    pub chats: Script,
    pub history: Script,
    pub polls: Script,
    pub sends: Script,
    polls_now: AtomicUsize,
    pub polls_most: AtomicUsize,
    seen: mpsc::UnboundedSender<Seen>,
}

/// Says so when the client drops a request that is held.
struct PollGuard(Arc<Center>, bool);

impl Drop for PollGuard {
    fn drop(&mut self) {
        self.0.polls_now.fetch_sub(1, SeqCst);
        if !self.1 {
            self.0.seen.send(Seen::PollDropped).ok();
        }
    }
}

async fn poll(State(center): State<Arc<Center>>) -> Response {
    let now = center.polls_now.fetch_add(1, SeqCst) + 1;
    center.polls_most.fetch_max(now, SeqCst);
    center.seen.send(Seen::Poll).ok();
    let mut guard = PollGuard(center.clone(), false);
    let reply = center.polls.reply().await;
    guard.1 = true;
    reply
}

async fn send(State(center): State<Arc<Center>>, Json(body): Json<Value>) -> Response {
    center.seen.send(Seen::Sent(body["events"].as_array().unwrap().clone())).ok();
    center.sends.reply().await
}

const OPEN: &str = r#"{"chat_id": "c-1", "state": "queued", "is_new_chat": true}"#;

fn opens() -> Script {
    Script::new([], Some(Reply::Json(serde_json::from_str(OPEN).unwrap())))
}

pub fn nothing_new() -> Reply {
    Reply::Json(json!({"events": []}))
}

pub fn message(id: &str) -> Value {
    json!({"event": "chat_session_message", "party_id": "ann", "msg_id": id, "msg": id})
}

/// A center that opens chats and holds polls, to be changed by the test before it serves.
fn center() -> (Center, mpsc::UnboundedReceiver<Seen>) {
    let (seen, sees) = mpsc::unbounded_channel();
    let center = Center {
        chats: opens(),
        history: Script::new([], Some(nothing_new())),
        polls: Script::new([], None),
        sends: Script::new([], Some(nothing_new())),
        polls_now: AtomicUsize::new(0),
        polls_most: AtomicUsize::new(0),
        seen,
    };
    (center, sees)
}

/// A session with a center.
pub struct Desk {
    pub center: Arc<Center>,
    pub sees: mpsc::UnboundedReceiver<Seen>,
    pub chat: ChatDriver,
    pub server: tokio::task::JoinHandle<()>,
    pub addr: SocketAddr,
}

pub async fn serve(center: Arc<Center>, addr: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let chats = |State(center): State<Arc<Center>>| async move { center.chats.reply().await };
    let history = |State(center): State<Arc<Center>>| async move { center.history.reply().await };
    let app = axum::Router::new()
        .route("/clientweb/api/v1/chats", post(chats))
        .route("/clientweb/api/v1/chats/{id}/history", get(history))
        .route("/clientweb/api/v1/chats/{id}/events", get(poll).post(send))
        .with_state(center);
    let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (addr, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }))
}

pub fn client(addr: SocketAddr) -> Client {
    let identity = Identity::ClientId("test".into());
    Client::new(ClientConfig::new(format!("http://{addr}"), "app", identity)).unwrap()
}

impl Desk {
    pub async fn new(change: impl FnOnce(&mut Center)) -> Self {
        Self::with(SessionConfig::default(), change).await
    }

    pub async fn with(config: SessionConfig, change: impl FnOnce(&mut Center)) -> Self {
        let (mut center, sees) = center();
        change(&mut center);
        let center = Arc::new(center);
        let (addr, server) = serve(center.clone(), ([127, 0, 0, 1], 0).into()).await;
        let mut chat = ChatDriver::new(client(addr), config);
        chat.command(Command::Open(Default::default()));
        Self { center, sees, chat, server, addr }
    }

    pub async fn next(&mut self) -> Option<ChatEvent> {
        within(self.chat.next()).await
    }

    /// The events up to the first that fits, which is the last of them.
    pub async fn until(&mut self, mut fits: impl FnMut(&ChatEvent) -> bool) -> Vec<ChatEvent> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the session ended: {events:?}"));
            let found = fits(&event);
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// Runs the session until the center has seen what fits.
    pub async fn until_seen(&mut self, mut fits: impl FnMut(&Seen) -> bool) -> Seen {
        within(async {
            loop {
                tokio::select! {
                    seen = self.sees.recv() => {
                        let seen = seen.unwrap();
                        if fits(&seen) {
                            return seen;
                        }
                    }
                    Some(_) = self.chat.next() => {}
                }
            }
        })
        .await
    }

    /// Runs the session until a Send Events arrives; gives its events.
    pub async fn until_sent(&mut self) -> Vec<Value> {
        match self.until_seen(|s| matches!(s, Seen::Sent(_))).await {
            Seen::Sent(events) => events,
            other => panic!("{other:?}"),
        }
    }

    pub fn message(&mut self, msg: &str) {
        self.chat.command(Command::Send(ClientMessage { msg: msg.into(), ..Default::default() }.into()));
    }

    pub fn hang_up(&mut self) {
        self.chat.command(Command::Signal { party_id: "ann".into(), signal: EndCall::default().into() });
    }
}

/// A test that hangs is a test that fails.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it takes too long")
}

pub fn texts(events: &[ChatEvent]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|e| match e {
            ChatEvent::Server { event: ServerEvent::Message(m), .. } => Some(m.msg.as_str()),
            _ => None,
        })
        .collect()
}

pub fn is_text(event: &ChatEvent, text: &str) -> bool {
    texts(std::slice::from_ref(event)) == [text]
}

pub fn is_end(event: &ChatEvent) -> bool {
    matches!(event, ChatEvent::Ended { .. })
}
