// The desk: signs in, keeps the chats, and hands every event to the part of the page that shows it.
//
// Settings in the address, for tests and bookmarks: name=… signs in at once, tone=440 sends a tone instead of the
// microphone (sound=silence: nothing), answer=auto takes every call, ready=no takes chats by hand, capacity=3, ring=no.

import { warmUp } from "./call.js";
import { CallPanel } from "./callpanel.js";
import { Conversation } from "./conversation.js";
import { showCustomer } from "./customer.js";
import { byId, el, setText, show, toast } from "./dom.js";
import { Socket } from "./socket.js";
import { audioContext, openSound } from "./sound.js";

const settings = new URLSearchParams(location.search);
const TONE_HZ = Math.min(Math.max(Number(settings.get("tone")) || 440, 20), 8000);

class Desk {
  chats = new Map();
  iceServers = [];
  sound = null;
  maySound = settings.get("ring") !== "no";
  #id = null;
  #desks = [];
  #waiting = [];
  #selected = null;
  #caller = null;
  #socket = null;
  #opening = null;
  /** What was written and not sent when the connection broke, by chat. */
  #drafts = new Map();

  constructor() {
    this.conversation = new Conversation(this);
    this.calls = new CallPanel(this);
    byId("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.signIn();
    });
    byId("sign-out").addEventListener("click", () => this.#signOut());
    byId("ready").addEventListener("change", () => this.#command({ do: "ready", on: byId("ready").checked }));
    byId("end").addEventListener("click", () => this.#selected?.over && this.#forget(this.#selected));
    byId("caller").addEventListener("click", () => this.#caller && this.select(this.#caller));
    // Browsers let a page sound only after a click.
    addEventListener("click", () => audioContext().catch(() => undefined), { once: true });
    if (settings.has("tone")) byId("sound").value = "tone";
    if (settings.has("sound")) byId("sound").value = settings.get("sound");
    byId("auto-answer").checked = settings.get("answer") === "auto";
    byId("ready").checked = settings.get("ready") !== "no";
    byId("capacity").value = settings.get("capacity") ?? "4";
    byId("name").value = settings.get("name") ?? "";
    if (settings.get("name")) this.signIn();
  }

  autoAnswer() {
    return byId("auto-answer-live").checked;
  }

  others() {
    return this.#desks.filter((desk) => desk.id !== this.#id);
  }

  /** Whether a call goes on in another chat than this one. */
  inOtherCall(chat) {
    return [...this.chats.values()].some((other) => other !== chat && other.call);
  }

  async signIn() {
    const name = byId("name").value.trim();
    if (!name) return;
    show(byId("sign-in-error"), false);
    byId("sign-in").disabled = true;
    byId("auto-answer-live").checked = byId("auto-answer").checked;
    byId("sign-in").textContent = "Waiting for the microphone …";
    await this.freshSound();
    byId("sign-in").textContent = "Sign in";
    warmUp(this.sound.track).catch(() => undefined);
    const capacity = Number(byId("capacity").value) || 4;
    this.#socket = new Socket({
      signIn: () => ({ name, capacity, ready: byId("ready").checked }),
      onEvent: (event) => this.#handle(event),
      onState: (on) => this.#connected(on),
      onRefused: (reason) => {
        this.#signOut();
        byId("sign-in-error").textContent = reason;
        show(byId("sign-in-error"), true);
      },
    });
  }

  /** Opens what this side sends, the first time and when it has ended: a microphone that was pulled out. */
  async freshSound() {
    if (this.sound?.track.readyState === "live") return;
    // Whoever asks while it is being opened gets the same one.
    this.#opening ??= openSound(byId("sound").value, TONE_HZ).finally(() => {
      this.#opening = null;
    });
    const sound = await this.#opening;
    if (this.sound === sound) return;
    this.sound = sound;
    byId("microphone").textContent = sound.label;
    sound.track.addEventListener("ended", () => {
      byId("microphone").textContent = "the microphone is gone";
    });
  }

  #connected(on) {
    const pill = byId("connection");
    pill.textContent = on ? "connected" : "no connection: trying again …";
    pill.classList.toggle("good", on);
    pill.classList.toggle("bad", !on);
    // The center gave this desk's chats to others when the connection broke; what comes back comes anew.
    if (!on) for (const chat of [...this.chats.values()]) this.#lose(chat);
    const signsIn = !byId("sign-in-view").hidden;
    show(byId("sign-in-view"), false);
    show(byId("desk-view"), true);
    // What had the focus is hidden now.
    if (signsIn) byId("desk-name").focus();
  }

  #lose(chat) {
    this.#forget(chat);
    if (chat.draft) this.keepDraft(chat, chat.draft);
  }

  /** A text that was not sent: it stands in the message field of its chat, also when that comes back later. */
  keepDraft(chat, text) {
    const { chat_id } = chat.view;
    const now = this.chats.get(chat_id);
    if (!now) this.#drafts.set(chat_id, text);
    else if (now === this.#selected) this.conversation.putBack(text);
    else now.draft = text;
  }

  #signOut() {
    this.#socket?.close();
    for (const chat of [...this.chats.values()]) this.#forget(chat);
    this.#drafts.clear();
    this.sound?.track.stop();
    this.sound = null;
    byId("sign-in").disabled = false;
    show(byId("desk-view"), false);
    show(byId("sign-in-view"), true);
    byId("name").focus();
  }

  /** Gives whether it was done. */
  async #command(command) {
    try {
      await this.#socket.send(command);
      return true;
    } catch (error) {
      toast(error.message);
      return false;
    }
  }

  /** For tests: as if the network were lost for a moment. */
  breakConnection() {
    this.#socket.breakOff();
  }

  /** Sends a command; rejects with the reason when it is refused. */
  send(command) {
    return this.#socket.send(command);
  }

  /** Does something in a chat; says so when it is refused. */
  chatCommand(chat_id, command) {
    return this.#command({ ...command, chat_id });
  }

  /** The same, for what nobody waits for. */
  quietCommand(chat_id, command) {
    this.#socket.send({ ...command, chat_id }).catch(() => undefined);
  }

  /**
   * A call rings in a chat: it is shown, unless the agent is at something in another one. What is being written there
   * must not go to this customer; the list and a button say who calls.
   */
  callRings(chat) {
    if (!this.#isOccupied(chat)) this.select(chat);
  }

  #isOccupied(chat) {
    const shown = this.#selected;
    if (!shown || shown === chat || shown.over) return byId("dialog").open;
    const fields = "input:not([type=checkbox]), select, textarea";
    return (
      byId("dialog").open ||
      document.activeElement?.matches(fields) ||
      byId("text").value.trim() !== "" ||
      shown.view.call.state !== "idle" ||
      this.inOtherCall(chat)
    );
  }

  /** Says who calls while another chat is shown, with a way there. */
  #callers() {
    const caller = [...this.chats.values()].find(
      (chat) => chat !== this.#selected && chat.view.call.state === "ringing" && !chat.call,
    );
    this.#caller = caller ?? null;
    setText("caller", caller ? `${caller.view.customer || `Chat ${caller.view.number}`} calls: show` : "Nobody calls");
    show(byId("caller"), Boolean(caller));
  }

  #handle(event) {
    const chat = this.chats.get(event.chat_id);
    switch (event.type) {
      case "welcome":
        this.#id = event.desk.id;
        this.iceServers = event.ice_servers.map(({ url, urls, username, credential }) => ({
          urls: urls ?? url,
          ...(username ? { username, credential } : {}),
        }));
        byId("desk-name").textContent = event.desk.name;
        return;
      case "desks": {
        this.#desks = event.desks;
        const own = event.desks.find((desk) => desk.id === this.#id);
        if (own) byId("ready").checked = own.ready;
        return;
      }
      case "waiting":
        this.#waiting = event.chats;
        return this.#lists();
      case "chat":
        return this.#given(event);
      case "event":
        return chat && this.#event(chat, event.event);
      case "signal":
        return chat && this.calls.signal(chat, event.data);
      case "call":
        if (chat) this.calls.stateChanged(chat, event.call);
        return this.#lists();
      case "perform":
        return chat && this.calls.perform(chat, event.command);
      case "gone":
        return chat && this.#gone(chat, event.reason);
    }
  }

  #given({ chat: view, events }) {
    const chat = { view, events, typing: false, unread: 0, over: false, call: null, digits: "" };
    chat.draft = this.#drafts.get(view.chat_id) ?? "";
    this.#drafts.delete(view.chat_id);
    this.chats.set(view.chat_id, chat);
    if (!this.#selected || this.#selected.over) this.select(chat);
    else chat.unread = 1;
    this.calls.cameBack(chat);
    this.#lists();
  }

  #event(chat, event) {
    const own = event.party_id === chat.view.chat_id;
    if (event.event === "chat_session_typing" || event.event === "chat_session_not_typing") {
      if (own) chat.typing = event.event === "chat_session_typing";
    } else {
      if (own) chat.typing = false;
      if (event.event === "chat_session_status") chat.view.state = event.state;
      chat.events.push(event);
      if (own && chat !== this.#selected) chat.unread += 1;
    }
    if (chat === this.#selected) {
      this.conversation.add(event);
      if (event.event === "chat_session_navigation") showCustomer(chat);
    }
    this.#lists();
  }

  /** The chat ended or went to somebody else: it can be read until it is closed. */
  #gone(chat, reason) {
    chat.over = true;
    this.calls.gone(chat);
    if (chat !== this.#selected) return this.#forget(chat);
    const msg = reason === "transferred" ? "The chat was handed over" : "The chat is over";
    const note = { event: "desk_note", msg, timestamp: Date.now() };
    chat.events.push(note);
    this.conversation.add(note);
    this.#lists();
  }

  #forget(chat) {
    this.calls.gone(chat);
    this.#drop(chat);
    if (chat === this.#selected) this.select([...this.chats.values()].at(-1) ?? null);
    this.#lists();
  }

  /** A chat that was handed over may have come back under its own id: that one stays. */
  #drop(chat) {
    if (this.chats.get(chat.view.chat_id) === chat) this.chats.delete(chat.view.chat_id);
  }

  select(chat) {
    const before = this.#selected;
    this.#selected = chat;
    if (chat) chat.unread = 0;
    if (before?.over && before !== chat) this.#drop(before);
    this.conversation.select(chat);
    this.calls.select(chat);
    showCustomer(chat);
    this.#lists();
  }

  #lists() {
    const mine = [...this.chats.values()];
    const { chatId, take } = document.activeElement?.dataset ?? {};
    byId("mine").replaceChildren(...mine.map((chat) => this.#mineItem(chat)));
    byId("waiting").replaceChildren(...this.#waiting.map((view) => this.#waitingItem(view)));
    if (chatId || take) this.#focusAgain(chatId, take);
    this.#callers();
    byId("mine-count").textContent = mine.filter((chat) => !chat.over).length;
    byId("waiting-count").textContent = this.#waiting.length;
    const calling = mine.some((chat) => chat.view.call.state === "ringing" && !chat.call);
    const unread = mine.reduce((sum, chat) => sum + chat.unread, 0);
    document.title = `${calling ? "☎ " : unread ? `(${unread}) ` : ""}Agent desk`;
  }

  /** What had the focus was made anew, or is gone: then what stands in its place. */
  #focusAgain(chatId, take) {
    const found =
      (take && document.querySelector(`[data-take="${CSS.escape(take)}"]`)) ||
      document.querySelector(`[data-chat-id="${CSS.escape(chatId ?? take)}"]`) ||
      (take && document.querySelector("[data-take]")) ||
      byId("mine-title");
    found.focus();
  }

  #mineItem(chat) {
    const { view } = chat;
    const state = chat.over ? "over" : { ringing: "calls", calling: "calling", up: "in call" }[view.call.state];
    const badge = state ? el("span", { className: `badge is-${view.call.state}` }, state) : null;
    const unread = chat.unread ? el("span", { className: "badge is-unread" }, String(chat.unread)) : null;
    const last = chat.events.findLast((event) => event.event === "chat_session_message");
    const button = el(
      "button",
      { className: "chat-item", dataset: { chatId: view.chat_id } },
      el("span", { className: "chat-name" }, view.customer || `Chat ${view.number}`, " ", unread ?? "", badge ?? ""),
      el("span", { className: "muted preview" }, chat.typing ? "is typing …" : (last?.msg ?? "")),
    );
    if (chat === this.#selected) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => this.select(chat));
    return el("li", {}, button);
  }

  #waitingItem(view) {
    const minutes = Math.max(0, Math.round((Date.now() - view.since_ms) / 60000));
    const take = el("button", { className: "primary small", dataset: { take: view.chat_id } }, "Take");
    take.addEventListener("click", () => this.chatCommand(view.chat_id, { do: "take" }));
    const name = view.customer || `Chat ${view.number}`;
    const since = el("span", { className: "muted" }, minutes ? `waits ${minutes} min` : "just now");
    return el("li", { className: "waiting-item" }, el("div", {}, el("div", { className: "chat-name" }, name), since), take);
  }
}

globalThis.desk = new Desk();
