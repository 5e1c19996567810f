//! The ways for sound, devices, and the test call.

use super::{Advice, Audience, Judgement, Verdict, in_ms, list, ms};
use crate::api::ApiError;
use crate::check::ask::NotGranted;
use crate::check::finding::{
    CallFound, DeviceFound, LocalFound, Nat, NatFound, NoCall, NoConnection, NoTrust, Protocol, ServerFound,
};
use crate::check::path::{MediaPath, Udp};
use crate::check::quality::{Figures, Grade};
use serde_json::json;

/// A range with fewer free ports than this is soon used up by calls after one another.
const FEW_PORTS: usize = 4;

pub(super) fn local(found: &Result<LocalFound, String>) -> Judgement {
    let found = match found {
        Ok(found) => found,
        Err(reason) => {
            return Judgement::failed(reason.clone())
                .here("are --media-address and --media-ports right for this machine?");
        }
    };
    let LocalFound { addresses, mdns, ports } = found;
    let details = json!({
        "addresses": addresses,
        "mdns": mdns,
        "ports_free": ports.map(|(free, _)| free),
        "ports_in_range": ports.map(|(_, all)| all),
    });
    if addresses.is_empty() {
        return Judgement::failed("this machine has no network address")
            .with(details)
            .here("is there a network at all (cable, Wi-Fi, VPN)?");
    }
    let mut message = list(addresses);
    if let Some((free, all)) = ports {
        message.push_str(&format!(", {free} of {all} ports free"));
    }
    if !mdns {
        message.push_str(", no multicast");
    }
    match ports {
        Some((free, _)) if *free < FEW_PORTS => {
            Judgement::warning(message).here("few ports of --media-ports are free: name a larger range.").with(details)
        }
        _ => Judgement::ok(message).with(details),
    }
}

pub(super) fn servers(found: &Result<(usize, Vec<String>), ApiError>) -> Judgement {
    match found {
        Ok((0, unusable)) if unusable.is_empty() => {
            Judgement::warning("the contact center names no STUN and no TURN server")
                .with(json!({"servers": 0, "unusable": []}))
                .center("name a STUN and a TURN server: without them calls work in open networks only.")
        }
        Ok((count, unusable)) => {
            let details = json!({"servers": count, "unusable": unusable});
            if unusable.is_empty() {
                return Judgement::ok(format!("{count} to test")).with(details);
            }
            Judgement::warning(format!("{count} to test; of no use: {}", list(unusable)))
                .with(details)
                .center(format!("in the list of ICE servers these are of no use: {}.", list(unusable)))
        }
        // A call is tried without them, too.
        Err(error) => Judgement::warning(format!("the list cannot be had: {error}"))
            .center("the request iceservers fails, so calls have no STUN and no TURN server."),
    }
}

/// One server. What a firewall has to do with it is told with [`path`], by all of them.
pub(super) fn server(found: &ServerFound) -> Judgement {
    let ServerFound { url, gathered, asked } = found;
    let granted = asked.as_ref().ok();
    let got = if url.is_turn() { &gathered.relay } else { &gathered.srflx };
    let details = json!({
        "url": url.to_string(),
        "protocol": url.protocol(),
        "candidate_types": candidate_types(found),
        "candidate_ms": got.as_ref().map(|g| ms(g.after)),
        "mapped_address": gathered.srflx.as_ref().map(|g| g.address.clone())
            .or_else(|| Some(granted?.mapped?.to_string())),
        "relayed_address": gathered.relay.as_ref().map(|g| g.address.clone()),
        "lifetime_s": granted.and_then(|g| g.lifetime).map(|l| l.as_secs()),
    });
    if found.works() {
        let after = got.as_ref().map(|g| format!(" after {}", in_ms(g.after))).unwrap_or_default();
        let message = match (got, url.is_turn()) {
            (Some(got), true) => format!("relays from {}{after}", got.address),
            (Some(got), false) => format!("sees this machine as {}{after}", got.address),
            (None, _) => "sees this machine under its own address".into(),
        };
        return Judgement::ok(message).with(details);
    }
    let host = &url.endpoint().host;
    let judged = match asked {
        Ok(_) => Judgement::failed("answers, but a call gets nothing of it from here"),
        Err(NotGranted::NoConnection(NoConnection::NoName(reason))) => {
            Judgement::failed(format!("its name is not known here ({reason})"))
                .network(format!("DNS must resolve {host} from this network."))
        }
        Err(NotGranted::NoConnection(NoConnection::Refused)) => Judgement::failed("nobody listens there"),
        Err(NotGranted::NoConnection(NoConnection::TimedOut)) => Judgement::failed("no answer"),
        Err(NotGranted::NoConnection(NoConnection::NoRoute)) => {
            Judgement::failed("there is no way there from this machine")
        }
        Err(NotGranted::NoConnection(NoConnection::Other(reason))) => Judgement::failed(reason.clone()),
        Err(NotGranted::NoTrust(NoTrust::UnknownIssuer)) => {
            Judgement::failed("its certificate is by somebody whom this machine does not trust")
                .network(format!("TLS to {} must not be inspected: it carries calls.", url.endpoint()))
                .here("or trust that certificate: --ca-file FILE.")
        }
        Err(NotGranted::NoTrust(reason @ NoTrust::Proxy(407))) => Judgement::failed(trust(reason))
            .network(format!("let this machine through the proxy to {}.", url.endpoint()))
            .here("or name them in the proxy's address (HTTPS_PROXY=http://user:password@proxy:port)."),
        Err(NotGranted::NoTrust(reason @ NoTrust::Proxy(_))) => {
            Judgement::failed(trust(reason)).network(format!("let the proxy pass CONNECT to {}.", url.endpoint()))
        }
        Err(NotGranted::NoTrust(reason)) => {
            Judgement::failed(trust(reason)).center(format!("{url}: {}.", trust(reason)))
        }
        Err(NotGranted::NoCredentials) => Judgement::failed("wants a user name and password, and none were given")
            .center(format!("{url} needs a user name and password in the list of ICE servers.")),
        Err(NotGranted::Credentials(code)) => {
            Judgement::failed(format!("does not take the user name and password that the contact center gave ({code})"))
                .center(format!("{url} refuses the user name and password in the list of ICE servers: expired?"))
        }
        Err(NotGranted::Stun(code, reason)) => {
            Judgement::failed(format!("says no: {code} {reason}")).center(format!("{url} answers {code} {reason}."))
        }
        Err(NotGranted::NoStun) => Judgement::failed("what answers there is no STUN or TURN server")
            .network(format!("something answers in place of {}: a proxy?", url.endpoint())),
    };
    judged.with(details)
}

pub(in crate::check) fn trust(reason: &NoTrust) -> String {
    match reason {
        NoTrust::UnknownIssuer => "its certificate is by somebody whom this machine does not trust".into(),
        NoTrust::Expired => "its certificate has ended".into(),
        NoTrust::NotYetValid => "its certificate has not begun".into(),
        NoTrust::WrongName => "its certificate is for another name".into(),
        NoTrust::NoTls => "it does not speak TLS".into(),
        NoTrust::TimedOut => "it takes the connection and then says nothing".into(),
        NoTrust::Proxy(407) => "the proxy on the way to it wants a user name and password".into(),
        NoTrust::Proxy(status) => format!("the proxy refuses the way to it (HTTP {status})"),
        NoTrust::Other(reason) => reason.clone(),
    }
}

fn candidate_types(found: &ServerFound) -> Vec<&'static str> {
    let gathered = &found.gathered;
    let types = [
        ("host", !gathered.hosts.is_empty()),
        ("srflx", gathered.srflx.is_some()),
        ("relay", gathered.relay.is_some()),
    ];
    types.into_iter().filter_map(|(name, is)| is.then_some(name)).collect()
}

pub(super) fn nat(found: &NatFound) -> Judgement {
    let details = json!({"nat": found.nat, "mapped_addresses": found.mapped});
    let message = match found.nat {
        None => return Judgement::new(Verdict::Skipped, "no server answered over UDP").with(details),
        Some(Nat::None) => "none between here and the servers",
        Some(Nat::EndpointIndependent) => "one outer address for all destinations: calls can do without a relay",
        Some(Nat::AddressDependent) => "another outer address for each destination (\"symmetric\"): calls need a relay",
        Some(Nat::Present) => "there is one; of which kind takes a second server to tell",
    };
    Judgement::ok(message).with(details)
}

pub(super) fn path(path: &MediaPath) -> Judgement {
    let details = json!({"udp": path.udp, "relays": path.relays, "reflected": path.reflected});
    let relays = list(&path.relays);
    let mut judged = match (path.udp, path.relays.is_empty()) {
        (_, true) if path.relay_only => {
            Judgement::failed("calls are to use a relay alone (--ice relay), and none can be had")
        }
        _ if !path.has_servers => {
            Judgement::warning("without servers, calls work only where the agent's side can be reached directly")
        }
        (Udp::Open, false) if path.relays.contains(&Protocol::Udp) => {
            Judgement::ok(format!("UDP is open; a relay can be had over {relays}"))
        }
        (Udp::Open, false) => Judgement::warning(format!("UDP is open; a relay can be had over {relays} only")),
        (Udp::Open, true) if path.has_turn => {
            Judgement::warning("UDP is open, but there is no relay: calls to strict networks fail")
        }
        (Udp::Open, true) => Judgement::warning("UDP is open; there is no relay for networks that are less open")
            .center("name a TURN server beside STUN: calls from and to strict networks need it."),
        (Udp::Blocked, false) => Judgement::warning(format!(
            "UDP is blocked: calls go through a relay over {relays}, and stutter more where packets are lost"
        )),
        (Udp::Unknown, false) => Judgement::ok(format!("a relay can be had over {relays}; UDP was not tried")),
        (Udp::NoAnswer, false) => Judgement::warning(format!("a relay can be had over {relays}")),
        (Udp::Blocked, true) => Judgement::failed("UDP is blocked and no relay can be had: calls will fail"),
        (Udp::NoAnswer | Udp::Unknown, true) => {
            Judgement::failed("no STUN or TURN server can be used: calls will most likely fail")
        }
    };
    judged.advice.extend(openings(path));
    judged.with(details)
}

/// What to let through. One server that is silent while others of its protocol answer is more likely down.
fn openings(path: &MediaPath) -> Vec<Advice> {
    let mut advice: Vec<Advice> = Vec::new();
    for endpoint in &path.silent {
        let is_udp = endpoint.protocol == Protocol::Udp;
        let others_answer = if is_udp { path.udp == Udp::Open } else { path.relays.contains(&endpoint.protocol) };
        let next = if others_answer {
            let text = format!("{endpoint} ({}) does not answer, while others do: is it running?", endpoint.protocol);
            Advice::new(Audience::ContactCenter, text)
        } else if is_udp {
            Advice::allow(endpoint, "sound of calls, the best way")
        } else {
            Advice::allow(endpoint, "sound of calls where UDP cannot be used")
        };
        if !advice.contains(&next) {
            advice.push(next);
        }
    }
    advice
}

pub(super) fn microphone(found: &DeviceFound) -> Judgement {
    match found {
        DeviceFound::Works { name, silent: true } => Judgement::warning(format!("{name} gives no sound at all"))
            .with(json!({"device": name, "silent": true}))
            .here("is the microphone switched off or muted, or is it the wrong one? (chatphone selftest)"),
        DeviceFound::Works { name, silent: false } => {
            Judgement::ok(name.clone()).with(json!({"device": name, "silent": false}))
        }
        other => no_device("microphone", other),
    }
}

pub(super) fn speaker(found: &DeviceFound) -> Judgement {
    match found {
        DeviceFound::Works { name, .. } => Judgement::ok(name.clone()).with(json!({"device": name})),
        other => no_device("speaker", other),
    }
}

fn no_device(which: &str, found: &DeviceFound) -> Judgement {
    match found {
        DeviceFound::Dead(name) | DeviceFound::Works { name, .. } => {
            Judgement::failed(format!("{name} was opened, and no sound flows"))
                .with(json!({"device": name}))
                .here(format!("is the {which} in use by another program? Unplug and replug it."))
        }
        DeviceFound::Missing(reason) => Judgement::failed(format!("no {which} can be used: {reason}"))
            .with(json!({"device": null}))
            .here(format!("plug a {which} in, or allow its use; chatphone devices lists what there is.")),
    }
}

pub(super) fn call(found: &CallFound) -> Judgement {
    let figures = Figures::of(found);
    let way = match &found.through {
        Some(url) => format!("through {url}"),
        None => "inside this machine: says nothing on the network".into(),
    };
    let mut message = format!("{}, {way}", figures.grade);
    if let Some(mos) = figures.mos {
        message.push_str(&format!("; MOS {mos:.1}"));
    }
    message.push_str(&format!(", {:.1} % lost, jitter {:.1} ms", figures.loss_percent, figures.jitter_ms));
    if let Some(rtt) = figures.rtt_ms {
        message.push_str(&format!(", round trip {rtt:.0} ms"));
    }
    let judged = match figures.grade {
        Grade::Good => Judgement::ok(message),
        Grade::Usable | Grade::Poor => Judgement::warning(message).network(format!(
            "sound suffers here ({:.1} % lost, jitter {:.0} ms): is the line full, or the Wi-Fi weak? Prefer a \
                 cable, and give calls precedence (DSCP EF).",
            figures.loss_percent, figures.jitter_ms
        )),
    };
    judged.with(serde_json::to_value(&figures).unwrap_or_default()).with(json!({
        "through": found.through.as_ref().map(ToString::to_string),
        "setup_ms": ms(found.setup),
    }))
}

pub(super) fn no_call(reason: &NoCall) -> Judgement {
    let through = |url: &Option<crate::check::url::ServerUrl>| match url {
        Some(url) => format!("through {url}"),
        None => "inside this machine".into(),
    };
    match reason {
        NoCall::NotConnected { through: way } => Judgement::failed(format!("did not connect {}", through(way))),
        NoCall::NoSound { through: way } => Judgement::failed(format!("connected {}, and no sound came", through(way))),
        NoCall::Setup(reason) => Judgement::failed(format!("could not be begun: {reason}")),
    }
    .here("does a firewall on this machine stop chatphone?")
}
