//! A desk made of nothing but a WebSocket and JSON, and the admin API made of nothing but HTTP.
#![allow(clippy::unwrap_used, dead_code)]

use chatphone::simulator::Simulator;
use futures::{SinkExt, StreamExt};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PATIENCE: Duration = Duration::from_secs(15);

pub struct Desk {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: Vec<Value>,
    count: u64,
}

impl Desk {
    /// Opens a socket without signing in; `origin` as a browser would name it.
    pub async fn connect(simulator: &Simulator, origin: Option<&str>) -> Result<Self, Error> {
        let url = format!("ws://{}/desk/socket", simulator.addr());
        let mut request = url.into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket, events: Vec::new(), count: 0 })
    }

    /// A desk that is signed in.
    pub async fn sign_in(simulator: &Simulator, name: &str) -> Self {
        let mut desk = Self::connect(simulator, Some(&simulator.base_url())).await.unwrap();
        desk.order(json!({"do": "sign_in", "name": name})).await.unwrap();
        desk
    }

    /// Sends a text as it stands.
    pub async fn send_raw(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Gives a command, and what it is answered.
    pub async fn order(&mut self, mut command: Value) -> Result<(), String> {
        self.count += 1;
        command["id"] = json!(self.count);
        self.send_raw(&command.to_string()).await;
        let id = self.count;
        let reply = self.find("its reply", |e| e["type"] == "reply" && e["id"] == id).await;
        if reply["ok"] == true { Ok(()) } else { Err(reply["error"].as_str().unwrap().to_owned()) }
    }

    /// The first event of this type; the others are kept.
    pub async fn until(&mut self, kind: &str) -> Value {
        self.find(kind, |event| event["type"] == kind).await
    }

    pub async fn find(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            let mut seen = 0;
            loop {
                if let Some(at) = self.events[seen..].iter().position(&fits) {
                    return self.events.remove(seen + at);
                }
                seen = self.events.len();
                let Some(Ok(message)) = self.socket.next().await else { panic!("the socket closed before {what}") };
                if let Message::Text(text) = message {
                    self.events.push(serde_json::from_str(&text).unwrap());
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    /// The chat that this desk is given.
    pub async fn chat(&mut self) -> String {
        self.until("chat").await["chat"]["chat_id"].as_str().unwrap().to_owned()
    }
}

/// The admin API.
pub struct Admin {
    base: String,
    http: reqwest::Client,
}

impl Admin {
    pub fn new(simulator: &Simulator) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Self { base: format!("{}/admin", simulator.base_url()), http }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        self.request(method, path).json(body).send().await.unwrap()
    }

    /// Does something in a chat; gives the status and what was wrong.
    pub async fn order(&self, chat: &str, command: Value) -> (u16, Value) {
        let response = self.send(Method::POST, &format!("chats/{chat}"), &command).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }
}
