//! Random sequences of every input, in and out of season.

use super::watch::Watch;
use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Give(Input),
    /// So long ago was heard what signs of life tell of, in the order of their fields.
    Hear([Option<Duration>; 4], [bool; 3]),
    /// The peer does what it is asked for next.
    PeerWorks,
    Wait(Duration),
}

fn party() -> impl Strategy<Value = Option<String>> {
    prop_oneof![6 => Just(Some(AGENT.into())), 2 => Just(Some(OTHER.into())), 1 => Just(None)]
}

fn description() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (1..4u32, 1..4u32, 1..3u32, 1..3u32).prop_map(|(s, v, c, u)| sdp(s, v, c, &format!("u{u}"))),
        1 => Just(String::new()),
        1 => ".{0,20}",
    ]
}

fn ice() -> impl Strategy<Value = IceCandidate> {
    (0..9u32, 0..3u32).prop_map(|(n, u)| {
        let mut ice = candidate(&n.to_string());
        if u > 0 {
            ice.candidate += &format!(" ufrag u{u}");
        }
        ice
    })
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        5 => description().prop_map(|sdp| Signal::offer_call(sdp, false)),
        1 => description().prop_map(Signal::answer_call),
        3 => ice().prop_map(Signal::from),
        1 => Just(rejected("no")),
        2 => Just(Signal::end_call()),
        1 => Just(Signal::request_call(true)),
        1 => Just(Signal::from_data(serde_json::json!({"type": "NEW"})).unwrap()),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let text = || ".{0,8}";
    let offerer = prop_oneof![3 => Just(Offerer::Agent), 1 => Just(Offerer::Client)];
    let ask = (prop_oneof![Just(AGENT), Just(OTHER)], any::<bool>(), offerer);
    let request = ask.prop_map(|(p, video, offerer)| Input::Request { party_id: p.into(), video, offerer });
    let local = prop_oneof![
        text().prop_map(|sdp| Input::LocalAnswer { sdp }),
        text().prop_map(|sdp| Input::LocalOffer { sdp }),
        Just(Input::AnswerApplied),
        text().prop_map(|error| Input::RemoteDescriptionFailed { error }),
        text().prop_map(|error| Input::CandidateFailed { error }),
        ice().prop_map(Input::LocalCandidate),
        Just(Input::PeerReady),
        Just(Input::PeerConnected),
        Just(Input::PeerDisconnected),
        Just(Input::MediaFlowing),
    ];
    let rare = prop_oneof![
        Just(Input::PeerFailed { reason: "failed".into() }),
        Just(Input::MediaFailed { error: "gone".into() }),
        Just(Input::PartyLeft(AGENT.into())),
        Just(Input::PartyLeft(OTHER.into())),
        Just(Input::Decline { reason: "no".into() }),
        Just(Input::HangUp),
    ];
    let remote = (party(), signal()).prop_map(|(party_id, signal)| Input::Signal { party_id, signal });
    let around = prop_oneof![
        1 => any::<bool>().prop_map(|up| Input::Signaling { up }),
        1 => any::<bool>().prop_map(|up| Input::NetworkChanged {
            addresses: up.then_some([192, 0, 2, 7].into()).into_iter().collect(),
        }),
        1 => party().prop_map(Input::CurrentAgent),
    ];
    prop_oneof![
        10 => around,
        40 => request,
        40 => remote,
        30 => local,
        20 => Just(Input::Accept),
        10 => rare,
        1 => Just(Input::ChatEnded),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let age = || prop::option::weighted(0.7, (0..8_000u64).prop_map(Duration::from_millis));
    let ages = [age(), age(), age(), age()];
    let hear = (ages, prop::array::uniform3(any::<bool>())).prop_map(|(ages, flags)| Step::Hear(ages, flags));
    prop_oneof![
        3 => hear,
        6 => input().prop_map(Step::Give),
        4 => Just(Step::PeerWorks),
        1 => (0..20_000u64).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        1 => (0..100u64).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
    ]
}

/// A call with sound.
fn running() -> impl Iterator<Item = Step> {
    let inputs =
        [request(AGENT), Input::PeerReady, from(AGENT, offer(9)), answer(), Input::PeerConnected, Input::MediaFlowing];
    inputs.into_iter().map(Step::Give)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_the_promises_hold(
        begun in any::<bool>(), steps in prop::collection::vec(step(), 0..80)
    ) {
        let (mut bed, mut watch) = (Bed::new(), Watch::default());
        for step in running().filter(|_| begun).chain(steps) {
            match step {
                Step::Give(input) => {
                    let outputs = bed.give(input.clone());
                    watch.step(&bed, Some(&input), &outputs);
                }
                Step::Hear(ages, [sends, announced, local]) => {
                    let [sound, sign, kept_sound, kept_sign] =
                        ages.map(|age| age.and_then(|age| bed.now.checked_sub(age)));
                    let local = local.then_some([192, 0, 2, 7].into());
                    let signs = MediaSigns { sound, sign, kept_sound, kept_sign, sends, announced, local };
                    let input = Input::Media(signs);
                    let outputs = bed.give(input.clone());
                    watch.step(&bed, Some(&input), &outputs);
                }
                Step::PeerWorks => {
                    if let Some(input) = watch.owed() {
                        let outputs = bed.give(input.clone());
                        watch.step(&bed, Some(&input), &outputs);
                    }
                }
                Step::Wait(duration) => {
                    let until = bed.now + duration;
                    while let Some(due) = bed.machine.next_timeout().filter(|t| *t <= until) {
                        prop_assert!(due >= bed.now, "a limit in the past");
                        bed.now = due;
                        bed.machine.handle_timeout(due);
                        let outputs = bed.take();
                        watch.step(&bed, None, &outputs);
                    }
                    bed.now = until;
                }
            }
        }
        watch.run_out(&mut bed);
    }
}
