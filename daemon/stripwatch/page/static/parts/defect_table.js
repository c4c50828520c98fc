/** Defects in a table: by keyboard and for screen readers what the map is for the eye. */

import { h, fill } from "../dom.js";
import { area, millimetres, number, place } from "../format.js";
import { className } from "./sign.js";

/**
 * A row of it. @typedef {{seq: number, className: string, side: string, downwebM: number | null,
 *   crosswebMm: number, lengthMm: number, widthMm: number, areaMm2: number, score: number,
 *   edgeMm: number | null, review?: string}} Row
 */

const HEADS = [
  ["Class", ""], ["Along", "number"], ["Across", "number"], ["Side", ""], ["Length", "number"],
  ["Width", "number"], ["Area", "number"], ["Score", "number"], ["To edge", "number"],
  ["Review", ""],
];

/** A row from an item of the server's list. @returns {Row} */
export function rowOfItem(item) {
  return {
    seq: item.seq, className: item.class_name, side: item.side, downwebM: item.downweb_m,
    crosswebMm: item.crossweb_mm, lengthMm: item.length_mm, widthMm: item.width_mm,
    areaMm2: item.area_mm2, score: item.score, edgeMm: item.edge_mm,
    review: item.review ? item.review.verdict : "", strip: item.strip,
  };
}

export class DefectTable {
  /**
   * @param {import("../store.js").Store} store
   * @param {{caption: string, onSelect: (seq: number) => void, onOpen: (seq: number) => void}} use
   */
  constructor(store, { caption, onSelect, onOpen }) {
    this.store = store;
    this.onSelect = onSelect;
    this.onOpen = onOpen;
    this.selectedSeq = null;
    this._rows = new Map();
    this.body = h("tbody", { onkeydown: (event) => this._key(event) });
    const heads = HEADS.map(([name, look]) => h("th", { scope: "col", class: look }, name));
    this.element = h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
      h("table", {}, h("caption", { class: "hidden-text" }, caption),
        h("thead", {}, h("tr", {}, heads)), this.body));
  }

  /** @param {Row[]} rows in the order in which they are shown */
  show(rows) {
    const kept = new Map();
    for (const row of rows) {
      const key = `${row.seq} ${row.review}`;
      kept.set(row.seq, this._rows.get(row.seq)?.key === key ? this._rows.get(row.seq)
        : { key, element: this._row(row) });
    }
    this._rows = kept;
    const elements = [...kept.values()].map(({ element }) => element);
    // Rows that stay are not moved: moving the focused one would take the focus away.
    if (!sameChildren(this.body, elements)) this._replace(elements);
    this._markSelected();
  }

  select(seq) {
    this.selectedSeq = seq;
    this._markSelected();
    this._reveal(this._rows.get(seq)?.element);
  }

  /** Scrolls the table alone: the map, on which one selects, must not move away. */
  _reveal(row) {
    if (!row) return;
    const [place, box] = [row, this.element].map((element) => element.getBoundingClientRect());
    const above = box.top + this.body.previousElementSibling.offsetHeight - place.top;
    const below = place.bottom - box.bottom;
    if (above > 0) this.element.scrollTop -= above;
    else if (below > 0) this.element.scrollTop += below;
  }

  _replace(elements) {
    const focused = document.activeElement;
    const hadFocus = this.body.contains(focused);
    if (elements.length) fill(this.body, elements);
    else {
      const cell = h("td", { colSpan: HEADS.length, class: "empty" }, "No defects here.");
      fill(this.body, h("tr", {}, cell));
    }
    if (hadFocus) (focused.isConnected ? focused : elements[0])?.focus({ preventScroll: true });
  }

  _row(row) {
    const cells = [
      [className(this.store, row.className)],
      [place(row.downwebM), "number"],
      [millimetres(row.crosswebMm), "number"],
      [row.side],
      [millimetres(row.lengthMm), "number"],
      [millimetres(row.widthMm), "number"],
      [area(row.areaMm2), "number"],
      [number(row.score, 2), "number"],
      [millimetres(row.edgeMm), "number"],
      [row.review || ""],
    ];
    return h("tr", {
      tabIndex: -1,
      "data-seq": row.seq,
      onclick: () => this.onSelect(row.seq),
      ondblclick: () => this.onOpen(row.seq),
    }, cells.map(([content, look]) => h("td", { class: look }, content)));
  }

  _markSelected() {
    const rows = [...this._rows];
    // One row is in the order of Tab; the arrows go from row to row.
    const entry = this._rows.has(this.selectedSeq) ? this.selectedSeq : rows[0]?.[0];
    for (const [seq, { element }] of rows) {
      element.setAttribute("aria-selected", String(seq === this.selectedSeq));
      element.tabIndex = seq === entry ? 0 : -1;
    }
  }

  _key(event) {
    const row = event.target.closest("tr[data-seq]");
    if (!row) return;
    const seq = Number(row.dataset.seq);
    const to = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling,
      Home: this.body.firstElementChild, End: this.body.lastElementChild }[event.key];
    if (event.key === "Enter") this.onOpen(seq);
    else if (event.key === " ") this.onSelect(seq);
    else if (to?.dataset.seq) {
      to.focus();
      this.onSelect(Number(to.dataset.seq));
    } else return;
    event.preventDefault();
  }
}

function sameChildren(body, elements) {
  return body.children.length === elements.length && elements.length > 0
    && elements.every((element, i) => body.children[i] === element);
}
