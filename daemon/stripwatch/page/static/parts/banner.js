/** The banner that cannot be missed: inspection is blind, or the page is not connected. */

import { fill, h, setText } from "../dom.js";
import { clock, duration, metres } from "../format.js";

export class Banner {
  /** @param {import("../store.js").Store} store @param {HTMLElement} element */
  constructor(store, element) {
    this.store = store;
    this.element = element;
    this.shown = "";
    store.listen((name) => {
      if (["status", "state", "connection"].includes(name)) this._show();
    });
    setInterval(() => this._tick(), 1000);
    this._show();
  }

  _show() {
    const blind = this.store.isConnected ? this.store.state.blind : [];
    const key = `${this.store.isConnected} ${blind.map((one) => one.message).join("\n")}`;
    if (key !== this.shown) {
      this.shown = key;
      // An alert is read aloud when it changes; its clock and metres are kept out of it.
      fill(this.element, !this.store.isConnected && this._lost(),
        blind.length > 0 && this._alarm(blind));
    }
    this._tick();
  }

  _lost() {
    const since = clock(this.store.lostSinceMs * 1e6);
    return h("div", { class: "lost" }, h("strong", {}, "Not connected. "),
      `Nothing on this page has been updated since ${since}. Trying again …`);
  }

  _alarm(blind) {
    this.much = h("span", { "aria-hidden": "true" });
    this.since = h("small", { "aria-hidden": "true" });
    return h("div", { class: "alarm" },
      h("strong", {}, "NOT INSPECTED"),
      h("div", { class: "what" }, blind.map((one) => h("div", {}, sentence(one.message)))),
      h("div", { class: "much" }, this.much, this.since));
  }

  _tick() {
    const blind = this.store.state.blind;
    if (!this.store.isConnected || !blind.length || !this.much) return;
    const [worst] = blind;
    const known = blind.map((one) => one.metres).filter((value) => value !== null);
    const seconds = (Date.now() - Math.min(...blind.map((one) => one.since_ns)) / 1e6) / 1000;
    setText(this.much, known.length ? metres(Math.max(...known)) : duration(seconds));
    setText(this.since, `since ${clock(worst.since_ns)}`
      + (known.length ? `, ${duration(seconds)}` : ""));
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
