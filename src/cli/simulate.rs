//! `chatphone simulate`: a contact center on this machine.

use super::interrupt::Interrupts;
use super::time::duration;
use crate::api::types::{IceServer, ParameterType};
use crate::simulator::{
    AgentConfig, AgentIce, AgentKind, AgentSound, COMMANDS, FAULT_KINDS, Fault, FaultKind, FaultPlan, Hours, KindInfo,
    MediaFault, Quirk, Quirks, Rejection, RtpFault, Simulator, SimulatorConfig, Way, When, parse_ice_server,
    parse_loss, parse_parameter,
};
use anyhow::Context;
use chatphone_media::audio::codec::CodecKind;
use chatphone_media::lab::Loss;
use clap::Args;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A contact center on this machine, to develop and test clients of the Messaging API against.
///
/// Prints `listening on http://ADDR` when it is ready, and runs until Ctrl-C. At http://ADDR/desk a person is the agent,
/// in a browser; http://ADDR/admin is an API that drives it all. Its bots answer chats and calls; a
/// customer's message that begins with `/` makes a bot do something (`/help` lists what).
#[derive(Debug, Clone, Args)]
#[command(after_help = commands_help(), after_long_help = all_help())]
pub struct SimulateArgs {
    /// Where to listen; port 0 takes any free port. Anybody who can reach this address can use the center.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Who the agents are: bots that let the caller hear echo (what the caller says), tone:HZ, play:FILE (a WAV, again and
    /// again) or silence; or desk, people at the page /desk. Whoever is signed in there is given chats before a bot is;
    /// with desk alone there are no bots, and chats wait until somebody signs in. Repeatable: desk, and one kind of bot.
    #[arg(long = "agent", value_name = "KIND", default_value = "echo", help_heading = "Agents")]
    pub agents_are: Vec<AgentKind>,

    /// The codecs that the agents have, best first, separated by commas: opus, G722, PCMU, PCMA. Without it all of them.
    #[arg(long, value_name = "CODEC,…", value_delimiter = ',', help_heading = "Agents")]
    pub codecs: Vec<CodecKind>,

    /// Keep a WAV file of what each agent hears in each call in this folder.
    #[arg(long, value_name = "DIR", help_heading = "Agents")]
    pub record: Option<PathBuf>,

    /// How many bots there are; chats above it stay queued. Without it there is one for every chat.
    #[arg(long, value_name = "N", conflicts_with = "no_agent", help_heading = "Agents")]
    pub agents: Option<usize>,

    /// No bot ever joins: every chat stays queued until a desk takes it.
    #[arg(long, help_heading = "Agents")]
    pub no_agent: bool,

    /// Time from the request of a chat to the agent's joining.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = duration, help_heading = "Agents")]
    pub join_after: Duration,

    /// Time from a customer's message to the agent's reply.
    #[arg(long, value_name = "TIME", default_value = "400ms", value_parser = duration, help_heading = "Agents")]
    pub reply_after: Duration,

    /// Time from REQUEST_CALL to OFFER_CALL.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration, help_heading = "Calls")]
    pub answer_after: Duration,

    /// The agent calls the customer soon after joining (an OFFER_CALL nobody asked for).
    #[arg(long, help_heading = "Calls")]
    pub incoming: bool,

    /// Refuse every call with CALL_REJECTED, such as 486:busy.
    #[arg(long, value_name = "CODE:REASON", conflicts_with = "no_offer", help_heading = "Calls")]
    pub reject: Option<Rejection>,

    /// Never answer REQUEST_CALL.
    #[arg(long, help_heading = "Calls")]
    pub no_offer: bool,

    /// The agent ends the call this long after it connected.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Calls")]
    pub hang_up_after: Option<Duration>,

    /// A STUN or TURN server, given to clients and used by the agents. Repeatable.
    #[arg(long = "ice-server", value_name = "URL[,USERNAME,CREDENTIAL]", value_parser = parse_ice_server, help_heading = "Calls")]
    pub ice_servers: Vec<IceServer>,

    /// Which ICE candidates the bots have: all, those of their own addresses (host), or relayed ones alone.
    #[arg(long, value_name = "all|host|relay", default_value = "all", help_heading = "Calls")]
    pub agent_ice: AgentIce,

    /// How long a desk whose page is gone without signing out keeps its chats and calls: a page that is loaded anew takes
    /// them up again, under the same name.
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = duration, help_heading = "Agents")]
    pub desk_grace: Duration,

    /// How long a poll without news is held.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration, help_heading = "Center")]
    pub hold: Duration,

    /// The only tenantUrl to accept; without it any is right, but none is an error (1000).
    #[arg(long, value_name = "DOMAIN", help_heading = "Center")]
    pub tenant: Option<String>,

    /// An appId to accept; without it any is right. Repeatable.
    #[arg(long = "app-id", value_name = "ID", help_heading = "Center")]
    pub app_ids: Vec<String>,

    /// Hours of operation, every day, in UTC or with an offset from it (08:00-18:00+02:00). Outside of them the center
    /// is not available, and a chat is ended by the scenario.
    #[arg(long, value_name = "HH:MM-HH:MM", conflicts_with = "closed", help_heading = "Center")]
    pub open: Option<Hours>,

    /// Out of hours, always.
    #[arg(long, help_heading = "Center")]
    pub closed: bool,

    /// Expected wait to tell.
    #[arg(long, value_name = "SECONDS", help_heading = "Center")]
    pub ewt: Option<u32>,

    /// A parameter that the center expects; types are PHONE, TEXT, EMAIL, FIRST_NAME, LAST_NAME, ACCOUNT, COMPANY.
    /// Repeatable.
    #[arg(long = "parameter", value_name = "NAME=TYPE", value_parser = parse_parameter, help_heading = "Center")]
    pub parameters: Vec<(String, ParameterType)>,

    /// Warn a customer who has sent nothing for so long; 0: never. A call is no silence.
    #[arg(long, value_name = "TIME", default_value = "8m", value_parser = duration, help_heading = "Center")]
    pub inactivity_warning: Duration,

    /// End the chat of a customer who has sent nothing for so long; 0: never.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, help_heading = "Center")]
    pub inactivity_timeout: Duration,

    /// Sessions at one time; above it a chat is refused (5001).
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Center")]
    pub max_sessions: usize,

    /// What goes wrong, and when: ON is a method of the API, any, call or media; KIND is listed below. WHEN is a number of
    /// times (once without it, * for always; media always), a share (20%), nth=N, after=N, every=N, client=ID, chat=ID or
    /// agent=NAME. Repeatable.
    #[arg(long = "fault", value_name = "ON:KIND[:WHEN]…", help_heading = "Faults")]
    pub faults: Vec<Fault>,

    /// A JSON file of faults, quirks and a seed, which the flags add to: {"seed": 7, "faults": [...], "quirks": [...]}.
    #[arg(long, value_name = "FILE", value_parser = fault_plan, help_heading = "Faults")]
    pub fault_plan: Option<FaultPlan>,

    /// Take on ways of real servers that the API's text does not tell: all, or names from the list below.
    #[arg(long, value_name = "NAME[,NAME]…", default_value_t, hide_default_value = true, help_heading = "Faults")]
    pub quirks: Quirks,

    /// Decides what faults leave to chance: the same seed (1 without it) and the same order of requests give the same
    /// faults.
    #[arg(long, value_name = "N", help_heading = "Faults")]
    pub seed: Option<u64>,

    /// Lose RTP packets both ways, in runs of N on average: 5% or 5%x3. Short for --fault media:loss=….
    #[arg(long, value_name = "P%[xN]", value_parser = parse_loss, help_heading = "Faults")]
    pub rtp_loss: Option<Loss>,

    /// Let RTP packets come up to this early or late, both ways.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Faults")]
    pub rtp_jitter: Option<Duration>,

    /// Delay RTP packets, both ways.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Faults")]
    pub rtp_delay: Option<Duration>,
}

impl SimulateArgs {
    /// The faults that the short flags stand for.
    fn bad_line(&self) -> impl Iterator<Item = Fault> {
        let loss = self.rtp_loss.map(RtpFault::Loss);
        let jitter = self.rtp_jitter.map(RtpFault::Jitter);
        let delay = self.rtp_delay.map(RtpFault::Delay);
        let fault = |rtp| Fault { kind: FaultKind::Media(MediaFault::Rtp(Way::Both, rtp)), when: When::default() };
        loss.into_iter().chain(jitter).chain(delay).map(fault)
    }
}

impl From<SimulateArgs> for SimulatorConfig {
    fn from(args: SimulateArgs) -> Self {
        let hours = if args.closed { Hours::Closed } else { args.open.unwrap_or(Hours::AlwaysOpen) };
        let bots = args.bots();
        let bad_line: Vec<_> = args.bad_line().collect();
        let plan = args.fault_plan.unwrap_or_default();
        let unless_zero = |time: Duration| (!time.is_zero()).then_some(time);
        Self {
            listen: args.listen,
            hold: args.hold,
            desk_grace: args.desk_grace,
            tenant: args.tenant,
            app_ids: args.app_ids,
            hours,
            ewt_s: args.ewt,
            parameters: args.parameters,
            ice_servers: args.ice_servers,
            faults: plan.faults.into_iter().chain(args.faults).chain(bad_line).collect(),
            quirks: plan.quirks.iter().chain(args.quirks.iter()).collect(),
            seed: args.seed.or(plan.seed).unwrap_or(1),
            inactivity_warning: unless_zero(args.inactivity_warning),
            inactivity_timeout: unless_zero(args.inactivity_timeout),
            max_sessions: args.max_sessions,
            agents: if args.no_agent || bots.is_none() { Some(0) } else { args.agents },
            agent: AgentConfig {
                sound: bots.unwrap_or(AgentSound::Echo),
                ice: args.agent_ice,
                codecs: if args.codecs.is_empty() { CodecKind::ALL.to_vec() } else { args.codecs },
                record_dir: args.record,
                join_after: args.join_after,
                reply_after: args.reply_after,
                answer_after: args.answer_after,
                incoming: args.incoming,
                reject: args.reject,
                no_offer: args.no_offer,
                hang_up_after: args.hang_up_after,
            },
        }
    }
}

impl SimulateArgs {
    /// What the bots let the caller hear; `None`: there are none.
    fn bots(&self) -> Option<AgentSound> {
        self.agents_are.iter().find_map(|kind| match kind {
            AgentKind::Bot(sound) => Some(sound.clone()),
            AgentKind::Desk => None,
        })
    }

    /// Finds flags that contradict one another.
    fn check(&self) -> anyhow::Result<()> {
        let kinds = self.agents_are.iter().filter(|kind| matches!(kind, AgentKind::Bot(_))).count();
        anyhow::ensure!(kinds <= 1, "--agent takes one kind of bot beside desk, not {kinds}");
        let counted = self.agents.is_some();
        anyhow::ensure!(kinds == 1 || !counted, "--agents is a number of bots, and --agent desk has none: add one");
        Ok(())
    }
}

fn fault_plan(path: &str) -> Result<FaultPlan, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    serde_json::from_str(&text).map_err(|e| format!("it is no plan of faults: {e}"))
}

fn commands_help() -> String {
    let list: Vec<_> = COMMANDS.iter().map(|(name, does)| format!("  {name:<13} {does}")).collect();
    format!("What a customer can write to an agent:\n{}\n\n--help lists the faults and the quirks.", list.join("\n"))
}

fn all_help() -> String {
    let fault = |kind: &KindInfo| format!("  {:<32} {}", format!("{}:{}", kind.on, kind.form), kind.does);
    let faults: Vec<_> = FAULT_KINDS.iter().map(fault).collect();
    let quirks: Vec<_> = Quirk::ALL.iter().map(|q| format!("  {:<19} {}", q.name(), q.does())).collect();
    let commands = commands_help();
    let (commands, _) = commands.rsplit_once("\n\n").unwrap_or((&commands, ""));
    format!(
        "{commands}\n\nFaults (media: behind a kind with a value, -in is to the agent and -out from it):\n{}\n\nQuirks:\n{}",
        faults.join("\n"),
        quirks.join("\n")
    )
}

/// Runs the center until Ctrl-C or SIGTERM.
///
/// # Errors
/// When it cannot start: the port is taken, the folder for recordings or the agents' file is of no use.
pub async fn run(args: SimulateArgs) -> anyhow::Result<()> {
    args.check()?;
    let people = args.agents_are.contains(&AgentKind::Desk);
    let mut interrupts = Interrupts::take();
    let simulator = Simulator::start(args.into()).await?;
    if !simulator.addr().ip().is_loopback() {
        eprintln!(
            "WARNING: the simulator listens on {}, where other machines can reach it. It knows no passwords: whoever \
             reaches it can use it. Listen on 127.0.0.1 unless that is wanted.",
            simulator.addr()
        );
    }
    let mut out = std::io::stdout();
    writeln!(out, "listening on http://{}", simulator.addr()).and_then(|()| out.flush()).context("cannot print")?;
    if people {
        eprintln!("the agents' desk: http://{}/desk", simulator.addr());
    }
    interrupts.next().await;
    tracing::info!("stopping");
    simulator.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn config(flags: &[&str]) -> SimulatorConfig {
        Cli::try_parse_from(std::iter::once(&"simulate").chain(flags)).map_err(|e| e.to_string()).unwrap().args.into()
    }

    #[test]
    fn without_flags_everything_is_as_in_the_library() {
        let library = SimulatorConfig { listen: "127.0.0.1:8080".parse().unwrap(), ..Default::default() };
        assert_eq!(format!("{:?}", config(&[])), format!("{library:?}"));
    }

    fn parsed(flags: &[&str]) -> SimulateArgs {
        Cli::try_parse_from(std::iter::once(&"simulate").chain(flags)).map_err(|e| e.to_string()).unwrap().args
    }

    #[test]
    fn with_desks_alone_there_are_no_bots() {
        assert_eq!(config(&["--agent", "desk"]).agents, Some(0));
        let mixed = config(&["--agent", "desk", "--agent", "tone:440", "--agents", "2"]);
        assert_eq!((mixed.agents, mixed.agent.sound), (Some(2), AgentSound::Tone(440.0)));
    }

    #[test]
    fn agents_that_contradict_one_another_are_refused() {
        for bad in [&["--agent", "echo", "--agent", "silence"][..], &["--agent", "desk", "--agents", "2"]] {
            assert!(parsed(bad).check().is_err(), "{bad:?}");
        }
        assert!(parsed(&["--agents", "2"]).check().is_ok());
    }

    #[test]
    fn flags_add_to_a_plan_of_faults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.json");
        std::fs::write(&file, r#"{"seed": 7, "faults": ["poll:html"], "quirks": ["markup"]}"#).unwrap();
        let file = file.to_str().unwrap();
        let c = config(&["--fault-plan", file, "--fault", "call:no-end", "--quirks", "nulls"]);
        let faults: Vec<_> = c.faults.iter().map(Fault::to_string).collect();
        assert_eq!((c.seed, c.quirks.to_string().as_str()), (7, "nulls,markup"));
        assert_eq!(faults, ["poll:html:1", "call:no-end:1"]);
        assert_eq!(config(&["--fault-plan", file, "--seed", "2"]).seed, 2);
        assert!(Cli::try_parse_from(["simulate", "--fault-plan", "/nowhere"]).is_err());
    }

    #[test]
    fn flags_reach_the_configuration() {
        let c = config(&[
            "--listen",
            "127.0.0.1:0",
            "--agent",
            "tone:440",
            "--codecs",
            "g722,pcma",
            "--no-agent",
            "--hold",
            "2s",
            "--closed",
            "--reject",
            "486:busy",
            "--fault",
            "poll:5000:3",
            "--ice-server",
            "turn:h,u,p",
            "--ice-server",
            "stun:h",
            "--parameter",
            "mail=EMAIL",
            "--hang-up-after",
            "1.5",
            "--inactivity-timeout",
            "0",
            "--quirks",
            "markup,time-string",
            "--seed",
            "9",
            "--rtp-loss",
            "5%x3",
            "--rtp-jitter",
            "30ms",
        ]);
        assert_eq!((c.seed, c.quirks.to_string().as_str()), (9, "time-string,markup"));
        let faults: Vec<_> = c.faults.iter().map(Fault::to_string).collect();
        assert_eq!(faults, ["poll:5000:3", "media:loss=5%x3:*", "media:jitter=30ms:*"]);
        assert_eq!((c.agents, c.hours, c.hold), (Some(0), Hours::Closed, Duration::from_secs(2)));
        assert_eq!(c.agent.codecs, [CodecKind::G722, CodecKind::Pcma]);
        assert_eq!((c.ice_servers.len(), c.faults.len(), c.parameters.len()), (2, 3, 1));
        assert_eq!(c.agent.hang_up_after, Some(Duration::from_millis(1500)));
        assert_eq!(c.agent.reject.unwrap().reason, "busy");
        assert_eq!(c.inactivity_timeout, None);
    }
}
