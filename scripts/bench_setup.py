#!/usr/bin/env python3
"""Calls on loopback, each a process of its own against a simulator in a second process.

usage: bench_setup.py [CALLS]

Prints setup times, processor time and memory as a Markdown table, with the share of the processors that the host took
away meanwhile (steal), since a figure taken under much steal says little. Needs target/release/chatphone.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

BINARY = "target/release/chatphone"
SECONDS = 10


def steal():
    """Processor time stolen by the host, and all of it, in ticks; zeros where there is no /proc."""
    try:
        with open("/proc/stat") as f:
            ticks = [int(n) for n in f.readline().split()[1:]]
        return ticks[7], sum(ticks[:8])
    except OSError:
        return 0, 0


def call(url, folder, seconds, sample):
    """One call with a file in and a file out. Gives its report, processor seconds and peak memory in MB."""
    child = subprocess.Popen(
        [BINARY, "call", "--url", url, "--app-id", "bench", "--client-id", f"bench-{time.time_ns()}", "--play", sample,
         "--record", os.path.join(folder, "heard.wav"), "--duration", f"{seconds}s", "--json"],
        stdout=subprocess.PIPE, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"a call failed: {out.splitlines()[-1:]}")
    peak_mb = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    return json.loads(out.splitlines()[-1]), usage.ru_utime + usage.ru_stime, peak_mb


def start_to_exit(runs=20):
    """Milliseconds that `chatphone --help` takes."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([BINARY, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - begun) * 1000)
    return times


def row(name, values, unit, limit):
    middle = statistics.median(values)
    low, high = min(values), max(values)
    digits = 1 if high < 100 else 0
    print(f"| {name} | {middle:.{digits}f} {unit} | {low:.{digits}f}–{high:.{digits}f} | {limit} |")
    return middle


def main():
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        sample = "media/samples/customer.wav"
        simulator = subprocess.Popen(
            [BINARY, "simulate", "--listen", "127.0.0.1:0", "--agent", "play:media/samples/agent.wav"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            url = simulator.stdout.readline().split()[-1]
            stolen, ticks = steal()
            reports = [call(url, folder, 2, sample)[0] for _ in range(calls)]
            long = [call(url, folder, SECONDS, sample) for _ in range(3)]
            idle = [call(url, folder, 1, sample) for _ in range(3)]
            stolen, ticks = steal()[0] - stolen, steal()[1] - ticks
        finally:
            simulator.terminate()
            simulator.wait()
    timing = [r["timing_ms"] for r in reports]
    print(f"{calls} calls; steal {100 * stolen / max(ticks, 1):.1f} %\n")
    print("| figure | median | range | at most |\n|---|---|---|---|")
    offers = [t["request_to_offer"] for t in timing]
    answers = [t["offer_to_answer"] for t in timing]
    connected = [t["request_to_connected"] for t in timing]
    audio = [t["request_to_first_audio"] for t in timing]
    row("REQUEST_CALL → OFFER_CALL", offers, "ms", "")
    row("OFFER_CALL → ANSWER_CALL", answers, "ms", "")
    row("ANSWER_CALL → connected", [c - o - a for c, o, a in zip(connected, offers, answers)], "ms", "")
    row("connected → first remote audio decoded", [a - c for a, c in zip(audio, connected)], "ms", "")
    row("REQUEST_CALL → connected", connected, "ms", "")
    first = row("REQUEST_CALL → first remote audio decoded", audio, "ms", "130 ms")
    # The processor time of a call is what a longer call adds to a shorter one: start and end are not the call.
    start = statistics.median(i[1] for i in idle)
    per_s = [(l[1] - start) / (l[0]["duration_s"] - 1) for l in long]
    cpu = row("processor time of a call, file in and out", [100 * p for p in per_s], "% of a core", "3 %")
    row(f"the same with start and end, {SECONDS} s", [100 * l[1] / l[0]["duration_s"] for l in long],
                "% of a core", "")
    memory = row("peak memory of `chatphone call`", [l[2] for l in long], "MB", "60 MB")
    start = row("`chatphone --help`, start to exit", start_to_exit(), "ms", "30 ms")
    lost = sum(r["received"]["lost"] for r in reports)
    print(f"\npackets lost in all calls: {lost}")
    over = [name for name, value, limit in [("first audio", first, 130), ("processor time", cpu, 3),
                                            ("memory", memory, 60), ("start", start, 30)] if value > limit]
    if over:
        sys.exit(f"over the limit: {', '.join(over)}")


if __name__ == "__main__":
    main()
