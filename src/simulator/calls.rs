//! The agents' telephones.

use super::center::CallSpec;
use super::config::SimulatorConfig;
use super::error::SimulatorError;
use super::line::{CallCommand, CallEvent};
use tokio::sync::mpsc;

/// Makes the agents' WebRTC peers.
pub(super) struct Telephony {}

impl Telephony {
    pub fn new(_config: &SimulatorConfig) -> Result<Self, SimulatorError> {
        Ok(Self {})
    }

    pub fn call(
        &self,
        _spec: CallSpec,
        _commands: mpsc::UnboundedReceiver<CallCommand>,
        _report: impl Fn(CallEvent) + Clone + Send + Sync + 'static,
    ) -> impl Future<Output = Result<(), String>> + Send + 'static {
        async { Err("agents have no telephone yet".to_owned()) }
    }
}
