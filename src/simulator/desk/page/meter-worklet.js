// Measures level and DTMF in blocks of 20 ms (ITU-T Q.23 frequencies, by Goertzel's algorithm).

const LOW = [697, 770, 852, 941];
const HIGH = [1209, 1336, 1477, 1633];
const KEYS = ["123A", "456B", "789C", "*0#D"];

/** Levels are told every so many blocks. */
const LEVEL_EVERY = 5;
/** A key is told once it was heard in so many blocks in a row, and again only after as many without it. */
const BLOCKS = 2;

class Meter extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate / 50));
    this.filled = 0;
    this.blocks = 0;
    this.power = 0;
    this.candidate = null;
    this.run = 0;
    this.key = null;
    this.stopped = false;
    this.port.onmessage = ({ data }) => {
      if (data !== "stop") return;
      this.stopped = true;
      this.port.close();
    };
  }

  /** A processor that gives true is never let go of. */
  process([input]) {
    const samples = input[0];
    if (this.stopped || !samples) return !this.stopped;
    for (const sample of samples) {
      this.block[this.filled++] = sample;
      if (this.filled === this.block.length) this.finishBlock();
    }
    return true;
  }

  finishBlock() {
    this.filled = 0;
    let power = 0;
    for (const sample of this.block) power += sample * sample;
    power /= this.block.length;
    this.power += power;
    this.blocks += 1;
    if (this.blocks === LEVEL_EVERY) {
      const level = 10 * Math.log10(Math.max(this.power / LEVEL_EVERY, 1e-9));
      this.port.postMessage({ level });
      this.blocks = 0;
      this.power = 0;
    }
    const key = power > 1e-5 ? this.keyOf(power) : null;
    this.run = key === this.candidate ? this.run + 1 : 1;
    this.candidate = key;
    if (this.run === BLOCKS && key !== this.key) {
      this.key = key;
      if (key) this.port.postMessage({ key });
    }
  }

  /** The key whose two tones hold nearly all of the block's power. */
  keyOf(power) {
    const low = LOW.map((hz) => this.powerAt(hz));
    const high = HIGH.map((hz) => this.powerAt(hz));
    const row = low.indexOf(Math.max(...low));
    const column = high.indexOf(Math.max(...high));
    const [a, b] = [low[row], high[column]];
    const twist = a / b;
    return a + b > 0.8 * power && twist > 0.1 && twist < 10 ? KEYS[row][column] : null;
  }

  /** The power of one frequency, in the same measure as the whole block's. */
  powerAt(hz) {
    const omega = (2 * Math.PI * hz) / sampleRate;
    const factor = 2 * Math.cos(omega);
    let before = 0;
    let last = 0;
    for (const sample of this.block) {
      const next = sample + factor * last - before;
      before = last;
      last = next;
    }
    const magnitude = last * last + before * before - factor * last * before;
    return (2 * magnitude) / (this.block.length * this.block.length);
  }
}

registerProcessor("meter", Meter);
