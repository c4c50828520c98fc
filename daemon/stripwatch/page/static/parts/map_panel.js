/** A strip map with its tools, and a legend that filters by class. */

import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { sign } from "./sign.js";
import "../map/overview.js";
import "../map/strip_map.js";

const WINDOWS = [["10 m", 10_000], ["50 m", 50_000], ["200 m", 200_000]];

export class MapPanel {
  /**
   * @param {import("../store.js").Store} store
   * @param {{title: string, isLow?: boolean, canFollow?: boolean}} options
   */
  constructor(store, { title, isLow = false, canFollow = true }) {
    this.store = store;
    this.hidden = new Set();
    this.map = h("strip-map", { label: `${title}. Arrow keys move, plus and minus zoom, up and `
      + "down select a defect, Enter opens it.", class: isLow ? "low" : "" });
    this.follow = h("button", { onclick: () => this.map.setFollowing(!this.map.isFollowing) },
      "Follow");
    this.legend = h("div", { class: "legend", role: "group", "aria-label": "Classes shown" });
    this.heading = h("h2", {}, title);
    const overview = h("strip-overview");
    overview.attach(this.map);
    this.element = h("section", { class: "panel" },
      h("div", { class: "map-tools" }, this.heading, this._tools(canFollow), this.legend),
      this.map, overview);
    this.map.addEventListener("window", () => this._showFollowing());
    this._buttons = new Map(store.classes.map((one) => [one.id, this._classButton(one)]));
    fill(this.legend, [...this._buttons.values()].map(({ button }) => button),
      h("span", { class: "key" }, hatchSign(), "not inspected"),
      h("span", { class: "key" }, markSign(), "roll mark"));
  }

  /** @param {import("../map/model.js").StripModel} model */
  setModel(model) {
    this.map.setModel(model);
    this.applyFilter();
    this.changed();
  }

  /** After events: draws, and counts the classes anew. */
  changed() {
    this.map.redraw();
    const counts = countByClass(this.map.model);
    for (const [id, { count }] of this._buttons) count.textContent = number(counts[id] ?? 0);
    this._showFollowing();
  }

  applyFilter() {
    const shows = (defect) => !this.hidden.has(defect.classId);
    for (const side of this.map.model.sides) side.defects.show(shows);
    this.map.redraw();
  }

  _tools(canFollow) {
    const button = (name, title, action) => h("button", { onclick: action, title,
      "aria-label": title }, name);
    return h("div", { class: "map-tools" },
      canFollow && this.follow,
      h("div", { class: "group" }, button("−", "Zoom out", () => this.map.zoomBy(1.5)),
        button("+", "Zoom in", () => this.map.zoomBy(1 / 1.5))),
      h("div", { class: "group" }, WINDOWS.map(([name, mm]) => button(name, `Show ${name}`,
        () => this.map.showLength(mm))),
      button("Whole", "Show the whole strip", () => this.map.showWhole())));
  }

  _classButton({ id, name }) {
    const count = h("b", {}, "0");
    const button = h("button", { "aria-pressed": "true", "data-class": name },
      sign(id), name, count);
    button.addEventListener("click", () => {
      if (!this.hidden.delete(id)) this.hidden.add(id);
      button.setAttribute("aria-pressed", String(!this.hidden.has(id)));
      this.applyFilter();
      this.map.dispatchEvent(new CustomEvent("window"));
    });
    return { button, count };
  }

  _showFollowing() {
    this.follow.setAttribute("aria-pressed", String(this.map.isFollowing));
    this.follow.disabled = !this.map.model.isRunning;
  }
}

function countByClass(model) {
  const counts = new Uint32Array(256);
  for (const { defects } of model.sides) {
    for (let i = 0; i < defects.size; i += 1) counts[defects.classId[i]] += 1;
  }
  return counts;
}

const hatchSign = () => h("span", { class: "sign hatch", "aria-hidden": "true" });
const markSign = () => h("span", { class: "sign mark", "aria-hidden": "true" });
