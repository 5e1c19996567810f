//! Ctrl-C, and where there is such a thing SIGTERM.

/// The signals that ask a program to end, caught from the moment this is made.
pub struct Interrupts {
    #[cfg(unix)]
    signals: Option<[tokio::signal::unix::Signal; 2]>,
}

impl Interrupts {
    /// Catches them from now on. Within a tokio runtime.
    pub fn take() -> Self {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            #[cfg(unix)]
            signals: signal(SignalKind::interrupt()).and_then(|i| Ok([i, signal(SignalKind::terminate())?])).ok(),
        }
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if let Some([interrupt, terminate]) = &mut self.signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        // Without a handler the default action ends the program.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for the first; a second one ends the process at once.
    pub async fn first(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(1);
        });
    }
}
