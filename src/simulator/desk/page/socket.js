// The connection to the simulator: commands out, each with its reply, and events in.

/** How long to wait before trying again, in ms. */
const RETRY_AFTER = [250, 500, 1000, 2000];

/** The simulator says no: another try would end the same way. */
class Refused extends Error {}

export class Socket {
  #socket = null;
  #count = 0;
  #waiting = new Map();
  #tries = 0;
  #closed = false;

  /**
   * `signIn` is the first command on every connection; `onEvent` gets each event, `onState` true or false as the
   * connection comes and goes, `onRefused` the reason when the simulator lets nobody sign in.
   */
  constructor({ signIn, onEvent, onState, onRefused }) {
    Object.assign(this, { signIn, onEvent, onState, onRefused });
    this.#open();
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/desk/socket`);
    this.#socket = socket;
    socket.onopen = () => {
      this.send({ do: "sign_in", ...this.signIn() }).then(
        () => {
          this.#tries = 0;
          this.onState(true);
        },
        (error) => {
          // A connection that breaks while signing in is tried again.
          if (!(error instanceof Refused)) return;
          this.close();
          this.onRefused(error.message);
        },
      );
    };
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.type !== "reply") return this.onEvent(event);
      const waiting = this.#waiting.get(event.id);
      this.#waiting.delete(event.id);
      if (event.ok) waiting?.resolve();
      else waiting?.reject(new Refused(event.error));
    };
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the connection to the simulator is lost"));
      this.#waiting.clear();
      if (this.#closed) return;
      this.onState(false);
      const wait = RETRY_AFTER[Math.min(this.#tries++, RETRY_AFTER.length - 1)];
      setTimeout(() => this.#closed || this.#open(), wait);
    };
  }

  /** Sends a command; rejects with the reason when it is refused. */
  send(command) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error("there is no connection to the simulator"));
    }
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ ...command, id }));
    });
  }

  /** Loses the connection, which is then tried again. */
  breakOff() {
    this.#socket?.close();
  }

  close() {
    this.#closed = true;
    this.#socket?.close();
  }
}
