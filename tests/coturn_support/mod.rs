//! A real TURN server, coturn, over UDP, TCP and TLS.
#![allow(clippy::unwrap_used, dead_code, missing_docs)]

use chatphone::peer::RelaySettings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const USER: &str = "kiosk";
pub const PASSWORD: &str = "opensesame";
/// Of servers with credentials that expire.
pub const SECRET: &str = "a-secret-of-the-server";

/// What the server is like.
pub struct Options {
    /// Where it listens, and relays from.
    pub ip: IpAddr,
    /// Credentials expire (TURN REST).
    pub secret: bool,
    /// The name in the certificate; its address and `localhost` without one.
    pub name: Option<&'static str>,
    /// The certificate has ended.
    pub ended: bool,
    /// Further lines of its configuration.
    pub more: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST.into(), secret: false, name: None, ended: false, more: "" }
    }
}

/// A running coturn. It ends when it is dropped.
pub struct Coturn {
    process: Child,
    folder: TempDir,
    ip: IpAddr,
    pub port: u16,
    pub tls_port: u16,
}

/// A port that is free for UDP and TCP.
fn free_port(ip: IpAddr) -> u16 {
    loop {
        let port = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port();
        if UdpSocket::bind((ip, port)).is_ok() {
            return port;
        }
    }
}

impl Coturn {
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let ip = options.ip;
        let up = |port| TcpStream::connect((ip, port)).is_ok();
        Self::run(options, free_port(ip), free_port(ip), Command::new("turnserver"), up)
    }

    /// On these ports, by this command; `up` tells whether a port of it takes connections.
    pub fn run(options: Options, port: u16, tls_port: u16, command: Command, up: impl Fn(u16) -> bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let ip = options.ip;
        let names = options.name.map_or_else(|| vec![ip.to_string(), "localhost".into()], |name| vec![name.into()]);
        let mut params = CertificateParams::new(names).unwrap();
        if options.ended {
            params.not_after = rcgen::date_time_ymd(2020, 1, 2);
        }
        std::fs::write(path("ca.pem"), ca.pem()).unwrap();
        std::fs::write(path("cert.pem"), params.signed_by(&key, &ca).unwrap().pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let auth = match options.secret {
            true => format!("use-auth-secret\nstatic-auth-secret={SECRET}"),
            false => format!("lt-cred-mech\nuser={USER}:{PASSWORD}"),
        };
        let config = format!(
            "listening-ip={ip}\nrelay-ip={ip}\nlistening-port={port}\ntls-listening-port={tls_port}\n\
             cert={}\npkey={}\nuserdb={}\npidfile={}\nno-cli\ncli-password=x\nallow-loopback-peers\nrealm=test\n\
             fingerprint\nno-rfc5780\nno-dtls\nlog-file=stdout\n{auth}\n{}\n",
            path("cert.pem"),
            path("key.pem"),
            path("users.db"),
            path("turn.pid"),
            options.more,
        );
        std::fs::write(path("turn.conf"), config).unwrap();
        let process = begin(command, &folder);
        let server = Self { process, folder, ip, port, tls_port };
        server.wait(up);
        server
    }

    fn wait(&self, up: impl Fn(u16) -> bool) {
        let begun = Instant::now();
        while !(up(self.port) && up(self.tls_port)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "coturn did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn udp(&self) -> String {
        format!("turn:{}:{}?transport=udp", self.ip, self.port)
    }

    pub fn tcp(&self) -> String {
        format!("turn:{}:{}?transport=tcp", self.ip, self.port)
    }

    pub fn tls(&self) -> String {
        format!("turns:localhost:{}?transport=tcp", self.tls_port)
    }

    pub fn stun(&self) -> String {
        format!("stun:{}:{}", self.ip, self.port)
    }

    /// The authority that its certificate is of.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Trusts its authority.
    pub fn trusted(&self) -> RelaySettings {
        RelaySettings { ca_file: Some(self.ca_file()), ..RelaySettings::default() }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Sends it a signal: `STOP` makes it stall, `CONT` go on.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Ends it, with all that it relays, and begins anew.
    pub fn restart(&mut self) {
        self.kill();
        self.process = begin(Command::new("turnserver"), &self.folder);
        self.wait(|port| TcpStream::connect((self.ip, port)).is_ok());
    }
}

fn begin(mut command: Command, folder: &TempDir) -> Child {
    let at = |name: &str| folder.path().join(name);
    command
        .arg("-c")
        .arg(at("turn.conf"))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(at("log")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .expect("turnserver (Debian package coturn) is needed: scripts/install-deps test")
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.kill();
    }
}
