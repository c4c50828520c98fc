/** The window onto the strip: which metres are seen, and how zooming and panning change them. */

export const SHORTEST_MM = 10_000;
export const LONGEST_MM = 15_000_000;

/**
 * A window of strip. All values in mm from the strip's start.
 * @typedef {{fromMm: number, toMm: number}} Window
 */

/** A window of a length, moved so that it stays on the strip where it can. */
export function clamped(fromMm, lengthMm, stripMm) {
  const length = Math.min(Math.max(lengthMm, SHORTEST_MM), Math.max(longest(stripMm), SHORTEST_MM));
  const from = Math.min(Math.max(fromMm, 0), Math.max(stripMm - length, 0));
  return { fromMm: from, toMm: from + length };
}

/** The whole strip and a little room, so that its end is seen as one. */
export function longest(stripMm) {
  return Math.min(Math.max(stripMm * 1.02, SHORTEST_MM), LONGEST_MM * 1.02);
}

/**
 * Zooms by a factor about a point that stays where it is.
 * @param {Window} window
 */
export function zoomed(window, factor, aroundMm, stripMm) {
  const length = window.toMm - window.fromMm;
  const wanted = Math.min(Math.max(length * factor, SHORTEST_MM), longest(stripMm));
  const share = (aroundMm - window.fromMm) / length;
  return clamped(aroundMm - share * wanted, wanted, stripMm);
}

/** @param {Window} window */
export function panned(window, byMm, stripMm) {
  return clamped(window.fromMm + byMm, window.toMm - window.fromMm, stripMm);
}

/** The window of a length that ends at the strip's end, as the strip grows. */
export function following(lengthMm, stripMm) {
  const room = lengthMm * 0.02; // the newest defect does not stick to the border
  return clamped(stripMm - lengthMm + room, lengthMm, stripMm + room);
}

/** The same window, moved so that a place is inside of it. @param {Window} window */
export function containing(window, atMm, stripMm) {
  const length = window.toMm - window.fromMm;
  if (atMm >= window.fromMm + length * 0.05 && atMm <= window.toMm - length * 0.05) return window;
  return clamped(atMm - length / 2, length, stripMm);
}

/**
 * Round places for the numbers of an axis.
 * @returns {number[]} at most `most` of them, ascending
 */
export function ticks(from, to, most) {
  const least = (to - from) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= least * (1 - 1e-9));
  const places = [];
  for (let n = Math.ceil(from / step - 1e-9); n * step <= to + step * 1e-9; n += 1) {
    places.push(n * step + 0); // not -0
  }
  return places;
}
