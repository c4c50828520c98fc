/** The map's parts without a browser. */

import assert from "node:assert/strict";
import test from "node:test";

import { Defects } from "../../../daemon/stripwatch/page/static/map/defects.js";
import { Side, StripModel } from "../../../daemon/stripwatch/page/static/map/model.js";
import { bands, paint, Scale } from "../../../daemon/stripwatch/page/static/map/paint.js";
import { packed, Raster } from "../../../daemon/stripwatch/page/static/map/raster.js";
import {
  clamped, containing, following, longest, panned, SHORTEST_MM, ticks, zoomed,
} from "../../../daemon/stripwatch/page/static/map/viewport.js";
import {
  CLASS_COLOURS, HATCH, MARK, STEEL,
} from "../../../daemon/stripwatch/page/static/palette.js";
import { randomFrom, someDefects, someStrip } from "./strips.mjs";

test("defects that come in any order lie sorted, and can be taken away", () => {
  const seed = 7;
  const random = randomFrom(seed);
  const made = someDefects(500, 100_000, 1000, seed);
  const defects = new Defects();
  for (const one of [...made].sort(() => random() - 0.5)) defects.add(one);
  assert.equal(defects.size, 500);
  for (let i = 1; i < defects.size; i += 1) {
    assert.ok(defects.alongMm[i - 1] <= defects.alongMm[i], `seed ${seed}`);
  }
  const sorted = Defects.from(made);
  assert.deepEqual(
    [...defects.alongMm.subarray(0, 500)], [...sorted.alongMm.subarray(0, 500)]);
  assert.ok(defects.remove(made[3].seq));
  assert.equal(defects.remove(made[3].seq), false);
  assert.equal(defects.size, 499);
  assert.equal(defects.at(defects.indexOf(made[4].seq)).seq, made[4].seq);
});

test("a window has every defect that reaches into it", () => {
  const seed = 8;
  const made = someDefects(2000, 200_000, 1000, seed);
  made.push({ ...made[0], seq: 9999, alongMm: 10_000, lengthMm: 90_000 });
  const defects = Defects.from(made);
  for (const [from, to] of [[0, 5000], [50_000, 60_000], [99_000, 99_500], [190_000, 300_000]]) {
    const [first, last] = defects.window(from, to);
    const found = new Set(defects.seq.subarray(first, last));
    for (const one of made) {
      const reaches = one.alongMm < to && one.alongMm + one.lengthMm > from;
      if (reaches) assert.ok(found.has(one.seq), `seed ${seed}, defect ${one.seq}`);
    }
  }
});

test("the nearest defect is found, of two under the pointer the smaller", () => {
  const base = { classId: 1, score: 1, edgeMm: 0, flags: 1, review: 0 };
  const defects = Defects.from([
    { ...base, seq: 1, alongMm: 1000, lengthMm: 500, acrossMm: 0, widthMm: 500, areaMm2: 9e4 },
    { ...base, seq: 2, alongMm: 1100, lengthMm: 20, acrossMm: 100, widthMm: 20, areaMm2: 300 },
  ]);
  assert.equal(defects.seq[defects.nearest(1110, 110, 10, 10)], 2);
  assert.equal(defects.seq[defects.nearest(1300, 300, 10, 10)], 1);
  assert.equal(defects.nearest(5000, 300, 10, 10), -1);
  defects.show((one) => one.seq === 1);
  assert.equal(defects.seq[defects.nearest(1110, 110, 10, 10)], 1);
});

test("zooming keeps the place under the pointer and stays within 10 m and the strip", () => {
  const strip = 2_000_000;
  const start = clamped(500_000, 100_000, strip);
  const closer = zoomed(start, 0.5, 525_000, strip);
  assert.ok(Math.abs((525_000 - closer.fromMm) / 50_000 - 0.25) < 1e-9);
  let window = start;
  for (let i = 0; i < 50; i += 1) window = zoomed(window, 0.5, 525_000, strip);
  assert.equal(window.toMm - window.fromMm, SHORTEST_MM);
  for (let i = 0; i < 50; i += 1) window = zoomed(window, 2, 525_000, strip);
  assert.equal(window.toMm - window.fromMm, longest(strip));
  assert.equal(window.fromMm, 0);
});

test("panning stops at the strip's ends, following keeps its end in view", () => {
  const strip = 300_000;
  assert.equal(panned(clamped(0, 50_000, strip), -1e6, strip).fromMm, 0);
  assert.equal(panned(clamped(0, 50_000, strip), 1e6, strip).toMm, strip);
  const window = following(50_000, strip);
  assert.ok(window.fromMm < strip && window.toMm > strip);
  assert.equal(window.toMm - window.fromMm, 50_000);
  const moved = containing(clamped(0, 50_000, strip), 200_000, strip);
  assert.ok(moved.fromMm < 200_000 && moved.toMm > 200_000);
});

test("an axis has round numbers, and not too many", () => {
  assert.deepEqual(ticks(0, 100, 5), [0, 20, 40, 60, 80, 100]);
  assert.deepEqual(ticks(12_345, 22_345, 4), [15_000, 20_000]);
  for (const to of [10, 33, 1999, 15_000]) assert.ok(ticks(0, to, 8).length <= 9);
});

const WIDTH = 800;
const HEIGHT = 220;

function painted(model, window) {
  const raster = new Raster(WIDTH, HEIGHT);
  paint(raster, model, window);
  return raster;
}

test("a defect is painted at its place, to scale, in its class's colour", () => {
  const model = new StripModel("c", [new Side("top", [0, 1000]), new Side("bottom", [0, 1000])]);
  model.lengthMm = 20_000;
  const defect = { seq: 1, alongMm: 5000, lengthMm: 1000, acrossMm: 250, widthMm: 500,
    classId: 3, score: 0.9, areaMm2: 1e5 };
  model.sides[1].defects.add(defect);
  const window = { fromMm: 0, toMm: 10_000 };
  const raster = painted(model, window);
  const scale = new Scale(window, WIDTH, bands(model, HEIGHT)[1]);
  const colour = packed(CLASS_COLOURS[2]);
  const at = (x, y) => raster.pixels[Math.floor(y) * WIDTH + Math.floor(x)];
  assert.equal(at(scale.x(5000), scale.y(400)), colour);
  assert.equal(at(scale.x(6000) - 1, scale.y(400)), colour);
  assert.equal(at(scale.x(6000) + 2, scale.y(500)), packed(STEEL));
  assert.equal(at(scale.x(5500), scale.y(250)), colour);
  assert.equal(at(scale.x(4900), scale.y(500)), packed(STEEL));
  const upper = raster.pixels.subarray(0, WIDTH * bands(model, HEIGHT)[0].bottom);
  assert.equal(upper.indexOf(colour), -1);
  model.sides[1].defects.show(() => false);
  assert.equal(painted(model, window).pixels.indexOf(colour), -1);
});

test("gaps are hatched and roll marks are joined by a line with a stroke at each tooth", () => {
  const model = someStrip(0, 20_000);
  model.sides[0].marks[0].firstMm = 2000;
  model.sides[0].marks[0].lastMm = 9540;
  const window = { fromMm: 0, toMm: 10_000 };
  const raster = painted(model, window);
  const scale = new Scale(window, WIDTH, bands(model, HEIGHT)[0]);
  const y = Math.round(scale.y(400));
  const line = [...raster.pixels.subarray(y * WIDTH, (y + 1) * WIDTH)];
  const marked = line.filter((pixel) => pixel === packed(MARK)).length;
  assert.ok(Math.abs(marked - 7540 * scale.alongPx) < 3);
  const beside = [...raster.pixels.subarray((y - 4) * WIDTH, (y - 3) * WIDTH)];
  assert.equal(beside.filter((pixel) => pixel === packed(MARK)).length, 5);
  const gap = Math.round(scale.x(4100));
  const column = Array.from({ length: 40 }, (_, i) => raster.pixels[(40 + i) * WIDTH + gap]);
  assert.ok(column.includes(packed(HATCH)));
});

test("a roll mark that goes on is dashed from its newest tooth to the strip's end", () => {
  const model = someStrip(0, 9_500);
  const [mark] = model.sides[0].marks;
  const window = { fromMm: 0, toMm: 10_000 };
  const scale = new Scale(window, WIDTH, bands(model, HEIGHT)[0]);
  const y = Math.round(scale.y(400));
  Object.assign(mark, { firstMm: 1000, lastMm: 5000 });
  const beyond = () => [...painted(model, window).pixels.subarray(
    y * WIDTH + Math.round(scale.x(5000)) + 2, (y + 1) * WIDTH)]
    .map((pixel) => pixel === packed(MARK));
  assert.ok(!beyond().includes(true));
  mark.isOpen = true;
  const count = beyond().filter(Boolean).length;
  assert.ok(Math.abs(count - (4500 * scale.alongPx) / 2) < 8, `${count} pixels`);
  assert.ok(beyond().lastIndexOf(true) <= 4500 * scale.alongPx);
});

test("a whole strip of 15 km with 200,000 defects shows every one", () => {
  const model = someStrip(200_000, 15_000_000);
  const window = { fromMm: 0, toMm: 15_000_000 };
  const raster = painted(model, window);
  for (const band of bands(model, HEIGHT)) {
    const scale = new Scale(window, WIDTH, band);
    const { defects } = band.side;
    const colours = new Set(CLASS_COLOURS.map(packed));
    for (let i = 0; i < defects.size; i += 97) {
      const x = Math.floor(scale.x(defects.alongMm[i]));
      const y = Math.floor(scale.y(defects.acrossMm[i]));
      assert.ok(colours.has(raster.pixels[y * WIDTH + x]), `defect ${i}`);
    }
  }
});
