/** One defect. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { plural } from "../format.js";
import { defectFacts, reviewList } from "../parts/defect_facts.js";
import { besideAnswers, Picture } from "../parts/picture.js";
import { ReviewForm } from "../parts/review_form.js";
import { defectLink } from "../routes.js";

export function open(store, { parameters: [seq] }) {
  const view = new DefectView(store, Number(seq));
  return { title: `Defect ${seq}`, element: view.element, close: () => view.close() };
}

class DefectView {
  constructor(store, seq) {
    this.store = store;
    this.seq = seq;
    this.element = h("div", { class: "view" }, h("p", { class: "empty" }, "Loading …"));
    this._load();
    this._stop = store.listen((name, data) => {
      if (name === "review" && data.defect_seq === seq) this._load();
    });
  }

  close() {
    this._stop();
    this.form?.close();
  }

  async _load() {
    try {
      this._show(await api.defect(this.seq));
    } catch (error) {
      fill(this.element, h("h1", {}, `Defect ${this.seq}`),
        h("p", { class: "note bad", role: "alert" }, error.message));
    }
  }

  _show(detail) {
    this.form?.close();
    const { store } = this;
    const heightMax = besideAnswers(640);
    const picture = new Picture({ heightMax, mmPerPx: store.config.mm_per_px });
    this.form = new ReviewForm(store, picture, { onDone: () => this._load() });
    this.form.show(detail);
    const { item } = detail;
    fill(this.element,
      h("header", {}, h("h1", {}, `Defect ${item.seq}: ${item.class_name}`),
        detail.whole_seq && detail.whole_seq !== item.seq && h("a", { class: "button",
          href: defectLink(detail.whole_seq) }, "The whole defect"),
        detail.pictures.some(({ kind }) => kind === "frame") && h("a", { class: "button",
          target: "_blank", href: api.pictureUrl(item.picture_seq, "frame") }, "Whole frame")),
      h("div", { class: "columns two" },
        h("div", { class: "view" }, h("section", { class: "panel" }, picture.element),
          this.form.element),
        h("div", { class: "view" }, h("section", { class: "panel" }, h("h2", {}, "Facts"),
          defectFacts(store, detail)),
        h("section", { class: "panel" }, h("h2", {}, "Reviews"), reviewList(detail.reviews)),
        piecesPanel(detail))));
    picture.show(detail, store.classNamed(item.class_name)?.id ?? 8);
  }
}

function piecesPanel({ pieces, item }) {
  if (pieces.length < 2) return null;
  return h("section", { class: "panel" }, h("h2", {}, plural(pieces.length, "piece")),
    h("ul", {}, pieces.slice(0, 50).map((piece) => h("li", {}, h("a", {
      href: defectLink(piece.seq) }, `${piece.seq}`), ` camera ${piece.camera}, frame `
      + `${piece.frame_seq}${piece.seq === item.picture_seq ? ", shown here" : ""}`))));
}
