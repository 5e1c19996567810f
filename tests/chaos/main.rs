//! Hundreds of short calls to contact centers where everything may go wrong: each ends in a named outcome, and nothing is
//! left of it.
//!
//! By itself it makes as many calls as fit in [`BUDGET`]. `CHATPHONE_CHAOS_CALLS=500` makes that many (`make bench-chaos`),
//! and `CHATPHONE_CHAOS_SEED=N CHATPHONE_CHAOS_CALLS=1` makes the call of that seed again.
#![allow(clippy::unwrap_used)]

mod call;
mod leaks;
mod trouble;

use call::{Made, make, make_shared, shared_center};
use futures::stream::{FuturesUnordered, StreamExt};
use leaks::{Left, Panics, resident_kb};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use trouble::Trouble;

/// How long calls are begun where no number of them is asked for.
const BUDGET: Duration = Duration::from_secs(40);
/// The least number of calls, on whatever machine.
const AT_LEAST: u64 = 24;
/// Calls at one time.
const AT_ONCE: usize = 12;
/// Calls before anything is counted: they fill caches and start helper threads.
const WARM_UP: u64 = 8;
/// How long what is left of the calls may take to go.
const TO_GO: Duration = Duration::from_secs(30);

/// What is left of one test must not be counted by the other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_ends_in_a_named_outcome_and_leaves_nothing_behind() {
    let _alone = ALONE.lock().await;
    let panics = Panics::watch();
    let (first_seed, calls) = (setting("CHATPHONE_CHAOS_SEED").unwrap_or(1), setting("CHATPHONE_CHAOS_CALLS"));
    for _ in 0..WARM_UP {
        make(Trouble::none(0)).await;
    }
    let base = Left::settled(TO_GO).await;

    let begun = Instant::now();
    let more = |made: u64| match calls {
        Some(calls) => made < calls,
        None => made < AT_LEAST || begun.elapsed() < BUDGET,
    };
    let (mut running, mut count) = (FuturesUnordered::new(), 0);
    let mut story = Story::default();
    loop {
        while running.len() < AT_ONCE && more(count) {
            let trouble = Trouble::of(first_seed + count);
            running.push(async move { (tokio::spawn(make(trouble.clone())).await, trouble) });
            count += 1;
        }
        let Some((made, trouble)) = running.next().await else { break };
        story.add(made.expect("the call itself is no task that panics"), trouble);
    }
    let took = begun.elapsed();
    let left = Left::back_to(&base, TO_GO).await;
    println!("{count} calls from seed {first_seed} in {:.0} s\n{story}", took.as_secs_f64());
    println!("before: {base}\nafter:  {left}");

    let mut wrong = story.wrong;
    wrong.extend(panics.seen());
    wrong.extend(left.beyond(&base));
    wrong.extend(growth(&story.resident_kb));
    assert!(wrong.is_empty(), "{} things went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Calls to one center that serves all of them, as one that runs for months does.
const TO_ONE_CENTER: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_center_that_served_many_calls_holds_nothing_of_them() {
    let _alone = ALONE.lock().await;
    let first_seed = setting("CHATPHONE_CHAOS_SEED").unwrap_or(1) + 100_000;
    let calls = setting("CHATPHONE_CHAOS_CALLS").unwrap_or(TO_ONE_CENTER);
    let center = shared_center().await;
    let empty = center.load();
    let troubles = (first_seed..first_seed + calls).map(Trouble::of);
    let one = async |trouble: Trouble| (make_shared(&center, trouble.clone()).await, trouble);
    let mut made = futures::stream::iter(troubles).map(one).buffer_unordered(AT_ONCE).boxed_local();
    let mut story = Story::default();
    while let Some((made, trouble)) = made.next().await {
        story.add(made, trouble);
    }
    drop(made);
    println!("{calls} calls to one center\n{story}");
    assert!(story.wrong.is_empty(), "{}", story.wrong.join("\n"));
    // Chats that their clients could not end time out; the last events of the others wait for half a minute.
    let begun = Instant::now();
    while center.load() != empty && begun.elapsed() < 3 * TO_GO {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(center.load(), empty, "after {:?}", begun.elapsed());
    center.shutdown().await;
}

/// What came of the calls.
#[derive(Default)]
struct Story {
    outcomes: BTreeMap<&'static str, (u32, Duration)>,
    reasons: BTreeMap<String, u32>,
    resident_kb: Vec<u64>,
    wrong: Vec<String>,
}

impl Story {
    fn add(&mut self, made: Made, trouble: Trouble) {
        let entry = self.outcomes.entry(made.outcome).or_default();
        *entry = (entry.0 + 1, entry.1.max(made.took));
        *self.reasons.entry(format!("{}: {}", made.outcome, made.kind_of_reason())).or_default() += 1;
        self.wrong.extend(made.wrong.into_iter().map(|what| format!("{trouble}\n    {what}")));
        self.resident_kb.extend(resident_kb());
    }
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (outcome, (count, longest)) in &self.outcomes {
            writeln!(f, "{count:>6}  {outcome:<12} longest {:.1} s", longest.as_secs_f64())?;
        }
        for (reason, count) in &self.reasons {
            writeln!(f, "{count:>10}  {reason}")?;
        }
        Ok(())
    }
}

/// The memory of the last quarter of the calls beside that of the second, coarsely: the allocator keeps some.
fn growth(resident_kb: &[u64]) -> Option<String> {
    const ALLOWED_KB: u64 = 8 * 1024;
    let quarter = resident_kb.len() / 4;
    if quarter < 5 {
        return None;
    }
    let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len() as u64;
    let (early, late) = (mean(&resident_kb[quarter..2 * quarter]), mean(&resident_kb[3 * quarter..]));
    println!("memory: {} MB in the second quarter, {} MB in the last", early / 1024, late / 1024);
    (late > early + early / 20 + ALLOWED_KB).then(|| format!("memory grew from {early} KB to {late} KB"))
}
