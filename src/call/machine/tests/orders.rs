//! Every order of the events that decide a call.

use super::watch::Watch;
use super::*;

const LONGEST: usize = 6;

fn key_events() -> Vec<Input> {
    vec![
        Input::Accept,
        from(AGENT, offer(1)),
        from(AGENT, candidate("x")),
        from(AGENT, Signal::end_call()),
        Input::HangUp,
        from(AGENT, rejected("no")),
        Input::PartyLeft(AGENT.into()),
        Input::PeerConnected,
    ]
}

/// Calls `visit` with every sequence of up to `LONGEST` different indices below `n`.
fn every_order(n: usize, order: &mut Vec<usize>, visit: &mut impl FnMut(&[usize])) {
    visit(order);
    if order.len() < LONGEST {
        for next in 0..n {
            if !order.contains(&next) {
                order.push(next);
                every_order(n, order, visit);
                order.pop();
            }
        }
    }
}

/// Plays every order after `start`. A prompt peer does at once what it is asked for; a slow one only at the end.
fn play_all(start: &[Input], prompt: bool) -> usize {
    let (events, mut count) = (key_events(), 0);
    every_order(events.len(), &mut Vec::new(), &mut |order| {
        let (mut bed, mut watch) = (Bed::new(), Watch::default());
        let give = |bed: &mut Bed, watch: &mut Watch, input: Input| {
            let outputs = bed.give(input.clone());
            watch.step(bed, Some(&input), &outputs);
        };
        let peer_works = |bed: &mut Bed, watch: &mut Watch| {
            while let Some(owed) = watch.owed().filter(|o| *o != Input::PeerConnected) {
                give(bed, watch, owed);
            }
        };
        for input in start.iter().chain(order.iter().map(|i| &events[*i])) {
            give(&mut bed, &mut watch, input.clone());
            if prompt {
                peer_works(&mut bed, &mut watch);
            }
        }
        peer_works(&mut bed, &mut watch);
        watch.run_out(&mut bed);
        assert_eq!(watch.begun, watch.over, "as many ends as calls");
        count += 1;
    });
    count
}

#[test]
fn every_order_in_an_outgoing_call_ends_once() {
    for prompt in [true, false] {
        // 8 + 8·7 + … + 8·7·6·5·4·3 sequences, and the empty one.
        assert_eq!(play_all(&[request(AGENT)], prompt), 28_961);
    }
}

#[test]
fn every_order_around_an_incoming_call_ends_once() {
    for prompt in [true, false] {
        assert_eq!(play_all(&[], prompt), 28_961);
    }
}

#[test]
fn every_order_after_a_request_was_given_up_ends_once() {
    assert_eq!(play_all(&[request(AGENT), Input::HangUp, request(AGENT)], true), 28_961);
}
