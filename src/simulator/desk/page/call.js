// One call: the browser's WebRTC peer and its signaling. Knows nothing of the page.
//
// The agent's side offers in this API: REQUEST_CALL is answered with OFFER_CALL, and a call is made with an OFFER_CALL
// unasked. A client may also offer itself. Every later OFFER_CALL in the same call is a renegotiation.

/** How long a description may wait for its answer before the next change is made all the same, in ms. */
const ANSWER_WITHIN = 10_000;

/** The first peer of a page takes its browser several times as long as the next: it is made before anybody waits for it. */
export async function warmUp(track) {
  const pc = new RTCPeerConnection();
  pc.addTrack(track);
  await pc.createOffer();
  pc.close();
}

export class Call {
  #pc;
  #send;
  #on;
  #work = Promise.resolve();
  #candidates = [];
  #answered = null;
  #audio;
  #camera = null;
  #cameraSender = null;
  #closed = false;
  #held = false;
  #before = null;

  /**
   * `send(signal)` gives a signaling message to the client. `on` is told: state(connectionState), track(track, stream),
   * failed(reason), note(text).
   */
  constructor({ iceServers, track, send, on }) {
    this.#send = send;
    this.#on = on;
    this.startedAt = performance.now();
    this.connectedAt = null;
    this.#audio = track.clone();
    this.#audio.enabled = true;
    const pc = new RTCPeerConnection({ iceServers });
    this.#pc = pc;
    pc.addTrack(this.#audio, new MediaStream([this.#audio]));
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return;
      const { sdpMid, sdpMLineIndex } = candidate;
      send({ type: "ICE_CANDIDATE", candidate: candidate.candidate, sdpMid, sdpMLineIndex });
    };
    pc.ontrack = ({ track: remote, streams }) => on.track(remote, streams[0] ?? new MediaStream([remote]));
    pc.onconnectionstatechange = () => {
      const state = pc.connectionState;
      if (state === "connected") this.connectedAt ??= performance.now();
      if (state === "failed") on.failed("no way for the media was found, or it was lost");
      on.state(state);
    };
  }

  /** For tests and figures. */
  get peer() {
    return this.#pc;
  }

  /** On hold no picture is sent either; mute is the caller's. */
  setHeld(held) {
    this.#held = held;
    if (this.#camera) this.#camera.enabled = !held;
  }

  get hasVideo() {
    return this.#camera !== null;
  }

  /** Offers the call to the client. */
  offer({ camera = null } = {}) {
    return this.#withCamera(camera, async () => {
      if (camera) this.#addCamera(camera);
      await this.#offerNow();
    });
  }

  /** Answers an offer of the client. */
  accept(sdp, { camera = null } = {}) {
    return this.#withCamera(camera, async () => {
      if (camera) this.#addCamera(camera);
      await this.#answerNow(sdp);
    });
  }

  /** A signaling message of the client. */
  signal(data) {
    switch (data.type) {
      case "ANSWER_CALL":
        return this.#run(async () => {
          if (this.#pc.signalingState !== "have-local-offer") return;
          await this.#pc.setRemoteDescription({ type: "answer", sdp: data.sdp });
          this.#dropRefusedCamera();
          await this.#addCandidates();
          this.#answered?.();
        });
      case "OFFER_CALL":
        // While our own offer is open the client yields.
        if (this.#pc.signalingState === "have-local-offer") return Promise.resolve();
        return this.#queue(() => this.#answerNow(data.sdp));
      case "ICE_CANDIDATE":
        this.#candidates.push(data);
        return this.#run(() => this.#addCandidates());
      case "CALL_REJECTED":
        // Of a renegotiation: the call stays as it was.
        return this.#run(async () => {
          throw new Error(`the customer's side refused (${data.reason ?? data.reason_code ?? "no reason given"})`);
        });
      default:
        return Promise.resolve();
    }
  }

  setMuted(muted) {
    this.#audio.enabled = !muted;
  }

  /** The camera's track on, or off with null: renegotiates either way. */
  setCamera(camera) {
    return this.#withCamera(camera, async () => {
      if (camera) {
        this.#addCamera(camera);
      } else if (this.#camera) {
        this.#pc.removeTrack(this.#cameraSender);
        this.#stopCamera();
      } else {
        return;
      }
      await this.#offerNow();
    });
  }

  get camera() {
    return this.#camera;
  }

  /** Presses keys (RFC 4733); `w` is a pause. False: the client takes none. */
  dial(keys) {
    const sender = this.#pc.getSenders().find((s) => s.track === this.#audio);
    if (!sender?.dtmf?.canInsertDTMF) return false;
    // As the simulator reads them: `w` and a comma are pauses, and what only groups the keys says nothing.
    const tones = keys.replaceAll(/[wW]/g, ",").replaceAll(/[^0-9A-Da-d#*,]/g, "");
    // What is still being dialled would be forgotten.
    sender.dtmf.insertDTMF(sender.dtmf.toneBuffer + tones, 120, 70);
    return true;
  }

  async stats(summarize) {
    this.#before = summarize(await this.#pc.getStats(), this.#before);
    return this.#before;
  }

  close() {
    this.#closed = true;
    this.#answered?.();
    this.#audio.stop();
    this.#camera?.stop();
    this.#pc.close();
  }

  #addCamera(camera) {
    this.#camera?.stop();
    this.#camera = camera;
    camera.enabled = !this.#held;
    const stream = new MediaStream([camera]);
    this.#cameraSender = this.#pc.addTrack(camera, stream);
  }

  #stopCamera() {
    this.#camera.stop();
    this.#camera = null;
    this.#cameraSender = null;
  }

  /** A client that takes no video rejects its section, or answers it as inactive. */
  #dropRefusedCamera() {
    if (!this.#camera) return;
    const transceiver = this.#pc.getTransceivers().find((t) => t.sender === this.#cameraSender);
    if (transceiver?.currentDirection?.startsWith("send")) return;
    this.#stopCamera();
    this.#on.note("The customer's client takes no video.");
  }

  async #offerNow() {
    await this.#pc.setLocalDescription();
    const answered = new Promise((resolve) => {
      this.#answered = resolve;
    });
    this.#send({ type: "OFFER_CALL", offerVideo: this.hasVideo, sdp: this.#pc.localDescription.sdp });
    // The next change of the call waits for the answer, though not for ever.
    await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, ANSWER_WITHIN))]);
  }

  async #answerNow(sdp) {
    await this.#pc.setRemoteDescription({ type: "offer", sdp });
    await this.#addCandidates();
    await this.#pc.setLocalDescription();
    this.#send({ type: "ANSWER_CALL", sdp: this.#pc.localDescription.sdp });
  }

  /** Candidates may come before the description that they belong to. */
  async #addCandidates() {
    if (!this.#pc.remoteDescription) return;
    for (const { candidate = "", sdpMid = null, sdpMLineIndex = null } of this.#candidates.splice(0)) {
      // Of an m-line that was rejected, or of a kind this browser does not know: others will do.
      await this.#pc
        .addIceCandidate({ candidate, sdpMid: sdpMid ?? (sdpMLineIndex === null ? "0" : null), sdpMLineIndex })
        .catch((error) => this.#on.note(`a candidate cannot be used: ${error.message}`));
    }
  }

  /** A camera that its call had no use for any more is not left on. */
  async #withCamera(camera, step) {
    await this.#queue(step);
    if (camera && this.#camera !== camera) camera.stop();
  }

  /** Changes of the session come one after the other. */
  #queue(step) {
    this.#work = this.#work.then(() => this.#run(step));
    return this.#work;
  }

  #run(step) {
    return Promise.resolve()
      .then(() => (this.#closed ? undefined : step()))
      .catch((error) => this.#fail(error));
  }

  /** A call that is up stays as it was; one that is not cannot come about. */
  async #fail(error) {
    if (this.#closed) return;
    if (!this.#pc.currentRemoteDescription) return this.#on.failed(error.message);
    if (this.#pc.signalingState === "have-local-offer") await this.#pc.setLocalDescription({ type: "rollback" });
    this.#answered?.();
    this.#dropRefusedCamera();
    this.#on.note(`The call could not be changed: ${error.message}`);
  }
}
