/** What is always seen: where one is, and how the line is. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { NAVIGATION } from "../routes.js";
import { showHelp } from "./help.js";

/** Words of the daemon's state that mean that all is well, and those that mean that it is not. */
const GOOD = ["ok", "running"];
const BAD = ["failed"];

export function stateLook(word) {
  const state = word.toLowerCase();
  if (GOOD.includes(state)) return "good";
  return BAD.includes(state) ? "bad" : "warn";
}

/** A reason is a sentence, and may name a camera. */
export function reasonText(reason) {
  if (typeof reason === "string") return reason;
  return reason.camera ? `camera ${reason.camera}: ${reason.text}` : reason.text;
}

/** The daemon's word, or that it does not answer. */
export function stateWord({ status, status_age_s: age }) {
  return !status || age === null || age > 3 ? "no answer" : status.state;
}

export class Header {
  /** @param {import("../store.js").Store} store @param {HTMLElement} element */
  constructor(store, element) {
    this.store = store;
    this.links = NAVIGATION.map(([path, name]) => h("a", { href: `#/${path}` }, name));
    this.state = h("span", { class: "state", role: "status" });
    fill(
      element,
      h("a", { class: "brand", href: "#/", "aria-label": "stripwatch, live view" },
        h("img", { src: "/static/icon.svg", alt: "", width: 34, height: 34 }), "stripwatch"),
      h("nav", { "aria-label": "Views" }, this.links),
      h("div", { class: "right" }, this.state, this._buttons()),
    );
    store.listen((name) => {
      if (["status", "state", "connection"].includes(name)) this._show();
    });
    this._show();
  }

  /** The view that is open. @param {string} path */
  mark(path) {
    const first = path.split("/")[0];
    const place = first === "compare" ? "strips" : first;
    this.links.forEach((link, i) => {
      if (NAVIGATION[i][0] === place) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
  }

  _buttons() {
    const { me } = this.store;
    const theme = () => document.documentElement.toggleTheme();
    return [
      h("button", { onclick: theme, title: "Dark or light", "aria-label": "Dark or light" }, "◐"),
      h("button", { onclick: showHelp, title: "Keys", "aria-label": "Keys" }, "?"),
      me.can_log_out && h("button", { onclick: logOut, title: `${me.user}, may ${me.role}` },
        `Log out ${me.user}`),
    ];
  }

  _show() {
    const word = this.store.isConnected ? stateWord(this.store.state) : "not connected";
    const text = word.toUpperCase();
    if (this.state.textContent === text) return;
    this.state.textContent = text;
    const look = word === "not connected" ? "warn" : word === "no answer" ? "bad" : stateLook(word);
    this.state.className = `state ${look}`;
  }
}

async function logOut() {
  await api.logOut().catch(() => null);
  location.reload();
}
