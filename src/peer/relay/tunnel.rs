//! The stream between one socket of a peer and one server: opened by the first datagram, opened again after it broke.

use super::dial::{Stream, dial};
use super::frame::{Decoder, encode};
use super::inbox::Inbox;
use super::queue::Queue;
use super::relays::Relays;
use bytes::{Bytes, BytesMut};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long after a failure the server is asked again; doubled each time.
const RETRY_AFTER: Duration = Duration::from_millis(500);
const RETRY_AT_MOST: Duration = Duration::from_secs(30);
/// What is given to the stream at once. What waits beyond it may still be dropped for being late.
const BATCH: usize = 16 * 1024;

/// A socket's end of the stream. Dropping it ends the stream.
#[derive(Debug)]
pub(super) struct Tunnel {
    out: Arc<Out>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Out {
    queue: Mutex<Queue>,
    filled: Notify,
}

impl Out {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn send(&self, datagram: Bytes) {
        self.queue().push(datagram, Instant::now());
        self.filled.notify_one();
    }
}

impl Tunnel {
    /// Starts the task that serves it. What comes from the server `index` goes to `inbox`. With an `address` it is a
    /// socket of its own for datagrams, bound to `local`.
    pub fn start(
        relays: Arc<Relays>,
        index: usize,
        inbox: Arc<Inbox>,
        local: IpAddr,
        address: Option<SocketAddr>,
    ) -> Self {
        let out = Arc::new(Out::default());
        let to = Arc::clone(&out);
        let task = match address {
            None => tokio::spawn(run(relays, index, inbox, to)),
            Some(address) => tokio::spawn(async move {
                if let Err(error) = datagrams(&relays, index, &inbox, &to, (local, 0).into(), address).await {
                    relays.ended(index, None, error.to_string());
                }
            }),
        };
        Self { out, task }
    }

    /// Gives how many datagrams were dropped for it: the task itself may be held up by the stream.
    pub fn send(&self, datagram: Bytes) -> u64 {
        self.out.send(datagram);
        self.out.queue().take_dropped()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(relays: Arc<Relays>, index: usize, inbox: Arc<Inbox>, out: Arc<Out>) {
    let mut wait = RETRY_AFTER;
    loop {
        // Without a connection nothing is relayed: a new one is worth it for a request alone.
        let nothing_is_asked = {
            let mut queue = out.queue();
            queue.drop_media();
            queue.is_empty()
        };
        if nothing_is_asked {
            out.filled.notified().await;
            continue;
        }
        let server = relays.server(index);
        match dial(server, relays.settings()).await {
            Ok(stream) => {
                tracing::debug!(server = server.url, "connected to the relay");
                let relayed = Mutex::default();
                let why = serve(stream, &relays, index, &inbox, &out, &relayed).await;
                let relayed = *lock(&relayed);
                // One that closes at once is asked less and less.
                if relayed.is_some() {
                    wait = RETRY_AFTER;
                }
                relays.ended(index, relayed, why);
            }
            Err(error) => relays.ended(index, None, error.to_string()),
        }
        // What is said until then is for nobody: requests are repeated.
        sleep(wait).await;
        out.queue().clear();
        wait = (wait * 2).min(RETRY_AT_MOST);
    }
}

/// The address that the server relays for over one connection.
type Relayed = Mutex<Option<SocketAddr>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the stream until it ends; gives why.
async fn serve(
    stream: Box<dyn Stream>,
    relays: &Relays,
    index: usize,
    inbox: &Inbox,
    out: &Out,
    relayed: &Relayed,
) -> String {
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        why = read(reader, relays, index, inbox, out, relayed) => why,
        Err(error) = write(writer, relays, index, out) => error.to_string(),
    }
}

async fn read(
    mut stream: ReadHalf<Box<dyn Stream>>,
    relays: &Relays,
    index: usize,
    inbox: &Inbox,
    out: &Out,
    relayed: &Relayed,
) -> String {
    let mut decoder = Decoder::default();
    let mut piece = vec![0; BATCH];
    loop {
        match stream.read(&mut piece).await {
            Ok(0) => return "it closed the connection".into(),
            Ok(n) => decoder.extend(&piece[..n]),
            Err(error) => return error.to_string(),
        }
        loop {
            match decoder.next() {
                Ok(Some(datagram)) => {
                    if let Some(address) = relays.received(index, datagram, inbox, |again| out.send(again.into())) {
                        *lock(relayed) = Some(address);
                    }
                }
                Ok(None) => break,
                Err(error) => return error.to_string(),
            }
        }
        relays.count_dropped(index, inbox.take_dropped());
    }
}

async fn write(
    mut stream: WriteHalf<Box<dyn Stream>>,
    relays: &Relays,
    index: usize,
    out: &Out,
) -> io::Result<std::convert::Infallible> {
    let mut batch = BytesMut::new();
    loop {
        {
            let mut queue = out.queue();
            while batch.len() < BATCH
                && let Some(datagram) = queue.pop(Instant::now())
            {
                if !encode(&datagram, &mut batch) {
                    tracing::debug!("a datagram that is no TURN is not sent to a relay");
                }
            }
            relays.count_dropped(index, queue.take_dropped());
        }
        if batch.is_empty() {
            out.filled.notified().await;
            continue;
        }
        stream.write_all(&batch).await?;
        stream.flush().await?;
        batch.clear();
    }
}

/// Datagrams by a socket of its own, until it breaks.
async fn datagrams(
    relays: &Relays,
    index: usize,
    inbox: &Inbox,
    out: &Out,
    local: SocketAddr,
    server: SocketAddr,
) -> io::Result<()> {
    let socket = tokio::net::UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let mut datagram = vec![0; 64 * 1024];
    loop {
        let next = out.queue().pop(Instant::now());
        if let Some(next) = next {
            // A server that is away may come back; requests are repeated.
            let _ = socket.send(&next).await;
            continue;
        }
        tokio::select! {
            () = out.filled.notified() => {}
            received = socket.recv(&mut datagram) => if let Ok(n) = received {
                let came = Bytes::copy_from_slice(&datagram[..n]);
                relays.received(index, came, inbox, |again| out.send(again.into()));
            },
        }
    }
}
