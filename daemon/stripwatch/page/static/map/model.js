/** What the map shows of a strip. */

import { Defects } from "./defects.js";

/**
 * Strip that was not inspected. @typedef {{fromMm: number, toMm: number,
 *   acrossMm: [number, number], cause: string}} Gap
 * A roll's marks.
 * @typedef {{mark: string, laneMm: number, periodMm: number, firstMm: number, lastMm: number,
 *   rolls: string[], isOpen?: boolean}} RollMark
 * A stretch whose rules give it a grade. @typedef {{fromMm: number, toMm: number,
 *   rank: number, grade: string}} Zone
 */

export class Side {
  /** @param {string} name @param {[number, number]} fieldMm from the left edge */
  constructor(name, fieldMm) {
    this.name = name;
    this.fieldMm = fieldMm;
    this.defects = new Defects();
    /** @type {Gap[]} */ this.gaps = [];
    /** @type {Zone[]} */ this.zones = [];
    /** @type {RollMark[]} */ this.marks = [];
  }

  /** Takes the newest state of a roll's mark. @param {RollMark} mark */
  setMark(mark) {
    this.marks = [...this.marks.filter((other) => other.mark !== mark.mark), mark];
  }
}

export class StripModel {
  /** @param {string | null} strip @param {Side[]} sides */
  constructor(strip, sides) {
    this.strip = strip;
    this.sides = sides;
    this.lengthMm = 0;
    this.grades = []; // best first
    this.isRunning = false;
  }

  side(name) {
    return this.sides.find((side) => side.name === name);
  }

  reach(mm) {
    if (mm > this.lengthMm) this.lengthMm = mm;
  }

  get count() {
    return this.sides.reduce((sum, side) => sum + side.defects.size, 0);
  }

  /** Where a defect is. @returns {{side: Side, index: number} | null} */
  find(seq) {
    for (const side of this.sides) {
      const index = side.defects.indexOf(seq);
      if (index >= 0) return { side, index };
    }
    return null;
  }
}
