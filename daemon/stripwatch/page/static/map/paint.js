/** Paints a strip into a raster: steel, gaps, grade zones, roll marks, defects. */

import {
  BESIDE, CLASS_COLOURS, HATCH, HATCH_UNDER, MARK, STEEL, ZONE_COLOURS,
} from "../palette.js";
import { glyphs } from "./glyphs.js";
import { mixed, packed } from "./raster.js";

/** Between the sides, and of the grades above each: in the map, and in the overview. */
const LAYOUT = { gapPx: 10, zonePx: 8 };
const SMALL_LAYOUT = { gapPx: 4, zonePx: 4 };
/** Beyond so many in view signs would only cover each other: dots are left. */
export const GLYPHS_MAX = 1500;
const DASH_PX = 5;
const DOT_PX = 2;
const DOT_SPARSE_PX = 4;
const DOTS_DENSE_FROM = 12_000;
/** Signs are larger where there are few of them: they are read from two metres. */
const SIGN_PX = 15;
const SIGN_DENSE_PX = 9;
const DENSE_FROM = 400;

const COLOUR = CLASS_COLOURS.map(packed);
const BODY = CLASS_COLOURS.map((colour) => packed(mixed(colour, STEEL, 0.45)));
const BACK = packed(BESIDE);
const SHEET = packed(STEEL);
const OUTLINE = packed(BESIDE);
const STRIPE = packed(HATCH);
const UNDER = packed(HATCH_UNDER);
const LANE = packed(MARK);
const ZONES = ZONE_COLOURS.map(packed);

/**
 * Where the sides lie in the picture, from top to bottom; the grades are above each.
 * @returns {{side: import("./model.js").Side, zone: number, top: number, bottom: number}[]}
 */
export function bands(model, height, { gapPx, zonePx } = LAYOUT) {
  const count = Math.max(model.sides.length, 1);
  const each = Math.floor((height - gapPx * (count - 1)) / count);
  return model.sides.map((side, i) => {
    const zone = i * (each + gapPx);
    return { side, zone, top: zone + zonePx, bottom: zone + each };
  });
}

/** Millimetres to pixels and back, for one side in one window. */
export class Scale {
  constructor(window, width, band) {
    const [left, right] = band.side.fieldMm;
    this.fromMm = window.fromMm;
    this.alongPx = width / (window.toMm - window.fromMm);
    this.leftMm = left;
    this.topPx = band.top;
    this.acrossPx = (band.bottom - band.top) / (right - left);
  }

  x(alongMm) {
    return (alongMm - this.fromMm) * this.alongPx;
  }

  y(acrossMm) {
    return this.topPx + (acrossMm - this.leftMm) * this.acrossPx;
  }

  alongMm(x) {
    return this.fromMm + x / this.alongPx;
  }

  acrossMm(y) {
    return this.leftMm + (y - this.topPx) / this.acrossPx;
  }
}

/**
 * @param {import("./raster.js").Raster} raster
 * @param {import("./model.js").StripModel} model
 * @param {import("./viewport.js").Window} window
 * @param {boolean} [isSmall] dots only, for the overview
 */
export function paint(raster, model, window, isSmall = false) {
  raster.fill(BACK);
  const places = bands(model, raster.height, isSmall ? SMALL_LAYOUT : LAYOUT);
  const inView = places.reduce((sum, { side }) => {
    const [first, last] = side.defects.window(window.fromMm, window.toMm);
    return sum + last - first;
  }, 0);
  for (const band of places) {
    const scale = new Scale(window, raster.width, band);
    paintZones(raster, band, scale);
    paintSheet(raster, model, band, scale);
    if (isSmall || inView > DOTS_DENSE_FROM) paintDots(raster, band, scale, window, DOT_PX);
    else if (inView > GLYPHS_MAX) paintDots(raster, band, scale, window, DOT_SPARSE_PX);
    else paintSigns(raster, band, scale, window, inView > DENSE_FROM ? SIGN_DENSE_PX : SIGN_PX);
    paintMarks(raster, band, scale, model.lengthMm);
  }
}

function paintZones(raster, { side, zone: upper, top }, scale) {
  for (const zone of side.zones) {
    const left = Math.floor(scale.x(zone.fromMm));
    const right = Math.max(Math.ceil(scale.x(zone.toMm)), left + 2);
    raster.rect(left, upper, right, top - 1, ZONES[zone.rank]);
  }
}

function paintSheet(raster, model, { side, top, bottom }, scale) {
  const end = Math.ceil(scale.x(model.lengthMm));
  raster.rect(Math.floor(scale.x(0)), top, end, bottom, SHEET);
  const phase = Math.round(scale.fromMm * scale.alongPx) & 7;
  for (const gap of side.gaps) {
    const left = Math.floor(scale.x(gap.fromMm));
    const right = Math.max(Math.ceil(scale.x(gap.toMm)), left + 2);
    if (right > 0 && left < raster.width) {
      const upper = Math.max(Math.floor(scale.y(gap.acrossMm[0])), top);
      const lower = Math.min(Math.ceil(scale.y(gap.acrossMm[1])), bottom);
      raster.hatch(left, upper, right, lower, STRIPE, UNDER, phase);
    }
  }
}

/** A line through the teeth, and a stroke where each tooth is expected, where there is room. */
function paintMarks(raster, { side }, scale, endMm) {
  for (const mark of side.marks) {
    const y = Math.round(scale.y(mark.laneMm));
    const left = Math.round(scale.x(mark.firstMm));
    const right = Math.round(scale.x(mark.lastMm));
    raster.rect(left, y, right + 1, y + 1, LANE);
    if (mark.isOpen) paintDashes(raster, y, right, Math.round(scale.x(endMm)));
    const stepPx = mark.periodMm * scale.alongPx;
    if (stepPx < 6) continue;
    const first = Math.max(0, Math.floor(-left / stepPx));
    for (let x = left + first * stepPx; x <= right + 1 && x < raster.width; x += stepPx) {
      raster.rect(Math.round(x), y - 5, Math.round(x) + 1, y + 6, LANE);
    }
  }
}

/** A mark that goes on: the daemon tells of its newest tooth now and then. */
function paintDashes(raster, y, left, right) {
  const from = Math.max(left, left + Math.floor(-left / (2 * DASH_PX)) * 2 * DASH_PX);
  for (let x = from; x < Math.min(right, raster.width); x += 2 * DASH_PX) {
    raster.rect(x, y, Math.min(x + DASH_PX, right), y + 1, LANE);
  }
}

/** The inner loop of a whole strip: 200,000 of them in a frame. */
function paintDots(raster, { side, top, bottom }, scale, window, dotPx) {
  const { pixels, width } = raster;
  const { alongMm, lengthMm, acrossMm, widthMm, classId, shown } = side.defects;
  const { fromMm, alongPx, leftMm, acrossPx } = scale;
  const [first, last] = side.defects.window(window.fromMm, window.toMm);
  const right = width - DOT_PX;
  const lowest = bottom - DOT_PX;
  for (let i = first; i < last; i += 1) {
    if (!shown[i]) continue;
    const colour = COLOUR[(classId[i] - 1) & 7];
    const x = ((alongMm[i] - fromMm) * alongPx) | 0;
    const y = (top + (acrossMm[i] - leftMm) * acrossPx) | 0;
    const long = Math.max((lengthMm[i] * alongPx) | 0, dotPx);
    const wide = Math.max((widthMm[i] * acrossPx) | 0, dotPx);
    const isSmall = long === DOT_PX && wide === DOT_PX;
    if (isSmall && x >= 0 && x <= right && y >= top && y <= lowest) {
      const at = y * width + x;
      pixels[at] = pixels[at + 1] = pixels[at + width] = pixels[at + width + 1] = colour;
    } else raster.rect(x, Math.max(y, top), x + long, Math.min(y + wide, bottom), colour);
  }
}

/** Boxes to scale, and the sign of the class in their middle. */
function paintSigns(raster, { side, top, bottom }, scale, window, signPx) {
  const { defects } = side;
  const signs = glyphs(signPx);
  const [first, last] = defects.window(window.fromMm, window.toMm);
  for (let i = first; i < last; i += 1) {
    if (!defects.shown[i]) continue;
    const kind = (defects.classId[i] - 1) & 7;
    const x0 = scale.x(defects.alongMm[i]);
    const y0 = scale.y(defects.acrossMm[i]);
    const x1 = Math.max(x0 + defects.lengthMm[i] * scale.alongPx, x0 + DOT_PX);
    const y1 = Math.max(y0 + defects.widthMm[i] * scale.acrossPx, y0 + DOT_PX);
    const [left, right] = [Math.floor(x0), Math.ceil(x1)];
    const [upper, lower] = [Math.max(Math.floor(y0), top), Math.min(Math.ceil(y1), bottom)];
    raster.rect(left, upper, right, lower, BODY[kind]);
    frame(raster, left, upper, right, lower, COLOUR[kind]);
    const middle = { x: Math.round((x0 + x1) / 2), y: Math.round((upper + lower) / 2) };
    const room = signPx + 6;
    if (right - left > room || lower - upper > room) {
      const half = (signPx + 3) >> 1; // on its box a sign needs a ground of its own
      raster.rect(middle.x - half, middle.y - half, middle.x + half + 1, middle.y + half + 1,
        OUTLINE);
    }
    raster.glyph(signs[kind], middle.x, middle.y, COLOUR[kind]);
  }
}

function frame(raster, left, top, right, bottom, colour) {
  raster.rect(left, top, right, top + 1, colour);
  raster.rect(left, bottom - 1, right, bottom, colour);
  raster.rect(left, top, left + 1, bottom, colour);
  raster.rect(right - 1, top, right, bottom, colour);
}
