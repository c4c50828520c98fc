/** The line now: state, cameras, latency, drops, engine, journal, readers; and how it went. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import {
  bytes, camera as cameraName, clock, duration, milliseconds, number, percent, unit, words,
} from "../format.js";
import { Chart } from "../parts/chart.js";
import { Figures } from "../parts/figures.js";
import { reasonText, stateLook, stateWord } from "../parts/header.js";
import { CameraRates } from "../parts/camera_rates.js";

const REFRESH_MS = 5000;
const LOOKS = { good: "", warn: "warn", bad: "bad" };
const CHARTS = [
  ["Frames per second", "1/s", [{ key: "frames_per_s", label: "inspected", colour: "--accent" }]],
  ["Latency", "ms", [
    { key: "latency_p50_ms", label: "p50", colour: "--accent" },
    { key: "latency_p99_ms", label: "p99", colour: "--warn", dash: [6, 4] }]],
  ["Counts", "", [
    { key: "defects", label: "defects", colour: "--accent" },
    { key: "missed", label: "frames missed", colour: "--bad", dash: [2, 3] }]],
];

export function open(store) {
  const view = new LineView(store);
  return { title: "Line", element: view.element, close: () => view.close() };
}

class LineView {
  constructor(store) {
    this.store = store;
    this.rates = new CameraRates();
    this.figures = new Figures([["state", "State"], ["frames", "Frames per second"],
      ["latency", "Latency p99"], ["speed", "Speed"], ["missed", "Frames missed"],
      ["uptime", "Running for"]]);
    this.reasons = h("div", { class: "view" });
    this.panels = Object.fromEntries(["cameras", "latency", "drops", "engine", "journal", "readers"]
      .map((name) => [name, h("section", { class: "panel" })]));
    this.span = "minute";
    this.charts = CHARTS.map(([title, unitName, series]) => new Chart(title, series, unitName));
    this.spans = ["minute", "hour"].map((span) => h("button", { "aria-pressed":
      String(span === "minute"), onclick: () => this._choose(span) }, `Last ${span}`));
    const { cameras, latency, drops, engine, journal, readers } = this.panels;
    this.element = h("div", { class: "view" },
      h("h1", { class: "hidden-text" }, "The line now"), this.figures.element, this.reasons,
      h("div", { class: "title" }, h("h2", {}, "How it went"),
        h("div", { class: "group", role: "group", "aria-label": "Time span" }, this.spans)),
      h("div", { class: "columns three" }, this.charts.map(({ element }) => element)),
      h("div", { class: "columns two" }, h("div", { class: "view" }, cameras, latency),
        h("div", { class: "view" }, drops, engine, journal, readers)));
    this._stop = store.listen((name) => {
      if (name === "status" || name === "state") this._show();
    });
    this._every(() => store.refresh(), REFRESH_MS, "refresh");
    this._every(() => this._chart(), 1000, "chart");
    this._show();
  }

  close() {
    this.isClosed = true;
    this._stop();
    for (const chart of this.charts) chart.close();
  }

  /** Asks again after each answer, also after none. */
  async _every(action, ms) {
    while (!this.isClosed) {
      await action().catch(() => null);
      const wait = action === undefined || this.span === "minute" ? ms : Math.max(ms, 3000);
      await new Promise((resolve) => { setTimeout(resolve, wait); });
    }
  }

  async _chart() {
    const columns = await api.charts(this.span);
    if (!this.isClosed) await Promise.all(this.charts.map((chart) => chart.show(columns)));
  }

  _choose(span) {
    this.span = span;
    this.spans.forEach((button, i) => button.setAttribute("aria-pressed",
      String(["minute", "hour"][i] === span)));
    this._chart().catch(() => null);
  }

  _show() {
    const { state } = this.store;
    const { status } = state;
    const word = stateWord(state);
    const look = word === "no answer" ? "bad" : LOOKS[stateLook(word)];
    this.figures.set("state", word.toUpperCase(), look);
    this._showReasons(word, status);
    fill(this.panels.engine, enginePanel(state));
    fill(this.panels.journal, journalPanel(state.journal));
    fill(this.panels.readers, readersPanel(state));
    if (!status) return;
    this.rates.take(status);
    const total = status.latency_ms.total ?? Object.values(status.latency_ms)[0];
    const missed = Object.values(status.cameras).reduce((sum, camera) => sum
      + Object.values(camera.missed).reduce((a, b) => a + b, 0), 0);
    this.figures.set("frames", number(status.frames_per_s, 1));
    this.figures.set("latency", milliseconds(total?.p99));
    const speed = state.speed_m_per_min;
    this.figures.set("speed", speed === null ? "–" : unit(speed, "m/min", 1));
    this.figures.set("missed", number(missed), missed ? "warn" : "");
    this.figures.set("uptime", duration(status.uptime_s));
    fill(this.panels.cameras, camerasPanel(this.store.config, status, this.rates));
    fill(this.panels.latency, latencyPanel(status));
    fill(this.panels.drops, dropsPanel(status));
  }

  _showReasons(word, status) {
    const reasons = (word === "no answer" ? ["the daemon does not answer"]
      : status.reasons.map(reasonText));
    if (String(reasons) === this.shownReasons) return;
    this.shownReasons = String(reasons);
    const look = stateLook(word) === "bad" || word === "no answer" ? "bad" : "warn";
    fill(this.reasons, reasons.map((reason) => h("p", { class: `note ${look}` }, reason)));
  }
}

const heading = (text, more) => h("header", {}, h("h2", {}, text),
  more && h("span", { class: "muted" }, more));
const facts = (rows) => h("dl", { class: "facts" }, rows.map(([name, value]) => (
  [h("dt", {}, name), h("dd", {}, value)])));

function table(caption, heads, rows) {
  return h("table", {}, h("caption", { class: "hidden-text" }, caption),
    h("thead", {}, h("tr", {}, heads.map((name, i) => h("th", { scope: "col",
      class: i ? "number" : "" }, name)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) => h("td", {
      class: i ? "number" : "" }, cell))))));
}

function camerasPanel(config, status, rates) {
  const rows = config.cameras.map((one) => {
    const { name } = one;
    const camera = status.cameras[name];
    if (!camera) return [cameraName(one), "–", "–", "–", "no frame yet", "–"];
    const missed = Object.values(camera.missed).reduce((sum, count) => sum + count, 0);
    return [cameraName(one), number(rates.of(name), 1), number(camera.inspected),
      number(missed), camera.second_sender ? "two senders" : camera.session.slice(0, 8),
      lightText(camera)];
  });
  return [heading("Cameras"), table("Cameras", ["Camera", "Frames/s", "Inspected", "Missed",
    "Session", "Light"], rows)];
}

/** The mean grey, and each fault as what is left of the reference's. */
function lightText(camera) {
  if (camera.light === null || camera.light === undefined) return "not told";
  const faults = (camera.light_faults ?? []).map(({ kind, share, crossweb_mm: [from, to] }) => (
    `${kind} ${percent(share)} of reference at ${number(from)} to ${number(to)} mm`));
  return [`grey ${number(camera.light)}`, ...faults].join(", ");
}

function latencyPanel(status) {
  const rows = Object.entries(status.latency_ms).map(([stage, times]) => [words(stage),
    ...["p50", "p99", "max"].map((name) => number(times[name], 1))]);
  const content = rows.length ? table("Latency by stage", ["Stage", "p50 ms", "p99 ms", "max ms"],
    rows) : h("p", { class: "muted" }, "No frame in the last second.");
  return [heading("Latency by stage", "of the last second"), content];
}

function dropsPanel(status) {
  const rows = Object.entries(status.drops).filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1]).map(([cause, count]) => [words(cause), number(count)]);
  return [heading("Missed, by cause", "since the daemon's start"), rows.length
    ? table("Missed frames by cause", ["Cause", "Frames"], rows)
    : h("p", { class: "muted" }, "Nothing has been missed.")];
}

function enginePanel({ engine, status }) {
  if (!engine) return [heading("Engine"), h("p", { class: "muted" }, "Not known.")];
  return [heading("Engine and model"), facts([["Engine", engine.target],
    ["Precision", engine.precision], ["Model", engine.hash.slice(0, 16)],
    ["In force", status ? status.model : "–"]])];
}

function journalPanel(journal) {
  return [heading("Journal"), facts([["Events", number(journal.events)],
    ["Used", `${bytes(journal.used_bytes)} of ${bytes(journal.limit_bytes)}`],
    ["Free on the disk", bytes(journal.disk_free_bytes)]]),
  journal.error ? h("p", { class: "note bad" }, journal.error) : null];
}

function readersPanel({ readers, lookers }) {
  const rows = readers.map(({ reader, behind, t_ns: ns }) => [reader,
    behind === null ? "other journal" : number(behind), clock(ns)]);
  return [heading("Readers and forwarders", `${number(lookers)} of this page`), rows.length
    ? table("Readers", ["Reader", "Events behind", "Last read"], rows)
    : h("p", { class: "muted" }, "No reader has a name in the journal.")];
}
