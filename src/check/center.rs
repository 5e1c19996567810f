//! The contact center itself, as a call speaks to it.

use super::finding::ChatFound;
use crate::api::types::{Availability, ChatRequest};
use crate::api::{ApiError, Client, ClientEvent};
use std::time::{Duration, Instant};

/// Requests whose times are taken.
const TIMES: usize = 5;
/// A poll that is held for this long shows that long polls get through: the server's own hold is 5 to 15 s.
const POLLS_FOR: Duration = Duration::from_secs(20);
/// An answer that took so long was held back for want of news.
const HELD: Duration = Duration::from_secs(2);

/// How long the API takes for a request that it answers at once.
///
/// # Errors
/// The first request that fails.
pub(super) async fn latency(client: &Client) -> Result<Vec<Duration>, ApiError> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let begun = Instant::now();
        client.availability().await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

/// The middle one of sorted times.
pub(super) fn median(times: &[Duration]) -> Option<Duration> {
    times.get(times.len() / 2).copied()
}

/// Whether it is open.
pub(super) async fn availability(client: &Client) -> Result<Availability, ApiError> {
    client.availability().await
}

/// Asks for a chat. `None`: this client already had one, which is left alone.
///
/// # Errors
/// What the API answered.
pub(super) async fn ask_for_chat(client: &Client, request: &ChatRequest) -> Result<Option<String>, ApiError> {
    let chat = client.request_chat(request).await?;
    Ok((chat.is_new_chat != Some(false)).then_some(chat.chat_id))
}

/// Polls a new chat until one poll was held, and ends it again.
///
/// # Errors
/// What the API answered, or that a poll broke.
pub(super) async fn try_chat(client: &Client, chat_id: &str) -> Result<ChatFound, ApiError> {
    let polled = polled(client, chat_id).await;
    let ended = client.send_events(chat_id, &[ClientEvent::End(Default::default())]).await;
    let held = polled?;
    // One that is over already cannot be ended.
    match ended {
        Err(error) if !error.is_session_gone() => Err(error),
        _ => Ok(ChatFound { was_open: false, held }),
    }
}

async fn polled(client: &Client, chat_id: &str) -> Result<Option<Duration>, ApiError> {
    let begun = Instant::now();
    while begun.elapsed() < POLLS_FOR {
        let asked = Instant::now();
        match client.poll_events(chat_id).await {
            Ok(events) if events.is_empty() && asked.elapsed() >= HELD => return Ok(Some(asked.elapsed())),
            Ok(_) => {}
            Err(error) if error.is_busy_poll() => tokio::time::sleep(Duration::from_millis(300)).await,
            Err(error) if error.is_session_gone() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
