//! A desk's WebSocket: commands in, events out. The desk is signed in as long as its socket lives.

use super::super::center::By;
use super::super::shared::Shared;
use super::wire::{DeskCommand, DeskEvent, DeskId, Order, Request};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, interval_at, timeout};

/// The largest message a page may send: an SDP with every codec and video has some ten kilobytes.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// How often a page is asked for a sign of life. Its browser answers, also when the page is hidden or busy.
const PING_EVERY: Duration = Duration::from_secs(3);
/// A page silent for so long is gone: a machine asleep, a cable pulled out. One that is closed is known at once.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// How long a page that reads nothing is waited for.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// Opens the socket.
pub(super) async fn open(State(shared): State<Arc<Shared>>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    upgrade.on_upgrade(move |socket| {
        let tasks = shared.tasks.clone();
        tasks.track_future(async move { Desk { shared, socket, signed_in: None }.run().await })
    })
}

struct Desk {
    shared: Arc<Shared>,
    socket: WebSocket,
    signed_in: Option<SignedIn>,
}

/// Signs the desk out when it is dropped, for whatever reason the socket ended.
struct SignedIn {
    shared: Arc<Shared>,
    id: DeskId,
    events: UnboundedReceiver<DeskEvent>,
    /// The page may come back: it did not sign out.
    away: bool,
}

impl Drop for SignedIn {
    fn drop(&mut self) {
        self.shared.sign_out(self.id, self.away);
    }
}

/// The socket is of no use any more.
struct Closed;

impl Desk {
    async fn run(mut self) {
        let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        let mut heard = Instant::now();
        let closing = self.shared.closing.clone();
        loop {
            let event = async {
                match &mut self.signed_in {
                    Some(desk) => desk.events.recv().await,
                    None => std::future::pending().await,
                }
            };
            let outcome = tokio::select! {
                message = self.socket.recv() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.handle(&text).await,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                        Some(Ok(Message::Binary(_))) => self.reply(None, Err("binary messages mean nothing".into())).await,
                        Some(Ok(Message::Close(Some(frame)))) if frame.code == close_code::AWAY => self.away(),
                        Some(Ok(Message::Close(_))) => Err(Closed),
                        Some(Err(_)) | None => self.away(),
                    }
                }
                event = event => match event {
                    Some(event) => self.send(&event).await,
                    None => Err(Closed),
                },
                _ = ping.tick() => {
                    if heard.elapsed() > GONE_AFTER {
                        tracing::warn!("a desk gives no sign of life: it is signed out");
                        self.away()
                    } else {
                        self.write(Message::Ping(Default::default())).await
                    }
                }
                () = closing.cancelled() => Err(Closed),
            };
            if outcome.is_err() {
                return;
            }
        }
    }

    /// The page is gone, and nobody said that this was meant.
    fn away(&mut self) -> Result<(), Closed> {
        if let Some(desk) = &mut self.signed_in {
            desk.away = true;
        }
        Err(Closed)
    }

    async fn handle(&mut self, text: &str) -> Result<(), Closed> {
        let request = Request::read(text);
        let result = request.order.and_then(|order| self.obey(order));
        self.reply(request.id, result).await
    }

    fn obey(&mut self, order: Order) -> Result<(), String> {
        let Some(desk) = &self.signed_in else {
            let Order::Desk(DeskCommand::SignIn(who)) = order else {
                return Err("sign in first".into());
            };
            let (id, events) = self.shared.sign_in(who)?;
            self.signed_in = Some(SignedIn { shared: self.shared.clone(), id, events, away: false });
            return Ok(());
        };
        let id = desk.id;
        self.shared.with(|center, now| match order {
            Order::Desk(command) => center.desk_order(id, command, now),
            Order::Chat(chat_id, command) => center.order(&chat_id, command, By::Desk(id), now),
        })
    }

    async fn reply(&mut self, id: Option<u64>, result: Result<(), String>) -> Result<(), Closed> {
        if let Err(error) = &result {
            // It may quote what was sent.
            tracing::trace!(error, "a desk's command is refused");
        }
        match id {
            Some(id) => self.send(&DeskEvent::Reply { id, ok: result.is_ok(), error: result.err() }).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, event: &DeskEvent) -> Result<(), Closed> {
        let Ok(text) = serde_json::to_string(event) else { return Ok(()) };
        self.write(Message::Text(text.into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Closed> {
        match timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Closed),
        }
    }
}
