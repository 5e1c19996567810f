//! A real coturn over UDP, TCP and TLS, on an address of this machine.

use rcgen::{CertificateParams, KeyPair};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const USER: &str = "kiosk";
pub const PASSWORD: &str = "opensesame";

pub struct Coturn {
    process: Child,
    folder: TempDir,
    pub port: u16,
    pub tls_port: u16,
    ip: IpAddr,
}

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
        Self::at(Ipv4Addr::LOCALHOST.into())
    }

    pub fn at(ip: IpAddr) -> Self {
        Self::run(ip, free_port(ip), free_port(ip), Command::new("turnserver"), |port| {
            TcpStream::connect((ip, port)).is_ok()
        })
    }

    /// On these ports, by this command; `up` tells whether a port of it takes connections.
    pub fn run(ip: IpAddr, port: u16, tls_port: u16, mut command: Command, up: impl Fn(u16) -> bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        // Vouches for itself, and for its address.
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![ip.to_string(), "localhost".into()]).unwrap();
        std::fs::write(path("cert.pem"), certificate.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let text = format!(
            "listening-ip={ip}\nrelay-ip={ip}\nlistening-port={port}\ntls-listening-port={tls_port}\n\
             lt-cred-mech\nuser={USER}:{PASSWORD}\nrealm=test\nallow-loopback-peers\nno-cli\ncli-password=x\n\
             no-dtls\nlog-file=stdout\nuserdb={}\npidfile={}\ncert={}\npkey={}\n",
            path("db"),
            path("pid"),
            path("cert.pem"),
            path("key.pem"),
        );
        std::fs::write(path("turn.conf"), text).unwrap();
        let process = command
            .args(["-c", &path("turn.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("coturn is installed");
        let begun = Instant::now();
        while !(up(port) && up(tls_port)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "coturn did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, folder, port, tls_port, ip }
    }

    pub fn udp(&self) -> String {
        format!("turn:{}:{}", self.ip, self.port)
    }

    pub fn tcp(&self) -> String {
        format!("turn:{}:{}?transport=tcp", self.ip, self.port)
    }

    pub fn tls(&self) -> String {
        format!("turns:{}:{}", self.ip, self.tls_port)
    }

    pub fn stun(&self) -> String {
        format!("stun:{}:{}", self.ip, self.port)
    }

    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
