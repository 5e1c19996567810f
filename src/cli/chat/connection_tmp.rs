//! Stands for the connection flags.
use crate::api::types::ChatRequest;
use crate::api::{ClientConfig, Identity};
use clap::Args;

/// Flags.
#[derive(Debug, Clone, Args)]
pub struct ConnectionArgs {
    #[arg(long, env = "CHATPHONE_URL")]
    url: String,
    #[arg(long, default_value = "app")]
    app_id: String,
    #[arg(long)]
    client_id: String,
    #[arg(long)]
    first_name: Option<String>,
}

/// The connection.
pub struct Connection {
    pub config: ClientConfig,
    pub request: ChatRequest,
}

impl ConnectionArgs {
    pub fn resolve(&self) -> anyhow::Result<Connection> {
        let id = Identity::ClientId(self.client_id.clone());
        Ok(Connection {
            config: ClientConfig::new(&self.url, &self.app_id, id),
            request: ChatRequest { from: self.first_name.clone(), ..Default::default() },
        })
    }
}
