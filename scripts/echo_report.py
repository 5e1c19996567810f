"""Makes docs/figures-echo.md of the scores of the echo lab."""

import json
import sys

rows = [json.loads(line) for line in sys.stdin]
speech = {row["name"]: row for row in rows if row["kind"] == "speech"}


def show(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


print(
    """# Figures: echo, noise, gain

Made by `make bench-echo` (`scripts/bench-echo`): a recorded voice (the far end) is played into a made-up room, another
speaks in it, and what the microphone hears is processed as in a call. All in virtual time, the same every time but for
the microseconds. A room is a seeded impulse response: a direct sound, and noise as strong as it that fades by 60 dB in
60 to 120 ms. The echo is 6 dB weaker than what is played, unless said (quiet: 20 dB, faint: 14 dB); *swinging* rooms move
the delay by so much to either side within 20 s.

## Echo

*Removed* is the level of the echo before and after, from 2 s on, while the far end speaks alone; *worst second* is the
least of any second after the first two. *Both speak* is the PESQ (wideband, ITU-T P.862.2) of this side's voice against
itself, with echo cancelling alone and with everything on; *heard* is that of what the microphone hears.

| room | removed | first 2 s | worst second | both speak: heard | echo cancelling | everything |
|---|---|---|---|---|---|---|"""
)
for row in rows:
    if row["kind"] != "echo":
        continue
    name = row["name"].removeprefix("echo-")
    alone, all_on = speech[f"both-{name}-aec"], speech[f"both-{name}-all"]
    print(
        f"| {name} | {row['erle_db']:.0f} dB | {row['first_2s_db']:.0f} dB | {row['worst_second_db']:.0f} dB "
        f"| {show(alone['pesq_in'])} | {show(alone['pesq_out'])} | {show(all_on['pesq_out'])} |"
    )
print(
    """
## Devices

A speaker, a room of 40 ms and a microphone with clocks of their own, through the same bridges as real devices. *Removed* from
2 s on, and from 10 s on. A gap is counted in samples and the canceller is told of it.

| devices | removed from 2 s | from 10 s | gaps counted |
|---|---|---|---|"""
)
for row in rows:
    if row["kind"] == "pair":
        print(f"| {row['name']} | {row['erle_db']:.0f} dB | {row['late_db']:.0f} dB | {row['gaps']} |")
print(
    """
## Noise

A voice alone, PESQ of what comes out; *heard* is what the microphone hears. The noises are 28 dB below
full scale, some 10 dB below the voice.

| sound | heard | recurrent (used) | spectral | everything |
|---|---|---|---|---|"""
)
for kind, name in [("clean", "no noise"), ("noise-white", "white noise"), ("noise-fan", "a fan")]:
    cells = [speech[f"{kind}-{chain}"] for chain in ("recurrent", "spectral", "all")]
    outs = " | ".join(show(cell["pesq_out"]) for cell in cells)
    print(f"| {name} | {show(cells[0]['pesq_in'])} | {outs} |")
cost = {chain: speech[f"clean-{chain}"]["us"] for chain in ("aec", "recurrent", "spectral", "gain", "all")}
print(
    f"""
## Cost

For each 10 ms on one core, in a release build: echo cancelling {cost['aec']:.0f} µs, noise suppression
{cost['recurrent']:.0f} µs (recurrent; spectral {cost['spectral']:.0f} µs), gain control {cost['gain']:.0f} µs; everything
{cost['all']:.0f} µs, which is {cost['all'] / 100:.1f} % of a core.

## What limits these figures

To reach were 35 dB of echo removed after 2 s, and a PESQ of 2.5 for the voice on this side while both speak.

- The first is reached in every room that stands still, and with any gap that is counted. Where the delay swings by half a
  millisecond within seconds (two drifting devices behind one sound server, say), the filter runs after it.
- The second is reached in one room. In the others the echo is as loud as the voice (PESQ 1.3 before anything is done), and
  what keeps more of the voice lets more of the echo through: settings with 2.7 in one room left 24 dB in others. What
  brought most was never to hear the engine's fast filter (+ 0.2), a shorter filter, and a longer hold of the state in which
  this side speaks. In the quiet room the voice was good before (2.65) and loses by the canceller.
- A change of delay that nobody tells of (the sound server puts in silence of its own) is found out after about 3 s. A
  second, fresh canceller that competes with the first after such a change was tried: it learns no sooner."""
)
