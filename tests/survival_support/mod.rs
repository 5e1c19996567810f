//! A contact center behind a door that can be closed.
#![allow(clippy::unwrap_used, dead_code)]

use chatphone::simulator::{Simulator, SimulatorConfig};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub struct Center {
    pub simulator: Simulator,
    http: reqwest::Client,
}

impl Center {
    pub async fn start() -> Self {
        // Fails when there is one already, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = SimulatorConfig::default();
        config.agent.join_after = Duration::from_millis(20);
        Self {
            simulator: Simulator::start(config).await.unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Has the agent of a chat do something.
    pub async fn order(&self, chat_id: &str, order: Value) {
        let url = format!("{}/admin/chats/{chat_id}", self.simulator.base_url());
        let answer = self.http.post(url).json(&order).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
}

/// Passes connections on to a server. While it is closed those there are reset and further ones refused.
pub struct Door {
    addr: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
    task: Option<JoinHandle<()>>,
}

impl Door {
    pub async fn open_to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut door = Self { addr: listener.local_addr().unwrap(), to: Arc::new(Mutex::new(to)), task: None };
        door.serve(listener);
        door
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where new connections are passed to.
    pub fn lead_to(&mut self, to: SocketAddr) {
        *self.to.lock().unwrap() = to;
    }

    pub fn close(&mut self) {
        self.task.take().unwrap().abort();
    }

    pub async fn open(&mut self) {
        // The old listener goes with its task, a moment after it was told to.
        let listener = loop {
            match TcpListener::bind(self.addr).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let to = self.to.clone();
        self.task = Some(tokio::spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                let to = *to.lock().unwrap();
                passing.spawn(async move {
                    // Dropped with data unread or not, the other side is told by a reset.
                    from.set_zero_linger().unwrap();
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _ = copy_bidirectional(&mut from, &mut server).await;
                    }
                });
            }
        }));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
