/** What if the thresholds were others; and making them so. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { coil, number, plural, stripTitle } from "../format.js";
import { defectCard } from "../parts/defect_card.js";
import { gradeChip } from "../parts/sign.js";
import { ThresholdRow } from "../parts/threshold_row.js";

const ASK_MS = 250;
const LAST = 500;
const SHOWN_MAX = 12;
const HEADS = ["Class", "Threshold", "Minimum area, px", "In force", `Of the last ${LAST}`,
  "Of the strip", "Exact?"];

export function open(store, { query }) {
  const view = new ThresholdsView(store, query.get("strip") ?? "");
  return { title: "Thresholds", element: view.element, close: () => view.close() };
}

class ThresholdsView {
  constructor(store, strip) {
    this.store = store;
    this.rows = store.classes.map((one) => new ThresholdRow(store, one, () => this._changed()));
    this.strip = h("select", { onchange: () => this._ask() }, h("option", { value: strip },
      strip || "no strip"));
    this.note = h("input", { maxLength: 500, placeholder: "why", size: 30 });
    this.apply = h("button", { class: "primary big", onclick: () => this._apply() }, "Apply");
    this.back = h("button", { class: "big", onclick: () => this._reset() },
      "Back to what is in force");
    this.message = h("p", { class: "note", role: "status" });
    this.result = h("div", { class: "view" });
    const may = store.may("change");
    this.element = h("div", { class: "view" },
      h("header", {}, h("h1", {}, "Thresholds"), h("span", { class: "muted" },
        "move one and see what would remain; nothing changes before you apply it")),
      may ? null : h("p", { class: "note" }, `You are logged in as ${store.me.user}, whose role is `
        + `${store.me.role}: you may try, and not apply.`),
      h("section", { class: "panel" },
        h("label", { class: "row" }, "Strip to try it on", this.strip),
        h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Thresholds" },
          h("table", {}, h("caption", { class: "hidden-text" }, "Thresholds by class"),
            h("thead", {}, h("tr", {}, HEADS.map((name, i) => h("th", { scope: "col",
              class: i === 4 || i === 5 ? "number" : "" }, name)))),
            h("tbody", {}, this.rows.map((row) => row.element)))),
        h("div", { class: "map-tools" }, h("label", { class: "row wide" }, "Note", this.note),
          this.apply, this.back), this.message),
      this.result);
    this._stop = store.listen((name) => {
      if (name === "state") this._inForce();
    });
    this._buttons();
    this._strips(strip);
    this._ask();
  }

  close() {
    this._stop();
    clearTimeout(this._timer);
  }

  async _strips(chosen) {
    const answer = await api.strips({ limit: 30 }).catch(() => ({ strips: [] }));
    const names = answer.strips.map(({ strip }) => strip);
    const all = chosen && !names.includes(chosen) ? [chosen, ...names] : names;
    fill(this.strip, h("option", { value: "" }, "no strip"), all.map((name) => (
      h("option", { value: name, selected: name === (chosen || names[0]) }, coil(name)))));
    if (!chosen && names.length) this._ask();
  }

  _changed() {
    this._say("");
    this._buttons();
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._ask(), ASK_MS);
  }

  _buttons() {
    const isChanged = this.rows.some((row) => row.isChanged);
    const isValid = this.rows.every((row) => row.isValid);
    this.apply.disabled = !isChanged || !isValid || !this.store.may("change");
    this.back.disabled = !isChanged;
  }

  async _ask() {
    if (!this.rows.every((row) => row.isValid)) {
      return this._say("A threshold is from 0.01 to 0.99, an area a whole number from 0.", "bad");
    }
    const turn = (this._turn = (this._turn ?? 0) + 1);
    const classes = this.rows.filter((row) => row.isChanged).map((row) => row.wanted);
    try {
      const answer = await api.whatIf({ classes, strip: this.strip.value || null, last: LAST });
      if (turn !== this._turn) return undefined;
      if (this.message.classList.contains("bad")) this._say("");
      return this._show(answer);
    } catch (error) {
      return turn === this._turn ? this._say(error.message, "bad") : undefined;
    }
  }

  _show(answer) {
    for (const row of this.rows) row.show(answer);
    const { last, strip } = answer;
    const removed = [...new Set([...last.removed, ...(strip?.removed ?? [])])];
    fill(this.result,
      h("div", { class: "columns even" },
        h("section", { class: "panel" }, h("h2", {}, `The last ${plural(last.total, "defect")}`),
          h("p", { class: "large" }, remaining(last))),
        strip ? this._stripPanel(strip) : null),
      answer.remarks.map((remark) => h("p", { class: "note warn" }, remark)),
      removed.length ? this._removed(removed) : null);
  }

  _stripPanel(strip) {
    const grades = strip.verdict_then?.grades ?? this.store.config.grading?.grades ?? [];
    return h("section", { class: "panel" }, h("h2", {}, stripTitle(strip.strip)),
      h("p", { class: "large" }, remaining(strip)),
      strip.grade_now ? h("p", {}, "Grade: ", gradeChip(strip.grade_now, grades), " now, ",
        gradeChip(strip.grade_then, grades), " then") : null);
  }

  /** The latest of them; what each looks like is asked for one by one. */
  async _showRemoved(removed) {
    const shown = removed.slice(-SHOWN_MAX).reverse();
    const details = await Promise.all(shown.map((seq) => api.defect(seq).catch(() => null)));
    if (!this.gallery.isConnected) return;
    fill(this.gallery, details.filter(Boolean).map(({ item }) => defectCard(this.store, item)));
  }

  _removed(removed) {
    this.gallery = h("ul", { class: "gallery" });
    this._showRemoved(removed);
    return h("section", { class: "panel" }, h("header", {}, h("h2", {}, "What would be gone"),
      h("span", { class: "muted" }, removed.length > SHOWN_MAX
        ? `the latest ${SHOWN_MAX} of ${number(removed.length)}` : number(removed.length))),
    this.gallery);
  }

  async _apply() {
    const classes = this.rows.filter((row) => row.isChanged).map((row) => row.wanted);
    this.apply.disabled = true;
    clearTimeout(this._timer); // what it would ask for is asked for below
    try {
      const answer = await api.applyThresholds({ classes, note: this.note.value.trim() });
      for (const row of this.rows) {
        row.reset(answer.classes.find(({ name }) => name === row.name) ?? row.inForce);
      }
      this.note.value = "";
      await this._ask();
      this._say(answer.seq === null ? "Nothing was changed."
        : "In force from the next batch, and after a restart.", "ok");
    } catch (error) {
      this._say(error.message, "bad");
    }
    this._buttons();
  }

  _reset() {
    for (const row of this.rows) row.reset();
    this._changed();
  }

  /** Others may have changed them: rows that nobody has touched here follow. */
  _inForce() {
    for (const row of this.rows) {
      const one = this.store.classNamed(row.name);
      if (one && !row.isChanged) row.reset(one);
      else if (one) row.inForce = one;
    }
    this._buttons();
  }

  _say(text, look = "") {
    this.message.className = `note ${look}`;
    this.message.textContent = text;
  }
}

const remaining = ({ remain, total }) => `${number(remain)} of ${number(total)} would remain`;
