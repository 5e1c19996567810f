// Small helpers for the document. Text from outside only ever becomes text: there is no innerHTML in this page.

export const byId = (id) => document.getElementById(id);

/** Makes an element. `props` are properties, `dataset` and `attrs` are taken apart; children are elements or text. */
export function el(tag, props = {}, ...children) {
  const { dataset = {}, attrs = {}, ...rest } = props;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(attrs)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A term and what it is, for a <dl>. */
export const fact = (term, value) => [el("dt", {}, term), el("dd", {}, String(value))];

export function show(element, on) {
  element.hidden = !on;
}

let toastTimer;

/** Says something that went wrong. */
export function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  show(box, true);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => show(box, false), 6000);
}

/**
 * Asks for some values. `fields`: {name, label, value, type, options}. Gives an object by name, or null when the person
 * cancels.
 */
export function ask(title, okText, fields) {
  const dialog = byId("dialog");
  byId("dialog-title").textContent = title;
  byId("dialog-ok").textContent = okText;
  const inputs = fields.map(({ name, label, value = "", type = "text", options, ...more }) => {
    const id = `field-${name}`;
    const input = options
      ? el("select", { id, name }, ...options.map(([key, text]) => el("option", { value: key }, text)))
      : el("input", { id, name, type, value, ...more });
    return [el("label", { htmlFor: id }, label), input];
  });
  byId("dialog-fields").replaceChildren(...inputs.flat());
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const done = new AbortController();
    const finish = (values) => {
      done.abort();
      if (dialog.open) dialog.close();
      resolve(values);
    };
    byId("dialog-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        finish(Object.fromEntries(inputs.map(([, input]) => [input.name, input.value.trim()])));
      },
      { signal: done.signal },
    );
    byId("dialog-cancel").addEventListener("click", () => finish(null), { signal: done.signal });
    dialog.addEventListener("cancel", () => finish(null), { signal: done.signal });
  });
}

/** A time of day. Timestamps come in seconds or milliseconds, as numbers or text; absent ones are now. */
export function clock(timestamp) {
  const number = Number(timestamp);
  const ms = Number.isFinite(number) && number > 0 ? (number < 1e11 ? number * 1000 : number) : Date.now();
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
