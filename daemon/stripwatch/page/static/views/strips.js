/** All strips, newest first, with search; two of them side by side. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { coil, dateTime, isUnnamed, metres, number } from "../format.js";
import { gradeChip } from "../parts/sign.js";
import { compareLink, stripLink } from "../routes.js";

const SEARCH_MS = 250;
const HEADS = [["", ""], ["Coil", ""], ["Started", ""], ["Length", "number"],
  ["Not inspected", "number"], ["Defects", "number"], ["Most of", ""], ["Grade", ""],
  ["Report", ""]];

export function open(store, { query }) {
  const view = new StripsView(store, query.get("search") ?? "");
  return { title: "Strips", element: view.element, close: () => view.close() };
}

class StripsView {
  constructor(store, search) {
    this.store = store;
    this.chosen = [];
    this.search = h("input", { type: "search", value: search, placeholder: "part of the coil id",
      oninput: () => this._soon() });
    this.compare = h("button", { disabled: true, onclick: () => this._compare() }, "Compare two");
    this.body = h("tbody", {});
    this.more = h("button", { hidden: true, onclick: () => this._load(this.next) }, "Older strips");
    this.message = h("p", { class: "note bad", role: "alert" });
    this.element = h("div", { class: "view" },
      h("header", {}, h("h1", {}, "Strips"), h("label", { class: "row" }, "Coil", this.search),
        this.compare, h("span", { class: "muted" }, "choose two strips to see them side by side")),
      this.message, h("section", { class: "panel" }, h("table", {},
        h("caption", { class: "hidden-text" }, "Strips, newest first"),
        h("thead", {}, h("tr", {}, HEADS.map(([name, look]) => (
          h("th", { scope: "col", class: look }, name || h("span", { class: "hidden-text" },
            "Compare")))))), this.body), this.more));
    this._stop = store.listen((name) => {
      if (["strip_start", "strip_end", "reset"].includes(name)) this._soon();
    });
    this._load();
  }

  close() {
    this._stop();
    clearTimeout(this._timer);
  }

  _soon() {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._load(), SEARCH_MS);
  }

  async _load(before) {
    const search = this.search.value.trim();
    try {
      const answer = await api.strips({ search, before });
      if (search !== this.search.value.trim()) return;
      const rows = answer.strips.map((strip) => this._row(strip));
      if (before) this.body.append(...rows);
      else fill(this.body, rows.length ? rows : this._empty(search));
      this.next = answer.next;
      this.more.hidden = answer.next === null;
      this.message.textContent = "";
    } catch (error) {
      this.message.textContent = error.message;
    }
  }

  _empty(search) {
    const text = search ? `No strip has “${search}” in its coil id.` : "No strip has run yet.";
    return h("tr", {}, h("td", { colSpan: HEADS.length, class: "empty" }, text));
  }

  _row(strip) {
    const name = strip.strip;
    const total = Object.values(strip.defects).reduce((sum, count) => sum + count, 0);
    const most = Object.entries(strip.defects).sort((a, b) => b[1] - a[1])[0];
    const grades = this.store.config.grading?.grades ?? [];
    const box = h("input", { type: "checkbox", checked: this.chosen.includes(name),
      "aria-label": `Compare ${coil(name)}`, onchange: () => this._choose(name, box.checked) });
    const cells = [
      box, h("a", { href: stripLink(name) }, coil(name)), dateTime(strip.start_ns),
      strip.has_ended ? metres(strip.length_m) : this._soFar(name), metres(strip.metres_missed),
      strip.has_ended ? number(total) : "–",
      most && most[1] ? `${most[0]} ${number(most[1])}` : "–", gradeChip(strip.grade, grades),
      isUnnamed(name) ? "–" : h("a", { href: api.reportUrl(name), target: "_blank",
        "aria-label": `Report of ${name}` }, "Report"),
    ];
    return h("tr", {}, cells.map((cell, i) => h("td", { class: HEADS[i][1] }, cell)));
  }

  /** How far a strip that has not ended has got, where a camera sees it now. */
  _soFar(name) {
    const places = this.store.state.strips.filter(({ strip }) => strip === name);
    if (!places.length) return "not ended";
    return `running, ${metres(Math.max(...places.map((one) => one.length_m ?? 0)))}`;
  }

  _choose(name, isChosen) {
    this.chosen = this.chosen.filter((other) => other !== name);
    if (isChosen) this.chosen.push(name);
    this.compare.disabled = this.chosen.length !== 2;
  }

  _compare() {
    location.hash = compareLink(this.chosen[1], this.chosen[0]);
  }
}
