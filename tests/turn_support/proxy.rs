//! Servers of few words: an HTTP proxy, and some that are of no use to anybody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that connects whoever names `authorization` (all, without one), and counts them.
pub struct HttpProxy {
    pub address: SocketAddr,
    pub connected: Arc<AtomicUsize>,
}

impl HttpProxy {
    pub async fn start(authorization: Option<&'static str>) -> Self {
        Self::with(authorization, false).await
    }

    /// One that lets nobody through.
    pub async fn forbidding() -> Self {
        Self::with(None, true).await
    }

    async fn with(authorization: Option<&'static str>, forbids: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connected = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connected);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let _ = serve(stream, authorization, forbids, &count).await;
                });
            }
        });
        Self { address, connected }
    }

    pub fn count(&self) -> usize {
        self.connected.load(Ordering::SeqCst)
    }
}

async fn serve(
    stream: TcpStream,
    authorization: Option<&str>,
    forbids: bool,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let target =
        lines[0].strip_prefix("CONNECT ").and_then(|l| l.strip_suffix(" HTTP/1.1")).unwrap_or_default().to_owned();
    if let Some(wanted) = authorization
        && !lines.contains(&format!("Proxy-Authorization: Basic {wanted}"))
    {
        return stream
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n")
            .await;
    }
    if forbids {
        return stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    }
    let mut onward = TcpStream::connect(&target).await?;
    count.fetch_add(1, Ordering::SeqCst);
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut onward).await?;
    Ok(())
}

/// Takes connections and never says a word. Its connections stay open for as long as it lives.
pub async fn silent() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let taken = Arc::clone(&count);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.fetch_add(1, Ordering::SeqCst);
            kept.push(stream);
        }
    });
    (address, count)
}
