"""Scores what the echo lab wrote: PESQ wideband (ITU-T P.862.2) of what came out against what should be heard."""

import json
import sys
import wave
from pathlib import Path

import numpy as np
from pesq import pesq


def read(path):
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16).astype(np.float64)
    # 48 kHz to 16 kHz: a windowed-sinc low pass at 7.5 kHz, then every third sample.
    n = np.arange(-96, 97)
    taps = np.sinc(n * 15 / 48) * np.hanning(len(n))
    return np.convolve(samples, taps / taps.sum(), mode="same")[::3] / 32768


def score(reference, heard):
    try:
        return float(pesq(16000, reference, heard, "wb"))
    except Exception:  # pesq has one class an error: silence has no score
        return None


def dnsmos(heard):
    try:
        from speechmos import dnsmos as judge

        return float(judge.run(np.clip(heard, -1, 1), sr=16000)["ovrl_mos"])
    except ImportError:
        return None


folder = Path(sys.argv[1])
for line in sys.stdin:
    row = json.loads(line)
    if row["kind"] == "speech":
        reference = read(folder / f"{row['name']}.ref.wav")
        for side in ("in", "out"):
            heard = read(folder / f"{row['name']}.{side}.wav")
            row[f"pesq_{side}"] = score(reference, heard)
            if not row["name"].startswith("both"):
                row[f"dnsmos_{side}"] = dnsmos(heard)
    print(json.dumps(row), flush=True)
