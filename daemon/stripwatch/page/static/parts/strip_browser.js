/** A strip's map, the table of what is in its window, and the selected defect, kept in step. */

import { h } from "../dom.js";
import { number, stripTitle } from "../format.js";
import { LiveStrip } from "../live_strip.js";
import { defectLink } from "../routes.js";
import { REVIEWS } from "../table.js";
import { DefectTable } from "./defect_table.js";
import { MapPanel } from "./map_panel.js";
import { Selection } from "./selection.js";

const ROWS_MAX = 60;
const TABLE_MS = 400;

export class StripBrowser {
  /**
   * @param {import("../store.js").Store} store
   * @param {{title: string, onChange?: () => void}} options
   */
  constructor(store, { title, onChange = () => {} }) {
    this.store = store;
    this.onChange = onChange;
    this.live = null;
    this.panel = new MapPanel(store, { title });
    this.selection = new Selection(store);
    const open = (seq) => { location.hash = defectLink(seq); };
    this.table = new DefectTable(store, { caption: "Defects in the window of the map",
      onSelect: (seq) => this.panel.map.select(seq), onOpen: open });
    this.count = h("span", { class: "muted" });
    const { map } = this.panel;
    map.addEventListener("select", ({ detail }) => {
      this.selection.show(detail.seq);
      this.table.select(detail.seq);
    });
    map.addEventListener("open", ({ detail }) => open(detail.seq));
    map.addEventListener("window", () => this._tableSoon());
    this.lower = h("div", { class: "columns two" },
      h("section", { class: "panel" },
        h("header", {}, h("h2", {}, "Defects in view"), this.count), this.table.element),
      this.selection.element);
  }

  get elements() {
    return [this.panel.element, this.lower];
  }

  /** @param {string} strip */
  show(strip) {
    this.live?.close();
    this.panel.heading.textContent = stripTitle(strip);
    const live = new LiveStrip(this.store, strip, () => this._changed(live));
    this.live = live;
    live.ready.then(() => {
      if (this.live === live) this.panel.setModel(live.model);
    });
  }

  close() {
    this.live?.close();
    clearTimeout(this._timer);
  }

  _changed(live) {
    if (live !== this.live) return;
    if (this.panel.map.model === live.model) this.panel.changed();
    this._tableSoon();
    this.onChange();
  }

  _tableSoon() {
    this._timer ??= setTimeout(() => {
      this._timer = undefined;
      this._showTable();
    }, TABLE_MS);
  }

  _showTable() {
    const { model, window } = this.panel.map;
    const { rows, total } = rowsInWindow(this.store, model, window);
    this.table.show(rows);
    this.count.textContent = total > rows.length
      ? `the newest ${rows.length} of ${number(total)}` : number(total);
  }
}

/** The shown defects that begin in a window, the farthest along first. */
export function rowsInWindow(store, model, window) {
  const names = new Map(store.classes.map(({ id, name }) => [id, name]));
  const found = [];
  let total = 0;
  for (const side of model.sides) {
    const [first, last] = side.defects.window(window.fromMm, window.toMm);
    let taken = 0;
    for (let i = last - 1; i >= first; i -= 1) {
      if (!side.defects.shown[i]) continue;
      total += 1;
      if (taken < ROWS_MAX) found.push(rowOf(side, side.defects.at(i), names));
      taken += 1;
    }
  }
  found.sort((a, b) => b.downwebM - a.downwebM);
  return { rows: found.slice(0, ROWS_MAX), total };
}

function rowOf(side, defect, names) {
  return {
    seq: defect.seq, className: names.get(defect.classId) ?? "unknown", side: side.name,
    downwebM: defect.alongMm / 1000, crosswebMm: defect.acrossMm, lengthMm: defect.lengthMm,
    widthMm: defect.widthMm, areaMm2: defect.areaMm2, score: defect.score, edgeMm: defect.edgeMm,
    review: defect.review ? REVIEWS[defect.review] : "",
  };
}
