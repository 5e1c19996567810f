// What is known of the customer: parameters, and the pages visited.

import { byId, clock, el, fact, show } from "./dom.js";

export function showCustomer(chat) {
  const { view, events } = chat ?? { view: null, events: [] };
  const facts = view
    ? [
        ["Chat", `number ${view.number}`],
        ["Since", clock(view.since_ms)],
        ...(view.customer ? [["Name", view.customer]] : []),
        ...(view.phone_number ? [["Telephone", view.phone_number]] : []),
        ...Object.entries(view.parameters).map(([key, value]) => [
          key.replaceAll("_", " "),
          typeof value === "string" ? value : JSON.stringify(value),
        ]),
      ]
    : [["–", "no chat is selected"]];
  byId("customer").replaceChildren(...facts.flatMap(([term, value]) => fact(term, value)));
  const pages = events.filter((event) => event.event === "chat_session_navigation").slice(-20);
  show(byId("pages-title"), pages.length > 0);
  byId("pages").replaceChildren(
    ...pages.map((page) => el("li", { title: page.page }, el("strong", {}, page.title || "(no title)"), ` ${page.page}`)),
  );
}
