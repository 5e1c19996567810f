//! Settings and where they come from: defaults, the configuration file, the environment, flags. The later one wins.
//!
//! ```toml
//! # ~/.config/chatphone/config.toml
//! url = "https://cc.example.com"
//! app_id = "0123-voice"
//! first_name = "Lobby"
//!
//! [parameters]
//! floor = "3"
//! ```

mod client_id;
mod devices;

pub use devices::ChosenDevices;

use crate::api::types::ChatRequest;
use crate::api::{ApiError, ClientConfig, Identity};
use directories::ProjectDirs;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use url::Url;

/// Before the name of each environment variable.
const PREFIX: &str = "CHATPHONE_";

/// What one source says about a connection. Every setting may be missing. The names are those of the file's keys; the
/// environment variables are the same in capitals after `CHATPHONE_`.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address of the contact center.
    pub url: Option<String>,
    /// Its domain, where that is not the host of `url`.
    pub tenant: Option<String>,
    /// The messaging scenario entry.
    pub app_id: Option<String>,
    /// The id of this installation; one is made and kept when there is none.
    pub client_id: Option<String>,
    /// Be known by cookies instead of a client id.
    pub web_chat: Option<bool>,
    /// The caller's first name, for the scenario.
    pub first_name: Option<String>,
    /// The caller's last name, for the scenario.
    pub last_name: Option<String>,
    /// A number to call back.
    pub phone_number: Option<String>,
    /// The device owner's name or number.
    pub from: Option<String>,
    /// Further parameters for the scenario. Sources add to each other's.
    pub parameters: BTreeMap<String, String>,
    /// Certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy for the contact center and for TURN over TCP and TLS.
    pub proxy: Option<String>,
    /// Allow plain http to other machines.
    pub insecure_http: Option<bool>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration file says something that is not understood.
    #[error("the configuration file {}, line {line}: {what}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong, with the key.
        what: String,
    },
    /// An environment variable says something that is not understood.
    #[error("the environment variable {name}: {what}")]
    BadVariable {
        /// The variable.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// Something nobody said.
    #[error("no {what} was given: use --{flag}, {PREFIX}{}, or {} in the configuration file",
        .flag.replace('-', "_").to_uppercase(), .flag.replace('-', "_"))]
    Missing {
        /// In words.
        what: &'static str,
        /// The flag without dashes.
        flag: &'static str,
    },
    /// A setting that the API client refuses.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

/// All that is needed to ask for a chat.
#[derive(Debug, Clone)]
pub struct Connection {
    /// For [`Client::new`](crate::api::Client::new).
    pub client: ClientConfig,
    /// For [`Client::request_chat`](crate::api::Client::request_chat).
    pub request: ChatRequest,
    /// The address of the API.
    pub url: Url,
}

impl Settings {
    /// Reads a configuration file.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|e| {
            let line = 1 + e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
            // The message alone: the long form quotes the line, which may hold the client id.
            let what = e.message().replacen("unknown field", "unknown key", 1);
            ConfigError::BadFile { path: path.to_owned(), line, what }
        })
    }

    /// Reads the environment through `variable`. An empty variable counts as missing.
    pub fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let text = |key: &str| {
            let name = format!("{PREFIX}{key}");
            match variable(&name).filter(|value| !value.is_empty()).map(OsString::into_string) {
                None => Ok(None),
                Some(Ok(value)) => Ok(Some(value)),
                Some(Err(_)) => Err(ConfigError::BadVariable { name, what: "is no UTF-8".into() }),
            }
        };
        let flag = |key: &str| match text(key)?.as_deref() {
            None => Ok(None),
            Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some(_) => Err(ConfigError::BadVariable { name: format!("{PREFIX}{key}"), what: "use 1 or 0".into() }),
        };
        Ok(Self {
            url: text("URL")?,
            tenant: text("TENANT")?,
            app_id: text("APP_ID")?,
            client_id: text("CLIENT_ID")?,
            web_chat: flag("WEB_CHAT")?,
            first_name: text("FIRST_NAME")?,
            last_name: text("LAST_NAME")?,
            phone_number: text("PHONE_NUMBER")?,
            from: text("FROM")?,
            parameters: BTreeMap::new(),
            ca_file: variable(&format!("{PREFIX}CA_FILE")).filter(|p| !p.is_empty()).map(PathBuf::from),
            proxy: text("PROXY")?,
            insecure_http: flag("INSECURE_HTTP")?,
        })
    }

    /// These settings, with what they leave open taken from `below`.
    pub fn over(self, below: Self) -> Self {
        // A source that names one way to be known does away with the other way of a source below it.
        let known = self.client_id.is_some() || self.web_chat.is_some();
        let (client_id, web_chat) =
            if known { (self.client_id, self.web_chat) } else { (below.client_id, below.web_chat) };
        let mut parameters = below.parameters;
        parameters.extend(self.parameters);
        Self {
            url: self.url.or(below.url),
            tenant: self.tenant.or(below.tenant),
            app_id: self.app_id.or(below.app_id),
            client_id,
            web_chat,
            first_name: self.first_name.or(below.first_name),
            last_name: self.last_name.or(below.last_name),
            phone_number: self.phone_number.or(below.phone_number),
            from: self.from.or(below.from),
            parameters,
            ca_file: self.ca_file.or(below.ca_file),
            proxy: self.proxy.or(below.proxy),
            insecure_http: self.insecure_http.or(below.insecure_http),
        }
    }

    /// What these settings make of a connection. `own_id` gives the id of this installation when it is needed.
    pub fn connection(self, own_id: impl FnOnce() -> String) -> Result<Connection, ConfigError> {
        let url = self.url.ok_or(ConfigError::Missing { what: "address of a contact center", flag: "url" })?;
        let app_id = self.app_id.ok_or(ConfigError::Missing { what: "app id", flag: "app-id" })?;
        let identity = match self.client_id {
            Some(id) => Identity::ClientId(id),
            None if self.web_chat == Some(true) => Identity::WebChat,
            None => Identity::ClientId(own_id()),
        };
        let mut client = ClientConfig::new(url, app_id, identity);
        client.tenant = self.tenant;
        client.ca_file = self.ca_file;
        let proxy = self.proxy.map(|p| p.parse()).transpose();
        client.proxy = proxy.map_err(|what: String| ApiError::BadConfig(format!("proxy: {what}")))?;
        client.insecure_http = self.insecure_http == Some(true);
        let url = client.url()?;

        let mut request = ChatRequest { phone_number: self.phone_number, from: self.from, ..Default::default() };
        let names = [("first_name", self.first_name), ("last_name", self.last_name)];
        let named = names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name?)));
        request.parameters.extend(named.chain(self.parameters).map(|(key, value)| (key, value.into())));
        Ok(Connection { client, request, url })
    }
}

/// Client ids are for the server alone, and names are the caller's.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// Puts flags over the environment over the configuration file: `file` when one is named (by flag or by
/// `CHATPHONE_CONFIG`), which must then be there, else the usual one, which need not.
pub fn resolve(flags: Settings, file: Option<&Path>) -> Result<Connection, ConfigError> {
    let environment = Settings::from_env(|name| std::env::var_os(name))?;
    let named = std::env::var_os(format!("{PREFIX}CONFIG")).filter(|p| !p.is_empty()).map(PathBuf::from);
    let from_file = match file.map(Path::to_owned).or(named) {
        Some(path) => Settings::from_file(&path)?,
        None => match usual_file().map(|path| Settings::from_file(&path)) {
            Some(Err(ConfigError::Unreadable { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
                Settings::default()
            }
            Some(settings) => settings?,
            None => Settings::default(),
        },
    };
    flags.over(environment).over(from_file).connection(|| client_id::own(state_dir().as_deref()))
}

fn dirs() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "chatphone")
}

/// `~/.config/chatphone/config.toml`, or what stands for it on this system.
pub fn usual_file() -> Option<PathBuf> {
    dirs().map(|d| d.config_dir().join("config.toml"))
}

/// `~/.local/state/chatphone`, or what stands for it on this system.
fn state_dir() -> Option<PathBuf> {
    dirs().map(|d| d.state_dir().unwrap_or(d.data_local_dir()).to_owned())
}

/// Where the calls of a client leave their mark while they run. The client's id is not to be read from the name. `None`: a
/// client that is known by cookies, which end with the process, or no home folder.
pub fn last_call_file(client: &ClientConfig) -> Option<PathBuf> {
    let Identity::ClientId(id) = &client.identity else { return None };
    let mut hasher = DefaultHasher::new();
    let place = client.url().ok()?;
    (place.as_str(), &client.tenant, &client.app_id, id).hash(&mut hasher);
    Some(state_dir()?.join(format!("call-{:016x}.json", hasher.finish())))
}

#[cfg(test)]
mod tests;
