//! The twelve methods as typed functions.
//!
//! ```no_run
//! use chatphone::api::{Client, ClientConfig, Identity};
//!
//! # async fn run() -> Result<(), chatphone::api::ApiError> {
//! let config = ClientConfig::new("https://cc.example.com", "my-app", Identity::ClientId("my-kiosk-7".into()));
//! let client = Client::new(config)?;
//! if client.availability().await?.is_open() {
//!     let chat = client.request_chat(&Default::default()).await?;
//!     println!("chat {} is {}", chat.chat_id, chat.state);
//! }
//! # Ok(())
//! # }
//! ```

use super::config::ClientConfig;
use super::error::{ApiError, ErrorCode, Operation};
use super::event::{ClientEvent, ServerEvent};
use super::proxy::ProxyUrl;
use super::transport::Transport;
use super::types::{
    Availability, Chat, ChatRequest, ExpectedParameters, IceServers, ServerEvents, UploadedFile, WidgetConfiguration,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A client of one contact center. Cheap to clone; clones share connections and cookies.
///
/// Every function sends one request and returns its answer; none retries.
/// [`ApiError::is_transient`] tells what is worth a retry.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) http: Arc<Transport>,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`ApiError::BadConfig`] for an address that cannot be used, plain `http` to another machine without
    /// `insecure_http`, ids that do not fit into a header, or a `ca_file` without a certificate.
    pub fn new(config: ClientConfig) -> Result<Self, ApiError> {
        Ok(Self { http: Arc::new(Transport::new(config)?) })
    }

    /// The host (and port) that this client speaks to, for messages to people.
    pub fn host(&self) -> &str {
        self.http.host()
    }

    /// The next requests go over new connections; those there are may be dead without telling, as after a change of
    /// network. Cookies are kept. Requests in flight go on until they are dropped.
    pub fn reconnect(&self) {
        self.http.renew();
    }

    /// Certificates (PEM) to trust beside those of the system, as configured.
    pub fn ca_file(&self) -> Option<&Path> {
        self.http.config.ca_file.as_deref()
    }

    /// The proxy, as configured.
    pub fn proxy(&self) -> Option<&ProxyUrl> {
        self.http.config.proxy.as_ref()
    }

    /// Check Availability: whether the contact center is open. Says nothing about logged-in agents.
    pub async fn availability(&self) -> Result<Availability, ApiError> {
        self.http.get(Operation::CheckAvailability, &["availability"]).await
    }

    /// Expected Parameters: what [`ChatRequest::parameters`] may hold.
    pub async fn expected_parameters(&self) -> Result<ExpectedParameters, ApiError> {
        self.http.get(Operation::ExpectedParameters, &["parameters"]).await
    }

    /// Request Chat. Gives back the session this client already has, with `is_new_chat` false.
    pub async fn request_chat(&self, request: &ChatRequest) -> Result<Chat, ApiError> {
        let operation = Operation::RequestChat;
        self.with_id(operation, self.http.post(operation, &["chats"], request).await?)
    }

    /// Get Active Chat: the session this client has. [`ApiError::is_session_gone`] when there is none.
    pub async fn active_chat(&self) -> Result<Chat, ApiError> {
        let operation = Operation::GetActiveChat;
        self.with_id(operation, self.http.get(operation, &["chats", "active"]).await?)
    }

    /// Send Events. The answer holds new events from the server.
    pub async fn send_events(&self, chat_id: &str, events: &[ClientEvent]) -> Result<Vec<ServerEvent>, ApiError> {
        let body = json!({ "events": events });
        let answer: ServerEvents = self.http.post(Operation::SendEvents, &["chats", chat_id, "events"], &body).await?;
        Ok(answer.events)
    }

    /// Get Chat History: all events of the session but signaling.
    pub async fn history(&self, chat_id: &str) -> Result<Vec<ServerEvent>, ApiError> {
        let answer: ServerEvents = self.http.get(Operation::GetHistory, &["chats", chat_id, "history"]).await?;
        Ok(answer.events)
    }

    /// Get New Chat Events: the long poll. The server holds it for 5 to 15 s when there is nothing new; nothing new
    /// gives an empty list. One poll at a time: see [`ApiError::is_busy_poll`].
    pub async fn poll_events(&self, chat_id: &str) -> Result<Vec<ServerEvent>, ApiError> {
        match self.http.poll(&["chats", chat_id, "events"]).await {
            Ok(answer) => Ok(answer.events),
            Err(e) if e.code() == Some(ErrorCode::NoEvents) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Upload File: sends the file at `path` in pieces. `progress` is told the bytes taken so far and their total.
    ///
    /// # Errors
    /// [`ApiError::TooLarge`] above [`MAX_UPLOAD_BYTES`](super::MAX_UPLOAD_BYTES), before anything is sent;
    /// [`ApiError::File`] when it cannot be read.
    pub async fn upload_file(
        &self,
        path: &Path,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<UploadedFile, ApiError> {
        self.http.upload(path, progress).await
    }

    /// Get File: saves a file of the session in `dir`, which must exist, and gives its path.
    ///
    /// The name is taken from `name_hint`, or else from the answer, and made safe
    /// (see [`filename`](super::filename)); a file that is there already is never overwritten. On failure nothing is
    /// left behind. `progress` is told the bytes so far, and their total where the server gave it.
    ///
    /// # Errors
    /// [`ApiError::TooLarge`] above `max_bytes`; [`ApiError::File`] when `dir` cannot be written to.
    pub async fn download_file(
        &self,
        chat_id: &str,
        file_id: &str,
        dir: &Path,
        name_hint: Option<&str>,
        max_bytes: u64,
        progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<PathBuf, ApiError> {
        let path = ["chats", chat_id, "files", file_id];
        self.http.download(Operation::GetFile, &path, dir, name_hint, "file", max_bytes, progress).await
    }

    /// Get Agent Profile Photo: saves it in `dir` as [`download_file`](Self::download_file) does, with an extension
    /// that fits its content type.
    pub async fn profile_photo(
        &self,
        chat_id: &str,
        party_id: &str,
        dir: &Path,
        name_hint: Option<&str>,
        max_bytes: u64,
    ) -> Result<PathBuf, ApiError> {
        let path = ["chats", chat_id, "profilephotos", party_id];
        self.http.download(Operation::GetProfilePhoto, &path, dir, name_hint, "photo", max_bytes, |_, _| ()).await
    }

    /// Get ICE servers: to be fetched before each call.
    pub async fn ice_servers(&self) -> Result<IceServers, ApiError> {
        self.http.get(Operation::GetIceServers, &["iceservers"]).await
    }

    /// Get Chat Widget Configuration.
    pub async fn widget_configuration(&self) -> Result<WidgetConfiguration, ApiError> {
        self.http.get(Operation::GetWidgetConfiguration, &["configuration"]).await
    }

    fn with_id(&self, operation: Operation, chat: Chat) -> Result<Chat, ApiError> {
        if chat.chat_id.is_empty() {
            let what = "it holds no chat_id".to_owned();
            return Err(ApiError::Unexpected { operation, host: self.host().to_owned(), what });
        }
        Ok(chat)
    }
}
