/** `<strip-map>`: a strip to look at, to move along, and to select defects on. */

import { h, setText } from "../dom.js";
import { millimetres, place } from "../format.js";
import { listenToKeys, listenToPointer } from "./input.js";
import { StripModel } from "./model.js";
import { AXIS_PX, drawAxes, drawEnd, drawSelection, GUTTER_PX } from "./overlay.js";
import { bands, paint, Scale } from "./paint.js";
import { Raster } from "./raster.js";
import { lowerBound } from "./search.js";
import { clamped, containing, following, longest, panned, zoomed } from "./viewport.js";

const FIRST_WINDOW_MM = 50_000;
const FOLLOW_MS = 400; // in which most of the way to the strip's end is made up
const HIT_PX = 9;

/** Events: "select" {seq | null}, "open" {seq}, "window" (moved, zoomed, following or not),
 * "drawn". */
export class StripMap extends HTMLElement {
  constructor() {
    super();
    this.canvas = h("canvas", { tabIndex: 0, role: "application" });
    this.place = h("output", { class: "map-place", "aria-hidden": "true" });
    this.spoken = h("p", { class: "hidden-text", "aria-live": "polite" });
    this.model = new StripModel(null, []);
    this.window = { fromMm: 0, toMm: FIRST_WINDOW_MM };
    this.isFollowing = true;
    this.isWhole = false; // the whole strip is shown, also as it grows
    this.selectedSeq = null;
    this._endMm = 0;
    listenToPointer(this);
    listenToKeys(this);
  }

  connectedCallback() {
    this.canvas.setAttribute("aria-label", this.getAttribute("label") ?? "Strip map");
    this.append(this.canvas, this.place, this.spoken);
    this._observer = new ResizeObserver(() => this._resize());
    this._observer.observe(this);
  }

  disconnectedCallback() {
    this._observer.disconnect();
    cancelAnimationFrame(this._frame);
    this._frame = 0;
  }

  /** Another strip, shown from its end where it runs, else whole. @param {StripModel} model */
  setModel(model) {
    this.model = model;
    this._endMm = model.lengthMm;
    this.window = { fromMm: 0, toMm: FIRST_WINDOW_MM };
    this.setFollowing(model.isRunning);
    if (!model.isRunning) this.showWhole();
  }

  /** How much is shown; kept while a strip is still shorter. */
  get windowMm() {
    return this.window.toMm - this.window.fromMm;
  }

  get mmPerPx() {
    return this.windowMm / Math.max(this.canvas.clientWidth - GUTTER_PX, 1);
  }

  setFollowing(isFollowing) {
    this.isFollowing = isFollowing && this.model.isRunning;
    this.isWhole = false;
    this._moved();
  }

  panBy(mm) {
    this._letGo();
    this.window = panned(this.window, mm, this.model.lengthMm);
    this._moved();
  }

  zoomBy(factor, x) {
    const around = x === undefined || this.isFollowing
      ? (this.isFollowing ? this.window.toMm : (this.window.fromMm + this.window.toMm) / 2)
      : this.window.fromMm + x * this.mmPerPx;
    this.isWhole = false;
    this.window = zoomed(this.window, factor, around, this.model.lengthMm);
    this._moved();
  }

  /** A window of a length about the same middle. */
  showLength(mm) {
    this.zoomBy(mm / this.windowMm);
  }

  showWhole() {
    this.isFollowing = false;
    this.isWhole = true;
    this.window = this._whole;
    this._moved();
  }

  setWindow(window) {
    this._letGo();
    this.window = window;
    this._moved();
  }

  get _whole() {
    return clamped(0, longest(this.model.lengthMm), this.model.lengthMm);
  }

  _letGo() {
    this.isFollowing = false;
    this.isWhole = false;
  }

  /** @param {number | null} seq */
  select(seq, isShown = true) {
    this.selectedSeq = seq;
    const found = seq === null ? null : this.model.find(seq);
    if (found && isShown) {
      const defect = found.side.defects.at(found.index);
      const window = containing(this.window, defect.alongMm, this.model.lengthMm);
      if (window !== this.window) this.setWindow(window);
      setText(this.spoken, `Defect at ${place(defect.alongMm / 1000)}, `
        + `${millimetres(defect.acrossMm)} from the left edge, ${found.side.name} side`);
    }
    this.redraw();
    this.dispatchEvent(new CustomEvent("select", { detail: { seq } }));
  }

  open() {
    if (this.selectedSeq === null) return;
    this.dispatchEvent(new CustomEvent("open", { detail: { seq: this.selectedSeq } }));
  }

  /** The next or previous defect along the strip, over both sides. */
  selectStep(step) {
    const found = this.selectedSeq === null ? null : this.model.find(this.selectedSeq);
    const fromMm = found ? found.side.defects.alongMm[found.index]
      : step > 0 ? this.window.fromMm : this.window.toMm;
    const next = nextAlong(this.model, fromMm, this.selectedSeq, step);
    if (next !== null) this.select(next);
  }

  selectAt({ x, y }) {
    const at = this._bandAt(y);
    if (!at || x < 0) return;
    const { scale, band } = at;
    const ratio = this._ratio;
    const { defects } = band.side;
    const reach = HIT_PX * ratio;
    const index = defects.nearest(scale.alongMm(x * ratio), scale.acrossMm(y * ratio),
      reach / scale.alongPx, reach / scale.acrossPx);
    this.select(index < 0 ? null : defects.seq[index], false);
  }

  /** Where the pointer is on the strip. */
  showPlace(at) {
    const band = at && at.x >= 0 ? this._bandAt(at.y) : null;
    if (!band) return setText(this.place, "");
    const along = band.scale.alongMm(at.x * this._ratio) / 1000;
    const across = band.scale.acrossMm(at.y * this._ratio);
    return setText(this.place, `${along.toFixed(2)} m · ${across.toFixed(0)} mm`);
  }

  redraw() {
    if (!this._frame && this.isConnected) {
      this._frame = requestAnimationFrame((ms) => this._draw(ms));
    }
  }

  _bandAt(y) {
    const at = y * this._ratio;
    const band = this.bands?.find(({ top, bottom }) => at >= top && at < bottom);
    return band && { band, scale: new Scale(this.window, this.raster.width, band) };
  }

  _moved() {
    this.redraw();
    this.dispatchEvent(new CustomEvent("window"));
  }

  _resize() {
    this._ratio = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [this.clientWidth, this.clientHeight];
    if (width <= GUTTER_PX || height <= AXIS_PX) return;
    this.canvas.width = Math.round(width * this._ratio);
    this.canvas.height = Math.round(height * this._ratio);
    const gutter = Math.round(GUTTER_PX * this._ratio);
    const axis = Math.round(AXIS_PX * this._ratio);
    // Painted from memory, so that it has no use for a GPU.
    this._context = this.canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this._image = new ImageData(this.canvas.width - gutter, this.canvas.height - axis);
    this.raster = new Raster(this._image.width, this._image.height, this._image.data.buffer);
    this._frame = 0;
    this._draw(performance.now());
  }

  _draw(ms) {
    this._frame = 0;
    if (!this.raster) return;
    this._follow(ms);
    if (this.isWhole && this._whole.toMm !== this.window.toMm) {
      this.window = this._whole;
      this.dispatchEvent(new CustomEvent("window"));
    }
    const size = { width: this.raster.width, height: this.raster.height, ratio: this._ratio };
    this.bands = bands(this.model, size.height);
    paint(this.raster, this.model, this.window);
    const context = this._context;
    context.putImageData(this._image, Math.round(GUTTER_PX * this._ratio), 0);
    drawAxes(context, this.model, this.window, this.bands, size);
    drawEnd(context, this.model, this.window, size);
    const found = this.selectedSeq === null ? null : this.model.find(this.selectedSeq);
    if (found) {
      const band = this.bands.find(({ side }) => side === found.side);
      drawSelection(context, this.window, band, found.side.defects.at(found.index), size);
    }
    this.dispatchEvent(new CustomEvent("drawn"));
  }

  /** Moves towards the strip's end, which events move in steps. */
  _follow(ms) {
    if (!this.isFollowing) return;
    const passed = Math.min(ms - (this._drawnMs ?? ms), 100);
    this._drawnMs = ms;
    const behind = this.model.lengthMm - this._endMm;
    const isNear = Math.abs(behind) < this.mmPerPx / 2 || behind < 0 || behind > this.windowMm;
    this._endMm = isNear ? this.model.lengthMm
      : this._endMm + behind * (1 - Math.exp(-passed / FOLLOW_MS));
    this.window = following(this.windowMm, this._endMm);
    if (!isNear) this.redraw();
  }
}

/**
 * The number of the nearest shown defect that begins after a place, or before it. Of defects that
 * begin at one place the numbers decide, so that stepping passes each once.
 */
function nextAlong(model, fromMm, fromSeq, step) {
  const isBeyond = (along, seq) => (along === fromMm && fromSeq !== null
    ? (seq - fromSeq) * step > 0 : (along - fromMm) * step >= 0);
  let best = null;
  for (const { defects } of model.sides) {
    const at = lowerBound(defects.alongMm, defects.size, fromMm);
    let i = step > 0 ? at : lowerBound(defects.alongMm, defects.size, fromMm + 1e-3) - 1;
    for (; i >= 0 && i < defects.size; i += step) {
      const place = { along: defects.alongMm[i], seq: defects.seq[i] };
      if (!defects.shown[i] || !isBeyond(place.along, place.seq)) continue;
      if (!best || isBefore(place, best, step)) best = place;
      if (place.along !== fromMm) break; // equal places are not in the order of their numbers
    }
  }
  return best?.seq ?? null;
}

function isBefore(one, other, step) {
  return (one.along - other.along || one.seq - other.seq) * step < 0;
}

customElements.define("strip-map", StripMap);
