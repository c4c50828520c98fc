/**
 * Frames per second of the strip map in a headless Chromium without a GPU: 200,000 defects on a
 * strip of 15 km, zoomed and panned from 10 m to the whole strip.
 *
 *   node tests/page/frame_rate.mjs build/.page-tests /usr/bin/chromium
 */

import { createRequire } from "node:module";
import { loadavg } from "node:os";

import { fakeServer } from "./fake_server.mjs";

const [folder, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/${folder}/`)("playwright-core");
const COUNT = 200_000;
const STRIP_M = 15_000;
const SECONDS = 5;

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } });
await fakeServer(page, { count: COUNT, stripM: STRIP_M });
await page.goto("http://stripwatch.test/");
while (!(await page.evaluate(
  (count) => document.querySelector("strip-map")?.model.count === count, COUNT))) {
  await page.waitForTimeout(100);
}
await page.waitForTimeout(2000);

/** Runs in the page: moves the map in every frame; the times between frames, ms. */
async function measure({ seconds, from, to }) {
  const map = document.querySelector("strip-map");
  const times = [];
  const paintings = [];
  const draw = map._draw;
  map._draw = (now) => {
    const begun = performance.now();
    draw.call(map, now);
    paintings.push(performance.now() - begun);
  };
  await new Promise((resolve) => {
    let last = 0;
    const start = performance.now();
    const step = (now) => {
      if (last) times.push(now - last);
      last = now;
      const share = (now - start) / (seconds * 1000);
      if (share >= 1) return resolve();
      const length = from * (to / from) ** share;
      const free = map.model.lengthMm - length;
      const begin = Math.max(0, free * (0.5 + 0.4 * Math.sin(share * 20)));
      map.setWindow({ fromMm: begin, toMm: begin + length });
      return requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  delete map._draw;
  return { times, paintings };
}

const whole = STRIP_M * 1000;
const ways = { "zooming, 10 m to 15 km": [10_000, whole], "panning, 10 m": [10_000, 10_000],
  "panning, 200 m": [200_000, 200_000], "panning, 1 km": [1_000_000, 1_000_000],
  "moving, nearly the whole strip": [0.9 * whole, whole] };
const at = (values, share) => values[Math.floor(share * (values.length - 1))].toFixed(1);
for (const [name, [from, to]] of Object.entries(ways)) {
  const { times, paintings } = await page.evaluate(measure, { seconds: SECONDS, from, to });
  for (const values of [times, paintings]) values.sort((a, b) => a - b);
  const rate = (1000 * times.length) / times.reduce((sum, time) => sum + time, 0);
  console.log(`${name}: ${rate.toFixed(1)} frames/s, between frames p50 ${at(times, 0.5)} ms, p95 `
    + `${at(times, 0.95)} ms; to paint one p50 ${at(paintings, 0.5)} ms, p95 `
    + `${at(paintings, 0.95)} ms`);
}
console.log(`load ${loadavg()[0].toFixed(1)}`);
await browser.close();
