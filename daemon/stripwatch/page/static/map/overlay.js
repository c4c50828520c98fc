/** What is written and drawn over the painted strip: axes, names of the sides, the selection. */

import { BESIDE, css } from "../palette.js";
import { Scale } from "./paint.js";
import { ticks } from "./viewport.js";

export const GUTTER_PX = 92; // left, for the sides' names and millimetres
export const AXIS_PX = 26; // below, for the metres
const INK = "#c9d1d9";
const FAINT = "#7d8894";
const FONT = '"Liberation Sans", Arial, sans-serif';

/**
 * @param {CanvasRenderingContext2D} context in device pixels
 * @param {{width: number, height: number, ratio: number}} size of the painted part
 */
export function drawAxes(context, model, window, places, size) {
  const { ratio } = size;
  const [gutter, axis] = [GUTTER_PX * ratio, AXIS_PX * ratio];
  context.fillStyle = css(BESIDE);
  context.fillRect(0, 0, gutter, size.height + axis);
  context.fillRect(gutter, size.height, size.width, axis);
  drawMetres(context, window, size);
  for (const band of places) drawSide(context, window, band, size);
}

function drawMetres(context, window, { width, height, ratio }) {
  context.font = `${13 * ratio}px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.fillStyle = INK;
  const k = width / (window.toMm - window.fromMm);
  const steps = ticks(window.fromMm / 1000, window.toMm / 1000, width / ratio / 110);
  const decimals = steps.length > 1 && steps[1] - steps[0] < 1 ? 1 : 0;
  for (const metre of steps) {
    const x = GUTTER_PX * ratio + (metre * 1000 - window.fromMm) * k;
    context.fillRect(Math.round(x), height, ratio, 5 * ratio);
    const half = 30 * ratio;
    const end = GUTTER_PX * ratio + width;
    if (x + half > end) continue; // half a number says something else
    context.fillText(`${metre.toFixed(decimals)} m`, x, height + 8 * ratio);
  }
}

function drawSide(context, window, band, { width, ratio }) {
  const scale = new Scale(window, width, band);
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = INK;
  context.font = `bold ${15 * ratio}px ${FONT}`;
  context.fillText(band.side.name, 8 * ratio, (band.top + band.bottom) / 2);
  context.font = `${11 * ratio}px ${FONT}`;
  context.textAlign = "right";
  context.fillStyle = FAINT;
  const [left, right] = band.side.fieldMm;
  for (const mm of ticks(left, right, (band.bottom - band.top) / ratio / 34)) {
    const y = Math.min(Math.max(scale.y(mm), band.top + 6 * ratio), band.bottom - 6 * ratio);
    context.fillText(`${mm}`, (GUTTER_PX - 6) * ratio, y);
  }
}

/** A white frame with a dark border around the selected defect, seen on every colour. */
export function drawSelection(context, window, band, defect, { width, ratio }) {
  const scale = new Scale(window, width, band);
  const least = 14 * ratio;
  const x = scale.x(defect.alongMm + defect.lengthMm / 2) + GUTTER_PX * ratio;
  const y = scale.y(defect.acrossMm + defect.widthMm / 2);
  const wide = Math.max(defect.lengthMm * scale.alongPx + 8 * ratio, least);
  const high = Math.max(defect.widthMm * scale.acrossPx + 8 * ratio, least);
  context.save();
  context.beginPath();
  context.rect(GUTTER_PX * ratio, 0, width, band.bottom + 20 * ratio);
  context.clip();
  for (const [style, thick] of [["#000", 5], ["#fff", 2.5]]) {
    context.strokeStyle = style;
    context.lineWidth = thick * ratio;
    context.strokeRect(x - wide / 2, y - high / 2, wide, high);
  }
  context.restore();
}

/** The strip's end, where it is in view: the line has got so far. */
export function drawEnd(context, model, window, { width, height, ratio }) {
  const x = GUTTER_PX * ratio
    + ((model.lengthMm - window.fromMm) * width) / (window.toMm - window.fromMm);
  if (!model.isRunning || x < GUTTER_PX * ratio || x > GUTTER_PX * ratio + width) return;
  context.fillStyle = "#fff";
  context.fillRect(Math.round(x), 0, 2 * ratio, height);
}
