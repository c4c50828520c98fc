/** Large figures, to be read from two metres. */

import { h, setText } from "../dom.js";

export class Figures {
  /** @param {[string, string][]} names key and title of each */
  constructor(names) {
    this._values = new Map();
    this.element = h("dl", { class: "figures" }, names.map(([key, title]) => {
      const value = h("dd", {}, "–");
      const element = h("div", { class: "figure" }, h("dt", {}, title), value);
      this._values.set(key, { value, element });
      return element;
    }));
  }

  /** @param {string} key @param {string} text @param {"" | "warn" | "bad"} [look] */
  set(key, text, look = "") {
    const { value, element } = this._values.get(key);
    setText(value, text);
    value.title = text;
    element.className = `figure ${look}`.trim();
  }
}
