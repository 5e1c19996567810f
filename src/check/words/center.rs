//! From the name to the API.

use super::{Judgement, certificate_details, day, in_ms, list, ms};
use crate::api::{ApiError, ErrorCode};
use crate::check::center::median;
use crate::check::finding::{Certificate, ChatFound, Endpoint, NoAnswer, NoConnection, NoTrust};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A certificate that ends this soon is told of.
const ENDS_SOON_S: i64 = 14 * 24 * 3600;
/// A clock that is further off is told of: signatures and sessions are checked by it.
const CLOCK_OFF_S: i64 = 300;
/// Requests that take longer make everything about a chat slow.
const SLOW: Duration = Duration::from_millis(500);
/// DNS that takes longer is felt at every first connection.
const SLOW_DNS: Duration = Duration::from_secs(2);

pub(super) fn configuration(center: &Endpoint, proxy: Option<&Endpoint>, plain: bool) -> Judgement {
    let through = proxy.map(|proxy| format!(", through the proxy {proxy}")).unwrap_or_default();
    let details = json!({"host": center.host, "port": center.port, "proxy": proxy.map(ToString::to_string)});
    if plain {
        let message = format!("{center}{through}, without encryption");
        return Judgement::warning(message).with(details).here("use an address that begins with https://.");
    }
    Judgement::ok(format!("{center}{through}")).with(details)
}

pub(super) fn dns(host: &str, found: &Result<Vec<IpAddr>, NoConnection>, took: Duration) -> Judgement {
    match found {
        Ok(addresses) => {
            let v6 = addresses.iter().filter(|a| a.is_ipv6()).count();
            let message = list(addresses);
            let details = json!({"addresses": addresses, "ipv4": addresses.len() - v6, "ipv6": v6});
            if took > SLOW_DNS {
                let advice = format!("look-ups are slow here ({} for {host}): check the DNS servers.", in_ms(took));
                return Judgement::warning(format!("{message}, slowly")).with(details).network(advice);
            }
            Judgement::ok(message).with(details)
        }
        Err(error) => Judgement::failed(format!("the name {host} is not known here ({})", words(error)))
            .here(format!("is the address right ({host})? Is there a network at all (cable, Wi-Fi)?"))
            .network(format!("DNS must resolve {host} from this network.")),
    }
}

fn words(error: &NoConnection) -> String {
    match error {
        NoConnection::NoName(reason) | NoConnection::Other(reason) => reason.clone(),
        NoConnection::Refused => "nobody listens there".into(),
        NoConnection::TimedOut => "no answer".into(),
        NoConnection::NoRoute => "there is no way there from this machine".into(),
    }
}

pub(super) fn tcp(
    with: &Endpoint,
    proxy: bool,
    found: &Result<SocketAddr, NoConnection>,
    broken_v6: bool,
) -> Judgement {
    let whom = if proxy { format!("the proxy {with}") } else { with.to_string() };
    match found {
        Ok(address) => {
            let details = json!({"address": address, "ipv6_broken": broken_v6});
            if broken_v6 {
                return Judgement::warning(format!("{address}; its IPv6 address cannot be reached"))
                    .with(details)
                    .network("IPv6 is announced here and does not work: connections may begin slowly. Mend it or switch it off.");
            }
            Judgement::ok(address.to_string()).with(details)
        }
        Err(NoConnection::Refused) => {
            let judged = Judgement::failed(format!("nobody listens at {whom} (connection refused)"));
            if proxy {
                return judged.network(format!("the proxy {with} does not take connections."));
            }
            judged
                .here(format!("is the port right ({})?", with.port))
                .center(format!("is the server at {with} running?"))
                .allow(with, "a firewall may refuse it")
        }
        Err(NoConnection::NoRoute) => Judgement::failed(format!("{whom} cannot be reached: no way there"))
            .here("is there a network at all (cable, Wi-Fi, VPN)?"),
        Err(error) => {
            Judgement::failed(format!("no connection to {whom}: {}", words(error))).allow(with, "the contact center")
        }
    }
}

pub(super) fn tls(
    with: &Endpoint,
    found: &Result<String, NoTrust>,
    certificate: Option<&Certificate>,
    now: i64,
) -> Judgement {
    let issuer = certificate.map_or("?", |c| c.issuer.as_str());
    let host = &with.host;
    let judged = match found {
        Ok(version) => {
            let left = certificate.map_or(i64::MAX, |c| c.not_after - now);
            let until = certificate.map(|c| day(c.not_after)).unwrap_or_default();
            let message = format!("{version}, certificate by {issuer}, until {until}");
            if left < ENDS_SOON_S {
                Judgement::warning(message).center(format!("the certificate of {host} ends on {until}: renew it."))
            } else {
                Judgement::ok(message)
            }
            .with(json!({"version": version}))
        }
        Err(NoTrust::UnknownIssuer) => Judgement::failed(format!(
            "the certificate of {host} is by \"{issuer}\", whom this machine does not trust: most likely a proxy that \
             inspects TLS"
        ))
        .network(format!(
            "either do not inspect TLS to {with}, or give out the certificate of \"{issuer}\" as a PEM file."
        ))
        .here("with that file: --ca-file FILE (or ca_file in the configuration)."),
        Err(NoTrust::Expired) => {
            let until = certificate.map(|c| day(c.not_after)).unwrap_or_default();
            Judgement::failed(format!("the certificate of {host} ended on {until}; here it is {}", day(now)))
                .here("is the date of this machine right?")
                .center(format!("the certificate of {host} ended on {until}: renew it."))
        }
        Err(NoTrust::NotYetValid) => {
            let from = certificate.map(|c| day(c.not_before)).unwrap_or_default();
            Judgement::failed(format!("the certificate of {host} begins on {from}; here it is {}", day(now)))
                .here("the date of this machine is most likely wrong: set it.")
        }
        Err(NoTrust::WrongName) => {
            let subject = certificate.map_or("?", |c| c.subject.as_str());
            Judgement::failed(format!("the certificate is for another name (\"{subject}\", by \"{issuer}\")"))
                .here(format!("is the address right ({host})?"))
                .network(format!("who answers for {with}? It should be the contact center, not \"{subject}\"."))
        }
        Err(NoTrust::NoTls) => Judgement::failed(format!("what answers at {with} does not speak TLS"))
            .here("are address and port right?")
            .allow(with, "something in between answers instead"),
        Err(NoTrust::TimedOut) => Judgement::failed(format!("{with} takes the connection and then says nothing"))
            .allow(with, "the contact center"),
        Err(NoTrust::Proxy(407)) => Judgement::failed("the proxy wants a user name and password")
            .network(format!("let this machine through the proxy to {with}."))
            .here("or name them in the proxy's address (HTTPS_PROXY=http://user:password@proxy:port)."),
        Err(NoTrust::Proxy(status)) => {
            Judgement::failed(format!("the proxy refuses the way to {with} (HTTP {status})"))
                .network(format!("let the proxy pass CONNECT to {with}."))
        }
        Err(NoTrust::Other(reason)) => Judgement::failed(format!("no TLS with {with}: {reason}")),
    };
    match certificate {
        Some(certificate) => judged.with(certificate_details(certificate)),
        None => judged,
    }
}

pub(super) fn clock(ahead: Option<i64>) -> Judgement {
    let details = json!({"ahead_s": ahead});
    match ahead {
        None => Judgement::ok("the server gives no time to compare with").with(details),
        Some(ahead) if ahead.abs() > CLOCK_OFF_S => {
            let way = if ahead > 0 { "ahead" } else { "behind" };
            let span = humantime::format_duration(Duration::from_secs(ahead.unsigned_abs()));
            Judgement::warning(format!("this machine's clock is {span} {way}"))
                .with(details)
                .here("set the clock, by network time (NTP) if possible: encryption depends on it.")
        }
        Some(_) => Judgement::ok("agrees with the server's").with(details),
    }
}

pub(super) fn http(host: &str, found: &Result<u16, NoAnswer>) -> Judgement {
    match found {
        Ok(status) => Judgement::ok("answers").with(json!({"status": status})),
        Err(NoAnswer::Page { status, title }) => {
            let title = title.as_deref().map(|t| format!(" \"{t}\"")).unwrap_or_default();
            portal(format!("a web page{title} answers instead of the contact center (HTTP {status})"), host)
                .with(json!({"status": status, "captive_portal": true}))
        }
        Err(NoAnswer::Redirect(place)) => {
            portal(format!("the contact center's address leads to {place}"), host).with(json!({"captive_portal": true}))
        }
        Err(NoAnswer::ProxyPassword) => Judgement::failed("the proxy wants a user name and password")
            .network(format!("let this machine through the proxy to {host}.")),
        Err(NoAnswer::Broken(reason)) => Judgement::failed(format!("the answer of {host} broke off: {reason}"))
            .network(format!("something between here and {host} breaks HTTP: a proxy or a virus scanner?")),
        Err(NoAnswer::TimedOut) => Judgement::failed(format!("{host} does not answer"))
            .center(format!("the web server at {host} takes connections and does not answer.")),
    }
}

fn portal(message: String, host: &str) -> Judgement {
    Judgement::failed(message)
        .here("open a web browser: does the network ask to sign in? Is the address of the contact center right?")
        .network(format!("let this machine reach {host} without a sign-in page."))
}

pub(super) fn api(error: Option<&ApiError>) -> Judgement {
    use ErrorCode::*;
    let Some(error) = error else { return Judgement::ok("takes this app id") };
    let details = json!({"error_code": error.code().map(ErrorCode::code)});
    let judged = Judgement::failed(error.to_string()).with(details);
    match error.code() {
        Some(InvalidTenantUrl) => {
            judged.here("--tenant must be the contact center's domain, as its administrator names it.")
        }
        Some(AppIdMissing | InvalidApplication | ApplicationNotFound) => {
            judged.here("--app-id must be the id of a messaging scenario entry, as its administrator names it.")
        }
        Some(ClientIdMissing) => judged.here("--client-id (or none, and one is made)."),
        Some(AuthorizationMissing | AuthorizationFormat | AuthorizationScheme) => {
            judged.network("a proxy must not take out or change the Authorization header.")
        }
        Some(ServerTimeout | NoServer | ServerDisconnected | Internal | Unspecified) => {
            judged.center("its chat servers do not answer.")
        }
        _ if error.is_unauthorized() => judged.here("are --app-id and --tenant right?"),
        _ if error.is_transient() => judged.here("try again in a minute."),
        _ => judged.here("is the address of the contact center right?"),
    }
}

pub(super) fn hours(open: bool, word: &str, wait_s: Option<f64>) -> Judgement {
    let details = json!({"open": open, "word": word, "expected_wait_s": wait_s});
    if !open {
        let message = format!("closed now ({word}): calls can be made in opening hours");
        return Judgement::warning(message).with(details);
    }
    let wait = wait_s.map(|s| format!(", expected wait {s} s")).unwrap_or_default();
    Judgement::ok(format!("open{wait}")).with(details)
}

pub(super) fn latency(times: &[Duration]) -> Judgement {
    let (Some(median), Some(worst)) = (median(times), times.last()) else {
        return Judgement::failed("no request was answered");
    };
    let details = json!({"median_ms": ms(median), "worst_ms": ms(*worst), "requests": times.len()});
    let message = format!("{} (median of {}, worst {})", in_ms(median), times.len(), in_ms(*worst));
    if median > SLOW {
        return Judgement::warning(message)
            .with(details)
            .network("requests to the contact center are slow: is the line full, or a proxy too busy?");
    }
    Judgement::ok(message).with(details)
}

pub(super) fn chat(found: &Result<ChatFound, ApiError>) -> Judgement {
    match found {
        Ok(ChatFound { was_open: true, .. }) => {
            Judgement::ok("this client has a chat already, which was left alone").with(json!({"was_open": true}))
        }
        Ok(ChatFound { held: Some(held), .. }) => {
            Judgement::ok(format!("opened and ended; a poll was held for {:.1} s", held.as_secs_f64()))
                .with(json!({"was_open": false, "poll_held_ms": ms(*held)}))
        }
        Ok(ChatFound { held: None, .. }) => Judgement::warning("opened and ended; no poll was held")
            .with(json!({"was_open": false, "poll_held_ms": null})),
        Err(error) if error.is_transient() => Judgement::failed(error.to_string())
            .network("requests must be allowed to wait for their answer for 45 s: a proxy may cut them."),
        Err(error) => Judgement::failed(error.to_string()),
    }
}
