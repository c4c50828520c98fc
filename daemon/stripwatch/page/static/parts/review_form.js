/** Judging a defect: buttons, and keys for speed. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { BoxEditor } from "./box_editor.js";
import { isTyping } from "./help.js";
import { sign } from "./sign.js";

const NOTE_MAX = 500;

export class ReviewForm {
  /**
   * @param {import("../store.js").Store} store
   * @param {import("./picture.js").Picture} picture whose box may be corrected
   * @param {{onDone: (verdict: string) => void, onSend?: (promise: Promise<any>, detail: any) =>
   *   void}} use  with `onSend` the next defect comes before the answer does
   */
  constructor(store, picture, { onDone, onSend }) {
    this.store = store;
    this.picture = picture;
    this.onDone = onDone;
    this.onSend = onSend;
    this.detail = null;
    this.editor = new BoxEditor(picture, () => this._showBox());
    this.note = h("input", { maxLength: NOTE_MAX, "aria-label": "Note",
      placeholder: "why, for whoever trains the next model" });
    this.boxButton = h("button", { "aria-pressed": "false", onclick: () => this._toggleBox() },
      "Correct box", h("kbd", {}, "B"));
    this.boxText = h("span", { class: "muted", role: "status" });
    this.message = h("p", { class: "note bad", role: "alert" });
    const may = store.may("review");
    this.classes = h("div", { class: "map-tools" }, store.classes.slice(0, 9).map((one, i) => (
      h("button", { disabled: !may, "data-class": one.name, onclick: () => this._class(one.name) },
        sign(one.id), one.name, h("kbd", {}, i + 1)))));
    this.element = h("section", { class: "panel", "aria-label": "Review" }, h("h2", {}, "Review"),
      may ? null : h("p", { class: "note" }, `You are logged in as ${store.me.user}, who may only `
        + "look. Reviewing needs the role review."),
      h("div", { class: "map-tools" },
        h("button", { class: "big", disabled: !may, "data-verdict": "right",
          onclick: () => this.judge("right") }, "Right", h("kbd", {}, "R")),
        h("button", { class: "big", disabled: !may, "data-verdict": "wrong",
          onclick: () => this.judge("wrong") }, "Wrong", h("kbd", {}, "W")),
        h("span", { class: "muted" }, "or it is"), this.classes),
      h("div", { class: "map-tools" }, this.boxButton, this.boxText),
      h("label", { class: "row wide" }, "Note", this.note, h("kbd", {}, "N")), this.message);
    this.boxButton.disabled = !may;
    this._listener = (event) => this._key(event);
    addEventListener("keydown", this._listener);
  }

  close() {
    removeEventListener("keydown", this._listener);
  }

  /** @param {any} detail of GET /api/defects/{seq}; null: there is none */
  show(detail) {
    this.detail = detail;
    this.note.value = "";
    this.message.textContent = "";
    fill(this.boxText);
    this.editor.setActive(false);
    this.boxButton.setAttribute("aria-pressed", "false");
    // What was told in one frame has one box; a whole defect of several pieces has not.
    const hasBox = detail?.item.type === "defect" && this.store.may("review");
    this.boxButton.disabled = !hasBox;
  }

  /** @param {"right" | "wrong" | "other"} verdict @param {string | null} name for "other" */
  judge(verdict, name = null) {
    if (!this.detail || !this.store.may("review")) return;
    const { detail } = this;
    const sent = api.review({ seq: detail.item.seq, verdict, class_name: name,
      box_px: this._correctedBox(), note: this.note.value.trim() });
    if (this.onSend) {
      this.onSend(sent, detail);
      this.onDone(verdict);
      return;
    }
    sent.then(() => this.onDone(verdict), (error) => { this.message.textContent = error.message; });
  }

  _class(name) {
    this.judge(name === this.detail?.item.class_name ? "right" : "other",
      name === this.detail?.item.class_name ? null : name);
  }

  _correctedBox() {
    const { box } = this.picture;
    const isCorrected = box && this.detail.item.type === "defect"
      && String(box) !== String(this.detail.box_px);
    return isCorrected ? box : null;
  }

  _toggleBox() {
    this.editor.setActive(!this.editor.isActive);
    this.boxButton.setAttribute("aria-pressed", String(this.editor.isActive));
    this._showBox();
  }

  _showBox() {
    const box = this._correctedBox();
    this.boxText.textContent = box ? `corrected: ${box[2]} × ${box[3]} px at ${box[0]}, ${box[1]}`
      : this.editor.isActive ? "draw it with the mouse, or use the arrow keys" : "";
  }

  _key(event) {
    if (isTyping(event)) {
      if (event.key === "Enter" && event.target === this.note) this.note.blur();
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key.toLowerCase();
    const chosen = /^[1-9]$/.test(key) ? this.store.classes[Number(key) - 1] : null;
    if (this.editor.key(event)) event.stopImmediatePropagation();
    else if (key === "r") this.judge("right");
    else if (key === "w") this.judge("wrong");
    else if (key === "b" && !this.boxButton.disabled) this._toggleBox();
    else if (key === "n") this.note.focus();
    else if (chosen) this._class(chosen.name);
    else return;
    event.preventDefault();
  }
}
