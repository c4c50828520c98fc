/** The panel of the selected defect: its picture and all that is known of it. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { defectLink } from "../routes.js";
import { defectFacts } from "./defect_facts.js";
import { Picture } from "./picture.js";

const WAIT_MS = 80; // stepping quickly from defect to defect does not ask for each

export class Selection {
  /** @param {import("../store.js").Store} store */
  constructor(store) {
    this.store = store;
    this.picture = new Picture({ heightMax: 300, mmPerPx: store.config.mm_per_px });
    this.facts = h("div", {});
    this.link = h("a", { class: "button", hidden: true }, "Open");
    this.mask = h("button", { "aria-pressed": "true", onclick: () => this._toggleMask() }, "Mask");
    this.element = h("section", { class: "panel", "aria-label": "Selected defect" },
      h("header", {}, h("h2", {}, "Selected defect"), this.mask, this.link),
      this.picture.element, this.facts);
    this.show(null);
  }

  /** @param {number | null} seq */
  show(seq) {
    this.seq = seq;
    clearTimeout(this._timer);
    if (seq === null) {
      this.link.hidden = true;
      fill(this.facts);
      this.picture.show(null);
    } else this._timer = setTimeout(() => this._load(seq), WAIT_MS);
  }

  async _load(seq) {
    try {
      const detail = await api.defect(seq);
      if (this.seq !== seq) return;
      this.link.hidden = false;
      this.link.href = defectLink(seq);
      fill(this.facts, defectFacts(this.store, detail));
      await this.picture.show(detail, this.store.classNamed(detail.item.class_name)?.id ?? 8);
    } catch (error) {
      if (this.seq === seq) fill(this.facts, h("p", { class: "note bad" }, error.message));
    }
  }

  _toggleMask() {
    this.picture.setMask(!this.picture.isMaskShown);
    this.mask.setAttribute("aria-pressed", String(this.picture.isMaskShown));
  }
}
