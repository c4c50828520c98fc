/** The defects of one side of a strip in columns, sorted by where they begin along the strip. */

import { lowerBound } from "./search.js";

/**
 * What the map needs of a defect. Lengths in mm, from the strip's start and its left edge.
 * `flags` and `review` are those of the server's table.
 * @typedef {{seq: number, alongMm: number, lengthMm: number, acrossMm: number, widthMm: number,
 *   classId: number, score: number, areaMm2: number, edgeMm: number, flags: number,
 *   review: number}} Defect
 */

const COLUMNS = /** @type {const} */ ([
  ["alongMm", Float32Array],
  ["lengthMm", Float32Array],
  ["acrossMm", Float32Array],
  ["widthMm", Float32Array],
  ["areaMm2", Float32Array],
  ["edgeMm", Float32Array],
  ["score", Float32Array],
  ["classId", Uint8Array],
  ["flags", Uint8Array],
  ["review", Uint8Array],
  ["shown", Uint8Array],
  ["seq", Float64Array],
]);

const FIRST_CAPACITY = 1024;

export class Defects {
  /** @param {(defect: Defect) => boolean} [filter] which of them are shown; absent: all */
  constructor(filter = () => true) {
    this.size = 0;
    this.filter = filter;
    /** The longest of them: how far before a window a defect may begin that reaches into it. */
    this.longestMm = 0;
    for (const [name, Type] of COLUMNS) this[name] = new Type(FIRST_CAPACITY);
  }

  /** Takes many at once, in any order: sorts once. @param {Defect[]} defects */
  static from(defects) {
    const all = new Defects();
    all._reserve(defects.length);
    for (const defect of [...defects].sort((a, b) => a.alongMm - b.alongMm)) all.add(defect);
    return all;
  }

  /**
   * Adds a defect at its place. New ones come almost in order, so that little is moved.
   * @param {Defect} defect
   */
  add(defect) {
    this._reserve(this.size + 1);
    let at = this.size;
    while (at > 0 && this.alongMm[at - 1] > defect.alongMm) at -= 1;
    for (const [name] of COLUMNS) {
      if (at < this.size) this[name].copyWithin(at + 1, at, this.size);
      this[name][at] = defect[name];
    }
    this.shown[at] = this.filter(defect) ? 1 : 0;
    this.size += 1;
    this.longestMm = Math.max(this.longestMm, defect.lengthMm);
  }

  /** @param {number} seq @returns {boolean} false: it is not here */
  remove(seq) {
    const at = this.indexOf(seq);
    if (at < 0) return false;
    for (const [name] of COLUMNS) this[name].copyWithin(at, at + 1, this.size);
    this.size -= 1;
    return true;
  }

  /** @param {(defect: Defect) => boolean} filter */
  show(filter) {
    this.filter = filter;
    for (let i = 0; i < this.size; i += 1) this.shown[i] = filter(this.at(i)) ? 1 : 0;
  }

  /** @param {number} index @returns {Defect} */
  at(index) {
    const defect = {};
    for (const [name] of COLUMNS) defect[name] = this[name][index];
    return /** @type {Defect} */ (defect);
  }

  /** The index of the defect with a number, or -1. New ones, which are asked for most, first. */
  indexOf(seq) {
    return this.seq.subarray(0, this.size).lastIndexOf(seq);
  }

  /**
   * The half-open range of indices in which all defects lie that touch [fromMm, toMm].
   * @returns {[number, number]}
   */
  window(fromMm, toMm) {
    const first = lowerBound(this.alongMm, this.size, fromMm - this.longestMm);
    return [first, lowerBound(this.alongMm, this.size, toMm)];
  }

  /**
   * The shown defect nearest to a point, at most so far from it in each direction.
   * @returns {number} its index, or -1
   */
  nearest(alongMm, acrossMm, reachAlongMm, reachAcrossMm) {
    const [first, last] = this.window(alongMm - reachAlongMm, alongMm + reachAlongMm);
    let best = -1;
    let bestDistance = 1;
    let bestArea = Infinity;
    for (let i = first; i < last; i += 1) {
      const along = outside(alongMm, this.alongMm[i], this.lengthMm[i]) / reachAlongMm;
      const across = outside(acrossMm, this.acrossMm[i], this.widthMm[i]) / reachAcrossMm;
      const distance = Math.hypot(along, across);
      // Of two under the pointer the smaller one: the larger can be hit elsewhere.
      const isBetter = distance < bestDistance
        || (distance === bestDistance && this.areaMm2[i] < bestArea);
      if (isBetter && this.shown[i]) {
        [best, bestDistance, bestArea] = [i, distance, this.areaMm2[i]];
      }
    }
    return best;
  }

  _reserve(size) {
    if (size <= this.alongMm.length) return;
    const capacity = Math.max(size, 2 * this.alongMm.length);
    for (const [name, Type] of COLUMNS) {
      const column = new Type(capacity);
      column.set(this[name]);
      this[name] = column;
    }
  }
}

/** How far a value lies outside of an interval; 0 inside. */
function outside(value, first, length) {
  return Math.max(first - value, value - first - length, 0);
}
