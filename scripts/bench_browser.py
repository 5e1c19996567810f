#!/usr/bin/env python3
"""Our sound and setup time beside Chromium's: the same agent, the same words, the same seeded line.

usage: bench_browser.py             both tables, into docs/figures-browser.md
       bench_browser.py sound PART  the conditions with PART in their name, only printed
       bench_browser.py setup N     N calls by turns, only printed

For each condition a simulator is started whose agent speaks recorded words over an impaired line, always with the same
seed. `chatphone call` is a customer of it, then a page in headless Chromium is. What each heard is scored (PESQ-WB,
PLCMOS) against what was said. In real time, so the share of the processors that the host took away (steal) stands
beside each row: one taken above 10 % says little, and is taken again, up to three times.

Run by scripts/bench-browser, which sees to what it needs.
"""

import base64
import contextlib
import importlib.machinery
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from bench_setup import BINARY, steal  # noqa: E402
from webdriver import Browser, Pages, end  # noqa: E402

OUT = ROOT / "target/bench-browser"
PAGES = ROOT / "scripts/bench_browser"
CLIPS = 4
CONDITIONS = [
    ("clean", []),
    ("loss 2 %", ["--rtp-loss", "2%"]),
    ("loss 5 %", ["--rtp-loss", "5%"]),
    ("loss 10 %", ["--rtp-loss", "10%"]),
    ("loss 20 %", ["--rtp-loss", "20%"]),
    ("bursts of mean 3 packets at 5 %", ["--rtp-loss", "5%x3"]),
    ("delay 40 ± 20 ms", ["--rtp-delay", "40ms", "--rtp-jitter", "20ms"]),
    ("delay 80 ± 60 ms (reordering)", ["--rtp-delay", "80ms", "--rtp-jitter", "60ms"]),
    ("loss 5 % + 40 ± 40 ms", ["--rtp-loss", "5%", "--rtp-delay", "40ms", "--rtp-jitter", "40ms"]),
]


def load_scorer():
    """`read` and `PLCMOS` of score-sound, which has no ending of its own."""
    loader = importlib.machinery.SourceFileLoader("score_sound", str(ROOT / "scripts/score-sound"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("score_sound", loader))
    loader.exec_module(module)
    return module


@contextlib.contextmanager
def customer():
    """A browser with the customer's page. It speaks to a simulator of another origin, as an app would."""
    with Pages(PAGES) as pages, Browser(arguments=["--disable-web-security"]) as browser:
        browser.go(f"{pages}/customer.html")
        yield browser


def call_theirs(browser, url, seconds):
    script = ("const done = arguments[2]; makeCall(arguments[0], arguments[1])"
              ".then(done, e => done({ error: String(e.stack ?? e) }))")
    result = browser.post(browser.session + "/execute/async", {"script": script, "args": [url, seconds]})
    if "error" in result:
        sys.exit(f"the browser's call failed: {result['error']}")
    return result


class Simulator:
    def __init__(self, arguments):
        self.process = subprocess.Popen([str(ROOT / BINARY), "simulate", "--listen", "127.0.0.1:0", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        end(self.process)


def call_ours(url, seconds, heard):
    child = subprocess.run(
        [str(ROOT / BINARY), "call", "--url", url, "--app-id", "bench", "--client-id", f"bench-{time.time_ns()}", "--play",
         str(ROOT / "media/samples/customer.wav"), "--record", str(heard), "--duration", f"{seconds}s", "--json"],
        stdout=subprocess.PIPE, text=True, check=False)
    if child.returncode != 0:
        sys.exit(f"a call failed: {child.stdout.splitlines()[-1:]}")
    return json.loads(child.stdout.splitlines()[-1])


def without_much_steal(work):
    """Does it again while the host takes more than 10 %, up to three times. Gives the result and the steal in percent."""
    for _ in range(3):
        before = steal()
        result = work()
        after = steal()
        share = 100 * (after[0] - before[0]) / max(1, after[1] - before[1])
        if share <= 10:
            break
    return result, share


def place(words, heard, near):
    """Where `words` begin in `heard`: the peak of their correlation, looked for around `near` samples."""
    start, end = max(0, near - 16_000), min(len(heard), near + 16_000 + len(words))
    part = heard[start:end]
    size = 1 << (len(part) + len(words)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(words, size)), size)
    return start + int(np.argmax(correlation[: max(1, len(part) - len(words))]))


def score(module, plcmos, said, heard, clips):
    """Mean PESQ and PLCMOS of the clips, each found in `heard` by itself."""
    first = clips[0]
    offset = place(said[first["start"] // 3 :][: first["samples"] // 3], heard, first["start"] // 3 + 4_000)
    offset -= first["start"] // 3
    each = []
    for clip in clips[1:]:
        start, count = clip["start"] // 3, clip["samples"] // 3
        words = said[start : start + count]
        at = place(words, heard, start + offset)
        part = heard[at : at + count + module.RATE // 5]
        np.random.seed(1)
        each.append((module.pesq(module.RATE, words, part, "wb"), plcmos.get_mos(part)))
    return [float(np.mean(column)) for column in zip(*each)]


def sound(only):
    module = load_scorer()
    plcmos = module.PLCMOS()
    runs = json.loads((ROOT / "target/bench-sound/runs/runs.json").read_text())
    clips = runs["clips"][:CLIPS]
    said_file = OUT / "said.wav"
    seconds = cut(ROOT / "target/bench-sound/runs/reference.wav", said_file, clips[-1]) + 2
    said = module.read(said_file)
    say("| condition | chatphone: PESQ / PLCMOS / buffer / concealed | Chromium: the same | steal |")
    say("|---|---|---|---|")
    with customer() as browser:
        for name, line in CONDITIONS:
            if only not in name:
                continue
            arguments = ["--agent", f"play:{said_file}", *(["--seed", "11"] if line else []), *line]
            id = "".join(c if c.isalnum() else "-" for c in name)
            ours_file, theirs_file = OUT / f"{id}-ours.wav", OUT / f"{id}-chromium.wav"

            def ours():
                with Simulator(arguments) as url:
                    return call_ours(url, seconds, ours_file)

            def theirs():
                with Simulator(arguments) as url:
                    return call_theirs(browser, url, seconds)

            mine, our_steal = without_much_steal(ours)
            other, their_steal = without_much_steal(theirs)
            with wave.open(str(theirs_file), "wb") as file:
                file.setparams((1, 2, 48_000, 0, "NONE", ""))
                file.writeframes(base64.b64decode(other["sound"]))
            row = []
            for file, (delay, concealed) in ((ours_file, figures(mine)), (theirs_file, chromium_figures(other["stats"]))):
                pesq, mos = score(module, plcmos, said, module.read(file), clips)
                row.append(f"{pesq:.2f} / {mos:.2f} / {delay:.0f} ms / {concealed:.0f} ms")
            say(f"| {name} | **{row[0]}** | {row[1]} | {our_steal:.0f} %, {their_steal:.0f} % |")


def figures(report):
    received = report["received"]
    return received["jitter_buffer_ms"], received["concealed_ms"]


def chromium_figures(stats):
    count = max(1, stats["jitterBufferEmittedCount"])
    # Silence that is made because nothing was sent yet, or is not sent, is not counted as a fault of the sound.
    concealed = stats["concealedSamples"] - stats.get("silentConcealedSamples", 0)
    return 1000 * stats["jitterBufferDelay"] / count, concealed / 48


def cut(source, target, last_clip):
    """Copies the words up to the end of the last clip and a second more; gives their length in seconds."""
    with wave.open(str(source)) as file:
        count = last_clip["start"] + last_clip["samples"] + 48_000
        frames, parameters = file.readframes(count), file.getparams()
    with wave.open(str(target), "wb") as file:
        file.setparams(parameters)
        file.writeframes(frames)
    return len(frames) // 96_000 + 1


def by_turns(calls, url, browser, heading):
    """Setup times of both customers by turns, as a table: this machine's moods are shared by both."""
    times = {"chatphone": [], "Chromium": []}
    before = steal()
    for _ in range(calls):
        report = call_ours(url, 2, OUT / "setup.wav")["timing_ms"]
        times["chatphone"].append((report["request_to_connected"], report["request_to_first_audio"]))
        theirs = call_theirs(browser, url, 2)["times"]
        times["Chromium"].append((theirs["connected_ms"], theirs["sound_ms"]))
    after = steal()
    say(f"| {heading} | REQUEST_CALL → connected | → first sound |")
    say("|---|---|---|")
    for name, rows in times.items():
        cells = [f"{statistics.median(c):.0f} ms ({min(c):.0f}–{max(c):.0f})" for c in zip(*rows)]
        say(f"| {name} | {cells[0]} | {cells[1]} |")
    say("")
    say(f"{calls} calls each, by turns, steal {100 * (after[0] - before[0]) / max(1, after[1] - before[1]):.1f} %.")


def setup(calls):
    """With a simulated agent."""
    with customer() as browser, Simulator(["--agent", "tone:440"]) as url:
        by_turns(calls, url, browser, "customer")


def agents(calls):
    """With Chromium at the agent's desk: at most 250 ms to the first sound is asked for."""
    with Browser() as desk, customer() as browser, Simulator(["--agent", "desk"]) as url:
        desk.go(f"{url}/desk?name=Ada&tone=880&answer=auto&ring=no")
        by_turns(calls, url, browser, "customer, with Chromium at the agent's desk")



SAID = []


def say(line):
    SAID.append(line)
    print(line, flush=True)


def main():
    # Told to end, it ends what it began.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    OUT.mkdir(parents=True, exist_ok=True)
    what, rest = (sys.argv[1:] or ["all"])[0], sys.argv[2:]
    if what == "setup":
        setup(int(rest[0]) if rest else 20)
        agents(int(rest[0]) if rest else 20)
    elif what == "sound":
        sound(rest[0] if rest else "")
    else:
        sound("")
        tables = ["\n".join(SAID)]
        for part in (setup, agents):
            SAID.clear()
            part(20)
            tables.append("\n".join(SAID))
        text = (ROOT / "scripts/figures-browser.template.md").read_text()
        for name, table in zip(("{SOUND}", "{SETUP}", "{AGENT}"), tables):
            text = text.replace(name, table)
        (ROOT / "docs/figures-browser.md").write_text(text)


main()
