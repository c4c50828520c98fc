/** Small charts of uPlot, which is loaded when the first one is drawn. */

import { fill, h, svg } from "../dom.js";
import { number, unit } from "../format.js";

const HEIGHT_PX = 170;
const FONT = '12px "Liberation Sans", Arial, sans-serif';
let library = null;

function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    document.head.append(
      h("link", { rel: "stylesheet", href: "/static/vendor/uplot/uPlot.min.css" }),
      h("script", { src: "/static/vendor/uplot/uPlot.iife.min.js", onerror: reject,
        onload: () => resolve(globalThis.uPlot) }),
    );
  });
  return library;
}

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Chart {
  /**
   * @param {string} title
   * @param {{key: string, label: string, colour: string, dash?: number[]}[]} series
   * @param {string} unitName
   */
  constructor(title, series, unitName) {
    this.series = series;
    this.unitName = unitName;
    this.place = h("div", { class: "chart", role: "img", "aria-label": title });
    this.names = h("div", { class: "series" });
    this.element = h("section", { class: "panel" },
      h("header", {}, h("h2", {}, title), this.names), this.place);
    this._recolour = () => { this._plot?.destroy(); this._plot = null; this._draw(); };
    addEventListener("theme", this._recolour);
  }

  /** @param {any} columns of GET /api/charts */
  async show(columns) {
    this.isLong = columns.step_s > 1;
    this.data = [columns.t_s, ...this.series.map(({ key }) => columns[key])];
    this.uPlot ??= await loadLibrary().catch(() => null);
    this._draw();
  }

  close() {
    removeEventListener("theme", this._recolour);
    this._observer?.disconnect();
    this._plot?.destroy();
  }

  _draw() {
    if (!this.uPlot || !this.data || !this.place.isConnected) return;
    this._name();
    if (this._plot) return void this._plot.setData(this.data);
    this._plot = new this.uPlot(this._options(), this.data, this.place);
    this._observer ??= new ResizeObserver(() => this._plot?.setSize(
      { width: this.place.clientWidth, height: HEIGHT_PX }));
    this._observer.observe(this.place);
  }

  /** Each line's name with its latest value: colour and dashes tell which is which. */
  _name() {
    fill(this.names, this.series.map(({ label, colour, dash }, i) => {
      const value = this.data[i + 1].findLast((one) => one !== null);
      const line = svg("line", { x1: 0, y1: 6, x2: 24, y2: 6, stroke: token(colour),
        "stroke-width": 3, "stroke-dasharray": (dash ?? []).join(" ") });
      return h("span", {}, svg("svg", { width: 24, height: 12, "aria-hidden": "true" }, line),
        label, h("b", {}, this._valueText(value)));
    }));
  }

  _valueText(value) {
    if (!this.unitName) return number(value); // a count
    return unit(value, this.unitName, value < 10 ? 1 : 0);
  }

  _options() {
    const [ink, grid] = [token("--muted"), token("--line")];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid },
      font: FONT };
    const time = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, this.isLong ? 5 : 8);
    return {
      width: this.place.clientWidth,
      height: HEIGHT_PX,
      cursor: { show: false },
      legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [
        { ...axis, size: 32, space: 80, values: (_, places) => places.map(time) },
        { ...axis, size: 58, values: (_, places) => places.map((value) => number(value,
          Number.isInteger(places[1] - places[0]) ? 0 : 1)) },
      ],
      series: [{}, ...this.series.map(({ label, colour, dash }) => ({
        label, dash, stroke: token(colour), width: 2, spanGaps: false, points: { show: false } }))],
    };
  }
}
