"""Mouth to ear, in real time: a click into a virtual microphone, until it comes out of a virtual speaker.

Both are channels of one PulseAudio null sink, so one recording holds both, sample by sample. Between them: a call of
chatphone with itself (examples/loopback.rs), without processing; then a real call to the simulated contact center, whose
agent echoes, which is there and back again. Prints medians, and the share of time that the host took away meanwhile
(steal): above 10 % a figure says nothing.

usage: bench_latency.py [--calls N]
"""

import argparse
import os
import shutil
import statistics
import struct
import subprocess
import tempfile
import time
import wave
from pathlib import Path

RATE = 48000
ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
CLICKS = 12

parser = argparse.ArgumentParser()
parser.add_argument("--calls", type=int, default=3, help="how many times each is measured")
args = parser.parse_args()


def steal():
    fields = [int(field) for field in open("/proc/stat").readline().split()[1:9]]
    return fields[7], sum(fields)


def clicks(path):
    """A burst of 2 ms every second."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(RATE)
        samples = bytearray(2 * RATE * CLICKS)
        for n in range(CLICKS):
            for i in range(96):
                value = 16000 if i // 12 % 2 else -16000
                struct.pack_into("<h", samples, 2 * (n * RATE + RATE // 2 + i), value)
        file.writeframes(samples)


def onsets(channel, least):
    """Where sound begins after half a second without."""
    found, quiet_since = [], -RATE
    for n, sample in enumerate(channel):
        if abs(sample) > least:
            if n - quiet_since > RATE // 4 and (not found or n - found[-1] > RATE // 2):
                found.append(n)
            quiet_since = n
    return found


def measure(env, work, command):
    """Runs a call and clicks into it; the milliseconds from each click to its coming back."""
    raw = work / "both.raw"
    call = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    time.sleep(5)
    with open(raw, "wb") as out:
        recorder = subprocess.Popen(
            ["parec", "--device=wire.monitor", f"--rate={RATE}", "--channels=2", "--format=s16le", "--raw",
             "--latency-msec=50"],
            env=env, stdout=out,
        )
        time.sleep(0.5)
        subprocess.run(["paplay", "--device=mouth", str(work / "clicks.wav")], env=env, check=True)
        time.sleep(1)
        recorder.terminate()
        recorder.wait()
    said = call.communicate()[0]
    data = raw.read_bytes()
    samples = struct.unpack(f"<{len(data) // 2}h", data)
    said_at, heard_at = onsets(samples[0::2], 8000), onsets(samples[1::2], 1500)
    delays = []
    for click in said_at:
        after = [heard - click for heard in heard_at if 0 < heard - click < RATE // 2]
        if after:
            delays.append(after[0] * 1000 / RATE)
    return delays, said


def write(rows):
    """Puts the section into docs/figures.md, in place of the one before."""
    path = ROOT / "docs" / "figures.md"
    heading = "\n## Mouth to ear\n"
    text = path.read_text()
    before, _, rest = text.partition(heading)
    after = rest[rest.index("\n## "):] if "\n## " in rest else ""
    table = "\n".join(rows)
    section = f"""{heading}
`make bench-latency`: a click played into a virtual microphone until it comes out of a virtual speaker (channels of one
PulseAudio null sink, so that one recording holds both), without processing. *With itself*: microphone, sender, receiver,
speaker in one process; *echoed*: a call to the simulated contact center, there and back. To reach: 80 ms with itself;
Chromium takes 128 ms, and 133 ms against an echoing peer. Steal above 10 %: the figure says nothing.

| call | median | range | clicks | steal |
|---|---|---|---|---|
{table}
"""
    path.write_text(before.rstrip() + "\n" + section + after)


def main():
    work = Path(tempfile.mkdtemp())
    work.chmod(0o700)
    env = dict(os.environ, XDG_RUNTIME_DIR=str(work), HOME=str(work), PULSE_SERVER=f"unix:{work}/socket")
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        env.pop(name, None)
    channel = "channels=1 channel_map=mono remix=no master_channel_map"
    (work / "setup.pa").write_text(
        f"""load-module module-native-protocol-unix auth-anonymous=1 socket={work}/socket
load-module module-null-sink sink_name=wire rate={RATE} channels=2 channel_map=front-left,front-right
load-module module-remap-sink sink_name=mouth master=wire {channel}=front-left
load-module module-remap-sink sink_name=ear master=wire {channel}=front-right
load-module module-remap-source source_name=vmic master=wire.monitor {channel}=front-left
set-default-sink ear
set-default-source vmic
"""
    )
    clicks(work / "clicks.wav")
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "-F", str(work / "setup.pa")],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    simulator = None
    try:
        while not (work / "socket").exists():
            time.sleep(0.05)
        simulator = subprocess.Popen(
            [str(TARGET / "chatphone"), "simulate", "--listen", "127.0.0.1:0", "--agent", "echo"], env=env,
            stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
        )
        url = simulator.stdout.readline().split()[-1]
        seconds = str(CLICKS + 9)
        ways = {
            "with itself": [str(TARGET / "examples" / "loopback"), seconds],
            "echoed by the simulated agent": [
                str(TARGET / "chatphone"), "call", "--url", url, "--app-id", "bench", "--no-aec", "--no-ns", "--no-agc",
                "--no-tones", "--duration", f"{seconds}s", "--json",
            ],
        }
        rows = []
        for name, command in ways.items():
            before, delays = steal(), []
            for _ in range(args.calls):
                heard, said = measure(env, work, command)
                delays += heard
            after = steal()
            taken = 100 * (after[0] - before[0]) / max(1, after[1] - before[1])
            if not delays:
                print(f"{name}: nothing came back\n{said}")
                continue
            spread = f"{min(delays):.0f} to {max(delays):.0f}"
            rows.append(f"| {name} | {statistics.median(delays):.0f} ms | {spread} ms | {len(delays)} | {taken:.0f} % |")
            print(rows[-1], flush=True)
        write(rows)
    finally:
        for process in (simulator, server):
            if process:
                process.terminate()
                process.wait()
        shutil.rmtree(work, ignore_errors=True)


main()
