//! Asks a STUN or TURN server directly, for the reason that a peer does not tell: nobody there, refused, which error.
//!
//! A Binding for STUN (RFC 8489), an Allocate for TURN (RFC 8656), which is given back at once.

use super::connect::{Stream, connect, encrypt, proxy_endpoint, proxy_of_server, resolve, tunnel};
use super::finding::{Endpoint, NoConnection, NoTrust, Protocol};
use super::url::ServerUrl;
use crate::api::ProxyUrl;
use crate::api::types::one_line;
use futures::future::join_all;
use rtc::crypto::RTCCryptoProvider;
use rtc::stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME, ATTR_XORMAPPED_ADDRESS};
use rtc::stun::error_code::ErrorCodeAttribute;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    BINDING_REQUEST, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE, METHOD_REFRESH, Message,
    MessageType, Setter, TransactionId,
};
use rtc::stun::textattrs::TextAttribute;
use rtc::stun::xoraddr::XorMappedAddress;
use rtc::turn::proto::PROTO_UDP;
use rtc::turn::proto::lifetime::Lifetime;
use rtc::turn::proto::relayaddr::RelayedAddress;
use rtc::turn::proto::reqtrans::RequestedTransport;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// For one answer.
const LIMIT: Duration = Duration::from_secs(4);
/// A request over UDP is sent again after this, then after twice of it, and so on (RFC 8489, 6.2.1, with a shorter start).
const AGAIN: Duration = Duration::from_millis(300);
/// The largest message: more is no answer to these questions.
const MOST: usize = 4096;

/// What a server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Our address as it sees it.
    pub mapped: Option<SocketAddr>,
    /// The address it relays from.
    pub relayed: Option<SocketAddr>,
    /// How long it keeps that without being asked again.
    pub lifetime: Option<Duration>,
}

/// Why it gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotGranted {
    /// No connection to it; over UDP: no answer.
    NoConnection(NoConnection),
    /// No trusted TLS.
    NoTrust(NoTrust),
    /// It wants user name and password, and the contact center gave none.
    NoCredentials,
    /// It does not take user name and password that the contact center gave (401, or 403 after them).
    Credentials(u16),
    /// Another error of STUN: code and reason.
    Stun(u16, String),
    /// What answers is no STUN server.
    NoStun,
}

/// User name and password.
pub(super) type Credentials<'a> = (&'a str, &'a str);

enum Link {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>),
}

/// How a server is reached over TCP and TLS, as a peer reaches it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Whom to trust beside those whom the system trusts.
    pub ca_file: Option<&'a Path>,
    /// The proxy that was named; without one, what the system says.
    pub proxy: Option<&'a ProxyUrl>,
}

/// Asks `server` for what it is for.
pub(super) async fn ask(
    server: &ServerUrl,
    credentials: Option<Credentials<'_>>,
    way: Way<'_>,
) -> Result<Granted, NotGranted> {
    let mut link = open(server, way).await?;
    if !server.is_turn() {
        return link.bind().await;
    }
    link.allocate(credentials).await
}

async fn open(server: &ServerUrl, Way { ca_file, proxy }: Way<'_>) -> Result<Link, NotGranted> {
    let endpoint = server.endpoint();
    if endpoint.protocol == Protocol::Udp {
        let addresses = resolve(&endpoint.host, endpoint.port).await.map_err(NotGranted::NoConnection)?;
        return udp(&addresses).await.map_err(NotGranted::NoConnection);
    }
    let stream: Box<dyn Stream> = match proxy_of_server(endpoint, proxy) {
        Some(proxy) => {
            let at = proxy_endpoint(&proxy).ok_or(NotGranted::NoConnection(NoConnection::NoRoute))?;
            let stream = tcp(&at).await?;
            Box::new(tunnel(stream, &proxy, endpoint, ca_file).await.map_err(NotGranted::NoTrust)?)
        }
        None => Box::new(tcp(endpoint).await?),
    };
    if endpoint.protocol == Protocol::Tcp {
        return Ok(Link::Stream(stream));
    }
    let encrypted = encrypt(stream, &endpoint.host, ca_file, &[b"stun.turn"]).await.map_err(NotGranted::NoTrust)?;
    match encrypted.seen.distrust {
        Some(distrust) => Err(NotGranted::NoTrust(distrust)),
        None => Ok(Link::Stream(Box::new(encrypted.stream))),
    }
}

async fn tcp(to: &Endpoint) -> Result<TcpStream, NotGranted> {
    let addresses = resolve(&to.host, to.port).await.map_err(NotGranted::NoConnection)?;
    let (stream, _) = connect(&addresses).await.stream.map_err(NotGranted::NoConnection)?;
    Ok(stream)
}

/// Connected, so that a refusal (ICMP) is heard. IPv4 where there is one, as media goes.
async fn udp(addresses: &[SocketAddr]) -> Result<Link, NoConnection> {
    let address = addresses.iter().find(|a| a.is_ipv4()).or(addresses.first()).ok_or(NoConnection::NoRoute)?;
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|e| super::connect::why(&e))?;
    socket.connect(address).await.map_err(|e| super::connect::why(&e))?;
    Ok(Link::Udp(socket))
}

impl Link {
    async fn bind(&mut self) -> Result<Granted, NotGranted> {
        let answer = self.exchange(&message(BINDING_REQUEST, Vec::new())?).await?;
        let mapped = mapped(&answer);
        if answer.typ.class != CLASS_SUCCESS_RESPONSE {
            return Err(refusal(&answer));
        }
        Ok(Granted { mapped, relayed: None, lifetime: None })
    }

    async fn allocate(&mut self, credentials: Option<Credentials<'_>>) -> Result<Granted, NotGranted> {
        let kind = MessageType::new(METHOD_ALLOCATE, CLASS_REQUEST);
        let udp = || Box::new(RequestedTransport { protocol: PROTO_UDP });
        let mut answer = self.exchange(&message(kind, vec![udp()])?).await?;
        let mut signed = None;
        // 438: the nonce was too old; another comes with the answer.
        for _ in 0..2 {
            let code = error(&answer).map_or(0, |(code, _)| code);
            if answer.typ.class == CLASS_SUCCESS_RESPONSE || (code != 401 && code != 438) {
                break;
            }
            if code == 401 && signed.is_some() {
                break;
            }
            let credentials = credentials.ok_or(NotGranted::NoCredentials)?;
            let signature = Signature::of(&answer, credentials).ok_or(NotGranted::NoStun)?;
            let request = signature.sign(kind, vec![udp()])?;
            signed = Some(signature);
            answer = self.exchange(&request).await?;
        }
        if answer.typ.class != CLASS_SUCCESS_RESPONSE {
            return Err(match error(&answer) {
                Some((code @ (401 | 403), _)) if signed.is_some() => NotGranted::Credentials(code),
                _ => refusal(&answer),
            });
        }
        let granted = Granted {
            mapped: mapped(&answer),
            relayed: read::<RelayedAddress>(&answer).map(|a| SocketAddr::new(a.ip, a.port)),
            lifetime: read::<Lifetime>(&answer).map(|l| l.0),
        };
        let refresh = MessageType::new(METHOD_REFRESH, CLASS_REQUEST);
        let end: Vec<Box<dyn Setter>> = vec![Box::new(Lifetime(Duration::ZERO))];
        let release = match &signed {
            Some(signature) => signature.sign(refresh, end)?,
            None => message(refresh, end)?,
        };
        // It ends by itself where this is lost.
        let _ = self.send(&release).await;
        Ok(granted)
    }

    async fn send(&mut self, request: &Message) -> Result<(), NotGranted> {
        let sent = match self {
            Self::Udp(socket) => socket.send(&request.raw).await.map(|_| ()),
            Self::Stream(stream) => match stream.write_all(&request.raw).await {
                Ok(()) => stream.flush().await,
                failed => failed,
            },
        };
        sent.map_err(|e| NotGranted::NoConnection(super::connect::why(&e)))
    }

    /// Sends a request, until it is answered or given up.
    async fn exchange(&mut self, request: &Message) -> Result<Message, NotGranted> {
        let deadline = Instant::now() + LIMIT;
        let mut again = AGAIN;
        loop {
            self.send(request).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = if matches!(self, Self::Udp(_)) { again.min(left) } else { left };
            match timeout(wait, self.receive(request.transaction_id)).await {
                Ok(answer) => return answer,
                Err(_) if left.is_zero() || wait == left => {
                    return Err(NotGranted::NoConnection(NoConnection::TimedOut));
                }
                Err(_) => again *= 2,
            }
        }
    }

    async fn receive(&mut self, transaction: TransactionId) -> Result<Message, NotGranted> {
        loop {
            let raw = match self {
                Self::Udp(socket) => {
                    let mut raw = vec![0; MOST];
                    let n =
                        socket.recv(&mut raw).await.map_err(|e| NotGranted::NoConnection(super::connect::why(&e)))?;
                    raw.truncate(n);
                    raw
                }
                Self::Stream(stream) => framed(stream).await?,
            };
            match decoded(raw) {
                Some(answer) if answer.transaction_id == transaction => return Ok(answer),
                // Something else on a socket that anybody can send to.
                _ if matches!(self, Self::Udp(_)) => {}
                _ => return Err(NotGranted::NoStun),
            }
        }
    }
}

/// One message of a stream: its header tells its length (RFC 8489, 5).
async fn framed(stream: &mut Box<dyn Stream>) -> Result<Vec<u8>, NotGranted> {
    let mut raw = vec![0; 20];
    stream.read_exact(&mut raw).await.map_err(|_| NotGranted::NoStun)?;
    let length = usize::from(u16::from_be_bytes([raw[2], raw[3]]));
    if raw[0] >= 4 || length > MOST {
        return Err(NotGranted::NoStun);
    }
    raw.resize(20 + length, 0);
    stream.read_exact(&mut raw[20..]).await.map_err(|_| NotGranted::NoStun)?;
    Ok(raw)
}

fn decoded(raw: Vec<u8>) -> Option<Message> {
    let mut message = Message { raw, ..Message::new() };
    message.decode().ok()?;
    Some(message)
}

fn failed(error: rtc::shared::error::Error) -> NotGranted {
    NotGranted::Stun(0, error.to_string())
}

fn message(kind: MessageType, attributes: Vec<Box<dyn Setter + '_>>) -> Result<Message, NotGranted> {
    let mut setters: Vec<Box<dyn Setter + '_>> = vec![Box::new(kind), Box::new(TransactionId::new())];
    setters.extend(attributes);
    let mut message = Message::new();
    message.build(&setters).map_err(failed)?;
    Ok(message)
}

/// Realm and nonce of the server, with whom we are (RFC 8489, 9.2).
struct Signature {
    username: String,
    realm: String,
    nonce: String,
    password: String,
    crypto: std::sync::Arc<dyn RTCCryptoProvider>,
}

impl Signature {
    fn of(answer: &Message, (username, password): Credentials<'_>) -> Option<Self> {
        let text = |attribute| TextAttribute::get_from_as(answer, attribute).ok().map(|a| a.text);
        Some(Self {
            username: username.to_owned(),
            realm: text(ATTR_REALM)?,
            nonce: text(ATTR_NONCE)?,
            password: password.to_owned(),
            crypto: rtc::crypto::default_provider().ok()?,
        })
    }

    fn sign<'a>(&'a self, kind: MessageType, mut attributes: Vec<Box<dyn Setter + 'a>>) -> Result<Message, NotGranted> {
        let Self { username, realm, nonce, password, crypto } = self;
        for (attribute, text) in [(ATTR_USERNAME, username), (ATTR_REALM, realm), (ATTR_NONCE, nonce)] {
            attributes.push(Box::new(TextAttribute::new(attribute, text.clone())));
        }
        let integrity = MessageIntegrity::new_long_term_integrity_with_provider(
            username.clone(),
            realm.clone(),
            password.clone(),
            crypto.crypto(),
        );
        attributes.push(Box::new(integrity.map_err(failed)?));
        message(kind, attributes)
    }
}

fn read<T: Getter + Default>(message: &Message) -> Option<T> {
    let mut value = T::default();
    value.get_from(message).ok()?;
    Some(value)
}

fn mapped(answer: &Message) -> Option<SocketAddr> {
    let mut address = XorMappedAddress::default();
    address.get_from_as(answer, ATTR_XORMAPPED_ADDRESS).ok()?;
    Some(SocketAddr::new(address.ip, address.port))
}

fn error(answer: &Message) -> Option<(u16, String)> {
    let error = read::<ErrorCodeAttribute>(answer)?;
    Some((error.code.0, one_line(&String::from_utf8_lossy(&error.reason))))
}

fn refusal(answer: &Message) -> NotGranted {
    match error(answer) {
        Some((code, reason)) => NotGranted::Stun(code, reason),
        None => NotGranted::NoStun,
    }
}

/// Our address as each of several UDP servers sees it, asked from one socket: what RFC 5780, 4.3 compares. Servers that do
/// not answer are left out; so are further names of one address.
pub(super) async fn mappings(servers: &[&ServerUrl]) -> Vec<(SocketAddr, SocketAddr)> {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await else { return Vec::new() };
    let mut asked: Vec<(SocketAddr, Message)> = Vec::new();
    // At once: a name that is never answered would hold up the others.
    let found = join_all(servers.iter().map(|server| resolve(&server.endpoint().host, server.endpoint().port))).await;
    for addresses in found.into_iter().flatten() {
        let Some(address) = addresses.into_iter().find(SocketAddr::is_ipv4) else { continue };
        if asked.iter().all(|(known, _)| known.ip() != address.ip())
            && let Ok(request) = message(BINDING_REQUEST, Vec::new())
        {
            asked.push((address, request));
        }
    }
    let mut found: Vec<(SocketAddr, SocketAddr)> = Vec::new();
    for wait in [1, 2, 4] {
        for (address, request) in &asked {
            if !found.iter().any(|(known, _)| known == address) {
                let _ = socket.send_to(&request.raw, address).await;
            }
        }
        let until = tokio::time::Instant::now() + AGAIN * wait;
        while found.len() < asked.len() {
            let mut raw = vec![0; MOST];
            let Ok(Ok((n, from))) = tokio::time::timeout_at(until, socket.recv_from(&mut raw)).await else { break };
            raw.truncate(n);
            let Some(answer) = decoded(raw) else { continue };
            let ours = asked.iter().any(|(_, request)| request.transaction_id == answer.transaction_id);
            if let (true, Some(mapped)) = (ours && !found.iter().any(|(known, _)| *known == from), mapped(&answer)) {
                found.push((from, mapped));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_server_is_asked_through_the_proxy_that_knows_its_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy: ProxyUrl = listener.local_addr().unwrap().to_string().parse().unwrap();
        let forbids = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1024];
            let n = stream.read(&mut asked).await.unwrap();
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(asked[..n].to_vec()).unwrap()
        });
        let server = ServerUrl::parse("turns:turn.invalid:443?transport=tcp").unwrap();
        let answer = ask(&server, Some(("u", "p")), Way { ca_file: None, proxy: Some(&proxy) }).await;
        assert_eq!(answer, Err(NotGranted::NoTrust(NoTrust::Proxy(403))));
        assert!(forbids.await.unwrap().starts_with("CONNECT turn.invalid:443 HTTP/1.1\r\n"));
    }
}
