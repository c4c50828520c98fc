/** `<strip-overview>`: the whole strip, small, with the window of the map; a click moves there. */

import { h } from "../dom.js";
import { GUTTER_PX } from "./overlay.js";
import { paint } from "./paint.js";
import { Raster } from "./raster.js";
import { clamped } from "./viewport.js";

const HEIGHT_PX = 44;
const PAINT_MS = 1000; // a running strip grows slowly in it

export class StripOverview extends HTMLElement {
  constructor() {
    super();
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.frame = h("div", { class: "overview-window" });
    this.canvas.addEventListener("pointerdown", (event) => this._go(event));
    this.canvas.addEventListener("pointermove", (event) => event.buttons === 1 && this._go(event));
  }

  /** @param {import("./strip_map.js").StripMap} map */
  attach(map) {
    this.map = map;
    map.addEventListener("drawn", () => this._drawn());
  }

  connectedCallback() {
    this.append(this.canvas, this.frame);
    this._observer = new ResizeObserver(() => this._resize());
    this._observer.observe(this);
  }

  disconnectedCallback() {
    this._observer.disconnect();
    clearTimeout(this._timer);
    this._timer = undefined;
  }

  get _lengthMm() {
    return Math.max(this.map.model.lengthMm, this.map.windowMm, 1);
  }

  _drawn() {
    const { fromMm, toMm } = this.map.window;
    const width = Math.max(this.clientWidth - GUTTER_PX, 1);
    const [left, right] = [fromMm, Math.min(toMm, this._lengthMm)].map((mm) => (
      (mm / this._lengthMm) * width));
    this.frame.style.left = `${GUTTER_PX + left}px`;
    this.frame.style.width = `${Math.max(right - left, 3)}px`;
    // The window moves in every frame; the strip behind it need not be painted as often.
    this._timer ??= setTimeout(() => {
      this._timer = undefined;
      this._paint();
    }, this.isPainted ? PAINT_MS : 0);
  }

  _resize() {
    const width = this.clientWidth - GUTTER_PX;
    if (width <= 0) return;
    this.canvas.width = width;
    this.canvas.height = HEIGHT_PX;
    this._image = new ImageData(width, HEIGHT_PX);
    this.raster = new Raster(width, HEIGHT_PX, this._image.data.buffer);
    this._paint();
  }

  _paint() {
    if (!this.raster || !this.map) return;
    paint(this.raster, this.map.model, { fromMm: 0, toMm: this._lengthMm }, true);
    this.canvas.getContext("2d", { alpha: false }).putImageData(this._image, 0, 0);
    this.isPainted = this.map.model.count > 0;
  }

  _go(event) {
    const box = this.canvas.getBoundingClientRect();
    const middle = ((event.clientX - box.left) / box.width) * this._lengthMm;
    const { windowMm, model } = this.map;
    this.map.setWindow(clamped(middle - windowMm / 2, windowMm, model.lengthMm));
  }
}

customElements.define("strip-overview", StripOverview);
