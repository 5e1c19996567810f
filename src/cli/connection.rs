//! Flags that say which contact center to speak to, and as whom.

use crate::config::{self, ConfigError, Connection, Settings};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which contact center to speak to, and as whom. What no flag says comes from the environment, then from the
/// configuration file.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// The address of the contact center, beginning with https:// ($CHATPHONE_URL)
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// The contact center's domain, when it is not the host of the address ($CHATPHONE_TENANT)
    #[arg(long, value_name = "DOMAIN")]
    pub tenant: Option<String>,

    /// The messaging scenario entry to use, as the contact center's administrator names it ($CHATPHONE_APP_ID)
    #[arg(long, value_name = "ID")]
    pub app_id: Option<String>,

    /// The id of this device, unique in the contact center: whoever has it has its chat. Without it one is made and kept.
    /// Other users of this machine can read flags: prefer the variable or the file ($CHATPHONE_CLIENT_ID)
    #[arg(long, value_name = "ID", conflicts_with = "web_chat")]
    pub client_id: Option<String>,

    /// Be known by HTTP cookies, as the web chat is, instead of a client id ($CHATPHONE_WEB_CHAT)
    #[arg(long)]
    pub web_chat: bool,

    /// The caller's first name, for the scenario ($CHATPHONE_FIRST_NAME)
    #[arg(long, value_name = "NAME")]
    pub first_name: Option<String>,

    /// The caller's last name, for the scenario ($CHATPHONE_LAST_NAME)
    #[arg(long, value_name = "NAME")]
    pub last_name: Option<String>,

    /// A number to call back; the contact center may do so at once ($CHATPHONE_PHONE_NUMBER)
    #[arg(long, value_name = "NUMBER")]
    pub phone_number: Option<String>,

    /// The name or number of this device's owner ($CHATPHONE_FROM)
    #[arg(long, value_name = "WHO")]
    pub from: Option<String>,

    /// A parameter for the scenario; may be given several times. `chatphone parameters` lists what it expects
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,

    /// Certificates (PEM) to trust beside those of the system ($CHATPHONE_CA_FILE)
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// The HTTP proxy for the contact center and for TURN over TCP and TLS, instead of HTTPS_PROXY, ALL_PROXY and the
    /// system's; NO_PROXY holds all the same. Other users of this machine can read flags: with a password, prefer the
    /// variable or the file ($CHATPHONE_PROXY)
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,

    /// Allow plain http to another machine: anybody on the way can then read and change everything
    /// ($CHATPHONE_INSECURE_HTTP)
    #[arg(long)]
    pub insecure_http: bool,

    /// The configuration file, instead of chatphone/config.toml among the user's configuration files ($CHATPHONE_CONFIG)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConnectionArgs {
    /// Adds what the environment and the configuration file say.
    pub fn resolve(self) -> Result<Connection, ConfigError> {
        let file = self.config.clone();
        config::resolve(self.into(), file.as_deref())
    }
}

impl From<ConnectionArgs> for Settings {
    fn from(args: ConnectionArgs) -> Self {
        Self {
            url: args.url,
            tenant: args.tenant,
            app_id: args.app_id,
            client_id: args.client_id,
            web_chat: args.web_chat.then_some(true),
            first_name: args.first_name,
            last_name: args.last_name,
            phone_number: args.phone_number,
            from: args.from,
            parameters: BTreeMap::from_iter(args.parameters),
            ca_file: args.ca_file,
            proxy: args.proxy,
            insecure_http: args.insecure_http.then_some(true),
        }
    }
}

/// Shows no client id and nothing of the caller's.
impl std::fmt::Debug for ConnectionArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionArgs").field("url", &self.url).field("config", &self.config).finish_non_exhaustive()
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("use NAME=VALUE".into()),
    }
}
