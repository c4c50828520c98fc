/** Two strips, one below the other, in the same window. */

import { fill, h } from "../dom.js";
import { coil, metres, number } from "../format.js";
import { LiveStrip } from "../live_strip.js";
import { MapPanel } from "../parts/map_panel.js";
import { Selection } from "../parts/selection.js";
import { className, gradeChip } from "../parts/sign.js";
import { defectLink, stripLink } from "../routes.js";
import { missedMetres } from "./live.js";

export function open(store, { parameters }) {
  const view = new CompareView(store, parameters);
  return { title: `${parameters[0]} and ${parameters[1]}`, element: view.element,
    close: () => view.close() };
}

class CompareView {
  constructor(store, names) {
    this.store = store;
    this.names = names;
    this.selection = new Selection(store);
    this.table = h("section", { class: "panel" });
    this.parts = names.map((name) => this._part(name));
    this.element = h("div", { class: "view" },
      h("header", {}, h("h1", {}, "Two strips"), h("span", { class: "muted" },
        "both maps show the same metres")),
      this.parts.map(({ panel }) => panel.element),
      h("div", { class: "columns two" }, this.table, this.selection.element));
    this._counts();
  }

  close() {
    for (const { live } of this.parts) live.close();
  }

  _part(name) {
    const panel = new MapPanel(this.store, { title: coil(name), isLow: true, canFollow: false });
    const live = new LiveStrip(this.store, name, () => {
      if (panel.map.model === live.model) panel.changed();
      this._counts();
    });
    live.ready.then(() => {
      panel.setModel(live.model);
      this._showLonger();
    });
    panel.map.addEventListener("window", () => this._together(panel.map));
    panel.map.addEventListener("select", ({ detail }) => {
      if (detail.seq !== null) this.selection.show(detail.seq);
    });
    panel.map.addEventListener("open", ({ detail }) => { location.hash = defectLink(detail.seq); });
    return { panel, live };
  }

  _showLonger() {
    const [longer] = this.parts.map(({ panel }) => panel.map)
      .sort((a, b) => b.model.lengthMm - a.model.lengthMm);
    longer.showWhole();
  }

  /** The window of one map becomes that of the other. */
  _together(from) {
    if (this.isMoving) return;
    this.isMoving = true;
    for (const { panel } of this.parts ?? []) {
      if (panel.map !== from) panel.map.setWindow({ ...from.window });
    }
    this.isMoving = false;
  }

  _counts() {
    if (!this.parts) return;
    const details = this.parts.map(({ live }) => live.detail);
    const error = this.parts.map(({ live }) => live.error).find(Boolean);
    if (!details.every(Boolean)) {
      fill(this.table, h("p", { class: error ? "note bad" : "muted" },
        error ? error.message : "Loading …"));
      return;
    }
    const row = (name, values) => h("tr", {}, h("th", { scope: "row" }, name),
      values.map((value) => h("td", { class: "number" }, value)));
    const grade = ({ verdict }) => gradeChip(verdict?.grade, verdict?.grades ?? []);
    const total = (detail, name) => Object.values(detail.counts[name] ?? {})
      .reduce((sum, count) => sum + count, 0);
    fill(this.table, h("table", {},
      h("caption", { class: "hidden-text" }, "The two strips in numbers"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Strip"), this.names.map((name) => (
        h("th", { scope: "col", class: "number" },
          h("a", { href: stripLink(name) }, coil(name))))))),
      h("tbody", {},
        row("Length", details.map((one) => metres(one.length_m))),
        row("Not inspected", details.map((one) => metres(missedMetres(one)))),
        row("Grade", details.map(grade)),
        this.store.classes.map(({ name }) => row(className(this.store, name),
          details.map((one) => number(total(one, name))))),
        row("Roll marks", details.map((one) => number(one.marks.length))))));
  }
}
