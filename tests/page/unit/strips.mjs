/** Strips for tests and measurements, from a seed: the same ones everywhere. */

import { Defects } from "../../../daemon/stripwatch/page/static/map/defects.js";
import { Side, StripModel } from "../../../daemon/stripwatch/page/static/map/model.js";

/** Random numbers from 0 to 1 (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Defects of all classes, most of them small, over a strip. */
export function someDefects(count, stripMm, widthMm, seed, classes = 8) {
  const random = randomFrom(seed);
  return Array.from({ length: count }, (_, i) => {
    const lengthMm = 2 + 60 * random() ** 4;
    const width = 2 + 40 * random() ** 4;
    return {
      seq: i + 1,
      alongMm: random() * (stripMm - lengthMm),
      lengthMm,
      acrossMm: random() * (widthMm - width),
      widthMm: width,
      classId: 1 + Math.floor(random() * classes),
      score: random(),
      areaMm2: lengthMm * width * 0.6,
      edgeMm: 0,
      flags: 1,
      review: 0,
    };
  });
}

/** A strip of two sides with gaps and a roll's mark. */
export function someStrip(count, stripMm, seed = 1) {
  const sides = ["top", "bottom"].map((name) => new Side(name, [0, 1000]));
  const model = new StripModel("coil-1", sides);
  model.sides.forEach((side, i) => {
    const defects = someDefects(count / 2, stripMm, 1000, seed + i);
    side.defects = Defects.from(defects.map((one) => ({ ...one, seq: 2 * one.seq + i })));
    side.gaps = [0.2, 0.7].map((share) => (
      { fromMm: stripMm * share, toMm: stripMm * (share + 0.01), acrossMm: [0, 1000],
        cause: "overload" }));
  });
  model.sides[0].setMark({
    mark: "m1", laneMm: 400, periodMm: 1885, firstMm: stripMm * 0.3, lastMm: stripMm * 0.6,
    rolls: ["work roll"],
  });
  model.lengthMm = stripMm;
  return model;
}
