/** Defects of all strips, newest first: filtered, as a list or as a gallery. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { defectCard } from "../parts/defect_card.js";
import { DefectTable, rowOfItem } from "../parts/defect_table.js";
import { Filters } from "../parts/filters.js";
import { Selection } from "../parts/selection.js";
import { defectLink } from "../routes.js";

const PAGE = 60;
const EMPTY_PAGES_MAX = 25; // of 20,000 events each, that are searched without a question

export function open(store, { query }) {
  const view = new DefectsView(store, query);
  return { title: "Defects", element: view.element, close: () => view.close() };
}

class DefectsView {
  constructor(store, query) {
    this.store = store;
    this.items = [];
    this.isGallery = query.get("as") === "gallery";
    this.filters = new Filters(store, query, () => this._restart());
    this.selection = new Selection(store);
    this.table = new DefectTable(store, { caption: "Defects, newest first",
      onSelect: (seq) => { this.table.select(seq); this.selection.show(seq); },
      onOpen: (seq) => { location.hash = defectLink(seq); } });
    this.gallery = h("ul", { class: "gallery" });
    this.place = h("div", {});
    this.message = h("p", { class: "muted", role: "status" });
    this.more = h("button", { hidden: true, onclick: () => this._load() }, "Older defects");
    this.kinds = [["List", false], ["Gallery", true]].map(([name, isGallery]) => h("button", {
      onclick: () => this._as(isGallery) }, name));
    this.element = h("div", { class: "view" },
      h("header", {}, h("h1", {}, "Defects"),
        h("div", { class: "group", role: "group", "aria-label": "Shown as" }, this.kinds),
        this.message),
      h("section", { class: "panel" }, this.filters.element), this.place,
      h("div", {}, this.more));
    this._as(this.isGallery, false);
    this._restart(false);
  }

  close() {
    this._asked?.abort();
  }

  _as(isGallery, isKept = true) {
    this.isGallery = isGallery;
    this.kinds.forEach((button, i) => button.setAttribute("aria-pressed",
      String((i === 1) === isGallery)));
    fill(this.place, isGallery ? this.gallery : h("div", { class: "columns two" },
      h("section", { class: "panel" }, this.table.element), this.selection.element));
    if (isKept) this._keep();
    this._show();
  }

  /** The address tells the filters; replacing it does not open the view anew. */
  _keep() {
    const query = this.filters.query();
    if (this.isGallery) query.set("as", "gallery");
    const text = query.toString();
    history.replaceState(null, "", text ? `#/defects?${text}` : "#/defects");
  }

  _restart(isKept = true) {
    if (isKept) this._keep();
    this.items = [];
    this.next = undefined;
    this._load();
  }

  async _load() {
    this._asked?.abort();
    const asked = new AbortController();
    this._asked = asked;
    this.message.textContent = "Searching …";
    try {
      let answer = { defects: [], next: this.next };
      for (let page = 0; page < EMPTY_PAGES_MAX; page += 1) {
        const place = { limit: PAGE, before: answer.next };
        answer = await api.defects({ ...this.filters.parameters(), ...place }, asked.signal);
        if (answer.defects.length || answer.next === null) break;
      }
      this.items.push(...answer.defects);
      this.next = answer.next ?? undefined;
      this.more.hidden = answer.next === null;
      this._show();
    } catch (error) {
      if (error.name !== "AbortError") this.message.textContent = error.message;
    }
  }

  _show() {
    const count = this.items.length;
    this.message.textContent = count === 0 ? "No defect fits these filters."
      : `${number(count)}${this.next ? " newest" : " in all"}`;
    if (this.isGallery) fill(this.gallery, this.items.map((item) => defectCard(this.store, item)));
    else this.table.show(this.items.map(rowOfItem));
  }
}
