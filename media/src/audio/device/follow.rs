//! Keeps a microphone or speaker going while devices come and go.
//!
//! A thread of its own watches the stream in use, and now and then what devices there are. [`aim`] says which one should
//! be in use; when that is another than the one that is, or when the stream is lost, the thread opens the right one and
//! hands its end of the ring to the call, which until then has silence. A stream that does not call back any more is
//! lost too: some sound systems never report it.

use super::{
    Direction, Error,
    list::{self, Known},
    stream::{Keeper, Opened, Shared, Totals},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering::{Relaxed, SeqCst},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// How often the stream is looked at.
const WATCH: Duration = Duration::from_millis(100);

/// How often the devices there are are looked at.
const PROBE: Duration = Duration::from_secs(1);

/// How often that is while there is none to use.
const PROBE_WITHOUT: Duration = Duration::from_millis(500);

/// How often soon after a change: a plug that was pulled by mistake is put back.
const PROBE_LATELY: Duration = Duration::from_millis(200);

/// How soon.
const LATELY: Duration = Duration::from_secs(60);

/// A stream that called back once and then not for so long is lost.
const STALLED: Duration = Duration::from_secs(2);

/// A stream that never called back for so long is lost. Some take two seconds to begin.
const NEVER_BEGAN: Duration = Duration::from_secs(6);

/// Between two tries to open a device.
const RETRY: Duration = Duration::from_millis(500);

/// A device that failed is not tried again for so long, if there is another one.
const AVOID: Duration = Duration::from_secs(10);

/// So long is waited for the sound system that was in use before devices of another one are taken: a sound server that
/// restarts must not find its device taken by us.
const FAITHFUL: Duration = Duration::from_secs(10);

/// Which device is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// By name or id, as [`list()`](super::list()) has them; in any case, and a part that fits only one is enough. None: the
    /// system's default, whichever that is at the time.
    pub name: Option<String>,
    /// Begin with the default when the one named is not there, instead of failing.
    pub or_default: bool,
}

impl Wanted {
    /// The device with this name or id, or the default one; it must be there at the beginning.
    pub fn named(name: Option<&str>) -> Self {
        Self { name: name.map(str::to_owned), or_default: false }
    }
}

/// A device came or went while it was in use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeviceEvent {
    /// Which side.
    pub direction: Direction,
    /// What happened.
    #[serde(flatten)]
    pub change: DeviceChange,
}

/// What happened to a device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum DeviceChange {
    /// It is gone, and nothing has taken its place yet: silence until then.
    Lost {
        /// Its name.
        name: String,
    },
    /// Another device is in use now.
    Replaced {
        /// The one in use before.
        before: String,
        /// The one in use now.
        now: String,
    },
    /// It is back.
    Restored {
        /// Its name.
        name: String,
    },
}

impl std::fmt::Display for DeviceEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let direction = self.direction;
        match &self.change {
            DeviceChange::Lost { name } => write!(f, "the {direction} {name} went away"),
            DeviceChange::Replaced { before, now } => write!(f, "the {direction} is now {now} instead of {before}"),
            DeviceChange::Restored { name } => write!(f, "the {direction} {name} is back"),
        }
    }
}

/// Told of what happens to a device, on a thread that may wait.
pub type Listener = Box<dyn Fn(DeviceEvent) + Send>;

/// An open stream and the call's end of it.
pub(super) struct Line<E> {
    pub end: E,
    pub keeper: Keeper,
    pub opened: Opened,
    pub shared: Arc<Shared>,
}

/// How to open a stream on the device with this name or id, or the default one.
pub(super) type Open<E> = fn(Option<&str>, Arc<Totals>) -> Result<Line<E>, Error>;

/// The call's side: gets a new end whenever the device changes. Dropping it closes the device.
pub(super) struct Follower<E> {
    ends: Receiver<E>,
    _alive: Sender<()>,
    name: Arc<Mutex<String>>,
}

impl<E: Send + 'static> Follower<E> {
    /// Opens a device and follows it. Returns the first end.
    pub fn start(
        direction: Direction,
        wanted: Wanted,
        totals: &Arc<Totals>,
        open: Open<E>,
        listener: Listener,
    ) -> Result<(Self, E), Error> {
        let line = match open(wanted.name.as_deref(), totals.clone()) {
            Err(Error::Unknown { .. } | Error::NoDevice { .. }) if wanted.or_default => open(None, totals.clone())?,
            opened => opened?,
        };
        let name = Arc::new(Mutex::new(line.opened.name.clone()));
        let (alive, closed) = channel();
        let (tell, ends) = channel();
        let Line { end, keeper, opened, shared } = line;
        let watch = Watch {
            direction,
            wanted: wanted.name,
            totals: totals.clone(),
            open,
            listener,
            ends: tell,
            name: name.clone(),
            prober: Prober::default(),
            last: opened.clone(),
            current: Some(Current { _keeper: keeper, id: opened.id, shared, seen: 0, seen_at: Instant::now() }),
            lost_at: Instant::now(),
            changed_at: None,
            next_try: Instant::now(),
            avoid: None,
        };
        let spawned = thread::Builder::new().name("audio-follow".into()).spawn(move || watch.run(&closed));
        spawned.map_err(|error| Error::Open { name: opened.name, reason: error.to_string() })?;
        Ok((Self { ends, _alive: alive, name }, end))
    }

    /// The end of a new device, if there is one. Never waits.
    pub fn newer(&self) -> Option<E> {
        self.ends.try_iter().last()
    }

    /// The name of the device in use, or of the last one.
    pub fn name(&self) -> String {
        self.name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Current {
    _keeper: Keeper,
    id: String,
    shared: Arc<Shared>,
    /// Callbacks when it was last looked at, and when there was a new one.
    seen: u64,
    seen_at: Instant,
}

impl Current {
    /// Whether the stream is over, by its own word or its silence.
    fn is_lost(&mut self, now: Instant) -> bool {
        let callbacks = self.shared.callbacks.load(Relaxed);
        if callbacks != self.seen {
            (self.seen, self.seen_at) = (callbacks, now);
        }
        let patience = if callbacks == 0 { NEVER_BEGAN } else { STALLED };
        self.shared.lost.load(SeqCst) || now.duration_since(self.seen_at) > patience
    }
}

struct Watch<E> {
    direction: Direction,
    wanted: Option<String>,
    totals: Arc<Totals>,
    open: Open<E>,
    listener: Listener,
    ends: Sender<E>,
    name: Arc<Mutex<String>>,
    prober: Prober,
    /// The device in use, or the last one that was.
    last: Opened,
    current: Option<Current>,
    lost_at: Instant,
    /// The last time that a device went or another took its place.
    changed_at: Option<Instant>,
    next_try: Instant,
    /// A device that failed, and when.
    avoid: Option<(String, Instant)>,
}

impl<E: Send + 'static> Watch<E> {
    fn run(mut self, closed: &Receiver<()>) {
        while closed.recv_timeout(WATCH) == Err(RecvTimeoutError::Timeout) {
            self.step(Instant::now());
        }
    }

    fn step(&mut self, now: Instant) {
        if self.current.as_mut().is_some_and(|current| current.is_lost(now)) {
            self.lose(now);
        }
        if self.avoid.as_ref().is_some_and(|(_, since)| now.duration_since(*since) > AVOID) {
            self.avoid = None;
        }
        let host = self.host(now);
        if self.prober.is_due(now, self.probe_every(now)) && self.worth_probing() {
            self.prober.ask(self.direction, host.clone(), now);
        }
        let Some(mut known) = self.prober.answer() else { return };
        known.retain(|device| self.avoid.as_ref().is_none_or(|(id, _)| *id != device.id));
        let Some(aim) = aim(&known, self.wanted.as_deref()) else { return };
        let in_use = self.current.as_ref().map(|current| current.id.as_str());
        if in_use != Some(aim.id.as_str()) && now >= self.next_try {
            self.change_to(&aim.id.clone(), now);
        }
    }

    /// The only sound system that counts, for a while.
    fn host(&self, now: Instant) -> Option<String> {
        let impatient = self.current.is_none() && now.duration_since(self.lost_at) > FAITHFUL;
        let (host, _) = self.last.id.split_once(':')?;
        (!impatient).then(|| host.to_owned())
    }

    fn probe_every(&self, now: Instant) -> Duration {
        match self.current {
            _ if self.changed_at.is_some_and(|at| now.saturating_duration_since(at) < LATELY) => PROBE_LATELY,
            None => PROBE_WITHOUT,
            Some(_) => PROBE,
        }
    }

    /// ALSA is asked by opening each device, and has no default that moves: it is left alone while all is well.
    fn worth_probing(&self) -> bool {
        let well = self.current.is_some()
            && self.wanted.as_deref().is_none_or(|wanted| list::fits(&self.last.name, &self.last.id, wanted));
        !(well && self.last.id.starts_with("alsa:"))
    }

    fn lose(&mut self, now: Instant) {
        let Some(current) = self.current.take() else { return };
        if current.seen == 0 {
            self.avoid = Some((current.id.clone(), now));
        }
        // Its own thread drops the stream, and hangs alone if that hangs.
        drop(current);
        self.totals.missing.store(true, SeqCst);
        self.totals.losses.fetch_add(1, Relaxed);
        (self.lost_at, self.next_try, self.changed_at) = (now, now, Some(now));
        self.prober.hurry();
        self.say(DeviceChange::Lost { name: self.last.name.clone() });
    }

    fn change_to(&mut self, id: &str, now: Instant) {
        let line = match (self.open)(Some(id), self.totals.clone()) {
            Ok(line) => line,
            Err(error) => {
                tracing::debug!(%error, device = id, "a device cannot be opened yet");
                self.next_try = Instant::now() + RETRY;
                if self.current.is_some() || now.duration_since(self.lost_at) > 2 * RETRY {
                    self.avoid = Some((id.to_owned(), Instant::now()));
                }
                return;
            }
        };
        let Line { end, keeper, opened, shared } = line;
        if self.ends.send(end).is_err() {
            return;
        }
        let began = Instant::now();
        self.changed_at = Some(began);
        self.current = Some(Current { _keeper: keeper, id: opened.id.clone(), shared, seen: 0, seen_at: began });
        self.totals.missing.store(false, SeqCst);
        self.totals.changes.fetch_add(1, Relaxed);
        let before = std::mem::replace(&mut self.last, opened);
        let now = self.last.name.clone();
        self.name.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&now);
        let chosen = self.wanted.as_deref().is_some_and(|wanted| list::fits(&now, &self.last.id, wanted));
        self.say(if before.id == self.last.id || chosen {
            DeviceChange::Restored { name: now }
        } else {
            DeviceChange::Replaced { before: before.name, now }
        });
    }

    fn say(&self, change: DeviceChange) {
        let event = DeviceEvent { direction: self.direction, change };
        tracing::warn!("{event}");
        (self.listener)(event);
    }
}

/// The device that should be in use: the wanted one if it is there, else the default one, else any.
fn aim<'a>(known: &'a [Known], wanted: Option<&str>) -> Option<&'a Known> {
    let chosen = wanted.and_then(|wanted| {
        let names: Vec<_> = known.iter().map(|device| (device.name.as_str(), device.id.as_str())).collect();
        match list::choose(&names, wanted) {
            list::Choice::One(index) => known.get(index),
            _ => None,
        }
    });
    // A monitor hears a speaker: nobody's idea of a microphone.
    chosen.or_else(|| known.iter().find(|device| device.default)).or_else(|| {
        known.iter().find(|device| !device.id.ends_with(".monitor") && device.id.starts_with("pulseaudio:"))
    })
}

/// Asks what devices there are, on a thread of its own, one question at a time: a sound system that hangs answers late
/// or never, and only that.
#[derive(Default)]
struct Prober {
    asked: Option<(Receiver<Vec<Known>>, Instant)>,
    next: Option<Instant>,
}

impl Prober {
    fn is_due(&self, now: Instant, every: Duration) -> bool {
        // An answer that never comes is given up, so that a sound system that is back is seen.
        let free = self.asked.as_ref().is_none_or(|(_, since)| now.duration_since(*since) > AVOID);
        free && self.next.is_none_or(|last| now.duration_since(last) >= every)
    }

    fn hurry(&mut self) {
        (self.asked, self.next) = (None, None);
    }

    fn ask(&mut self, direction: Direction, host: Option<String>, now: Instant) {
        let (tell, told) = channel();
        let spawned = thread::Builder::new().name("audio-probe".into()).spawn(move || {
            list::hush();
            let _ = tell.send(list::known(direction, host.as_deref()));
        });
        self.next = Some(now);
        self.asked = spawned.ok().map(|_| (told, now));
    }

    fn answer(&mut self) -> Option<Vec<Known>> {
        let (told, _) = self.asked.as_ref()?;
        let known = told.try_recv().ok()?;
        self.asked = None;
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, default: bool) -> Known {
        Known { name: name.to_uppercase(), id: format!("pulseaudio:{name}"), default }
    }

    #[test]
    fn the_wanted_device_is_aimed_at_then_the_default_then_any() {
        let id = |known: &[Known], wanted| aim(known, wanted).map(|device| device.id.clone());
        let all = [device("spk.monitor", false), device("headset", false), device("built-in", true)];
        assert_eq!(id(&all, Some("headset")).as_deref(), Some("pulseaudio:headset"));
        assert_eq!(id(&all, Some("webcam")).as_deref(), Some("pulseaudio:built-in"));
        assert_eq!(id(&all, None).as_deref(), Some("pulseaudio:built-in"));
        assert_eq!(id(&all[..2], None).as_deref(), Some("pulseaudio:headset"));
        assert_eq!(id(&[], Some("headset")), None);
    }

    #[test]
    fn an_event_reads_as_a_sentence() {
        let event = |change| DeviceEvent { direction: Direction::Input, change }.to_string();
        assert_eq!(event(DeviceChange::Lost { name: "USB".into() }), "the microphone USB went away");
        let change = DeviceChange::Replaced { before: "USB".into(), now: "Built-in".into() };
        assert_eq!(event(change), "the microphone is now Built-in instead of USB");
    }
}
