// What the agent's side sends, and what is measured of sound: levels, and keys pressed by the customer.

let context = null;
let worklet = null;

/** The one audio context of the page. Browsers let it run only after the person has clicked something. */
export async function audioContext() {
  if (!context) {
    context = new AudioContext({ latencyHint: "interactive" });
    worklet = context.audioWorklet.addModule("/desk/meter-worklet.js");
  }
  if (context.state === "suspended") await Promise.race([context.resume(), new Promise((r) => setTimeout(r, 200))]);
  await worklet;
  return context;
}

/** A track of the page's own making: a sine of `hz`, or silence where `hz` is null. */
async function generated(hz) {
  const ctx = await audioContext();
  const out = new MediaStreamAudioDestinationNode(ctx, { channelCount: 1 });
  const gain = new GainNode(ctx, { gain: hz === null ? 0 : 0.25 });
  const tone = new OscillatorNode(ctx, { frequency: hz ?? 440 });
  tone.connect(gain).connect(out);
  tone.start();
  return out.stream.getAudioTracks()[0];
}

/**
 * Opens what the agent's side sends. `wish` is "microphone", "silence" or "tone"; without a microphone it is silence, so
 * that a call can be had all the same. Gives {track, label}.
 */
export async function openSound(wish, hz) {
  if (wish === "tone") return { track: await generated(hz), label: `tone of ${hz} Hz` };
  if (wish === "silence") return { track: await generated(null), label: "silence" };
  if (!navigator.mediaDevices) {
    return { track: await generated(null), label: "silence: no microphone on a page without https" };
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    return { track: stream.getAudioTracks()[0], label: "microphone" };
  } catch (error) {
    return { track: await generated(null), label: `silence: no microphone (${error.name})` };
  }
}

/** Opens the camera; a moving test picture where there is none. */
export async function openCamera() {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } });
    return stream.getVideoTracks()[0];
  } catch {
    return testPicture();
  }
}

function testPicture() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
  const pen = canvas.getContext("2d");
  let frame = 0;
  const draw = () => {
    frame += 1;
    pen.fillStyle = "#1f5f7a";
    pen.fillRect(0, 0, 320, 180);
    pen.fillStyle = "#ffffff";
    pen.font = "20px sans-serif";
    pen.fillText("no camera", 110, 90);
    pen.fillRect((frame * 4) % 320, 150, 40, 10);
  };
  draw();
  const track = canvas.captureStream(15).getVideoTracks()[0];
  const timer = setInterval(() => (track.readyState === "ended" ? clearInterval(timer) : draw()), 66);
  return track;
}

/**
 * Measures a track: `onLevel(dBFS)` ten times a second, `onKey(key)` for each key that is heard. Gives a function that
 * ends it. A browser plays telephone events (RFC 4733) as tones and tells scripts nothing of them, so keys are heard.
 */
export async function measure(track, { onLevel, onKey }) {
  const ctx = await audioContext();
  const source = ctx.createMediaStreamSource(new MediaStream([track]));
  const meter = new AudioWorkletNode(ctx, "meter", { numberOfOutputs: 0 });
  meter.port.onmessage = ({ data }) => {
    if (data.level !== undefined) onLevel?.(data.level);
    if (data.key) onKey?.(data.key);
  };
  source.connect(meter);
  return () => {
    meter.port.onmessage = null;
    meter.port.postMessage("stop");
    source.disconnect();
  };
}

/** Rings until the function that it gives is called. */
export async function ring() {
  const ctx = await audioContext();
  const gain = new GainNode(ctx, { gain: 0 });
  const tone = new OscillatorNode(ctx, { frequency: 480 });
  tone.connect(gain).connect(ctx.destination);
  tone.start();
  const once = () => {
    gain.gain.setTargetAtTime(0.06, ctx.currentTime, 0.02);
    gain.gain.setTargetAtTime(0, ctx.currentTime + 0.8, 0.02);
  };
  once();
  const again = setInterval(once, 2000);
  return () => {
    clearInterval(again);
    tone.stop();
    gain.disconnect();
  };
}
