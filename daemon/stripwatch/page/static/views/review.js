/** Reviewing one defect after the other, quickly: a key each, and the next one is there. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { defectFacts } from "../parts/defect_facts.js";
import { isTyping } from "../parts/help.js";
import { besideAnswers, Picture } from "../parts/picture.js";
import { ReviewForm } from "../parts/review_form.js";

const PAGE = 40;
const AHEAD = 3; // whose pictures are fetched before they are looked at

export function open(store, { query }) {
  const view = new ReviewView(store, query);
  return { title: "Review", element: view.element, close: () => view.close() };
}

class ReviewView {
  constructor(store, query) {
    this.store = store;
    this.queue = [];
    this.place = 0;
    this.done = 0;
    this.details = new Map();
    this.filters = { class: query.getAll("class"), strip: query.get("strip"), review: "none" };
    this.picture = new Picture({ heightMax: besideAnswers(520), mmPerPx: store.config.mm_per_px });
    this.form = new ReviewForm(store, this.picture, {
      onDone: () => this._step(1), onSend: (sent, detail) => this._sent(sent, detail) });
    this.facts = h("div", {});
    this.count = h("span", { class: "muted", role: "status" });
    this.failures = h("p", { class: "note bad", role: "alert" });
    this.heading = h("h2", {}, "");
    this.classChoice = h("select", { onchange: () => this._restart() },
      h("option", { value: "" }, "all classes"), store.classes.map(({ name }) => (
        h("option", { value: name, selected: this.filters.class.includes(name) }, name))));
    this.body = h("div", { class: "columns two" },
      h("div", { class: "view" }, h("section", { class: "panel" }, h("header", {}, this.heading,
        this._steps()), this.picture.element), this.form.element),
      h("section", { class: "panel" }, h("h2", {}, "Facts"), this.facts));
    this.empty = h("p", { class: "empty panel", hidden: true });
    this.element = h("div", { class: "view" },
      h("header", {}, h("h1", {}, "Review"), h("label", { class: "row" }, "Show", this.classChoice),
        this.count, h("span", { class: "muted" }, h("kbd", {}, "?"), " shows the keys")),
      this.failures, this.empty, this.body);
    this._listener = (event) => this._key(event);
    addEventListener("keydown", this._listener);
    this._restart();
  }

  close() {
    this.form.close();
    removeEventListener("keydown", this._listener);
    this.isClosed = true;
  }

  _steps() {
    return h("div", { class: "group" },
      h("button", { onclick: () => this._step(-1), "aria-label": "Previous defect" }, "←"),
      h("button", { onclick: () => this._step(1), "aria-label": "Next defect" }, "→"));
  }

  _key(event) {
    if (isTyping(event) || event.defaultPrevented || event.ctrlKey || event.altKey) return;
    if (event.key === "ArrowRight") this._step(1);
    else if (event.key === "ArrowLeft") this._step(-1);
    else return;
    event.preventDefault();
  }

  _restart() {
    this.filters.class = this.classChoice.value ? [this.classChoice.value] : [];
    this.queue = [];
    this.place = 0;
    this.next = undefined;
    this._fill().then(() => this._show());
  }

  /** More of the queue, where its end is near. */
  async _fill() {
    if (this.next === null || this.queue.length - this.place > PAGE / 2 || this.isFilling) return;
    this.isFilling = true;
    try {
      const answer = await api.defects({ ...this.filters, limit: PAGE, before: this.next });
      this.queue.push(...answer.defects);
      this.next = answer.next;
    } catch (error) {
      this.failures.textContent = error.message;
      this.next = null;
    }
    this.isFilling = false;
    if (!this.queue.length && this.next) await this._fill();
  }

  _detail(item) {
    if (!this.details.has(item.seq)) {
      const asked = api.defect(item.seq);
      asked.then((detail) => {
        for (const { kind } of detail.pictures.filter((one) => one.kind !== "frame")) {
          new Image().src = api.pictureUrl(detail.item.picture_seq, kind);
        }
      }, () => this.details.delete(item.seq));
      this.details.set(item.seq, asked);
    }
    return this.details.get(item.seq);
  }

  async _show() {
    const item = this.queue[this.place];
    this.body.hidden = !item;
    this.empty.hidden = Boolean(item);
    this._counts();
    if (!item) {
      this.empty.textContent = "Nothing is left to review here.";
      this.form.show(null);
      return;
    }
    try {
      const detail = await this._detail(item);
      if (this.isClosed || this.queue[this.place] !== item) return;
      this.heading.textContent = `Is it of class ${item.class_name}?`;
      this.form.show(detail);
      fill(this.facts, defectFacts(this.store, detail));
      await this.picture.show(detail, this.store.classNamed(item.class_name)?.id ?? 8);
    } catch (error) {
      this.failures.textContent = error.message;
    }
    for (const coming of this.queue.slice(this.place + 1, this.place + 1 + AHEAD)) {
      this._detail(coming).catch(() => null);
    }
  }

  _step(by) {
    this.place = Math.min(Math.max(this.place + by, 0), this.queue.length);
    this._show();
    this._fill().then(() => this._counts());
  }

  /** The answer is not waited for; one that failed is put back and said so. */
  _sent(sent, detail) {
    sent.then(() => {
      this.done += 1;
      this._counts();
    }, (error) => {
      this.failures.textContent = `Defect ${detail.item.seq} was not reviewed: ${error.message}`;
      this.queue.splice(this.place, 0, detail.item);
      this._show();
    });
  }

  _counts() {
    const left = this.queue.length - this.place;
    this.count.textContent = `${number(this.done)} reviewed, ${number(left)}${this.next ? " or more"
      : ""} left`;
  }
}
