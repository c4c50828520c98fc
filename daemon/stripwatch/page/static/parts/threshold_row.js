/** The settings of one class: a slider with its number, a minimum area, and what they would do. */

import { fill, h } from "../dom.js";
import { number, percent } from "../format.js";
import { className } from "./sign.js";

const EXACTNESS = {
  exact: "exact",
  upper_bound: "at most so many",
  lowered: "what was below is not known",
};

export class ThresholdRow {
  /**
   * @param {import("../store.js").Store} store
   * @param {any} one class of the configuration
   * @param {() => void} onChange
   */
  constructor(store, one, onChange) {
    this.name = one.name;
    this.inForce = one;
    const changed = (from, to) => () => { to.value = from.value; this._mark(); onChange(); };
    this.slider = h("input", { type: "range", min: 0.01, max: 0.99, step: 0.01,
      "aria-label": `Threshold of ${one.name}` });
    this.threshold = h("input", { type: "number", min: 0.01, max: 0.99, step: 0.01,
      "aria-label": `Threshold of ${one.name} as a number`, name: `threshold-${one.name}` });
    this.area = h("input", { type: "number", min: 0, step: 1,
      "aria-label": `Minimum area of ${one.name}, px`, name: `area-${one.name}` });
    this.slider.addEventListener("input", changed(this.slider, this.threshold));
    this.threshold.addEventListener("input", changed(this.threshold, this.slider));
    this.area.addEventListener("input", () => { this._mark(); onChange(); });
    this.last = h("td", { class: "number" });
    this.strip = h("td", { class: "number" });
    this.exactness = h("td", { class: "muted small" });
    this.told = h("td", { class: "small muted" });
    this.element = h("tr", {}, h("td", {}, className(store, one.name)),
      h("td", {}, h("div", { class: "map-tools" }, this.slider, this.threshold)),
      h("td", {}, this.area), this.told, this.last, this.strip, this.exactness);
    this.reset(one);
  }

  /** Back to what is in force. @param {any} one class of the configuration */
  reset(one = this.inForce) {
    this.inForce = one;
    this.slider.value = one.threshold;
    this.threshold.value = one.threshold;
    this.area.value = one.min_area_px;
    this.told.textContent = `${one.threshold} and ${number(one.min_area_px)} px`
      + (one.threshold !== one.configured_threshold
        || one.min_area_px !== one.configured_min_area_px
        ? ` (configured: ${one.configured_threshold} and ${number(one.configured_min_area_px)} px)`
        : "");
    this._mark();
  }

  get isValid() {
    return this.threshold.checkValidity() && this.area.checkValidity()
      && this.threshold.value !== "" && this.area.value !== "";
  }

  get isChanged() {
    return Number(this.threshold.value) !== this.inForce.threshold
      || Number(this.area.value) !== this.inForce.min_area_px;
  }

  get wanted() {
    return { name: this.name, threshold: Number(this.threshold.value),
      min_area_px: Number(this.area.value) };
  }

  /** @param {any} answer of POST /api/what-if */
  show(answer) {
    fill(this.last, remaining(answer.last.by_class[this.name]));
    fill(this.strip, answer.strip ? remaining(answer.strip.by_class[this.name]) : "–");
    this.exactness.textContent = this.isChanged
      ? EXACTNESS[answer.exactness[this.name]] ?? "" : "";
  }

  _mark() {
    this.element.classList.toggle("changed", this.isChanged);
  }
}

function remaining(counts) {
  if (!counts || !counts.total) return "–";
  const share = counts.remain / counts.total;
  const bar = h("i", {});
  bar.style.width = percent(share).replace(/\s/g, "");
  return [`${number(counts.remain)} of ${number(counts.total)}`,
    h("div", { class: "bar", "aria-hidden": "true" }, bar)];
}
