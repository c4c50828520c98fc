/** The strip as it runs. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { isUnnamed, metres, number, unit } from "../format.js";
import { rankOf } from "../grades.js";
import { Figures } from "../parts/figures.js";
import { StripBrowser } from "../parts/strip_browser.js";

const LOOK_OF_RANK = ["", "warn", "bad"];

export function open(store) {
  const view = new LiveView(store);
  return { title: "Live", element: view.element, close: () => view.close() };
}

class LiveView {
  constructor(store) {
    this.store = store;
    this.strip = null;
    this.figures = new Figures([
      ["strip", "Strip"], ["length", "Length so far"], ["speed", "Speed"],
      ["defects", "Defects"], ["missed", "Not inspected"], ["grade", "Grade so far"],
    ]);
    this.browser = new StripBrowser(store, { title: "Strip", onChange: () => this._figures() });
    this.element = h("div", { class: "view" }, h("h1", { class: "hidden-text" }, "Live"),
      this.figures.element, h("p", { class: "empty panel" }, "Waiting for the first strip …"));
    this._stop = store.listen((name, data) => this._take(name, data));
    this._first();
  }

  close() {
    this._stop();
    this.browser.close();
  }

  /** The running strip; of two the newer, which is the shorter; else the latest that ended. */
  async _first() {
    const running = this._running();
    if (running) return void this._show(running);
    const answer = await api.strips({ limit: 1 }).catch(() => ({ strips: [] }));
    if (!this.strip && answer.strips.length) this._show(answer.strips[0].strip);
  }

  _running() {
    return this.store.state.strips.filter(({ strip }) => strip !== null)
      .sort((a, b) => (a.length_m ?? 0) - (b.length_m ?? 0))[0]?.strip;
  }

  _show(strip) {
    if (strip === this.strip) return;
    if (!this.strip) fill(this.element, this.element.firstChild, this.figures.element,
      this.browser.elements);
    this.strip = strip;
    this.browser.show(strip);
    this._figures();
  }

  _take(name, data) {
    if (name === "strip_start") this._show(data.strip);
    if (name === "status") {
      // Without coil ids no event tells that another strip begins.
      if (!this.strip || isUnnamed(this._running())) this._first();
      this._figures();
    }
  }

  _figures() {
    const { figures } = this;
    const live = this.browser.live;
    const model = live?.model;
    const detail = live?.detail;
    const { speed_m_per_min: speed } = this.store.state;
    figures.set("strip", isUnnamed(this.strip) ? "no coil id" : this.strip ?? "–");
    figures.set("speed", speed === null ? "–" : unit(speed, "m/min", speed < 10 ? 1 : 0));
    if (!model || !detail) return;
    figures.set("length", metres(model.lengthMm / 1000));
    figures.set("defects", number(model.count));
    const missed = missedMetres(detail);
    figures.set("missed", metres(missed), missed > 0 ? "warn" : "");
    const grade = detail.verdict?.grade;
    const look = LOOK_OF_RANK[grade ? rankOf(grade, detail.verdict.grades) : 0];
    figures.set("grade", grade ?? "no rules", look);
  }
}

/**
 * Of the worst camera: two cameras that missed the same metre missed one metre. While a strip runs
 * only its gaps tell them.
 */
export function missedMetres(detail) {
  const sums = detail.coverage.map(({ camera, metres_missed: missed }) => Math.max(
    sum(Object.values(missed)),
    sum(detail.gaps.filter((gap) => gap.camera === camera).map((gap) => gap.length_m ?? 0)),
  ));
  return Math.max(0, ...sums);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
