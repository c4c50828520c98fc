/** Modules of the page that need no browser. */

import assert from "node:assert/strict";
import test from "node:test";

import * as format from "../../../daemon/stripwatch/page/static/format.js";
import { rankOf } from "../../../daemon/stripwatch/page/static/grades.js";
import { glyphs } from "../../../daemon/stripwatch/page/static/map/glyphs.js";
import { CameraRates } from "../../../daemon/stripwatch/page/static/parts/camera_rates.js";
import { find, parse, stripLink } from "../../../daemon/stripwatch/page/static/routes.js";
import { readTable, rowsToDraw } from "../../../daemon/stripwatch/page/static/table.js";
import { tableOf } from "../fake_server.mjs";

test("numbers are grouped, signed and rounded; what is not known is a dash", () => {
  assert.equal(format.number(1234567.8), "1\u202f234\u202f568");
  assert.equal(format.number(4711), "4711");
  assert.equal(format.number(-0.2), "0");
  assert.equal(format.number(-3.25, 1), "−3.3");
  for (const value of [null, undefined, NaN]) assert.equal(format.number(value), "–");
  assert.equal(format.unit(null, "mm"), "–");
});

test("lengths, areas, bytes and durations have the unit that fits them", () => {
  assert.equal(format.metres(3.14159), "3.14 m");
  assert.equal(format.metres(14_999.6), "15\u202f000 m");
  assert.equal(format.area(99), "99 mm²");
  assert.equal(format.area(25_000), "250 cm²");
  assert.equal(format.bytes(1_500_000), "1.5 MB");
  assert.equal(format.bytes(999), "999 B");
  assert.equal(format.duration(59.4), "59 s");
  assert.equal(format.duration(724), "12 min 4 s");
  assert.equal(format.duration(90_000), "1 d 1 h");
});

test("a strip without a coil id and a camera that is named by its side are said shortly", () => {
  const unnamed = "no coil id · 10 km · 9f00aa11";
  assert.equal(format.stripTitle(unnamed), "no coil id · 10 km");
  assert.equal(format.stripTitle("4711-2"), "Strip 4711-2");
  assert.deepEqual([unnamed, "no coil id", null].map(format.isUnnamed), [true, false, false]);
  assert.equal(format.camera({ name: "top", side: "top" }), "top");
  assert.equal(format.camera({ name: "left", side: "top" }), "left (top)");
});

test("the server's table is read in place, and what is not to be drawn is left out", () => {
  const body = tableOf("c", 50, 100, 3);
  const copy = body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength);
  const table = readTable(copy);
  assert.equal(table.head.count, 50);
  assert.equal(table.columns.seq.buffer, copy);
  table.columns.flags[4] |= 4;
  table.columns.downweb_m[49] = NaN;
  const rows = rowsToDraw(table, (index) => index + 1);
  assert.equal(rows.length, 48);
  const [{ defect, side }] = rows;
  assert.equal(defect.alongMm, table.columns.downweb_m[0] * 1000);
  assert.equal(side, table.columns.side[0]);
  assert.equal(defect.classId, table.columns.class_index[0] + 1);
});

test("an address names a view, its parameters and its filters", () => {
  assert.deepEqual(parse("#/defects?class=pits").path, "defects");
  assert.equal(parse("#/defects?class=pits&class=cracks").query.getAll("class").length, 2);
  assert.deepEqual(find("defects/12").parameters, ["12"]);
  assert.deepEqual(find(parse(stripLink("coil/7 a")).path).parameters, ["coil/7 a"]);
  assert.equal(find("nowhere"), null);
});

test("the first grade is the best, the last the worst", () => {
  const grades = ["prime", "second", "scrap"];
  assert.deepEqual(grades.map((grade) => rankOf(grade, grades)), [0, 1, 2]);
});

test("the signs of the classes differ from each other", () => {
  for (const size of [9, 15]) {
    assert.equal(new Set(glyphs(size).map(String)).size, 8);
  }
});

test("a camera's rate follows its counts, and not over a new session", () => {
  const rates = new CameraRates();
  const status = (seconds, inspected, session = "a") => (
    { t_ns: seconds * 1e9, cameras: { top: { session, inspected } } });
  rates.take(status(1, 0));
  assert.equal(rates.of("top"), null);
  rates.take(status(2, 50));
  assert.equal(rates.of("top"), 50);
  rates.take(status(3, 0, "b"));
  assert.equal(rates.of("top"), 50);
  rates.take(status(3.01, 50, "b")); // at once after a stall
  assert.equal(rates.of("top"), 50);
  rates.take(status(4, 50, "b"));
  assert.equal(rates.of("top"), 50);
});
