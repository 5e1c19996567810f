//! A client made of nothing but HTTP and JSON, so that these tests share no mistakes with the product's own.
#![allow(clippy::unwrap_used, dead_code)]

pub mod lossy;

pub mod desk;

use chatphone::simulator::{Simulator, SimulatorConfig};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

pub const SCHEME: &str = "MOBILE-API-140-327-PLAIN";

/// A simulator whose agents lose no time; it can be changed before it starts.
pub async fn start(change: impl FnOnce(&mut SimulatorConfig)) -> Simulator {
    let mut config = SimulatorConfig { hold: Duration::from_secs(5), ..Default::default() };
    config.agent.join_after = Duration::ZERO;
    config.agent.reply_after = Duration::from_millis(20);
    change(&mut config);
    Simulator::start(config).await.unwrap()
}

fn http() -> reqwest::Client {
    // The process's default provider; a second call finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub http: reqwest::Client,
    pub authorization: Option<String>,
    pub tenant: Option<String>,
}

impl Client {
    pub fn new(simulator: &Simulator, id: &str) -> Self {
        Self::at(&simulator.base_url(), id)
    }

    pub fn at(base_url: &str, id: &str) -> Self {
        Self {
            base: format!("{base_url}/clientweb/api/v1"),
            http: http(),
            authorization: Some(format!("{SCHEME} appId=\"app\", clientId=\"{id}\"")),
            tenant: Some("demo.example".into()),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}/{path}", self.base));
        if let Some(tenant) = &self.tenant {
            request = request.query(&[("tenantUrl", tenant)]);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    pub async fn request_chat(&self) -> Value {
        let response = self.post("chats", &json!({"parameters": {}})).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    pub async fn send(&self, chat: &str, events: Value) -> Vec<Value> {
        let response = self.post(&format!("chats/{chat}/events"), &json!({ "events": events })).await;
        assert_eq!(response.status(), StatusCode::OK);
        list(response.json().await.unwrap())
    }

    pub async fn poll(&self, chat: &str) -> Vec<Value> {
        list(self.get_json(&format!("chats/{chat}/events")).await)
    }

    pub async fn upload(&self, name: &str, content_type: &str, bytes: Vec<u8>) -> Response {
        let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned()).mime_str(content_type).unwrap();
        let form = reqwest::multipart::Form::new().part("file", part);
        self.request(Method::POST, "files").multipart(form).send().await.unwrap()
    }

    /// A chat with an agent that has greeted.
    pub async fn connect(&self) -> Chat {
        let id = self.request_chat().await["chat_id"].as_str().unwrap().to_owned();
        let mut chat = Chat { client: self.clone(), id, party: String::new(), events: Vec::new() };
        let joined = chat.until("chat_session_party_joined").await;
        chat.party = joined["party_id"].as_str().unwrap().to_owned();
        chat.until("chat_session_message").await;
        chat
    }
}

/// The events in an answer.
pub fn list(answer: Value) -> Vec<Value> {
    answer["events"].as_array().unwrap().clone()
}

/// A chat whose events are read in order, whichever answer they came in.
pub struct Chat {
    pub client: Client,
    pub id: String,
    pub party: String,
    pub events: Vec<Value>,
}

impl Chat {
    /// Sends one event; what comes in the answer is kept for [`Chat::until`].
    pub async fn send(&mut self, event: Value) {
        let answer = self.client.send(&self.id, json!([event])).await;
        self.events.extend(answer);
    }

    pub async fn say(&mut self, text: &str) {
        let msg_id = format!("{}:{text}", self.id);
        self.send(json!({"event": "chat_session_message", "msg_id": msg_id, "msg": text})).await;
    }

    pub async fn signal(&mut self, data: Value) {
        let event = json!({"event": "chat_session_signaling", "destination_party_id": self.party, "data": data});
        self.send(event).await;
    }

    /// The next event of this name; those before it are passed over.
    pub async fn until(&mut self, name: &str) -> Value {
        self.find(|event| event["event"] == name, name).await
    }

    /// The next signaling message of this type.
    pub async fn until_signal(&mut self, kind: &str) -> Value {
        self.find(|event| event["data"]["type"] == kind, kind).await["data"].take()
    }

    async fn find(&mut self, matches: impl Fn(&Value) -> bool, what: &str) -> Value {
        let wait = async {
            loop {
                while !self.events.is_empty() {
                    let event = self.events.remove(0);
                    if matches(&event) {
                        return event;
                    }
                }
                self.events = self.client.poll(&self.id).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), wait).await.unwrap_or_else(|_| panic!("no {what} came"))
    }
}

/// Status and error code of an answer.
pub async fn error_of(response: Response) -> (u16, u32) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(!body["error_message"].as_str().unwrap().is_empty());
    // On the wire the code is a string, as published.
    (status, body["error_code"].as_str().unwrap().parse().unwrap())
}
