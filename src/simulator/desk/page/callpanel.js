// The call of each chat, and the panel that shows the selected one's.

import { Call } from "./call.js";
import { ask, byId, el, fact, setText, show, toast } from "./dom.js";
import { measure, openCamera, ring } from "./sound.js";
import { lines, summarize } from "./stats.js";

const KEYS = "123A456B789C*0#D";
const STATES = { idle: "no call", ringing: "ringing", calling: "calling …", up: "connecting …" };

export class CallPanel {
  #desk;
  #chat = null;
  #stopRing = null;

  constructor(desk) {
    this.#desk = desk;
    const on = (id, does) => byId(id).addEventListener("click", () => this.#chat && does(this.#chat));
    on("answer", (chat) => this.answer(chat));
    on("answer-video", (chat) => this.answer(chat, true));
    on("reject", (chat) => this.#reject(chat));
    on("call-customer", (chat) => this.call(chat));
    on("hang-up", (chat) => this.hangUp(chat));
    on("mute", (chat) => this.mute(chat, !chat.muted));
    on("hold", (chat) => this.hold(chat, !chat.held));
    on("video", (chat) => this.video(chat, !chat.call?.hasVideo));
    byId("keys").addEventListener("click", () => this.#showKeypad(byId("keypad").hidden));
    byId("keypad").append(
      ...[...KEYS].map((key) => {
        const button = el("button", { type: "button", dataset: { key } }, key);
        button.addEventListener("click", () => this.#chat && this.dial(this.#chat, key));
        return button;
      }),
    );
    setInterval(() => this.#tick(), 1000);
  }

  select(chat) {
    this.#chat = chat;
    this.#attach();
    this.update();
  }

  #showKeypad(on) {
    show(byId("keypad"), on);
    byId("keys").setAttribute("aria-expanded", String(on));
  }

  /** The center says how the call of a chat stands. */
  stateChanged(chat, view) {
    const before = chat.view.call.state;
    chat.view.call = view;
    if (view.state === "idle") {
      // One that this page began in the meantime is the next.
      if (chat.call?.number > view.number) chat.offer = null;
      else this.#close(chat);
    } else if ((view.state === "calling" || view.state === "up") && chat.call?.number !== view.number) {
      // The center has a call that this page knows nothing of: the customer would wait for ever.
      this.#closeCall(chat);
      this.#hangUpNumber(chat, view.number);
    } else if (view.state === "ringing" && before !== "ringing" && chat.call?.number !== view.number) {
      if (view.again) {
        // The way of the call is broken, or the customer's client was started anew. The agent is in this call already.
        this.#setAside(chat);
        this.answer(chat);
      } else {
        this.#closeCall(chat);
        this.#rings(chat);
      }
    }
    this.#ringOrNot();
    this.update();
  }

  /** A chat came back to this page, which was loaded anew in the middle of its call. */
  cameBack(chat) {
    const { state, again } = chat.view.call;
    if (state === "up" || (state === "ringing" && again)) this.#takeUp(chat);
    else if (state === "calling") this.#hangUpNumber(chat, chat.view.call.number);
    else if (state === "ringing") this.#rings(chat);
    this.#ringOrNot();
    this.update();
  }

  /** Offers the call once more that there is. */
  async #takeUp(chat) {
    await this.#desk.freshSound();
    if (chat.call || chat.over || this.#isElsewhere(chat)) return;
    this.#start(chat).offer();
    this.update();
  }

  /** A signaling message of the client. */
  signal(chat, data) {
    if (data.type === "OFFER_CALL" && !chat.call) {
      chat.offer = data.sdp;
      chat.early = [];
    } else if (data.type === "REQUEST_CALL") {
      chat.offer = null;
    } else if (chat.call) {
      chat.call.signal(data);
    }
    if (data.type === "ICE_CANDIDATE" && chat.offer) chat.early?.push(data);
    if (data.type === "CALL_REJECTED" && !chat.call) chat.note = "The customer declined the call.";
  }

  /** Somebody asks, over the admin API, for what only this page can do. */
  async perform(chat, command) {
    const does = {
      call: () => this.call(chat, command.video),
      answer: () => this.answer(chat, command.video),
      dial: () => this.dial(chat, command.keys),
      mute: () => this.mute(chat, command.on),
      hold: () => this.hold(chat, command.on),
      video: () => this.video(chat, command.on),
    }[command.do];
    await does?.();
  }

  /** The chat is no longer this desk's. */
  gone(chat) {
    this.#close(chat);
    chat.view.call = { ...chat.view.call, state: "idle", video: false };
    this.#ringOrNot();
    this.update();
  }

  async answer(chat, video = false) {
    await this.#desk.freshSound();
    if (chat.view.call.state !== "ringing" || chat.call || this.#isElsewhere(chat)) return;
    const offer = chat.offer;
    const call = this.#start(chat);
    const camera = video ? await this.#openCamera(chat, call) : null;
    if (chat.call !== call) return;
    if (offer) {
      call.accept(offer, { camera });
      for (const candidate of chat.early ?? []) call.signal(candidate);
    } else {
      call.offer({ camera });
    }
    this.update();
  }

  /** One call at a time. */
  #isElsewhere(chat) {
    const elsewhere = this.#desk.inOtherCall(chat);
    if (elsewhere) toast("You are in a call in another chat.");
    return elsewhere;
  }

  async call(chat, video = false) {
    await this.#desk.freshSound();
    if (chat.call || chat.over || this.#isElsewhere(chat)) return;
    if (chat.view.call.state === "ringing") return this.answer(chat, video);
    const call = this.#start(chat);
    const camera = video ? await this.#openCamera(chat, call) : null;
    if (chat.call !== call) return;
    call.offer({ camera });
    this.update();
  }

  async #reject(chat) {
    const fields = [
      { name: "code", label: "Code", options: [["603", "603 Declined"], ["486", "486 Busy"], ["480", "480 Not available"]] },
      { name: "reason", label: "Reason, as the customer reads it", value: "I cannot talk now" },
    ];
    const { number } = chat.view.call;
    const values = await ask("Reject the call", "Reject", fields);
    if (values && chat.view.call.number === number) this.#desk.chatCommand(chat.view.chat_id, { do: "reject", ...values });
  }

  hangUp(chat) {
    const number = chat.call?.number ?? chat.view.call.number;
    // The page is quiet at once; the center tells the customer.
    this.#close(chat);
    this.#hangUpNumber(chat, number);
    this.update();
  }

  /** It may be over by itself: nothing to say then. */
  #hangUpNumber(chat, number) {
    this.#desk.quietCommand(chat.view.chat_id, { do: "hang_up", call: number });
  }

  mute(chat, on) {
    chat.muted = on;
    chat.call?.setMuted(on || chat.held);
    this.update();
  }

  /** On hold nothing is sent and nothing is heard. */
  hold(chat, on) {
    chat.held = on;
    chat.call?.setMuted(on || chat.muted);
    chat.call?.setHeld(on);
    this.#attach();
    this.update();
  }

  /** The camera, off again where the call ended while the person was asked for it. */
  async #openCamera(chat, call) {
    const camera = await openCamera();
    if (chat.call === call) return camera;
    camera.stop();
    return null;
  }

  async video(chat, on) {
    const { call } = chat;
    // One question for the camera at a time.
    if (!call || on === call.hasVideo || call.opensCamera) return;
    chat.note = "";
    call.opensCamera = on;
    this.update();
    const camera = on ? await this.#openCamera(chat, call) : null;
    call.opensCamera = false;
    if (chat.call !== call || (on && !camera)) return;
    call.setCamera(camera).then(() => this.#attach());
    this.#attach();
    this.update();
  }

  dial(chat, keys) {
    if (chat.call && !chat.call.dial(keys)) toast("The customer's client takes no keys.");
  }

  #start(chat) {
    Object.assign(chat, { digits: "", remote: new MediaStream(), muted: false, held: false, note: "", stats: null });
    const call = new Call({
      iceServers: this.#desk.iceServers,
      track: this.#desk.sound.track,
      send: (data) => {
        if (chat.call === call) this.#signal(chat, call, data);
      },
      on: {
        state: (state) => {
          if (state === "connected") this.#dropAside(chat);
          this.update();
        },
        track: (track) => this.#gotTrack(chat, call, track),
        note: (text) => {
          chat.note = text;
          this.update();
        },
        failed: (reason) => {
          if (chat.call !== call) return;
          toast(`The call failed: ${reason}`);
          this.hangUp(chat);
        },
      },
    });
    // The call that rings, or the next one.
    call.number = chat.view.call.number + (chat.view.call.state === "idle" ? 1 : 0);
    chat.call = call;
    // For tests and the console.
    globalThis.deskCall = call;
    return call;
  }

  async #signal(chat, call, data) {
    try {
      await this.#desk.send({ do: "signal", call: call.number, data, chat_id: chat.view.chat_id });
    } catch (error) {
      if (chat.call !== call) return;
      toast(error.message);
      if (data.type !== "OFFER_CALL" && data.type !== "ANSWER_CALL") return;
      // The call cannot come about like this; while the customer's rings on it can be answered again.
      this.#closeCall(chat);
      if (chat.view.call.state !== "ringing") this.#hangUpNumber(chat, call.number);
      this.#ringOrNot();
      this.update();
    }
  }

  #gotTrack(chat, call, track) {
    if (chat.call !== call) return;
    for (const old of chat.remote.getTracks()) if (old.kind === track.kind) chat.remote.removeTrack(old);
    chat.remote.addTrack(track);
    track.onended = track.onmute = track.onunmute = () => this.#attach();
    if (track.kind === "audio") {
      const onLevel = (level) => this.#chat === chat && (byId("level-in").value = level);
      const onKey = (key) => {
        chat.digits += key;
        this.update();
      };
      measure(track, { onLevel, onKey }).then((stop) => this.#keepStop(chat, call, stop));
      measure(this.#desk.sound.track, {
        onLevel: (level) => this.#chat === chat && (byId("level-out").value = chat.muted || chat.held ? -60 : level),
      }).then((stop) => this.#keepStop(chat, call, stop));
    }
    this.#attach();
    this.update();
  }

  #keepStop(chat, call, stop) {
    if (chat.call === call) (chat.stops ??= []).push(stop);
    else stop();
  }

  #close(chat) {
    chat.offer = null;
    this.#closeCall(chat);
  }

  /** The call goes on sounding until the next one is connected. */
  #setAside(chat) {
    this.#dropAside(chat);
    chat.aside = chat.call;
    chat.call = null;
    for (const stop of chat.stops ?? []) stop();
    chat.stops = [];
  }

  #dropAside(chat) {
    chat.aside?.close();
    chat.aside = null;
  }

  #closeCall(chat) {
    this.#dropAside(chat);
    const { call } = chat;
    chat.call = null;
    call?.close();
    for (const stop of chat.stops ?? []) stop();
    Object.assign(chat, { stops: [], remote: null });
    if (chat === this.#chat) this.#attach();
  }

  /** Puts the selected call's media where it is seen and heard. */
  #attach() {
    const chat = this.#chat;
    const remote = chat?.remote ?? null;
    const tracks = (kind) => remote?.getTracks().filter((t) => t.kind === kind && t.readyState === "live") ?? [];
    const audio = byId("remote-audio");
    const sound = tracks("audio");
    // A call goes on sounding while another chat is looked at.
    const talking = sound.length ? chat : this.#talking();
    const sounding = talking?.remote ?? null;
    if (audio.srcObject !== sounding) audio.srcObject = sounding;
    audio.muted = Boolean(talking?.held);
    if (sounding) audio.play().catch(() => toast("Click anywhere to hear the customer: the browser waits for it."));
    const picture = tracks("video").filter((t) => !t.muted);
    const remoteVideo = byId("remote-video");
    const remoteStream = picture.length ? remote : null;
    if (remoteVideo.srcObject !== remoteStream) remoteVideo.srcObject = remoteStream;
    show(remoteVideo, picture.length > 0);
    const camera = chat?.call?.camera ?? null;
    const localVideo = byId("local-video");
    if ((localVideo.srcObject?.getVideoTracks()[0] ?? null) !== camera) {
      localVideo.srcObject = camera && new MediaStream([camera]);
    }
    show(localVideo, camera !== null);
    show(byId("videos"), picture.length > 0 || camera !== null);
  }

  /** The chat whose call is up, whichever is looked at. */
  #talking() {
    return [...this.#desk.chats.values()].find((chat) => chat.call && chat.remote);
  }

  #rings(chat) {
    if (this.#desk.autoAnswer()) {
      queueMicrotask(() => this.answer(chat));
    } else {
      this.#desk.callRings(chat);
    }
  }

  #ringOrNot() {
    const rings = this.#desk.maySound && !this.#desk.autoAnswer() && [...this.#desk.chats.values()].some((c) => c.view.call.state === "ringing" && !c.call);
    if (rings && !this.#stopRing) this.#stopRing = ring();
    if (!rings && this.#stopRing) {
      this.#stopRing.then((stop) => stop());
      this.#stopRing = null;
    }
  }

  async #tick() {
    for (const chat of this.#desk.chats.values()) {
      const { call } = chat;
      if (!call || call.connectedAt === null) continue;
      const stats = await call.stats(summarize).catch(() => null);
      if (chat.call !== call || !stats) continue;
      chat.stats = stats;
      this.#desk.quietCommand(chat.view.chat_id, { do: "report", stats: { ...stats, digits: chat.digits } });
    }
    this.update();
  }

  update() {
    const focused = document.activeElement;
    this.#show();
    // The button that was pressed may be gone: the next one stands for it.
    if (focused?.closest(".call") && !focused.offsetParent) {
      const next = [...document.querySelectorAll(".call .buttons button")].find((b) => b.offsetParent && !b.disabled);
      (next ?? byId("call-title")).focus();
    }
  }

  #show() {
    const chat = this.#chat;
    const view = chat?.view.call ?? { state: "idle" };
    const call = chat?.call ?? null;
    const rings = view.state === "ringing" && !call;
    const connection = call?.peer.connectionState;
    const up = view.state === "up" && connection === "connected";
    setText("call-state", up ? (chat.held ? "on hold" : "connected") : STATES[view.state]);
    byId("call-state").dataset.state = up ? "connected" : view.state;
    show(byId("ringing"), rings);
    setText("ringing", rings ? `${chat.view.customer || "The customer"} calls${view.video ? " with video" : ""}` : "");
    show(byId("answer"), rings);
    show(byId("answer-video"), rings && view.video);
    show(byId("reject"), rings);
    const idle = !call && view.state === "idle";
    show(byId("call-customer"), idle);
    const elsewhere = Boolean(chat) && this.#desk.inOtherCall(chat);
    byId("call-customer").disabled = !chat || chat.over || elsewhere;
    byId("call-customer").title = elsewhere ? "You are in a call in another chat" : "";
    show(byId("hang-up"), Boolean(call) || view.state === "calling" || view.state === "up");
    for (const id of ["mute", "hold", "video", "keys"]) show(byId(id), Boolean(call));
    byId("mute").setAttribute("aria-pressed", String(Boolean(chat?.muted)));
    byId("hold").setAttribute("aria-pressed", String(Boolean(chat?.held)));
    byId("video").setAttribute("aria-pressed", String(Boolean(call?.hasVideo)));
    if (!call) this.#showKeypad(false);
    show(byId("meters"), Boolean(call));
    show(byId("digits"), Boolean(chat?.digits) && Boolean(call));
    setText("digits-in", chat?.digits ?? "");
    setText("call-note", chat?.note ?? "");
    const seconds = call?.connectedAt ? Math.floor((performance.now() - call.connectedAt) / 1000) : null;
    setText("call-time", seconds === null ? "" : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`);
    show(byId("stats"), Boolean(call && chat.stats));
    if (call && chat.stats) byId("stats").replaceChildren(...lines(chat.stats).flatMap(([t, v]) => fact(t, v)));
    if (up && byId("videos").hidden !== true) this.#attach();
  }
}
