// The conversation of the chat that is selected: its events as lines, and what the agent sends.

import { ask, byId, clock, el, show, toast } from "./dom.js";

/** Prepared texts, by what is on their buttons; a click puts one into the message field. */
const QUICK_REPLIES = {
  Greeting: "Hello! How can I help you?",
  "One moment": "One moment, please. I am looking into it.",
  "Offer a call": "May I call you? Talking is often quicker.",
  "Ask for a photo": "Could you send me a photo of it?",
  "Anything else": "Is there anything else I can do for you?",
  Goodbye: "Thank you for your patience. Goodbye!",
};

/** A typing agent who pauses for so long has stopped, in ms. */
const TYPING_STOPS_AFTER = 3000;

const name = (event) => event.event.replace(/^chat_session_/, "");

/** Who an event comes from: "customer", "agent" or "center". */
function side(chat, event) {
  if (event.party_id === chat.view.chat_id) return "customer";
  if (event.party_id === undefined || event.party_id === "scenario") return "center";
  return "agent";
}

const fileUrl = (id) => `/admin/files/${encodeURIComponent(id)}`;

function fileLine(event) {
  const label = event.file_name || event.file_id;
  const link = el("a", { href: fileUrl(event.file_id), download: label }, label);
  if (event.file_type !== "image") return link;
  const picture = el("img", { src: fileUrl(event.file_id), alt: label, loading: "lazy" });
  return el("figure", {}, el("a", { href: fileUrl(event.file_id), download: label }, picture), el("figcaption", {}, label));
}

function placeLine(event) {
  const text = `${event.latitude ?? "?"}, ${event.longitude ?? "?"}`;
  const url = String(event.url ?? "");
  if (!/^https?:\/\//.test(url)) return text;
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, text);
}

/** What an event says, as nodes or text; null when it is nothing to show. `system` lines are small. */
function line(chat, event) {
  const who = side(chat, event) === "customer" ? "The customer" : "You";
  switch (name(event)) {
    case "message":
      return { text: event.msg_text ?? event.message_text ?? event.msg };
    case "file":
      return { node: fileLine(event) };
    case "location":
      return { label: "Location", node: placeLine(event) };
    case "form_show":
      return { system: `Form “${event.form_name}” was sent` };
    case "secure_form_show":
      return { system: `Secure form “${event.form_id}” was sent` };
    case "form_data": {
      const fields = Object.entries(event.data ?? {}).map(([key, value]) => `${key}: ${value}`);
      return { label: `Form ${event.form_name ?? ""}`, text: fields.join("\n") || "(empty)" };
    }
    case "secure_form_data":
      return { system: "The secure form has arrived. Its contents are not shown." };
    case "secure_form_cancel":
      return { system: "The customer declined the secure form" };
    case "navigation":
      return { system: `The customer opened “${event.title}”` };
    case "cobrowsing_requested":
      return { system: "Co-browsing was asked for" };
    case "cobrowsing_started":
      return { system: `Co-browsing began ${event.cobrowsing_url ?? ""}` };
    case "cobrowsing_rejected":
      return { system: "The customer declined to co-browse" };
    case "cobrowsing_ended":
      return { system: "Co-browsing ended" };
    case "party_joined":
      return { system: `${event.display_name || "Somebody"} joined` };
    case "party_left":
      return { system: "The agent left" };
    case "desk_note":
    case "timeout_warning":
    case "inactivity_timeout":
    case "inactvity_timeout":
      return { system: event.msg };
    case "ended":
      return { system: "The chat is over" };
    case "end":
      return { system: `${who} ended the chat` };
    case "disconnect":
      return { system: `${who} left the conversation` };
    case "status":
    case "typing":
    case "not_typing":
      return null;
    default:
      return { system: name(event) };
  }
}

export class Conversation {
  #desk;
  #shown = null;
  #typingTimer = null;
  #quietTimer = null;
  #typingChat = null;
  /** The chat for which files are being chosen. */
  #filesFor = null;

  constructor(desk) {
    this.#desk = desk;
    byId("quick").replaceChildren(
      ...Object.entries(QUICK_REPLIES).map(([label, text]) => {
        const button = el("button", { type: "button", className: "chip", title: text }, label);
        button.addEventListener("click", () => this.#insert(text));
        return button;
      }),
    );
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendMessage();
    });
    const text = byId("text");
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#sendMessage();
      }
    });
    text.addEventListener("input", () => this.#typing(text.value !== ""));
    byId("attach").addEventListener("click", () => {
      this.#filesFor = this.#shown;
      byId("file").click();
    });
    byId("file").addEventListener("change", () => this.#sendFiles());
    byId("form").addEventListener("click", () => this.#sendForm());
    byId("secure-form").addEventListener("click", () => this.#sendSecureForm());
    byId("location").addEventListener("click", () => this.#sendLocation());
    byId("cobrowse").addEventListener("click", () => this.#do({ do: "cobrowsing" }));
    byId("transfer").addEventListener("click", () => this.#transfer());
    byId("disconnect").addEventListener("click", () => this.#do({ do: "disconnect" }));
    byId("end").addEventListener("click", () => this.#shown?.over || this.#do({ do: "end" }));
  }

  #do(command, chat = this.#shown) {
    return chat ? this.#desk.chatCommand(chat.view.chat_id, command) : Promise.resolve();
  }

  /** Shows another chat, or none. */
  select(chat) {
    this.#typing(false);
    if (this.#shown) this.#shown.draft = byId("text").value;
    this.#shown = chat;
    show(byId("chat"), chat !== null);
    show(byId("no-chat"), chat === null);
    if (!chat) return;
    byId("text").value = chat.draft ?? "";
    // What was said before is not read out again.
    const log = byId("log");
    log.setAttribute("aria-live", "off");
    log.replaceChildren();
    for (const event of chat.events) this.#append(event);
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => log.setAttribute("aria-live", "polite"), 300);
    this.update();
  }

  /** The selected chat is otherwise than before. */
  update() {
    const chat = this.#shown;
    if (!chat) return;
    byId("chat-title").textContent = chat.view.customer || `Chat ${chat.view.number}`;
    byId("chat-state").textContent = chat.over ? "over" : chat.view.state;
    byId("typing").textContent = chat.typing ? "The customer is typing …" : "";
    for (const id of ["text", "send", "attach", "form", "secure-form", "location", "cobrowse", "transfer", "disconnect"]) {
      byId(id).disabled = chat.over;
    }
    byId("end").textContent = chat.over ? "Close" : "End chat";
  }

  /** An event of the selected chat. */
  add(event) {
    this.#append(event);
    this.update();
  }

  #append(event) {
    const shown = line(this.#shown, event);
    if (!shown) return;
    const log = byId("log");
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    const time = el("time", {}, clock(event.timestamp));
    const from = side(this.#shown, event);
    if (shown.system !== undefined) {
      log.append(el("li", { className: "system" }, shown.system, " ", time));
    } else {
      const who = { customer: this.#shown.view.customer || "Customer", agent: "You", center: "Center" }[from];
      const label = shown.label ? el("span", { className: "what" }, shown.label) : null;
      const body = el("div", { className: "body" }, label, shown.node ?? shown.text);
      log.append(el("li", { className: from }, el("span", { className: "who" }, who, " ", time), body));
    }
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  #insert(text) {
    const field = byId("text");
    field.value = field.value ? `${field.value.trimEnd()} ${text}` : text;
    field.focus();
    this.#typing(true);
  }

  async #sendMessage() {
    const field = byId("text");
    const text = field.value.trim();
    if (!text) return;
    this.#typing(false);
    field.value = "";
    const chat = this.#shown;
    if (!(await this.#do({ do: "message", text }, chat))) this.#desk.keepDraft(chat, text);
  }

  /** A text that could not be sent, before what was written since. */
  putBack(text) {
    const field = byId("text");
    field.value = field.value ? `${text} ${field.value}` : text;
  }

  /** Tells the customer once that the agent types, and once that it has stopped. */
  #typing(on) {
    clearTimeout(this.#typingTimer);
    if (on && !this.#typingChat && this.#shown && !this.#shown.over) {
      this.#typingChat = this.#shown;
      this.#do({ do: "typing", on: true });
    }
    if (on) {
      this.#typingTimer = setTimeout(() => this.#typing(false), TYPING_STOPS_AFTER);
    } else if (this.#typingChat) {
      const chat = this.#typingChat;
      this.#typingChat = null;
      if (!chat.over) this.#do({ do: "typing", on: false }, chat);
    }
  }

  async #sendFiles() {
    const input = byId("file");
    const chat = this.#filesFor ?? this.#shown;
    this.#filesFor = null;
    if (!chat) return;
    for (const file of input.files) {
      const url = `/admin/chats/${chat.view.chat_id}/files?name=${encodeURIComponent(file.name)}`;
      try {
        const headers = { "content-type": file.type || "application/octet-stream" };
        const response = await fetch(url, { method: "POST", body: file, headers });
        if (!response.ok) toast(`${file.name}: ${(await response.json()).error}`);
      } catch (error) {
        toast(`${file.name} was not sent: ${error.message}`);
      }
    }
    input.value = "";
  }

  async #sendForm() {
    // Another chat may be shown by the time the dialog is answered.
    const chat = this.#shown;
    const values = await ask("Send a form", "Send", [{ name: "name", label: "Form that the client knows", value: "contact", required: true }]);
    if (values) this.#do({ do: "form", name: values.name }, chat);
  }

  async #sendSecureForm() {
    const chat = this.#shown;
    const fields = [{ name: "form_id", label: "Secure form that the client knows", value: "payment", required: true }];
    const values = await ask("Send a secure form", "Send", fields);
    if (values) this.#do({ do: "secure_form", form_id: values.form_id }, chat);
  }

  async #sendLocation() {
    const chat = this.#shown;
    const values = await ask("Send a location", "Send", [
      { name: "latitude", label: "Degrees north", value: "52.5163", type: "number", min: -90, max: 90, step: "any", required: true },
      { name: "longitude", label: "Degrees east", value: "13.3777", type: "number", min: -180, max: 180, step: "any", required: true },
    ]);
    if (values) this.#do({ do: "location", latitude: Number(values.latitude), longitude: Number(values.longitude) }, chat);
  }

  async #transfer() {
    const chat = this.#shown;
    const others = this.#desk.others().map((d) => [String(d.id), d.name]);
    const options = [["", "Whoever is free next"], ...others];
    const values = await ask("Hand the chat over", "Transfer", [{ name: "desk", label: "To", options }]);
    if (values) this.#do(values.desk ? { do: "transfer", desk: Number(values.desk) } : { do: "transfer" }, chat);
  }
}
