//! A contact center on this machine: the server's side of the Messaging API, with agents that are WebRTC peers of their
//! own. For developing and testing any client of the API.
//!
//! ```no_run
//! use chatphone::simulator::{AgentSound, Simulator, SimulatorConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = SimulatorConfig::default();
//! config.agent.sound = AgentSound::Tone(440.0);
//! let simulator = Simulator::start(config).await?;
//! println!("point a client at {}", simulator.base_url());
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is built
//!
//! `center` (sessions, agents, files), `line` (the signaling of one bot's calls), `desk::line` (of one desk's), `desk::roster`
//! (which desk is given a chat) and `script` (what a bot says) are state machines without I/O. `shared` drives them: it
//! owns the clock and the held polls. `http` speaks to clients, `calls` to the bots' peers, `desk` to the pages at which
//! people are the agents, `admin` to who drives the center. Nothing here is shared with the client but the wire types of [`crate::api`].
//!
//! # What it does where the API leaves a choice
//!
//! - A chat is `queued`, then `connected` when an agent joins, greets and listens. The agent answers every message, and
//!   does what a message that begins with `/` asks for: see [`COMMANDS`].
//! - An event is delivered once: in the answer of Send Events or of a poll, whichever comes first. An event of the client
//!   that comes a second time (the same `msg_id` and content) is taken for a repetition and passed over.
//! - `chat_session_end` ends the session. `chat_session_disconnect` lets the agent go and shows the form `survey`; its
//!   answer ends the session. After the end the last events can still be fetched once, then everything answers 5005.
//! - An unknown `appId` answers 3000, and 5006 from Request Chat, where the application is a launch point.
//! - Outside the hours a chat can be requested; the scenario says that the center is closed and ends it.
//! - A desk (a page at `/desk`) that is ready and has room is given a chat before a bot is: the one with the fewest chats,
//!   and of these the one that has waited longest. A desk that is gone ends its call at once; its chats go to another agent,
//!   or wait for one as `queued`.
//! - A call that cannot be is refused with CALL_REJECTED: `480` without an agent, `404` for a party that is not there,
//!   `603` for a declined call, `486`
//!   when the desk is in another call, `500` when the agent's own peer cannot be made.

mod admin;
mod auth;
mod bounded;
mod calls;
mod center;
mod config;
mod desk;
mod error;
mod fault;
mod files;
mod http;
mod line;
mod quirks;
mod script;
mod session;
mod shared;
mod timers;
mod widget;

pub use center::Load;
pub use config::{
    AgentConfig, AgentIce, AgentKind, AgentSound, Hours, Rejection, SimulatorConfig, parse_ice_server, parse_parameter,
};
pub use error::SimulatorError;
pub use fault::{
    ApiMethod, CallFault, FAULT_KINDS, Fault, FaultKind, FaultPlan, HttpFault, KindInfo, MediaFault, RtpFault, Span,
    Way, When, parse_loss, parse_time,
};
pub use quirks::{Quirk, Quirks};
pub use script::COMMANDS;

use calls::Telephony;
use shared::Shared;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long [`Simulator::shutdown`] waits for calls and recordings to end, and then again for open requests.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);

/// A running contact center. It stops when it is shut down or dropped; a drop waits for nothing, so that the end of
/// recordings may be lost.
pub struct Simulator {
    addr: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Binds and serves in background tasks of the current tokio runtime. There are no passwords: who reaches the
    /// address can use the center, so it should be one of the loopback's.
    ///
    /// # Errors
    /// When the address is taken, the folder for recordings cannot be made, or the agents' sound cannot be read.
    pub async fn start(config: SimulatorConfig) -> Result<Self, SimulatorError> {
        let asked = config.listen;
        let telephony = Telephony::new(&config).await?;
        let bind = |source| SimulatorError::Bind { addr: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let shared = Shared::new(config, telephony);
        shared.tasks.spawn(shared.clone().run_clock());
        let router = http::router(shared.clone());
        let closing = shared.closing.clone();
        let server = tokio::spawn(async move {
            let service =
                axum::serve(fault::Listener(listener), router.into_make_service_with_connect_info::<fault::Plug>());
            if let Err(error) = service.with_graceful_shutdown(closing.cancelled_owned()).await {
                tracing::error!(%error, "the simulator stopped serving");
            }
        });
        Ok(Self { addr, shared, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address to give to a client, without the API's path.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The recordings begun so far, in the order of the calls; each is complete once its call is over.
    pub fn recordings(&self) -> Vec<PathBuf> {
        self.shared.telephony.recordings()
    }

    /// What it holds at the moment.
    pub fn load(&self) -> Load {
        self.shared.load()
    }

    /// Orders a fault, from now on.
    pub fn inject(&self, fault: Fault) {
        self.shared.with(|center, _| center.faults().add(fault));
    }

    /// Ends every chat and call, completes the recordings, answers open requests and stops listening. Takes at most
    /// some seconds.
    pub async fn shutdown(mut self) {
        self.shared.with(|center, now| center.close(now));
        self.shared.closing.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(SHUTDOWN_WAIT, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("some calls did not end in time");
        }
        // A client may keep a request open for as long as it likes.
        let _ = tokio::time::timeout(SHUTDOWN_WAIT, &mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.with(|center, now| center.close(now));
        self.shared.closing.cancel();
        self.server.abort();
    }
}
