//! A connection that ends when its owner drops it.
//!
//! The crate's driver, with its sockets, runs on until the connection is told to close, also when nobody holds it any more.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use webrtc::peer_connection::PeerConnection;

pub(super) struct Connection {
    /// `None` only while it is dropped.
    inner: Option<Box<dyn PeerConnection>>,
    closed: AtomicBool,
}

impl Connection {
    pub fn new(inner: impl PeerConnection + 'static) -> Self {
        Self { inner: Some(Box::new(inner)), closed: AtomicBool::new(false) }
    }

    /// Closes it. An end that is given up half way is made by the drop.
    pub async fn close(&self) {
        close(&**self).await;
        self.closed.store(true, Ordering::Release);
    }
}

async fn close(connection: &dyn PeerConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the peer did not close cleanly");
    }
}

impl Deref for Connection {
    type Target = dyn PeerConnection;

    fn deref(&self) -> &Self::Target {
        self.inner.as_deref().expect("only the drop takes it")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let closed = self.closed.load(Ordering::Acquire);
        let Some(inner) = self.inner.take().filter(|_| !closed) else { return };
        // Without a runtime there is no driver either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { close(&*inner).await });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::peer::{AudioPeer, LocalNetwork, PeerConfig};
    use chatphone_media::audio::codec::CodecKind;
    use std::time::Duration;
    use tokio::runtime::Handle;

    fn config() -> PeerConfig {
        let network = LocalNetwork::towards(Some([127, 0, 0, 1].into()));
        PeerConfig {
            ice_servers: Vec::new(),
            relays: Default::default(),
            network,
            relay_only: false,
            codecs: vec![CodecKind::Opus],
        }
    }

    async fn no_task_is_left() {
        let gone = async {
            while Handle::current().metrics().num_alive_tasks() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("a task is left");
    }

    #[tokio::test]
    async fn a_peer_that_is_dropped_ends_with_its_tasks() {
        let (peer, _events) = AudioPeer::new(config()).await.unwrap();
        peer.create_offer().await.unwrap();
        assert!(Handle::current().metrics().num_alive_tasks() > 0);
        drop(peer);
        no_task_is_left().await;
    }

    #[tokio::test]
    async fn a_peer_that_is_given_up_while_it_is_made_ends_too() {
        let mut making = Box::pin(AudioPeer::new(config()));
        assert!(futures::poll!(&mut making).is_pending());
        drop(making);
        no_task_is_left().await;
    }
}
